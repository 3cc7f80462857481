//! Routes of the views, at the console door.

use super::lease;
use super::workloads::{self, ActivityLine, HomeView, WorkloadPage, WorkloadQuery};
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{Caller, Json, JsonText, Page, PageQuery, Path, Problem, Query};
use crate::telemetry::http::{MetricsView, SpanQuery};
use crate::{allocations, telemetry};
use axum::extract::State;
use muster_protocol::ids::AllocationId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What a workload and the GPUs it leases whole measured within its lease: by the second for the last fifteen minutes;
/// with `step` from 60 on means, by the minute for a day and by the hour for a month. Null where nothing was measured;
/// no series where nothing was ever reported.
#[utoipa::path(get, path = "/api/v1/workloads/{workload_id}/metrics", operation_id = "allocations.metrics",
    tag = "workloads", params(("workload_id" = String, Path), SpanQuery),
    responses((status = 200, body = MetricsView)))]
async fn metrics(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<AllocationId>,
    Query(query): Query<SpanQuery>,
) -> Result<Json<MetricsView>, Problem> {
    let asked = query.span(cx.now_ms)?;
    let (row, slots) = app
        .store
        .read(move |tx| {
            let row = allocations::find_in(tx, &cx, id, Verb::AllocationsMetrics)?;
            Ok((row, allocations::slots_in(tx, id)?))
        })
        .await?;
    let Some(span) = lease::within(asked, row.active_ms, row.release_ms.or(row.ended_ms)) else {
        return Ok(Json(MetricsView::of(asked, Vec::new())));
    };
    let gpus = lease::whole_gpus(&slots);
    let series = if span.is_long() {
        let (looked, node) = (app.clone(), row.node_id);
        app.store.read(move |tx| telemetry::cell_history_in(tx, &looked.telemetry, (node, id), &gpus, span)).await?
    } else {
        app.telemetry.cell_series(row.node_id, id, &gpus, span)
    };
    Ok(Json(MetricsView::of(span, series)))
}

/// Where figures of workloads are, and how fine and how long they are kept.
#[derive(Debug, Serialize, ToSchema)]
struct MetricsConfig {
    /// Address of a workload's figures.
    base: &'static str,
    /// Address of its live figures.
    stream: &'static str,
    /// What `step` may be, finest first.
    steps: Vec<MetricsStep>,
}

/// A width of points.
#[derive(Debug, Serialize, ToSchema)]
struct MetricsStep {
    /// Seconds from one point to the next.
    step_s: i64,
    /// Seconds for which points are kept.
    kept_s: i64,
}

/// Where figures of workloads are, and in what steps.
#[utoipa::path(get, path = "/api/v1/metrics/config", operation_id = "metrics.config", tag = "workloads",
    responses((status = 200, body = MetricsConfig)))]
async fn config(Caller(cx): Caller) -> Result<Json<MetricsConfig>, Problem> {
    authz::require(&cx, Verb::MetricsConfig, Scope::Tenant(cx.tenant_id()?))?;
    let steps = telemetry::STEPS_MS.map(|(step, kept)| MetricsStep { step_s: step / 1000, kept_s: kept / 1000 });
    Ok(Json(MetricsConfig {
        base: "/api/v1/workloads/{workload_id}/metrics",
        stream: "/api/v1/workloads/{workload_id}/metrics/stream",
        steps: steps.into(),
    }))
}

/// What the caller comes home to: what asks for attention, what runs, and the first steps that are still to come.
#[utoipa::path(get, path = "/api/v1/home", operation_id = "me.home", tag = "workloads",
    responses((status = 200, body = HomeView)))]
async fn home(State(app): State<App>, Caller(cx): Caller) -> Result<JsonText, Problem> {
    app.store.read(move |tx| JsonText::of(&workloads::home_in(tx, &cx)?)).await
}

/// Workloads of the caller's tenant, newest first, with the counts of all views.
#[utoipa::path(get, path = "/api/v1/workloads", operation_id = "workloads.list", tag = "workloads",
    params(WorkloadQuery), responses((status = 200, body = WorkloadPage)))]
async fn list(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(query): Query<WorkloadQuery>,
) -> Result<JsonText, Problem> {
    app.store.read(move |tx| JsonText::of(&workloads::list_in(tx, &cx, &query)?)).await
}

/// What happened to a workload: lines of its tasks and of its audit trail together, newest first.
#[utoipa::path(get, path = "/api/v1/workloads/{workload_id}/activity", operation_id = "allocations.timeline",
    tag = "workloads", params(("workload_id" = String, Path), PageQuery),
    responses((status = 200, body = Page<ActivityLine>)))]
async fn activity(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<AllocationId>,
    Query(paging): Query<PageQuery>,
) -> Result<JsonText, Problem> {
    app.store.read(move |tx| JsonText::of(&workloads::activity_in(tx, &cx, id, &paging)?)).await
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(metrics))
        .routes(routes!(config))
        .routes(routes!(home))
        .routes(routes!(list))
        .routes(routes!(activity))
}
