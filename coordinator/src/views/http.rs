//! Routes of the views, at the console door.

use super::lease;
use crate::allocations;
use crate::app::App;
use crate::base::authz::Verb;
use crate::base::http::{Caller, Json, Path, Problem, Query};
use crate::telemetry::http::{MetricsView, SpanQuery};
use axum::extract::State;
use muster_protocol::ids::AllocationId;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The last minutes of a workload and of the GPUs it leases whole, within its lease. Null where nothing was
/// measured; no series where nothing was ever reported.
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
    let series = app.telemetry.cell_series(row.node_id, id, &lease::whole_gpus(&slots), span);
    Ok(Json(MetricsView::of(span, series)))
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(metrics))
}
