//! The pages of operations, with true statuses: one address a run, and none of the older ones.

use crate::app::App;
use crate::base::authz::Verb;
use crate::base::http::frame::RequestInfo;
use crate::base::http::{Door, Problem, StatusCode, Visitor, pages};
use crate::operations::verbs;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use muster_protocol::ids::OperationId;
use utoipa_axum::router::OpenApiRouter;

/// The list. Who is not signed in gets the same page, which asks them to.
async fn list(Extension(info): Extension<RequestInfo>, headers: HeaderMap) -> Result<Response, Problem> {
    pages::front(&info, &headers, StatusCode::OK)
}

/// One run: 404 with the page that says so for what the person may not know of. Who is not signed in is asked
/// to, whatever the id.
async fn run(
    State(app): State<App>,
    Extension(info): Extension<RequestInfo>,
    Visitor(cx): Visitor,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut status = StatusCode::OK;
    if cx.person().is_ok() {
        let id = id.parse::<OperationId>().ok();
        let seen = app.store.read(move |tx| match id {
            Some(id) => verbs::seen_in(tx, &cx, id, Verb::OperationsShow).map(|_| ()),
            None => Err(Problem::not_found("operation")),
        });
        match seen.await {
            Err(problem) if problem.status() == StatusCode::NOT_FOUND => status = StatusCode::NOT_FOUND,
            other => other?,
        }
    }
    pages::front(&info, &headers, status)
}

/// Addresses of runs that are gone for everybody, and everything else of staff at the users' door.
async fn gone(Extension(info): Extension<RequestInfo>, headers: HeaderMap) -> Result<Response, Problem> {
    pages::front(&info, &headers, StatusCode::NOT_FOUND)
}

async fn moved() -> Response {
    (StatusCode::FOUND, [(header::LOCATION, "/admin/operations")]).into_response()
}

/// The pages of a door.
pub(super) fn routes(door: Door) -> OpenApiRouter<App> {
    let pages = OpenApiRouter::new()
        .route("/admin/operations", get(list))
        .route("/admin/operations/{run}", get(run))
        .route("/admin/operations/r/{record}", get(gone))
        .route("/admin/t/{tenant}/operations", get(moved))
        .route("/admin/t/{tenant}/operations/r/{record}", get(gone));
    match door {
        Door::Console => pages.route("/admin", get(gone)).route("/admin/{*rest}", get(gone)),
        Door::Operator => pages,
    }
}
