//! The route of the live stream, at both doors.

use super::follow::Follow;
use super::topics::Topic;
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::sse::{self, Listener};
use crate::base::http::{Caller, Path, Problem, Query};
use crate::telemetry::http::MetricsView;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use muster_protocol::ids::AllocationId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What a stream is asked for.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// Words between commas: `operations`, `allocations`, `projects`; for staff also `nodes`, `slots`, `tokens`,
    /// `skus`; each also for one thing, as `operations:op_…` (slots by their node: `slots:nd_…`); `attention`;
    /// `metrics:al_…`, for staff also `metrics:nd_…`.
    #[serde(default)]
    pub topics: String,
    /// The `id` of the last event seen, where no `Last-Event-ID` can be sent.
    pub last_event_id: Option<String>,
}

/// Data of an event `change`: fetch the thing again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChangeEvent {
    /// Which kind of thing: `operations`, `allocations`, `nodes`, …
    pub topic: &'static str,
    /// Those of the topics asked for that it belongs to.
    pub topics: Vec<String>,
    /// The thing's id; of slots their node's.
    pub id: String,
    /// What was done, as in the audit trail (`nodes.cordon`); `changed` where it has no word.
    pub kind: &'static str,
    /// When.
    pub at: String,
}

/// Data of an event `metrics`: the points since the event before.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MetricsEvent {
    /// The topic asked for.
    pub topic: String,
    /// The workload or node.
    pub id: String,
    /// When it was sent.
    pub at: String,
    /// The points, as the metrics routes show them.
    #[serde(flatten)]
    pub view: MetricsView,
}

/// Live events of a tab (`text/event-stream`). Events are
/// `ready` (it begins, or goes on where `Last-Event-ID` left off),
/// `resync` (events were missed: fetch everything again),
/// `change` with a `ChangeEvent`,
/// `metrics` with a `MetricsEvent`, about one a second and topic, and
/// `end` with `{"reason":"signed_out"}`. A comment every ten seconds shows that it lives.
#[utoipa::path(get, path = "/api/v1/events/stream", operation_id = "events.stream", tag = "events",
    params(StreamQuery, ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event seen.")),
    responses((status = 200, body = inline(StreamEvents), content_type = "text/event-stream")))]
async fn stream(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    authz::require(&cx, Verb::EventsStream, Scope::User(cx.user_id()?))?;
    let topics = Topic::parse_all(&query.topics, cx.person()?.door)?;
    let header = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let last = header.or(query.last_event_id).filter(|id| !id.is_empty());
    let listener = Listener::enter(&app, &cx)?;
    Ok(sse::answer(Follow::open(&app, listener, topics, last.as_deref()).await?))
}

/// What a workload measures, as it is measured (`text/event-stream`): `ready`, then `sample` with a `MetricsEvent` about
/// once a second, and `end` as the stream of events has it.
#[utoipa::path(get, path = "/api/v1/workloads/{workload_id}/metrics/stream", operation_id = "allocations.metrics_stream",
    tag = "workloads", params(("workload_id" = String, Path)),
    responses((status = 200, body = MetricsEvent, content_type = "text/event-stream")))]
async fn samples(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<AllocationId>,
) -> Result<Response, Problem> {
    authz::require(&cx, Verb::AllocationsMetricsStream, Scope::User(cx.user_id()?))?;
    let listener = Listener::enter(&app, &cx)?;
    let follow = Follow::open(&app, listener, vec![Topic::Workload(id)], None).await?;
    Ok(sse::answer(follow.figures_are("sample")))
}

/// What stands in the `data` of events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it stands for the schemas in the API document")]
pub(super) enum StreamEvents {
    /// Of `change`.
    Change(ChangeEvent),
    /// Of `metrics`.
    Metrics(MetricsEvent),
}

/// The route, at either door.
#[must_use]
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stream))
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    routes().routes(routes!(samples))
}
