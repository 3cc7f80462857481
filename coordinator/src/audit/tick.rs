//! The seal: gives events their places in the chain, in batches, so that no verb waits for a chain head.

use super::store;
use crate::app::App;
use crate::base::http::Problem;
use crate::base::store::Lane;
use crate::base::work::Reconciler;
use std::time::Duration;

/// Events of one batch.
const BATCH: i64 = 200;

/// Starts the reconciler.
pub fn start(app: &App) {
    let own = app.clone();
    Reconciler {
        name: "audit.seal",
        period: Duration::from_secs(5),
        nudge: app.nudges.seal.clone(),
        run: move || seal(own.clone()),
    }
    .start(&app.supervisor);
}

/// Seals everything that waits.
pub async fn seal(app: App) -> Result<(), Problem> {
    let upkeep = app.store.on(Lane::Upkeep);
    // The chain is evidence about changes, not a change: it needs no event of its own.
    while upkeep.ingest(|tx| store::seal(tx, BATCH)).await? > 0 {}
    Ok(())
}
