//! Routes of allocations.

use super::cells::{self, CellItem, Ending};
use super::launch::{self, Launched, Precheck};
use super::release::{self, KeySet};
use super::request::LaunchRequest;
use super::store::{self, Filter};
use super::view::{AllocationView, shown_in};
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{
    Caller, Json, JsonText, Keyed, NoBody, Page, PageQuery, Path, Problem, ProblemBody, Query, idempotent, with_etag,
};
use crate::cx::Cx;
use crate::operations::Accepted;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use muster_protocol::ids::{AllocationId, NodeId, ProjectId, UserId};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What a list may be narrowed to.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows wanted, 1 to 200.
    pub limit: Option<u32>,
    /// One state, or `open`: one that is no end.
    pub state: Option<String>,
    /// Launched by one person.
    pub user_id: Option<String>,
    /// On one node.
    pub node_id: Option<String>,
    /// Of one project.
    pub project_id: Option<String>,
    /// A part of its name, id, SKU or node.
    pub q: Option<String>,
    /// With this label: its name, or `name=value`.
    pub label: Option<String>,
}

/// Who may log in from now on, the complete set.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewKeys {
    /// Own keys; `[]`: nobody.
    pub ssh_key_ids: Vec<String>,
}

/// Why an operator takes an allocation back.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Force {
    /// 1 to 500 characters; the tenant sees it.
    pub reason: String,
    /// The node will not come back: no proof of the end is waited for, and its slots are held.
    #[serde(default)]
    pub node_lost: bool,
}

async fn page(app: &App, query: ListQuery, mut filter: Filter) -> Result<JsonText, Problem> {
    let paging = PageQuery { cursor: query.cursor, limit: query.limit };
    let wrong = |field: &str| Problem::invalid(field, "invalid", "This is not an id.");
    filter.state = query.state;
    filter.user_id = query.user_id.map(|id| id.parse::<UserId>().map_err(|_| wrong("user_id"))).transpose()?;
    filter.node_id = query.node_id.map(|id| id.parse::<NodeId>().map_err(|_| wrong("node_id"))).transpose()?;
    filter.project_id =
        query.project_id.map(|id| id.parse::<ProjectId>().map_err(|_| wrong("project_id"))).transpose()?;
    filter.text = query.q.map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
    filter.label = query.label.filter(|label| !label.is_empty());
    let bound = paging.newest_first()?;
    let page = app.store.read(move |tx| {
        let total = store::count(tx, &filter)?;
        let rows = store::list(tx, &filter, bound.clone())?;
        let page = Page::cut(rows, &paging, |row| (row.created_ms, row.id.to_string()))?;
        let items = page.items.into_iter().map(|row| shown_in(tx, row)).collect::<Result<Vec<_>, Problem>>()?;
        JsonText::of(&Page { items, next_cursor: page.next_cursor, total: Some(total) })
    });
    page.await
}

/// Launches. 409 with the code of what is in the way (`sold_out`, `ssh_key_missing`, …) and no row left.
#[utoipa::path(post, path = "/api/v1/allocations", operation_id = "allocations.create", tag = "allocations",
    request_body = LaunchRequest,
    responses((status = 202, body = Launched), (status = 409, body = ProblemBody)))]
async fn create(State(app): State<App>, Caller(cx): Caller, keyed: Keyed<LaunchRequest>) -> Result<Response, Problem> {
    let (inner, body) = (app.clone(), keyed.body);
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        launch::launch(&inner, &cx, body, None).await.map(|answer| (StatusCode::ACCEPTED, answer))
    })
    .await
}

/// Says what would keep a launch from being done, without doing it.
#[utoipa::path(post, path = "/api/v1/launch/compute/precheck", operation_id = "allocations.precheck",
    tag = "allocations", request_body = LaunchRequest, responses((status = 200, body = Precheck)))]
async fn precheck(
    State(app): State<App>,
    Caller(cx): Caller,
    Json(body): Json<LaunchRequest>,
) -> Result<Json<Precheck>, Problem> {
    launch::precheck(&app, &cx, body).await.map(Json)
}

/// Allocations of one's tenant, newest first.
#[utoipa::path(get, path = "/api/v1/allocations", operation_id = "allocations.list", tag = "allocations",
    params(ListQuery), responses((status = 200, body = Page<AllocationView>)))]
async fn list(State(app): State<App>, Caller(cx): Caller, Query(query): Query<ListQuery>) -> Result<JsonText, Problem> {
    let tenant = cx.tenant_id()?;
    authz::require(&cx, Verb::AllocationsList, Scope::Tenant(tenant))?;
    page(&app, query, Filter { tenant_id: Some(tenant), ..Filter::default() }).await
}

/// Allocations of every tenant, newest first.
#[utoipa::path(get, path = "/api/v1/admin/allocations", operation_id = "allocations.list", tag = "allocations",
    params(ListQuery), responses((status = 200, body = Page<AllocationView>)))]
