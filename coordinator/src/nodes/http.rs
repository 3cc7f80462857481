//! Routes of nodes, at the operator door.

use super::model::Event;
use super::probe::{self, Look};
use super::tasks::{self, TaskItem, Wish};
use super::verbs::{self, Drain, Edit, NodesQuery, Reactivate};
use super::view::NodeItem;
use crate::app::App;
use crate::base::authz::Verb;
use crate::base::http::{
    Caller, IfMatch, Json, JsonText, Keyed, NoBody, Page, PageQuery, Path, Problem, ProblemBody, Query, idempotent,
    with_etag,
};
use crate::operations::Accepted;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use muster_protocol::ids::{NodeId, NodeTaskId};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The room's routes.
pub fn operator_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, update))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(cordon))
        .routes(routes!(uncordon))
        .routes(routes!(drain))
        .routes(routes!(reactivate))
        .routes(routes!(probe))
        .routes(routes!(tasks_of))
        .routes(routes!(requeue))
        .routes(routes!(cancel))
        .merge(super::fuse::http::operator_routes())
}

/// Nodes, oldest first.
#[utoipa::path(get, path = "/api/v1/admin/nodes", operation_id = "nodes.list", tag = "nodes",
    params(PageQuery, NodesQuery), responses((status = 200, body = Page<NodeItem>)))]
async fn list(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(query): Query<PageQuery>,
    Query(narrow): Query<NodesQuery>,
) -> Result<JsonText, Problem> {
    verbs::list(&app, &cx, query, narrow).await
}

/// One node.
#[utoipa::path(get, path = "/api/v1/admin/nodes/{node_id}", operation_id = "nodes.show", tag = "nodes",
    params(("node_id" = String, Path)), responses((status = 200, body = NodeItem)))]
async fn show(State(app): State<App>, Caller(cx): Caller, Path(id): Path<NodeId>) -> Result<Response, Problem> {
    let item = verbs::show(&app, &cx, id).await?;
    Ok(with_etag(item.version, Json(item)))
}

/// Edits name and labels.
#[utoipa::path(patch, path = "/api/v1/admin/nodes/{node_id}", operation_id = "nodes.update", tag = "nodes",
    params(("node_id" = String, Path), ("If-Match" = String, Header)), request_body = Edit,
    responses((status = 200, body = NodeItem)))]
async fn update(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
    version: IfMatch,
    Json(edit): Json<Edit>,
) -> Result<Response, Problem> {
    let item = verbs::update(&app, &cx, id, version, edit).await?;
    Ok(with_etag(item.version, Json(item)))
}

/// Lets a waiting machine in; it then gets its certificate.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/approve", operation_id = "nodes.approve", tag = "nodes",
    params(("node_id" = String, Path)), responses((status = 200, body = NodeItem)))]
async fn approve(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
) -> Result<Json<NodeItem>, Problem> {
    verbs::change(&app, &cx, id, Verb::NodesApprove, Event::Approve).await.map(Json)
}

/// Turns a waiting machine away for good.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/reject", operation_id = "nodes.reject", tag = "nodes",
    params(("node_id" = String, Path)), responses((status = 200, body = NodeItem)))]
async fn reject(State(app): State<App>, Caller(cx): Caller, Path(id): Path<NodeId>) -> Result<Json<NodeItem>, Problem> {
    verbs::change(&app, &cx, id, Verb::NodesReject, Event::Reject).await.map(Json)
}

