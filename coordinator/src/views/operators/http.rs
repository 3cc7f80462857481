//! Routes of what operators look at.

use super::activity::{self, ActivityItem};
use super::attention::{self, Attention, AttentionItem, Family};
use super::overview::{self, Overview};
use crate::app::App;
use crate::attention::verbs::Seen;
use crate::audit;
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{Caller, Json, Page, PageQuery, Path, Problem, Query};
use axum::extract::State;
use axum::http::StatusCode;
use muster_protocol::ids::NodeId;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the queue is narrowed to.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct FamilyQuery {
    /// `lifecycle` or `allocations`; everything if left out.
    #[param(inline)]
    family: Option<Family>,
}

/// What needs an operator, worst first.
#[utoipa::path(get, path = "/api/v1/admin/attention", operation_id = "attention.list", tag = "views",
    params(FamilyQuery), responses((status = 200, body = Attention)))]
async fn attention(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(query): Query<FamilyQuery>,
) -> Result<Json<Attention>, Problem> {
    authz::require(&cx, Verb::AttentionList, Scope::Platform)?;
    let (now_ms, looked) = (cx.now_ms, app.clone());
    app.store.read(move |tx| attention::list_in(tx, &looked, now_ms, query.family)).await.map(Json)
}

/// Says that one has seen an item of the queue. It stays in the queue until its cause is over; when the cause comes
/// again, it is unseen again. 404 for an item that is not in the queue.
#[utoipa::path(post, path = "/api/v1/admin/attention/{id}/ack", operation_id = "attention.ack", tag = "views",
    params(("id" = String, Path)), request_body = Seen, responses((status = 200, body = AttentionItem)))]
async fn ack(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<String>,
    Json(seen): Json<Seen>,
) -> Result<Json<AttentionItem>, Problem> {
    authz::require(&cx, Verb::AttentionAck, Scope::Platform)?;
    let looked = app.clone();
    let item = app.store.write(move |tx| {
        let item = attention::ack_in(tx, &looked, &cx, &id, &seen)?;
        Ok(audit::unchanged(item))
    });
    item.await.map(Json)
}

/// Takes that back.
#[utoipa::path(delete, path = "/api/v1/admin/attention/{id}/ack", operation_id = "attention.unack", tag = "views",
    params(("id" = String, Path)), responses((status = 204)))]
async fn unack(State(app): State<App>, Caller(cx): Caller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    authz::require(&cx, Verb::AttentionUnack, Scope::Platform)?;
    let looked = app.clone();
    let taken = app.store.write(move |tx| {
        attention::unack_in(tx, &looked, &cx, &id)?;
        Ok(audit::unchanged(()))
    });
    taken.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The platform in a few numbers, as of now.
#[utoipa::path(get, path = "/api/v1/admin/overview", operation_id = "overview.show", tag = "views",
    responses((status = 200, body = Overview)))]
async fn overview(State(app): State<App>, Caller(cx): Caller) -> Result<Json<Overview>, Problem> {
    authz::require(&cx, Verb::OverviewShow, Scope::Platform)?;
    let (now_ms, looked) = (cx.now_ms, app.clone());
    app.store.read(move |tx| overview::show_in(tx, &looked, now_ms)).await.map(Json)
}

/// What was done to a node, its slots and its allocations, newest first: events, node tasks, operations.
#[utoipa::path(get, path = "/api/v1/admin/nodes/{node_id}/activity", operation_id = "nodes.activity", tag = "views",
    params(("node_id" = String, Path), PageQuery), responses((status = 200, body = Page<ActivityItem>)))]
async fn node_activity(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ActivityItem>>, Problem> {
    authz::require(&cx, Verb::NodesActivity, Scope::Platform)?;
    app.store.read(move |tx| activity::page_in(tx, id, &query)).await.map(Json)
}

/// Routes of the operator door.
#[must_use]
pub fn operator_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(attention))
        .routes(routes!(ack, unack))
        .routes(routes!(overview))
        .routes(routes!(node_activity))
}
