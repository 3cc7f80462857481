//! Labels over HTTP.

use crate::allocations::view::AllocationView;
use crate::app::App;
use crate::base::http::{Caller, IfMatch, Json, Path, Problem, ProblemBody, with_etag};
use axum::extract::State;
use axum::response::Response;
use muster_protocol::ids::AllocationId;
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What may be changed of an allocation after its launch; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AllocationEdit {
    /// All labels together.
    labels: Option<BTreeMap<String, String>>,
}

/// Replaces the labels of an allocation. Send the version you read in `If-Match`. 412 `stale_version`.
#[utoipa::path(patch, path = "/api/v1/allocations/{id}", operation_id = "allocations.update", tag = "allocations",
    params(("id" = String, Path), ("If-Match" = String, Header)), request_body = AllocationEdit,
    responses((status = 200, body = AllocationView), (status = 412, body = ProblemBody)))]
async fn update(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<AllocationId>,
    version: IfMatch,
    Json(edit): Json<AllocationEdit>,
) -> Result<Response, Problem> {
    let shown = super::update(&app, &cx, id, version, edit.labels).await?;
    Ok(with_etag(shown.version, Json(shown)))
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(update))
}