/// No new work; what runs stays.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/cordon", operation_id = "nodes.cordon", tag = "nodes",
    params(("node_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = NodeItem)))]
async fn cordon(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    keyed_change(app, cx, id, keyed, Verb::NodesCordon, Event::Cordon).await
}

/// New work may come again.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/uncordon", operation_id = "nodes.uncordon", tag = "nodes",
    params(("node_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = NodeItem)))]
async fn uncordon(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    keyed_change(app, cx, id, keyed, Verb::NodesUncordon, Event::Uncordon).await
}

/// No new work; the node is in maintenance when its last slot is free. Without a deadline it waits for that, with
/// one it then releases what still runs. Said again, it changes the deadline; uncordon cancels the drain.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/drain", operation_id = "nodes.drain", tag = "nodes",
    params(("node_id" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = Drain, responses((status = 200, body = NodeItem), (status = 422, body = ProblemBody)))]
async fn drain(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
    keyed: Keyed<Drain>,
) -> Result<Response, Problem> {
    let act = app.clone();
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        verbs::drain(&act, &cx, id, keyed.body).await.map(|item| (StatusCode::OK, item))
    })
    .await
}

/// Takes a node out of quarantine: the machine that is connected is the node; while none is, the next one that comes
/// with its key.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/reactivate", operation_id = "nodes.reactivate", tag = "nodes",
    params(("node_id" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = Reactivate, responses((status = 200, body = NodeItem), (status = 409, body = ProblemBody)))]
async fn reactivate(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
    keyed: Keyed<Reactivate>,
) -> Result<Response, Problem> {
    let act = app.clone();
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        verbs::reactivate(&act, &cx, id, keyed.body).await.map(|item| (StatusCode::OK, item))
    })
    .await
}

/// Asks the agent to look at its machine and report; follow the operation.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/probe", operation_id = "nodes.probe", tag = "nodes",
    params(("node_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 202, body = Accepted)))]
async fn probe(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    let act = app.clone();
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        probe::look(&act, &cx, id, Look::Probe).await.map(|accepted| (StatusCode::ACCEPTED, accepted))
    })
    .await
}

/// The newest tasks of a node with their results.
#[utoipa::path(get, path = "/api/v1/admin/nodes/{node_id}/tasks", operation_id = "nodes.tasks", tag = "nodes",
    params(("node_id" = String, Path)), responses((status = 200, body = Page<TaskItem>)))]
async fn tasks_of(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
) -> Result<Json<Page<TaskItem>>, Problem> {
    tasks::tasks(&app, &cx, id).await.map(Json)
}

/// Asks the node again for a task that waits or is unknown; what its journal took is not run twice.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/tasks/{task_id}/requeue",
    operation_id = "nodes.tasks.requeue", tag = "nodes",
    params(("node_id" = String, Path), ("task_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = TaskItem), (status = 409, body = ProblemBody)))]
async fn requeue(
    State(app): State<App>,
    Caller(cx): Caller,
    Path((node, id)): Path<(NodeId, NodeTaskId)>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    decide(app, cx, node, id, keyed, Wish::Requeue).await
}

/// Ends a task. A node that runs it kills all of its processes; without its node it ends at once.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/tasks/{task_id}/cancel",
    operation_id = "nodes.tasks.cancel", tag = "nodes",
    params(("node_id" = String, Path), ("task_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = TaskItem), (status = 409, body = ProblemBody)))]
async fn cancel(
    State(app): State<App>,
    Caller(cx): Caller,
    Path((node, id)): Path<(NodeId, NodeTaskId)>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    decide(app, cx, node, id, keyed, Wish::Cancel).await
}

async fn decide(
    app: App,
    cx: crate::cx::Cx,
    node: NodeId,
    id: NodeTaskId,
    keyed: Keyed<NoBody>,
    wish: Wish,
) -> Result<Response, Problem> {
    let act = app.clone();
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        tasks::decide(&act, &cx, node, id, wish).await.map(|item| (StatusCode::OK, item))
    })
    .await
}

async fn keyed_change(
    app: App,
    cx: crate::cx::Cx,
    id: NodeId,
    keyed: Keyed<NoBody>,
    verb: Verb,
    event: Event,
) -> Result<Response, Problem> {
    let act = app.clone();
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        verbs::change(&act, &cx, id, verb, event).await.map(|item| (StatusCode::OK, item))
    })
    .await
}
