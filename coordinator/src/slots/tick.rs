//! A draining node is in maintenance when its last slot is free.

use super::store;
use crate::app::App;
use crate::audit;
use crate::base::http::Problem;
use crate::base::store::Lane;
use crate::base::work::Reconciler;
use crate::nodes;
use crate::nodes::model::Event;
use std::time::Duration;

/// Starts the room's reconciler.
pub fn start(app: &App) {
    let app_ = app.clone();
    Reconciler {
        name: "slots.drained",
        period: Duration::from_secs(5),
        nudge: app.nudges.slots.clone(),
        run: move || drained(app_.clone()),
    }
    .start(&app.supervisor);
}

async fn drained(app: App) -> Result<(), Problem> {
    if app.store.read(store::drained_in).await?.is_empty() {
        return Ok(());
    }
    let cx = app.system("slots.drained");
    app.store
        .on(Lane::Upkeep)
        .write(move |tx| {
            for node in store::drained_in(tx)? {
                nodes::verbs::change_in(tx, &cx, node, Event::Drained, "nodes.drained")?;
            }
            Ok(audit::unchanged(()))
        })
        .await
}
