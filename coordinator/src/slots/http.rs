//! Routes of slots, at the operator door.

use super::model::{Hold, State};
use super::remove::{self, Removed};
use super::store::{self, SlotRow};
use super::verbs::{self, Decision};
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{
    Caller, Json, JsonText, Keyed, MaybeJson, NoBody, Page, Path, Problem, ProblemBody, idempotent,
};
use crate::nodes::{self, probe::Look};
use crate::operations::Accepted;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::Response;
use muster_protocol::desired::SlotKind;
use muster_protocol::ids::{AllocationId, NodeId, SlotId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The room's routes.
pub fn operator_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(discover))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(quarantine))
        .routes(routes!(clear))
        .routes(routes!(batch))
        .routes(routes!(remove_node))
}

/// A slot.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SlotItem {
    /// Its id.
    #[schema(value_type = String)]
    pub id: SlotId,
    /// Where it is.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// The GPU; null for `cpu`.
    pub gpu_uuid: Option<String>,
    /// `gpu`, `mig` or `cpu`.
    #[schema(value_type = String)]
    pub kind: SlotKind,
    /// MIG profile; null otherwise.
    pub profile: Option<String>,
    /// First memory slice of a MIG placement, or the number of a `cpu` slot; null for `gpu`.
    pub start: Option<i64>,
    /// Memory slices of a MIG placement; null otherwise.
    pub size: Option<i64>,
    /// Where it is between discovery and retirement.
    pub state: State,
    /// The agent found it in its last inventory.
    pub present: bool,
    /// Why it may not be sold although it is free.
    pub holds: Vec<Hold>,
    /// The allocation that stands behind it.
    #[schema(value_type = Option<String>)]
    pub allocation_id: Option<AllocationId>,
}

impl From<SlotRow> for SlotItem {
    fn from(slot: SlotRow) -> Self {
        let some = |text: String| (!text.is_empty()).then_some(text);
        Self {
            id: slot.id,
            node_id: slot.node_id,
            gpu_uuid: some(slot.gpu_uuid),
            kind: slot.kind,
            profile: some(slot.profile),
            start: (slot.kind != SlotKind::Gpu).then_some(slot.start),
            size: (slot.kind == SlotKind::Mig).then_some(slot.size),
            state: slot.state,
            present: slot.present,
            holds: slot.holds,
            allocation_id: slot.allocation_id,
        }
    }
}

/// Slots of a node.
#[utoipa::path(get, path = "/api/v1/admin/nodes/{node_id}/slots", operation_id = "slots.list", tag = "slots",
    params(("node_id" = String, Path)), responses((status = 200, body = Page<SlotItem>)))]
async fn list(Shared(app): Shared<App>, Caller(cx): Caller, Path(id): Path<NodeId>) -> Result<JsonText, Problem> {
    authz::require(&cx, Verb::SlotsList, Scope::Platform)?;
    app.store
        .read(move |tx| {
            nodes::store::get_in(tx, id)?;
            let rows = store::of_node_in(tx, id)?;
            JsonText::of(&Page::<SlotItem>::whole(rows.into_iter().map(SlotItem::from).collect()))
        })
        .await
}

/// Asks the agent to look for slots now; follow the operation, the list has what it found a moment later. Agents look
/// by themselves as well: this is for who has just changed a machine and does not want to wait.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/slots/discover", operation_id = "slots.discover",
    tag = "slots", params(("node_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 202, body = Accepted), (status = 409, body = ProblemBody)))]
async fn discover(
    Shared(app): Shared<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    let act = app.clone();
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        nodes::probe::look(&act, &cx, id, Look::Discover).await.map(|accepted| (StatusCode::ACCEPTED, accepted))
    })
    .await
}

type Ids = Path<(NodeId, SlotId)>;

/// Why it is decided so.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct Why {
    /// At most 500 characters, for the audit log; a hold shows it too.
    pub reason: Option<String>,
}

async fn decided(
    app: App,
    cx: crate::cx::Cx,
    (node, slot): (NodeId, SlotId),
    decision: Decision,
    why: MaybeJson<Why>,
) -> Result<Json<SlotItem>, Problem> {
    let reason = why.0.and_then(|why| why.reason);
    verbs::decide(&app, &cx, node, slot, decision, reason).await.map(|slot| Json(slot.into()))
}

