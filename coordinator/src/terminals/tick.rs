//! Ends the attaches of allocations that are over.

use super::model::Ending;
use super::place;
use super::store;
use crate::app::App;
use crate::base::authz::Verb;
use crate::base::http::Problem;
use crate::base::work::Reconciler;
use std::time::Duration;

/// A release must close its terminals within two seconds, even if its node is away.
const PERIOD: Duration = Duration::from_secs(1);

/// Starts the reconciler.
pub fn start(app: &App) {
    let (supervisor, nudge) = (app.supervisor.clone(), app.nudges.terminals.clone());
    let app = app.clone();
    let run = move || {
        let app = app.clone();
        async move { run(&app).await }
    };
    Reconciler { name: "terminals.watch", period: PERIOD, nudge, run }.start(&supervisor);
}

async fn run(app: &App) -> Result<(), Problem> {
    let watched = app.terminals.open.watched();
    if watched.is_empty() {
        return Ok(());
    }
    let cx = app.system("terminals.watch");
    let over = app
        .store
        .read(move |tx| {
            let mut over = Vec::new();
            for allocation in &watched {
                let lives = match place::find_in(tx, &cx, *allocation, Verb::TerminalsList) {
                    Ok(place) => place.is_open(),
                    Err(problem) if problem.code() == "not_found" => false,
                    Err(problem) => return Err(problem),
                };
                if !lives {
                    over.push(*allocation);
                }
            }
            Ok(over)
        })
        .await?;
    if over.is_empty() {
        return Ok(());
    }
    app.terminals.open.end(&Ending::Released, |allocation| over.contains(&allocation));
    let now_ms = app.clock.now_ms();
    app.store
        .ingest(move |tx| over.iter().try_for_each(|allocation| store::ended_with_allocation(tx, *allocation, now_ms)))
        .await
}
