//! Deleting projects over HTTP.

use super::Impact;
use crate::app::App;
use crate::base::http::{Caller, Json, Path, Problem, ProblemBody};
use axum::extract::State;
use axum::http::StatusCode;
use muster_protocol::ids::ProjectId;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What deleting a project would meet, without doing it.
#[utoipa::path(get, path = "/api/v1/projects/{project_id}/deletion-impact", operation_id = "projects.impact",
    tag = "projects", params(("project_id" = String, Path)), responses((status = 200, body = Impact)))]
async fn impact(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<ProjectId>,
) -> Result<Json<Impact>, Problem> {
    super::impact(&app, &cx, id).await.map(Json)
}

/// Deletes a project; what ran in it stays in the history. 409 `project_not_empty` names what stands in it, 409
/// `default_project`.
#[utoipa::path(delete, path = "/api/v1/projects/{project_id}", operation_id = "projects.delete", tag = "projects",
    params(("project_id" = String, Path)), responses((status = 204), (status = 409, body = ProblemBody)))]
async fn delete(State(app): State<App>, Caller(cx): Caller, Path(id): Path<ProjectId>) -> Result<StatusCode, Problem> {
    super::delete(&app, &cx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(impact)).routes(routes!(delete))
}
