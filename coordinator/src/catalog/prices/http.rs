//! Prices of SKUs over HTTP.

use super::{NewPrice, SkuPrice, history, set};
use crate::app::App;
use crate::base::http::{Caller, IfMatch, Json, Keyed, Page, PageQuery, Path, Problem, ProblemBody, Query, idempotent};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use muster_protocol::ids::SkuId;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Sets what an hour of a SKU costs, now or from a time to come on. Send the version you read in `If-Match`. What
/// runs keeps its price. One for the same time replaces an earlier one.
#[utoipa::path(post, path = "/api/v1/admin/skus/{id}/prices", operation_id = "skus.set_price", tag = "catalog",
    params(("id" = String, Path), ("If-Match" = String, Header)), request_body = NewPrice,
    responses((status = 201, body = SkuPrice), (status = 412, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn create(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<SkuId>,
    version: IfMatch,
    keyed: Keyed<NewPrice>,
) -> Result<Response, Problem> {
    let (inner, body) = (app.clone(), keyed.body);
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        set(&inner, &cx, id, version, body).await.map(|answer| (StatusCode::CREATED, answer))
    })
    .await
}

/// Every price that was set for a SKU, the last one first.
#[utoipa::path(get, path = "/api/v1/admin/skus/{id}/prices", operation_id = "skus.prices", tag = "catalog",
    params(("id" = String, Path), PageQuery), responses((status = 200, body = Page<SkuPrice>)))]
async fn list(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<SkuId>,
    Query(paging): Query<PageQuery>,
) -> Result<Json<Page<SkuPrice>>, Problem> {
    history(&app, &cx, id, paging).await.map(Json)
}

/// Routes of the operator door.
#[must_use]
pub fn operator_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create))
}
