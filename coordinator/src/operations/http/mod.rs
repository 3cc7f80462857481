//! Routes of operations: one row, shown as `/operations/{id}` and as `/tasks/{id}`.

mod pages;
mod stream;

use super::Kinds;
use super::row::Operation;
use super::store::{self, Filter};
use super::verbs::{self, Accepted};
use super::view::{LineView, LinkView, OperationView, related};
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{
    Caller, Door, Json, JsonText, Keyed, NoBody, Page, PageQuery, Path, Problem, Query, idempotent,
};
use crate::cx::Cx;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use muster_protocol::ids::{OperationId, TenantId};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What a list may be narrowed to.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows wanted, 1 to 200.
    pub limit: Option<u32>,
    /// One kind.
    pub kind: Option<String>,
    /// One state, or `active`: queued or running.
    pub state: Option<String>,
    /// One outcome.
    pub outcome: Option<String>,
    /// The id of what it is about.
    pub subject: Option<String>,
    /// Of one tenant; for staff.
    pub tenant_id: Option<String>,
    /// `true`: only those that the caller began.
    pub mine: Option<bool>,
    /// A part of its id, kind, subject or initiator.
    pub q: Option<String>,
}

fn filter(cx: &Cx, query: ListQuery) -> Result<Filter, Problem> {
    let wrong = || Problem::invalid("tenant_id", "invalid", "This is not the id of a tenant.");
    let tenant_id = match cx.person()?.door {
        Door::Console => Some(cx.tenant_id()?),
        Door::Operator => query.tenant_id.map(|id| id.parse::<TenantId>().map_err(|_| wrong())).transpose()?,
    };
    let initiator = query.mine.unwrap_or(false).then(|| cx.user_id()).transpose()?;
    Ok(Filter {
        tenant_id,
        kind: query.kind,
        state: query.state,
        subject: query.subject,
        outcome: query.outcome,
        initiator: initiator.map(|id| id.to_string()),
        text: query.q.map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty()),
    })
}

/// What can be done with a kind: cancelled, tried again.
fn can(kinds: &Kinds, row: &Operation) -> (bool, bool) {
    kinds.get(&row.kind).map_or((false, false), |kind| (kind.cancel.is_some(), kind.retry.is_some()))
}

async fn page(app: &App, cx: Cx, query: ListQuery, verb: Verb) -> Result<JsonText, Problem> {
    let paging = PageQuery { cursor: query.cursor.clone(), limit: query.limit };
    let filter = filter(&cx, query)?;
    let scope = match cx.person()?.door {
        Door::Console => Scope::Tenant(cx.tenant_id()?),
        Door::Operator => Scope::Platform,
    };
    authz::require(&cx, verb, scope)?;
    let (bound, kinds) = (paging.newest_first()?, app.kinds.clone());
    let page = app.store.read(move |tx| {
        let total = store::count(tx, &filter)?;
        let rows = store::list(tx, &filter, bound.clone())?;
        let page = Page::cut(rows, &paging, |row| (row.created_ms, row.id.to_string()))?.with_total(total);
        JsonText::of(&page.map(|row| {
            let can = can(&kinds, &row);
            OperationView::of(row, can)
        }))
    });
    page.await
}

/// Operations of one's tenant, newest first; at the operator door all of them.
#[utoipa::path(get, path = "/api/v1/operations", operation_id = "operations.list", tag = "operations",
    params(ListQuery), responses((status = 200, body = Page<OperationView>)))]
async fn list(State(app): State<App>, Caller(cx): Caller, Query(query): Query<ListQuery>) -> Result<JsonText, Problem> {
    page(&app, cx, query, Verb::OperationsList).await
}

/// The same under the word for submitters.
#[utoipa::path(get, path = "/api/v1/tasks", operation_id = "tasks.list", tag = "operations",
    params(ListQuery), responses((status = 200, body = Page<OperationView>)))]
async fn task_list(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(query): Query<ListQuery>,
) -> Result<JsonText, Problem> {
    page(&app, cx, query, Verb::TasksList).await
}

async fn shown(app: &App, cx: Cx, id: OperationId, verb: Verb) -> Result<OperationView, Problem> {
    let row = app.store.read(move |tx| verbs::seen_in(tx, &cx, id, verb)).await?;
    let can = can(&app.kinds, &row);
    Ok(OperationView::of(row, can))
}

/// One operation with its steps. Foreign, unknown and malformed ids answer the same.
#[utoipa::path(get, path = "/api/v1/operations/{id}", operation_id = "operations.show", tag = "operations",
    params(("id" = String, Path)), responses((status = 200, body = OperationView)))]
async fn show(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<OperationId>,
) -> Result<Json<OperationView>, Problem> {
    shown(&app, cx, id, Verb::OperationsShow).await.map(Json)
}

/// The same under the word for submitters.
#[utoipa::path(get, path = "/api/v1/tasks/{id}", operation_id = "tasks.show", tag = "operations",
    params(("id" = String, Path)), responses((status = 200, body = OperationView)))]
async fn task_show(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<OperationId>,
) -> Result<Json<OperationView>, Problem> {
    shown(&app, cx, id, Verb::TasksShow).await.map(Json)
}

/// Which part of a timeline.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LinesQuery {
    /// Only lines before this `seq`: the last one that is shown, for older ones.
    pub before: Option<i64>,
    /// `next_cursor` of the page before: the same.
    pub cursor: Option<String>,
    /// Lines wanted, 1 to 200.
    pub limit: Option<u32>,
}

