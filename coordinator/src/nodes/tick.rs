//! Settles presence: writes a row when a node was heard again or has fallen silent.

use super::model::Presence;
use super::store;
use crate::app::App;
use crate::base::http::Problem;
use crate::base::store::Lane;
use crate::base::work::{Nudge, Reconciler};
use std::time::Duration;

/// Starts the room's reconcilers.
pub fn start(app: &App) {
    let app_ = app.clone();
    Reconciler {
        name: "nodes.presence",
        period: Duration::from_secs(1),
        nudge: Nudge::default(),
        run: move || settle(app_.clone()),
    }
    .start(&app.supervisor);
}

/// One look at every node in service. An unknown presence settles nothing.
async fn settle(app: App) -> Result<(), Problem> {
    let rows = app.store.read(store::presences_in).await?;
    let now_ms = app.clock.now_ms();
    let changed: Vec<_> = rows
        .into_iter()
        .map(|(node, settled)| (node, settled, app.board.of(node)))
        .filter(|(_, settled, live)| *live != Presence::Unknown && settled != live)
        .map(|(node, _, live)| (node, live, app.board.age_ms(node).map(|age| now_ms - age)))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    for (node, live, _) in &changed {
        tracing::info!(%node, presence = live.word(), "a node's presence changed");
    }
    app.store
        .on(Lane::Upkeep)
        .ingest(move |tx| {
            changed.iter().try_for_each(|(node, live, seen)| store::save_presence_in(tx, *node, *live, *seen, now_ms))
        })
        .await
}
