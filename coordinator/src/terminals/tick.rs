//! Ends the attaches of allocations that are over, and of people who have signed out or lost their rights.

use super::model::Ending;
use super::place;
use super::registry::Watched;
use super::store;
use crate::app::App;
use crate::base::authz::Verb;
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::base::work::Reconciler;
use crate::cx::{Actor, Cx};
use crate::users;
use std::collections::BTreeMap;
use std::time::Duration;

/// A release or a sign-out must close its terminals within two seconds, even if the node is away.
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
    let over = app.store.read(move |tx| watched.iter().map(|what| Ok((*what, ending_in(tx, &cx, what)?))).collect());
    let over: BTreeMap<Watched, Option<Ending>> = over.await?;
    for ending in [Ending::Released, Ending::Revoked] {
        app.terminals.open.end(&ending, |what| over.get(what).is_some_and(|found| *found == Some(ending.clone())));
    }
    let ended = over.into_iter().filter(|(_, ending)| *ending == Some(Ending::Released));
    let ended: Vec<_> = ended.map(|((allocation, _), _)| allocation).collect();
    if ended.is_empty() {
        return Ok(());
    }
    let now_ms = app.clock.now_ms();
    app.store
        .ingest(move |tx| ended.iter().try_for_each(|allocation| store::ended_with_allocation(tx, *allocation, now_ms)))
        .await
}

/// Why what is open must not stay so; nothing if it may.
fn ending_in(tx: &mut Tx, cx: &Cx, (allocation, login): &Watched) -> Result<Option<Ending>, Problem> {
    match place::find_in(tx, cx, *allocation, Verb::TerminalsList) {
        Ok(place) if place.is_open() => {}
        Ok(_) => return Ok(Some(Ending::Released)),
        Err(problem) if problem.code() == "not_found" => return Ok(Some(Ending::Released)),
        Err(problem) => return Err(problem),
    }
    let Some(person) = users::person_of_open_login(tx, *login)? else { return Ok(Some(Ending::Revoked)) };
    let theirs = Cx { actor: Actor::Person(Box::new(person)), ..cx.clone() };
    match place::find_in(tx, &theirs, *allocation, Verb::TerminalsToken) {
        Ok(_) => Ok(None),
        Err(problem) if ["not_found", "forbidden_role"].contains(&problem.code()) => Ok(Some(Ending::Revoked)),
        Err(problem) => Err(problem),
    }
}
