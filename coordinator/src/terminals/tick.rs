//! Ends the attaches of allocations and of sign-ins that are over.

use super::model::Ending;
use super::place;
use super::store;
use crate::app::App;
use crate::base::authz::Verb;
use crate::base::http::Problem;
use crate::base::work::Reconciler;
use crate::users;
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
    let sign_ins = app.terminals.open.sign_ins();
    let cx = app.system("terminals.watch");
    let (over, signed_out) = app
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
            Ok((over, users::ended_in(tx, &sign_ins)?))
        })
        .await?;
    if !signed_out.is_empty() {
        app.terminals.open.end(&Ending::SignedOut, |_, login| signed_out.contains(&login));
    }
    if over.is_empty() {
        return Ok(());
    }
    app.terminals.open.end(&Ending::Released, |allocation, _| over.contains(&allocation));
    let now_ms = app.clock.now_ms();
    app.store
        .ingest(move |tx| over.iter().try_for_each(|allocation| store::ended_with_allocation(tx, *allocation, now_ms)))
        .await
}
