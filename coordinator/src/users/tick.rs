//! Upkeep: forgets sign-ins that are long over, and answers kept for replay.

use super::forget_old_in;
use crate::app::App;
use crate::base::http::{Problem, forget_in};
use crate::base::store::Lane;
use crate::base::work::{Nudge, Reconciler};
use std::time::Duration;

/// Starts the reconciler.
pub fn start(app: &App) {
    let own = app.clone();
    Reconciler {
        name: "users.forget",
        period: Duration::from_secs(3600),
        nudge: Nudge::default(),
        run: move || forget(own.clone()),
    }
    .start(&app.supervisor);
}

async fn forget(app: App) -> Result<(), Problem> {
    let now_ms = app.clock.now_ms();
    let upkeep = app.store.on(Lane::Upkeep);
    let forgotten = upkeep.ingest(move |tx| Ok(forget_old_in(tx, now_ms)? + forget_in(tx, now_ms)?)).await?;
    if forgotten > 0 {
        tracing::debug!(forgotten, "forgot old sign-ins and kept answers");
    }
    Ok(())
}
