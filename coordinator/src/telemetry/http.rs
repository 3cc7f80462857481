//! Routes of telemetry, at the operator door.

use super::memory::{Series, Span};
use super::store;
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::{parse_rfc3339, rfc3339};
use crate::base::http::{Caller, Json, JsonText, Page, PageQuery, Path, Problem, Query};
use crate::nodes;
use axum::extract::State;
use muster_protocol::ids::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Most points of one series in an answer.
const POINTS_MAX: i64 = 3_600;
/// Stretch shown when none is asked for, ms.
const STRETCH_MS: i64 = 5 * 60_000;

/// The room's routes.
pub fn operator_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(metrics)).routes(routes!(xids))
}

/// Which stretch of time.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SpanQuery {
    /// Begin, RFC 3339; five minutes before the end if none is said.
    pub from: Option<String>,
    /// End, RFC 3339; now if none is said.
    pub to: Option<String>,
    /// Seconds a point, from 1.
    pub step: Option<i64>,
}

impl SpanQuery {
    /// The stretch, or 422.
    ///
    /// # Errors
    /// `validation_failed` for times that are none, or for too many points.
    pub fn span(&self, now_ms: i64) -> Result<Span, Problem> {
        let time = |field: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => {
                let bad = || Problem::invalid(field, "not_a_time", "Times are RFC 3339, as 2026-01-31T08:00:00Z.");
                parse_rfc3339(text).ok_or_else(bad).map(Some)
            }
        };
        let to_ms = time("to", &self.to)?.unwrap_or(now_ms);
        let from_ms = time("from", &self.from)?.unwrap_or(to_ms - STRETCH_MS);
        let step_ms = self.step.unwrap_or(1).checked_mul(1000).filter(|step| *step > 0);
        let Some(step_ms) = step_ms else {
            return Err(Problem::invalid("step", "out_of_range", "step is a number of seconds from 1."));
        };
        if from_ms >= to_ms || (to_ms - from_ms) / step_ms > POINTS_MAX {
            return Err(Problem::invalid(
                "from",
                "out_of_range",
                "from must lie before to, at most 3600 points apart.",
            ));
        }
        Ok(Span { from_ms, to_ms, step_ms })
    }
}

/// Series over one stretch of time.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MetricsView {
    /// Time of the first point.
    pub from: String,
    /// End, excluded.
    pub to: String,
    /// Seconds a point.
    pub step: i64,
    /// Null in a series: not measured.
    pub series: Vec<SeriesView>,
}

/// One series.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SeriesView {
    /// What it measures.
    pub name: String,
    /// In what.
    pub unit: String,
    /// The GPU, if it is one's.
    pub gpu_uuid: Option<String>,
    /// One value a step.
    pub points: Vec<Option<f64>>,
}

impl MetricsView {
    /// Series as shown.
    #[must_use]
    pub fn of(span: Span, series: Vec<Series>) -> Self {
        let view = |series: Series| SeriesView {
            name: series.metric.name.to_owned(),
            unit: series.metric.unit.to_owned(),
            gpu_uuid: series.gpu_uuid,
            points: series.points,
        };
        Self {
            from: rfc3339(span.from_ms),
            to: rfc3339(span.to_ms),
            step: span.step_ms / 1000,
            series: series.into_iter().map(view).collect(),
        }
    }
}

/// What a node and its GPUs measured: by the second for the last fifteen minutes; with `step` from 60 on means, by the
/// minute for a day and by the hour for a month. Null where nothing was measured.
#[utoipa::path(get, path = "/api/v1/admin/nodes/{node_id}/metrics", operation_id = "nodes.metrics", tag = "telemetry",
    params(("node_id" = String, Path), SpanQuery), responses((status = 200, body = MetricsView)))]
async fn metrics(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
    Query(query): Query<SpanQuery>,
) -> Result<JsonText, Problem> {
    authz::require(&cx, Verb::NodesMetrics, Scope::Platform)?;
    let span = query.span(cx.now_ms)?;
    let app_ = app.clone();
    if span.is_long() {
        let series = app.store.read(move |tx| {
            nodes::store::get_in(tx, id)?;
            super::node_history_in(tx, &app_.telemetry, id, span)
        });
        let series = series.await?;
        return app.cpu.run(move || JsonText::of(&MetricsView::of(span, series))).await?;
    }
    app.store.read(move |tx| nodes::store::get_in(tx, id)).await?;
    app.cpu.run(move || JsonText::of(&MetricsView::of(span, app_.telemetry.node_series(id, span)))).await?
}

/// An XID event of a GPU's driver.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct XidItem {
    /// `GPU-…`.
    pub gpu_uuid: String,
    /// The number.
    pub xid: i64,
    /// `nvml` or `kernel`.
    pub source: String,
    /// When it was heard of.
    pub at: String,
}

/// XID events of a node, newest first.
#[utoipa::path(get, path = "/api/v1/admin/nodes/{node_id}/xids", operation_id = "nodes.xids", tag = "telemetry",
    params(("node_id" = String, Path), PageQuery), responses((status = 200, body = Page<XidItem>)))]
async fn xids(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<XidItem>>, Problem> {
    authz::require(&cx, Verb::NodesXids, Scope::Platform)?;
    let page = app
        .store
        .read(move |tx| {
            nodes::store::get_in(tx, id)?;
            Page::cut(store::page_in(tx, id, &query)?, &query, |row| (row.at_ms, row.number.to_string()))
        })
        .await?;
    Ok(Json(page.map(|row| XidItem {
        gpu_uuid: row.gpu_uuid,
        xid: row.xid,
        source: row.source,
        at: rfc3339(row.at_ms),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_checked() {
        let query = |from: &str, to: &str, step| SpanQuery {
            from: Some(from.to_owned()),
            to: Some(to.to_owned()),
            step: Some(step),
        };
        let good = query("2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z", 10).span(0).unwrap();
        assert_eq!((good.to_ms - good.from_ms, good.step_ms), (600_000, 10_000));
        assert!(query("2026-01-01T00:10:00Z", "2026-01-01T00:00:00Z", 10).span(0).is_err());
        assert!(query("2020-01-01T00:10:00Z", "2026-01-01T00:00:00Z", 1).span(0).is_err());
        assert!(query("yesterday", "2026-01-01T00:00:00Z", 1).span(0).is_err());
        assert!(query("2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z", 0).span(0).is_err());
        assert!(query("2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z", i64::MAX).span(0).is_err());
        assert_eq!(SpanQuery::default().span(STRETCH_MS).unwrap().from_ms, 0);
    }
}