async fn lines(
    app: &App,
    cx: Cx,
    id: OperationId,
    query: LinesQuery,
    verb: Verb,
) -> Result<Json<Page<LineView>>, Problem> {
    let paging = PageQuery { cursor: query.cursor, limit: query.limit };
    let before = paging.cursor()?.map_or(query.before.unwrap_or(i64::MAX), |cursor| cursor.at);
    let limit = i64::from(paging.limit()?) + 1;
    let rows = app.store.read(move |tx| {
        verbs::seen_in(tx, &cx, id, verb)?;
        store::lines_before(tx, id, before, limit)
    });
    let page = Page::cut(rows.await?, &paging, |line| (line.seq, String::new()))?;
    Ok(Json(page.map(LineView::from)))
}

/// The timeline of an operation, newest first.
#[utoipa::path(get, path = "/api/v1/operations/{id}/events", operation_id = "operations.events",
    tag = "operations", params(("id" = String, Path), LinesQuery),
    responses((status = 200, body = Page<LineView>)))]
async fn events(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<OperationId>,
    Query(query): Query<LinesQuery>,
) -> Result<Json<Page<LineView>>, Problem> {
    lines(&app, cx, id, query, Verb::OperationsEvents).await
}

/// The same under the word for submitters.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/events", operation_id = "tasks.events",
    tag = "operations", params(("id" = String, Path), LinesQuery),
    responses((status = 200, body = Page<LineView>)))]
async fn task_events(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<OperationId>,
    Query(query): Query<LinesQuery>,
) -> Result<Json<Page<LineView>>, Problem> {
    lines(&app, cx, id, query, Verb::TasksEvents).await
}

/// Where one may go from an operation.
#[utoipa::path(get, path = "/api/v1/operations/{id}/related", operation_id = "operations.related",
    tag = "operations", params(("id" = String, Path)), responses((status = 200, body = Page<LinkView>)))]
async fn related_links(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<OperationId>,
) -> Result<Json<Page<LinkView>>, Problem> {
    let door = cx.person()?.door;
    let links = app.store.read(move |tx| {
        let row = verbs::seen_in(tx, &cx, id, Verb::OperationsRelated)?;
        let retried_by = store::retries(tx, id)?;
        Ok(related(&row, door, &retried_by))
    });
    Ok(Json(Page::whole(links.await?)))
}

/// Why an operation is given up.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct GiveUp {
    /// 1 to 500 characters, for the audit trail.
    pub reason: String,
}

/// Gives up on an operation that is stalled: what it does at its deadline is done now. 409 `not_stalled`.
#[utoipa::path(post, path = "/api/v1/operations/{id}/give-up", operation_id = "operations.give_up",
    tag = "operations", params(("id" = String, Path)), request_body = GiveUp,
    responses((status = 202, body = Accepted)))]
async fn give_up(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<OperationId>,
    keyed: Keyed<GiveUp>,
) -> Result<Response, Problem> {
    let (inner, reason) = (app.clone(), keyed.body.reason);
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        verbs::give_up(&inner, &cx, id, reason).await.map(|answer| (StatusCode::ACCEPTED, answer))
    })
    .await
}

async fn keyed_cancel(app: App, cx: Cx, id: OperationId, keyed: Keyed<NoBody>) -> Result<Response, Problem> {
    let inner = app.clone();
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        verbs::cancel(&inner, &cx, id).await.map(|answer| (StatusCode::ACCEPTED, answer))
    })
    .await
}

async fn keyed_retry(app: App, cx: Cx, id: OperationId, keyed: Keyed<NoBody>) -> Result<Response, Problem> {
    let inner = app.clone();
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        verbs::retry(&inner, &cx, id).await.map(|answer| (StatusCode::ACCEPTED, answer))
    })
    .await
}

/// Asks for the end of an operation. 409 `not_cancellable` after its point of no return.
#[utoipa::path(post, path = "/api/v1/operations/{id}/cancel", operation_id = "operations.cancel",
    tag = "operations", params(("id" = String, Path)), responses((status = 202, body = Accepted)))]
async fn cancel(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<OperationId>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    keyed_cancel(app, cx, id, keyed).await
}

/// The same under the word for submitters.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/cancel", operation_id = "tasks.cancel", tag = "operations",
    params(("id" = String, Path)), responses((status = 202, body = Accepted)))]
async fn task_cancel(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<OperationId>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    keyed_cancel(app, cx, id, keyed).await
}

/// Tries a failed or cancelled operation again. 409 `not_retryable` for others.
#[utoipa::path(post, path = "/api/v1/operations/{id}/retry", operation_id = "operations.retry",
    tag = "operations", params(("id" = String, Path)), responses((status = 202, body = Accepted)))]
async fn retry(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<OperationId>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    keyed_retry(app, cx, id, keyed).await
}

/// The same under the word for submitters.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/retry", operation_id = "tasks.retry", tag = "operations",
    params(("id" = String, Path)), responses((status = 202, body = Accepted)))]
async fn task_retry(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<OperationId>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    keyed_retry(app, cx, id, keyed).await
}

fn both() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(events))
        .routes(routes!(related_links))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .merge(stream::routes())
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    both()
        .routes(routes!(task_list))
        .routes(routes!(task_show))
        .routes(routes!(task_events))
        .routes(routes!(task_cancel))
        .routes(routes!(task_retry))
        .merge(stream::task_routes())
        .merge(pages::routes(Door::Console))
}

/// Routes of the operator door.
#[must_use]
pub fn operator_routes() -> OpenApiRouter<App> {
    both().routes(routes!(give_up)).merge(pages::routes(Door::Operator))
}