/// Lets a slot be sold.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/slots/{slot_id}/approve", operation_id = "slots.approve",
    tag = "slots", params(("node_id" = String, Path), ("slot_id" = String, Path)), request_body = Option<Why>,
    responses((status = 200, body = SlotItem)))]
async fn approve(
    Shared(app): Shared<App>,
    Caller(cx): Caller,
    Path(ids): Ids,
    why: MaybeJson<Why>,
) -> Result<Json<SlotItem>, Problem> {
    decided(app, cx, ids, Decision::Approve, why).await
}

/// Keeps a slot from being sold.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/slots/{slot_id}/reject", operation_id = "slots.reject",
    tag = "slots", params(("node_id" = String, Path), ("slot_id" = String, Path)), request_body = Option<Why>,
    responses((status = 200, body = SlotItem)))]
async fn reject(
    Shared(app): Shared<App>,
    Caller(cx): Caller,
    Path(ids): Ids,
    why: MaybeJson<Why>,
) -> Result<Json<SlotItem>, Problem> {
    decided(app, cx, ids, Decision::Reject, why).await
}

/// Puts a quarantine hold on a slot; on a leased one it takes effect when the lease ends.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/slots/{slot_id}/quarantine", operation_id = "slots.hold",
    tag = "slots", params(("node_id" = String, Path), ("slot_id" = String, Path)), request_body = Option<Why>,
    responses((status = 200, body = SlotItem)))]
async fn quarantine(
    Shared(app): Shared<App>,
    Caller(cx): Caller,
    Path(ids): Ids,
    why: MaybeJson<Why>,
) -> Result<Json<SlotItem>, Problem> {
    decided(app, cx, ids, Decision::Quarantine, why).await
}

/// Takes all holds off a slot.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/slots/{slot_id}/clear", operation_id = "slots.unhold",
    tag = "slots", params(("node_id" = String, Path), ("slot_id" = String, Path)), request_body = Option<Why>,
    responses((status = 200, body = SlotItem)))]
async fn clear(
    Shared(app): Shared<App>,
    Caller(cx): Caller,
    Path(ids): Ids,
    why: MaybeJson<Why>,
) -> Result<Json<SlotItem>, Problem> {
    decided(app, cx, ids, Decision::Clear, why).await
}

/// One decision about many slots.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// What is decided.
    pub op: Decision,
    /// About these; at most 1,024.
    #[schema(value_type = Option<Vec<String>>)]
    pub slot_ids: Option<Vec<SlotId>>,
    /// About all that wait for it; instead of `slot_ids`.
    #[serde(default)]
    pub all: bool,
    /// Why, as for one slot.
    pub reason: Option<String>,
}

/// How it ended for one slot.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BatchItem {
    /// The slot.
    #[schema(value_type = String)]
    pub id: SlotId,
    /// It was done.
    pub ok: bool,
    /// Why not; null if it was.
    pub code: Option<String>,
    /// Its state after it; null if there is no such slot.
    pub state: Option<State>,
}

/// Decides about many slots at once; each succeeds or fails by itself.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/slots:batch", operation_id = "slots.batch", tag = "slots",
    params(("node_id" = String, Path)), request_body = Batch, responses((status = 200, body = Page<BatchItem>)))]
async fn batch(
    Shared(app): Shared<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
    Json(batch): Json<Batch>,
) -> Result<Json<Page<BatchItem>>, Problem> {
    let named = match (batch.slot_ids, batch.all) {
        (Some(ids), false) if ids.len() <= muster_protocol::limits::SLOTS_PER_NODE => Some(ids),
        (None, true) => None,
        _ => return Err(Problem::invalid("slot_ids", "invalid", "Give either up to 1024 slot_ids, or all: true.")),
    };
    let decided = verbs::decide_many(&app, &cx, id, named, batch.op, batch.reason).await?;
    let item = |decided: verbs::Decided| BatchItem {
        id: decided.id,
        ok: decided.outcome.is_ok(),
        code: decided.outcome.as_ref().err().map(|problem| problem.code().to_owned()),
        state: decided.outcome.ok().map(|slot| slot.state),
    };
    Ok(Json(Page::whole(decided.into_iter().map(item).collect())))
}

/// Takes a node out of service for good. Needs step-up, and nothing on it may be leased.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/remove", operation_id = "nodes.remove", tag = "slots",
    params(("node_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Removed)))]
async fn remove_node(
    Shared(app): Shared<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    let act = app.clone();
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        remove::remove(&act, &cx, id).await.map(|removed| (StatusCode::OK, removed))
    })
    .await
}
