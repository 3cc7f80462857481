//! Settles presence: writes a row when a node was heard again or has fallen silent, and minds the fuse.

use super::fuse::{self, Fleet};
use super::meters::Meters;
use super::model::Presence;
use super::store;
use crate::app::App;
use crate::base::http::Problem;
use crate::base::store::Lane;
use crate::base::work::{Nudge, Reconciler};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks at every node.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// Starts the room's reconcilers.
pub fn start(app: &App) {
    let app_ = app.clone();
    let meters = Arc::new(Meters::of(&app.metrics));
    Reconciler {
        name: "nodes.presence",
        period: PERIOD,
        nudge: Nudge::default(),
        run: move || settle(app_.clone(), Arc::clone(&meters)),
    }
    .start(&app.supervisor);
}

/// One look at every node in service. An unknown presence settles nothing.
async fn settle(app: App, meters: Arc<Meters>) -> Result<(), Problem> {
    let (rows, blown) = app.store.read(|tx| Ok((store::presences_in(tx)?, fuse::store::blown_in(tx)?))).await?;
    let now_ms = app.clock.now_ms();
    let looked: Vec<_> = rows.into_iter().map(|(node, settled)| (node, settled, app.board.of(node))).collect();
    meters.presences(looked.iter().map(|(_, settled, live)| live.after(*settled)));
    let offline: BTreeSet<_> =
        looked.iter().filter(|(_, _, live)| *live == Presence::Offline).map(|(node, _, _)| *node).collect();
    let changed: Vec<_> = looked
        .iter()
        .filter(|(_, settled, live)| *live != Presence::Unknown && settled != live)
        .map(|(node, _, live)| (*node, *live, app.board.age_ms(*node).map(|age| now_ms - age)))
        .collect();
    let fallen: Vec<_> =
        changed.iter().filter(|(_, live, _)| *live == Presence::Offline).map(|(node, _, _)| *node).collect();
    for (node, live, _) in &changed {
        tracing::info!(%node, presence = live.word(), "a node's presence changed");
    }
    // The fuse first: who acts on what is settled must find it blown.
    let fleet = Fleet { in_service: looked.len(), offline: &offline, fallen: &fallen };
    meters.fuse(fuse::verbs::settle(&app, fleet, blown).await?);
    if changed.is_empty() {
        return Ok(());
    }
    app.store
        .on(Lane::Upkeep)
        .ingest(move |tx| {
            changed.iter().try_for_each(|(node, live, seen)| store::save_presence_in(tx, *node, *live, *seen, now_ms))
        })
        .await
}
