//! Looking at the fuse, settling it after a look at the fleet, and resetting it.

use super::{Blown, Fleet, Step, store};
use crate::app::App;
use crate::audit::{self, Event};
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::rfc3339_opt;
use crate::base::http::{Problem, StatusCode, answer_in};
use crate::base::store::{Lane, Tx};
use crate::cx::Cx;
use crate::nodes::model::Presence;
use muster_protocol::ids::NodeId;
use serde::{Deserialize, Serialize};
use std::sync::PoisonError;
use utoipa::ToSchema;

/// Longest reason of an operator, characters.
const REASON_MAX: usize = 500;
/// What events of the fuse are about.
const TARGET: &str = "fuse";

/// The fuse against mass failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FuseItem {
    /// `intact` or `blown`.
    pub state: &'static str,
    /// Since when it is blown; null while it is intact.
    pub blown_at: Option<String>,
    /// The nodes that were lost together; empty while it is intact.
    #[schema(value_type = Vec<String>)]
    pub nodes: Vec<NodeId>,
    /// Those of them that are still offline.
    #[schema(value_type = Vec<String>)]
    pub missing: Vec<NodeId>,
}

/// Why the fuse is reset.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// For the audit trail, 1 to 500 characters.
    pub reason: String,
}

fn item(app: &App, blown: Option<Blown>) -> FuseItem {
    let state = if blown.is_some() { "blown" } else { "intact" };
    let blown_at = rfc3339_opt(blown.as_ref().map(|blown| blown.since_ms));
    let nodes: Vec<_> = blown.map(|blown| blown.nodes).unwrap_or_default().into_iter().collect();
    let missing = nodes.iter().copied().filter(|node| app.board.of(*node) == Presence::Offline).collect();
    FuseItem { state, blown_at, nodes, missing }
}

/// The fuse as it is.
///
/// # Errors
/// What [`authz::require`] says.
pub async fn show(app: &App, cx: &Cx) -> Result<FuseItem, Problem> {
    authz::require(cx, Verb::FuseShow, Scope::Platform)?;
    app.store.read(store::blown_in).await.map(|blown| item(app, blown))
}

/// Resets a blown fuse: an operator knows what happened, and what is gone may be treated as gone.
///
/// # Errors
/// 409 `invalid_state` if it is intact, 422 without a reason.
pub async fn reset(app: &App, cx: &Cx, body: Reset) -> Result<FuseItem, Problem> {
    authz::require(cx, Verb::FuseReset, Scope::Platform)?;
    let reason = body.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_MAX {
        return Err(Problem::invalid("reason", "required", "Say why, in 1 to 500 characters."));
    }
    let (act, looked) = (cx.clone(), app.clone());
    app.store
        .write(move |tx| {
            let Some(blown) = store::blown_in(tx)? else {
                return Err(Problem::conflict("invalid_state", "The fuse is intact: there is nothing to reset."));
            };
            store::reset_in(tx)?;
            let answer = item(&looked, None);
            answer_in(tx, &act, StatusCode::OK, &answer)?;
            let event = Event::new(Verb::FuseReset.as_str(), TARGET).reason(reason.clone()).before(&blown.nodes);
            audit::record(tx, &act, event, answer)
        })
        .await
}

/// 409 `fuse_blown` while it is: a node must not be given up then.
///
/// # Errors
/// The conflict, or what the store says.
pub fn require_intact_in(tx: &mut Tx) -> Result<(), Problem> {
    match store::blown_in(tx)? {
        None => Ok(()),
        Some(blown) => Err(Problem::conflict(
            "fuse_blown",
            format!(
                "{} nodes were lost together, so none is given up: find the cause, then `muster nodes reset-fuse`.",
                blown.nodes.len()
            ),
        )),
    }
}

/// Takes in a look at the fleet. True if the fuse is blown after it.
pub(in crate::nodes) async fn settle(app: &App, fleet: Fleet<'_>, blown: Option<Blown>) -> Result<bool, Problem> {
    // Every change under the lock is one call; a panic leaves no half of it.
    let memory = || app.board.fuse.lock().unwrap_or_else(PoisonError::into_inner);
    let step = memory().look(app.clock.now_ms(), fleet, blown.as_ref());
    let cx = app.system("nodes.presence");
    let rows = app.store.on(Lane::Upkeep);
    let is_blown = match step {
        Step::Same => return Ok(blown.is_some()),
        Step::Blow(next) => {
            let (news, count) = (blown.is_none(), next.nodes.len());
            let stored = rows.write(move |tx| {
                store::save_in(tx, &next)?;
                let event = Event::new("fuse.blown", TARGET).outcome(audit::Outcome::Failed).after(&next.nodes);
                if news { audit::record(tx, &cx, event, ()) } else { Ok(audit::unchanged(())) }
            });
            stored.await?;
            if news {
                tracing::error!(
                    nodes = count,
                    "many nodes were lost together: none is given up until the fuse is reset"
                );
            }
            true
        }
        Step::Reset => {
            let stored = rows.write(move |tx| {
                store::reset_in(tx)?;
                let event = Event::new(Verb::FuseReset.as_str(), TARGET).reason("most of its nodes are back");
                audit::record(tx, &cx, event, ())
            });
            stored.await?;
            tracing::warn!("most of the nodes that were lost together are back: the fuse is reset");
            false
        }
    };
    memory().stored(is_blown);
    Ok(is_blown)
}