async fn admin_list(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(query): Query<ListQuery>,
) -> Result<JsonText, Problem> {
    authz::require(&cx, Verb::AllocationsList, Scope::Platform)?;
    page(&app, query, Filter::default()).await
}

async fn one(app: &App, cx: Cx, id: AllocationId) -> Result<Response, Problem> {
    let found = app.store.read(move |tx| {
        let row = release::seen_in(tx, &cx, id, Verb::AllocationsShow)?;
        shown_in(tx, row)
    });
    found.await.map(|shown| with_etag(shown.version, Json(shown)))
}

/// One allocation. Foreign, unknown and malformed ids answer the same.
#[utoipa::path(get, path = "/api/v1/allocations/{id}", operation_id = "allocations.show", tag = "allocations",
    params(("id" = String, Path)), responses((status = 200, body = AllocationView)))]
async fn show(State(app): State<App>, Caller(cx): Caller, Path(id): Path<AllocationId>) -> Result<Response, Problem> {
    one(&app, cx, id).await
}

/// One allocation of any tenant.
#[utoipa::path(get, path = "/api/v1/admin/allocations/{id}", operation_id = "allocations.show",
    tag = "allocations", params(("id" = String, Path)), responses((status = 200, body = AllocationView)))]
async fn admin_show(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<AllocationId>,
) -> Result<Response, Problem> {
    one(&app, cx, id).await
}

/// Gives an allocation back; also tries a failed release again. 409 `invalid_state` if it is over.
#[utoipa::path(post, path = "/api/v1/allocations/{id}/release", operation_id = "allocations.release",
    tag = "allocations", params(("id" = String, Path)),
    responses((status = 202, body = Accepted), (status = 409, body = ProblemBody)))]
async fn give_back(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<AllocationId>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    let inner = app.clone();
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        release::release(&inner, &cx, id, None).await.map(|answer| (StatusCode::ACCEPTED, answer))
    })
    .await
}

/// Takes an allocation back, with a reason.
#[utoipa::path(post, path = "/api/v1/admin/allocations/{id}/force-release",
    operation_id = "allocations.force_release", tag = "allocations", params(("id" = String, Path)),
    request_body = Force, responses((status = 202, body = Accepted), (status = 409, body = ProblemBody)))]
async fn force(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<AllocationId>,
    keyed: Keyed<Force>,
) -> Result<Response, Problem> {
    let (inner, body) = (app.clone(), keyed.body);
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        release::force(&inner, &cx, id, body.reason, body.node_lost).await.map(|answer| (StatusCode::ACCEPTED, answer))
    })
    .await
}

/// Replaces who may log in; the node writes the new set as soon as it is reached.
#[utoipa::path(put, path = "/api/v1/allocations/{id}/ssh-keys", operation_id = "allocations.ssh_keys",
    tag = "allocations", params(("id" = String, Path)), request_body = NewKeys,
    responses((status = 202, body = KeySet), (status = 409, body = ProblemBody)))]
async fn keys(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<AllocationId>,
    keyed: Keyed<NewKeys>,
) -> Result<Response, Problem> {
    let (inner, ids) = (app.clone(), keyed.body.ssh_key_ids);
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        release::set_keys(&inner, &cx, id, ids).await.map(|answer| (StatusCode::ACCEPTED, answer))
    })
    .await
}

/// The cells of a node as it reported them last, unclaimed ones too.
#[utoipa::path(get, path = "/api/v1/admin/nodes/{node_id}/cells", operation_id = "cells.list", tag = "allocations",
    params(("node_id" = String, Path)), responses((status = 200, body = Page<CellItem>)))]
async fn cell_list(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
) -> Result<Json<Page<CellItem>>, Problem> {
    Ok(Json(Page::whole(cells::list(&app, &cx, id).await?)))
}

/// Ends a cell that no allocation stands behind. 409 `claimed` for any other.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/cells/{allocation_id}/end", operation_id = "cells.end",
    tag = "allocations", params(("node_id" = String, Path), ("allocation_id" = String, Path)),
    responses((status = 202, body = Ending), (status = 409, body = ProblemBody)))]
async fn cell_end(
    State(app): State<App>,
    Caller(cx): Caller,
    Path((node, id)): Path<(NodeId, AllocationId)>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    let inner = app.clone();
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        cells::end(&inner, &cx, node, id).await.map(|answer| (StatusCode::ACCEPTED, answer))
    })
    .await
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(precheck))
        .routes(routes!(show))
        .routes(routes!(give_back))
        .routes(routes!(keys))
}

/// Routes of the operator door.
#[must_use]
pub fn operator_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(admin_list))
        .routes(routes!(admin_show))
        .routes(routes!(force))
        .routes(routes!(cell_list))
        .routes(routes!(cell_end))
}
