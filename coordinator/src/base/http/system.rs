//! Routes of every door that belong to no room: what this is, health, the API's own document, metrics.

use super::frame::RequestInfo;
use super::{Json, Problem, Visitor};
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use subtle::ConstantTimeEq;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Whether this process runs, and what it still waits for.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthReply {
    /// `ok` or `starting`.
    status: &'static str,
    /// What is not ready yet.
    waiting: Vec<&'static str>,
    /// What an operator should look at, each `code: sentence`; none of it makes the coordinator unready.
    warnings: Vec<String>,
}

/// 200 as long as the process runs.
#[utoipa::path(get, path = "/healthz", operation_id = "health.live", tag = "system",
    responses((status = 200, body = HealthReply)))]
async fn live() -> Json<HealthReply> {
    Json(HealthReply { status: "ok", waiting: Vec::new(), warnings: Vec::new() })
}

/// 200 when everything is up, 503 before and while stopping.
#[utoipa::path(get, path = "/readyz", operation_id = "health.ready", tag = "system",
    responses((status = 200, body = HealthReply), (status = 503, body = HealthReply)))]
async fn ready(State(app): State<App>) -> (StatusCode, Json<HealthReply>) {
    let mut waiting = app.health.waiting();
    if app.supervisor.stopping().is_cancelled() {
        waiting.push("stopping");
    }
    let (code, status) =
        if waiting.is_empty() { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "starting") };
    (code, Json(HealthReply { status, waiting, warnings: app.health.warnings() }))
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", operation_id = "openapi.show", tag = "system",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
async fn document(State(app): State<App>, Extension(info): Extension<RequestInfo>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], app.document(info.door).clone()).into_response()
}

/// Metrics in OpenMetrics text, for staff or with the scrape token.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics.show", tag = "system",
    responses((status = 200, description = "OpenMetrics", content_type = "application/openmetrics-text")))]
async fn metrics(State(app): State<App>, headers: HeaderMap, Visitor(cx): Visitor) -> Result<Response, Problem> {
    let sent = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
    let scraper = app.config.scrape_token.as_ref().map(|token| format!("Bearer {token}"));
    if !scraper.is_some_and(|wanted| bool::from(wanted.as_bytes().ct_eq(sent))) {
        authz::require(&cx, Verb::MetricsShow, Scope::Platform)?;
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], app.metrics.text()).into_response())
}

fn shared() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready)).routes(routes!(document))
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    shared()
}

/// Routes of the operator door.
#[must_use]
pub fn operator_routes() -> OpenApiRouter<App> {
    shared().routes(routes!(metrics))
}
