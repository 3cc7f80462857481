//! Upkeep of allocations: those whose node has been silent for long are shown as degraded, those on a node whose
//! drain is past its deadline are released. Nothing ends by silence, as missing evidence is never failure
//! evidence, unless the operators have set how long they wait.

use super::effects::{about, apply_in, wake};
use super::model::{Event, State, Wish};
use super::{link, release, store};
use crate::app::App;
use crate::audit;
use crate::base::http::Problem;
use crate::base::store::Lane;
use crate::base::work::{Nudge, Reconciler};
use crate::nodes;
use crate::nodes::model::Presence;
use muster_protocol::ids::NodeId;
use muster_protocol::report::Report;
use std::time::Duration;

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(5);
/// Silence after which what ran on a node is shown as degraded, ms.
const DEGRADED_MS: i64 = 30_000;

/// Starts the reconciler.
pub fn start(app: &App) {
    let this = app.clone();
    let run = move || {
        let app = this.clone();
        async move { run(&app).await }
    };
    Reconciler { name: "allocations.degraded", period: PERIOD, nudge: Nudge::default(), run }.start(&app.supervisor);
    let this = app.clone();
    let run = move || {
        let app = this.clone();
        async move { end_drains(&app).await }
    };
    Reconciler { name: "allocations.drained", period: PERIOD, nudge: Nudge::default(), run }.start(&app.supervisor);
}

/// Releases what is left on nodes whose drain is past its deadline, unless the fuse is blown: then nobody knows
/// which nodes are there to be drained.
pub(super) async fn end_drains(app: &App) -> Result<(), Problem> {
    let cx = app.system("allocations.drained");
    let now_ms = cx.now_ms;
    if app.store.read(move |tx| nodes::store::drains_due_in(tx, now_ms)).await?.is_empty() {
        return Ok(());
    }
    let ended = app
        .store
        .on(Lane::Upkeep)
        .write(move |tx| {
            let mut ended = 0;
            if nodes::fuse::store::blown_in(tx)?.is_none() {
                for node in nodes::store::drains_due_in(tx, now_ms)? {
                    for mut row in store::on_node(tx, node)?.into_iter().filter(|row| row.lease.wish == Wish::Wanted) {
                        release::begin_in(tx, &cx, &mut row, "node_drained", None)?;
                        let reason = "the drain of its node is past its deadline";
                        audit::note(tx, &cx, about(&row, "allocations.release").reason(reason))?;
                        ended += 1;
                    }
                }
            }
            Ok(audit::unchanged(ended))
        })
        .await?;
    if ended > 0 {
        wake(app);
    }
    Ok(())
}

async fn run(app: &App) -> Result<(), Problem> {
    let nodes = app.store.read(|tx| store::nodes_with(tx, State::Active.word())).await?;
    for node in nodes {
        let silent = app.board.age_ms(node).is_none_or(|age| age > DEGRADED_MS);
        if silent && app.board.of(node) == Presence::Offline {
            degrade(app, node).await?;
            if app.board.of(node) == Presence::Online {
                // It came back meanwhile, and what it said then was no news. Agents say a thing once.
                let report = Report { cells: app.heard.on(node), ..Report::default() };
                link::report(app, node, report).await?;
            }
        }
    }
    match app.config.node_lost_s {
        Some(after_s) => give_up(app, after_s).await,
        None => Ok(()),
    }
}

/// Fails what has been degraded for longer than the policy waits, unless the fuse is blown.
pub(super) async fn give_up(app: &App, after_s: u64) -> Result<(), Problem> {
    let cx = app.system("allocations.degraded");
    let before_ms = cx.now_ms.saturating_sub(i64::try_from(after_s.saturating_mul(1_000)).unwrap_or(i64::MAX));
    let board = app.clone();
    let store = app.store.on(Lane::Upkeep);
    let late = app.store.read(move |tx| store::degraded_before(tx, before_ms)).await?;
    let late: Vec<_> = late.into_iter().filter(|(_, node)| board.board.of(*node) == Presence::Offline).collect();
    if late.is_empty() {
        return Ok(());
    }
    store
        .write(move |tx| {
            if nodes::fuse::store::blown_in(tx)?.is_none() {
                for (id, _) in &late {
                    if let Some(mut row) = store::find(tx, *id)? {
                        apply_in(tx, &cx, &mut row, &Event::LostForGood)?;
                    }
                }
            }
            Ok(audit::unchanged(()))
        })
        .await?;
    wake(app);
    Ok(())
}

pub(super) async fn degrade(app: &App, node: NodeId) -> Result<(), Problem> {
    let cx = app.system("allocations.degraded");
    let hit = app
        .store
        .on(Lane::Upkeep)
        .write(move |tx| {
            let mut hit = false;
            for mut row in store::on_node(tx, node)? {
                hit |= row.lease.state == State::Active && apply_in(tx, &cx, &mut row, &Event::NodeLost)?;
            }
            Ok(audit::unchanged(hit))
        })
        .await?;
    if hit {
        app.heard.forget(node);
        wake(app);
    }
    Ok(())
}
