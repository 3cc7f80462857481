//! Taking a node out of service for good: only when nothing of it is leased.

use super::store;
use crate::app::App;
use crate::audit;
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{Problem, StatusCode, answer_in};
use crate::cx::Cx;
use crate::nodes::{self, model::Event};
use muster_protocol::ids::NodeId;
use serde::Serialize;
use utoipa::ToSchema;

/// Answer of a removal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Removed {
    /// The node.
    #[schema(value_type = String)]
    pub id: NodeId,
    /// `removed`.
    pub state: String,
}

/// Removes a node: its certificates are worthless from here on, its slots retired, its history kept.
///
/// # Errors
/// 403 `step_up_required`, 404, 409 `node_in_use` naming the allocations.
pub async fn remove(app: &App, cx: &Cx, node: NodeId) -> Result<Removed, Problem> {
    authz::require(cx, Verb::NodesRemove, Scope::Platform)?;
    app.store.read(move |tx| nodes::store::get_in(tx, node)).await?;
    authz::require_step_up(cx)?;
    let context = cx.clone();
    let removed = app
        .store
        .write(move |tx| {
            let slots = store::of_node_in(tx, node)?;
            let users: Vec<_> = slots.iter().filter_map(|slot| slot.allocation_id).map(|id| id.to_string()).collect();
            if !users.is_empty() {
                let detail = format!("Allocations stand on this node: {}.", users.join(", "));
                return Err(Problem::conflict("node_in_use", detail));
            }
            for slot in &slots {
                super::verbs::retire_in(tx, &context, slot)?;
            }
            nodes::verbs::change_in(tx, &context, node, Event::Remove, Verb::NodesRemove.as_str())?;
            let removed = Removed { id: node, state: "removed".to_owned() };
            answer_in(tx, &context, StatusCode::OK, &removed)?;
            Ok(audit::unchanged(removed))
        })
        .await?;
    app.telemetry.forget(node);
    app.nudges.revoked.notify();
    Ok(removed)
}
