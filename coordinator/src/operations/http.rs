//! Routes of operations: one row, shown as `/operations/{id}` and as `/tasks/{id}`.

use super::model::StepState;
use super::store::{self, Filter, Operation};
use super::verbs::{self, Accepted};
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::{rfc3339, rfc3339_opt};
use crate::base::http::{
    Caller, Door, Json, JsonText, Keyed, NoBody, Page, PageQuery, Path, Problem, Query, idempotent,
};
use crate::cx::Cx;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use muster_protocol::ids::OperationId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// An operation as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OperationView {
    /// `op_…`
    pub id: String,
    /// `allocations.launch`, …
    pub kind: String,
    /// `queued`, `running`, `succeeded`, `failed`, `cancelled`.
    pub state: &'static str,
    /// `succeeded`, `partial`, `failed`, `cancelled`; null while it runs.
    pub outcome: Option<String>,
    /// What it does, in order.
    pub steps: Vec<StepView>,
    /// What it is about.
    pub subject: SubjectView,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// Who began it.
    pub initiator: InitiatorView,
    /// Names the request that began it in logs and audit trail.
    pub correlation_id: String,
    /// What it was asked with; secrets are replaced.
    pub context: serde_json::Value,
    /// Why it failed, or what is missing at `partial`.
    pub failure: Option<FailureView>,
    /// The operation this one tries again.
    pub retry_of: Option<String>,
    /// Someone asked for its end.
    pub cancel_requested_at: Option<String>,
    /// When it was asked for.
    pub created_at: String,
    /// When its first step began.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
}

/// A step as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StepView {
    /// A word.
    pub name: String,
    /// `pending`, `active`, `completed`, `failed`, `skipped`.
    pub state: &'static str,
    /// For people.
    pub detail: String,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
}

/// What an operation is about.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SubjectView {
    /// `allocation`, `node`, …
    pub kind: String,
    /// Its id.
    pub id: String,
}

/// Who began an operation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InitiatorView {
    /// `person`, `node`, `system`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Why an operation failed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FailureView {
    /// A word scripts may rely on; empty at `partial`.
    pub code: String,
    /// For people.
    pub detail: String,
}

/// A line of the timeline.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LineView {
    /// Its place, from 1.
    pub seq: i64,
    /// When.
    pub at: String,
    /// `created`, `step`, `note`, `cancel_requested`, `ended`.
    pub kind: String,
    /// For people.
    pub detail: String,
}

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
    /// One state.
    pub state: Option<String>,
    /// The id of what it is about.
    pub subject: Option<String>,
}

impl From<Operation> for OperationView {
    fn from(row: Operation) -> Self {
        let failure =
            row.failure_detail.map(|detail| FailureView { code: row.failure_code.unwrap_or_default(), detail });
        let steps = row.steps.into_iter().map(|step| StepView {
            name: step.name,
            state: StepState::word(step.state),
            detail: step.detail,
            started_at: rfc3339_opt(step.started_ms),
            ended_at: rfc3339_opt(step.ended_ms),
        });
        Self {
            id: row.id.to_string(),
            kind: row.kind,
            state: row.state.word(),
            outcome: row.outcome,
            steps: steps.collect(),
            subject: SubjectView { kind: row.subject_kind, id: row.subject_id },
            project_id: row.project_id.map(|id| id.to_string()),
            initiator: InitiatorView { kind: row.initiator_kind, id: row.initiator_id, name: row.initiator_name },
            correlation_id: row.correlation_id,
            context: row.context,
            failure,
            retry_of: row.retry_of.map(|id| id.to_string()),
            cancel_requested_at: rfc3339_opt(row.cancel_requested_ms),
            created_at: rfc3339(row.created_ms),
            started_at: rfc3339_opt(row.started_ms),
            ended_at: rfc3339_opt(row.ended_ms),
        }
    }
}

async fn page(app: &App, cx: Cx, query: ListQuery) -> Result<JsonText, Problem> {
    let paging = PageQuery { cursor: query.cursor, limit: query.limit };
    let tenant_id = match cx.person()?.door {
        Door::Console => Some(cx.tenant_id()?),
        Door::Operator => None,
    };
    authz::require(&cx, Verb::OperationsList, tenant_id.map_or(Scope::Platform, Scope::Tenant))?;
    let filter = Filter { tenant_id, kind: query.kind, state: query.state, subject: query.subject };
    let bound = paging.newest_first()?;
    let page = app.store.read(move |tx| {
        let rows = store::list(tx, &filter, bound.clone())?;
        let page = Page::cut(rows, &paging, |row| (row.created_ms, row.id.to_string()))?;
        JsonText::of(&page.map(OperationView::from))
    });
    page.await
}

/// Operations of one's tenant, newest first; at the operator door all of them.
#[utoipa::path(get, path = "/api/v1/operations", operation_id = "operations.list", tag = "operations",
    params(ListQuery), responses((status = 200, body = Page<OperationView>)))]
async fn list(State(app): State<App>, Caller(cx): Caller, Query(query): Query<ListQuery>) -> Result<JsonText, Problem> {
    page(&app, cx, query).await
}

/// The same under the word for submitters.
#[utoipa::path(get, path = "/api/v1/tasks", operation_id = "tasks.list", tag = "operations",
    params(ListQuery), responses((status = 200, body = Page<OperationView>)))]
async fn task_list(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(query): Query<ListQuery>,
) -> Result<JsonText, Problem> {
    page(&app, cx, query).await
}

async fn shown(app: &App, cx: Cx, id: OperationId, verb: Verb) -> Result<OperationView, Problem> {
    app.store.read(move |tx| verbs::seen_in(tx, &cx, id, verb)).await.map(Into::into)
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

/// The timeline of an operation, oldest first.
#[utoipa::path(get, path = "/api/v1/operations/{id}/events", operation_id = "operations.events",
    tag = "operations", params(("id" = String, Path), PageQuery), responses((status = 200, body = Page<LineView>)))]
async fn events(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<OperationId>,
    Query(paging): Query<PageQuery>,
) -> Result<Json<Page<LineView>>, Problem> {
    let after = paging.cursor()?.map_or(0, |cursor| cursor.at);
    let limit = i64::from(paging.limit()?) + 1;
    let rows = app.store.read(move |tx| {
        verbs::seen_in(tx, &cx, id, Verb::OperationsEvents)?;
        store::lines(tx, id, after, limit)
    });
    let page = Page::cut(rows.await?, &paging, |line| (line.seq, String::new()))?;
    Ok(Json(page.map(|line| LineView { seq: line.seq, at: rfc3339(line.at_ms), kind: line.kind, detail: line.detail })))
}

/// The same under the word for submitters.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/events", operation_id = "tasks.events",
    tag = "operations", params(("id" = String, Path), PageQuery), responses((status = 200, body = Page<LineView>)))]
async fn task_events(
    state: State<App>,
    caller: Caller,
    path: Path<OperationId>,
    query: Query<PageQuery>,
) -> Result<Json<Page<LineView>>, Problem> {
    events(state, caller, path, query).await
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

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    operator_routes()
        .routes(routes!(task_list))
        .routes(routes!(task_show))
        .routes(routes!(task_events))
        .routes(routes!(task_cancel))
        .routes(routes!(task_retry))
}

/// Routes of the operator door.
#[must_use]
pub fn operator_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(events))
        .routes(routes!(cancel))
        .routes(routes!(retry))
}
