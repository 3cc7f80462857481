//! Upkeep of operations: those past their deadline, and node tasks that nobody took or brought back.
//!
//! Any coordinator may run it: an overdue operation is leased by its row, and what its kind does about it is
//! one idempotent transaction.

use super::{store, tasks, verbs};
use crate::app::App;
use crate::audit;
use crate::base::http::Problem;
use crate::base::store::Lane;
use crate::base::work::Reconciler;
use muster_protocol::ids::OperationId;
use std::fmt::Display;
use std::time::Duration;

/// Longest time between two looks.
const PERIOD: Duration = Duration::from_secs(2);
/// How long one coordinator keeps an overdue operation to itself, ms.
const LEASE_MS: i64 = 10_000;

/// Starts the reconciler.
pub fn start(app: &App) {
    let this = app.clone();
    let run = move || {
        let app = this.clone();
        async move { run(&app).await }
    };
    Reconciler { name: "operations.driver", period: PERIOD, nudge: app.nudges.operations.clone(), run }
        .start(&app.supervisor);
}

async fn run(app: &App) -> Result<(), Problem> {
    let now_ms = app.clock.now_ms();
    let (due, stale, stalling) = app
        .store
        .read(move |tx| {
            let due = store::due(tx, now_ms)?;
            let open = tasks::open(tx)?.into_iter();
            let stale = open.filter(|task| tasks::overdue(task, now_ms).is_some()).map(|task| task.id);
            Ok((due, stale.collect::<Vec<_>>(), store::stalling(tx, now_ms)?))
        })
        .await?;
    let any = !due.is_empty() || !stale.is_empty();
    // Each by itself: one that cannot be moved must not hold up those behind it.
    for id in due {
        said(id, drive(app, id).await);
    }
    for id in stalling {
        let (cx, store) = (app.system("operations.driver"), app.store.on(Lane::Upkeep));
        said(id, store.write(move |tx| verbs::stall_in(tx, &cx, id).map(audit::unchanged)).await.map(drop));
        app.nudges.seal.notify();
    }
    for id in stale {
        let (cx, kinds) = (app.system("operations.driver"), app.kinds.clone());
        said(id, app.store.on(Lane::Upkeep).ingest(move |tx| tasks::expire_in(tx, &cx, &kinds, id)).await);
    }
    if any {
        app.nudges.everything();
    }
    Ok(())
}

fn said(what: impl Display, done: Result<(), Problem>) {
    if let Err(problem) = done {
        tracing::error!(%what, "what is overdue cannot be moved; it is tried again: {}", problem.log_text());
    }
}

/// Does what the kind of an overdue operation says; without a word from it, the operation fails.
async fn drive(app: &App, id: OperationId) -> Result<(), Problem> {
    let (cx, kinds, owner) = (app.system("operations.driver"), app.kinds.clone(), app.instance.clone());
    app.store
        .on(Lane::Upkeep)
        .write(move |tx| {
            if !store::lease(tx, id, &owner, cx.now_ms, cx.now_ms + LEASE_MS)? {
                return Ok(audit::unchanged(()));
            }
            let operation = verbs::find_in(tx, id)?;
            verbs::overdue_in(tx, &cx, &kinds, &operation, "deadline", "It was not done within its time.")?;
            // The hook may have given it more time, or left it to be ended by what it began; it is asked again
            // only for a new deadline.
            store::undue(tx, id, cx.now_ms)?;
            audit::record(tx, &cx, audit::Event::new("operations.overdue", id), ())
        })
        .await
}
