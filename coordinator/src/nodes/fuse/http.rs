//! Routes of the fuse, at the operator door.

use super::verbs::{self, FuseItem, Reset};
use crate::app::App;
use crate::base::http::{Caller, Json, Keyed, Problem, idempotent};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The fuse's routes.
pub(in crate::nodes) fn operator_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(reset))
}

/// The fuse against mass failure: blown while many nodes that were lost together are still gone.
#[utoipa::path(get, path = "/api/v1/admin/fuse", operation_id = "fuse.show", tag = "nodes",
    responses((status = 200, body = FuseItem)))]
async fn show(State(app): State<App>, Caller(cx): Caller) -> Result<Json<FuseItem>, Problem> {
    verbs::show(&app, &cx).await.map(Json)
}

/// Resets a blown fuse, with a reason: what is gone may be treated as gone again.
#[utoipa::path(post, path = "/api/v1/admin/fuse/reset", operation_id = "fuse.reset", tag = "nodes",
    params(("Idempotency-Key" = String, Header)), request_body = Reset,
    responses((status = 200, body = FuseItem)))]
async fn reset(State(app): State<App>, Caller(cx): Caller, keyed: Keyed<Reset>) -> Result<Response, Problem> {
    let (act, body) = (app.clone(), keyed.body);
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        verbs::reset(&act, &cx, body).await.map(|item| (StatusCode::OK, item))
    })
    .await
}
