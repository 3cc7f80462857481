//! Upkeep of allocations: those whose node has been silent for long are shown as degraded. Nothing ends by
//! silence: missing evidence is never failure evidence.

use super::effects::{apply_in, wake};
use super::model::{Event, State};
use super::store;
use crate::app::App;
use crate::audit;
use crate::base::http::Problem;
use crate::base::store::Lane;
use crate::base::work::{Nudge, Reconciler};
use crate::nodes::model::Presence;
use muster_protocol::ids::NodeId;
use std::time::Duration;

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(15);
/// Silence after which what ran on a node is shown as degraded, ms.
const DEGRADED_MS: i64 = 60_000;

/// Starts the reconciler.
pub fn start(app: &App) {
    let this = app.clone();
    let run = move || {
        let app = this.clone();
        async move { run(&app).await }
    };
    Reconciler { name: "allocations.degraded", period: PERIOD, nudge: Nudge::default(), run }.start(&app.supervisor);
}

async fn run(app: &App) -> Result<(), Problem> {
    let nodes = app.store.read(|tx| store::nodes_with(tx, State::Active.word())).await?;
    for node in nodes {
        let silent = app.board.age_ms(node).is_none_or(|age| age > DEGRADED_MS);
        if silent && app.board.of(node) == Presence::Offline {
            degrade(app, node).await?;
        }
    }
    Ok(())
}

async fn degrade(app: &App, node: NodeId) -> Result<(), Problem> {
    let cx = app.system("allocations.degraded");
    let hit = app
        .store
        .on(Lane::Upkeep)
        .write(move |tx| {
            let mut hit = Vec::new();
            for mut row in store::on_node(tx, node)? {
                if row.lease.state == State::Active && apply_in(tx, &cx, &mut row, &Event::NodeLost)? {
                    hit.push(row.id);
                }
            }
            Ok(audit::unchanged(hit))
        })
        .await?;
    for id in hit {
        app.heard.forget(id);
    }
    wake(app);
    Ok(())
}
