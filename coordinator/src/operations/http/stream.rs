//! The live timeline of one operation. Its ids are the places of its lines, which are kept: whoever comes back
//! goes on where they left off, also at another coordinator.

use crate::app::App;
use crate::base::authz::Verb;
use crate::base::http::sse::{self, Event, Listener, Source};
use crate::base::http::{Caller, Path, Problem, Query, StatusCode};
use crate::operations::row::Operation;
use crate::operations::view::LineView;
use crate::operations::{store, verbs};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use muster_protocol::ids::OperationId;
use serde::Deserialize;
use std::collections::VecDeque;
use tokio::sync::watch;
use tokio::time::sleep_until;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Lines that are read at a time.
const LINES: i64 = 100;

/// Where a timeline goes on.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct AfterQuery {
    /// The `id` of the last event seen, where no `Last-Event-ID` can be sent.
    last_event_id: Option<i64>,
}

struct Timeline {
    app: App,
    listener: Listener,
    id: OperationId,
    verb: Verb,
    after: i64,
    heads: watch::Receiver<u64>,
    seen: u64,
    waiting: VecDeque<Event>,
    /// Something may have been added since the last look.
    fresh: bool,
    over: bool,
}

impl Timeline {
    /// Reads what was added, and whether more can be.
    async fn look(&mut self) {
        let (cx, id, verb, after) = (self.listener.cx().clone(), self.id, self.verb, self.after);
        let read = self.app.store.read(move |tx| {
            let row = verbs::seen_in(tx, &cx, id, verb)?;
            Ok((row.state.is_final(), store::lines_after(tx, id, after, LINES)?))
        });
        let Ok((ended, lines)) = read.await else {
            self.over = true;
            return;
        };
        self.fresh = !lines.is_empty();
        self.over = ended && lines.is_empty();
        for line in lines {
            self.after = line.seq;
            let (event, seq) = (Event::default().event(&line.kind), line.seq.to_string());
            self.waiting.extend(event.id(seq).json_data(LineView::from(line)).ok());
        }
    }

    /// Goes through what changed since the last look.
    async fn hear(&mut self) {
        let feed = self.app.store.feed();
        let own = self.id.to_string();
        let Some(batch) = feed.after(self.seen, crate::base::limits::FEED_BATCH) else {
            (self.seen, self.fresh) = (feed.head(), true);
            return;
        };
        let mut doubt = false;
        for (number, change) in batch {
            self.seen = number;
            self.fresh |= change.topic == "operations" && change.id == own;
            doubt |= self.listener.is_about(change.topic, &change.id);
        }
        if doubt && !self.listener.check().await {
            self.waiting = [sse::end("signed_out")].into();
            (self.fresh, self.over) = (false, true);
        }
    }
}

impl Source for Timeline {
    async fn next(&mut self) -> Option<Event> {
        let stop = self.app.supervisor.stopping();
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            if self.fresh {
                self.look().await;
                continue;
            }
            if self.seen < self.app.store.feed().head() {
                self.hear().await;
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                changed = self.heads.changed() => changed.ok()?,
                () = sleep_until(self.listener.pulse()) => {
                    if !self.listener.check().await {
                        self.over = true;
                        return Some(sse::end("signed_out"));
                    }
                    return Some(Event::default().comment(""));
                }
            }
        }
    }
}

async fn open(
    app: App,
    caller: Caller,
    id: OperationId,
    after: Option<i64>,
    headers: &HeaderMap,
    verb: Verb,
) -> Result<Response, Problem> {
    let cx = caller.0;
    let header = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let after = header.or(after).unwrap_or(0).max(0);
    let feed = app.store.feed();
    let (heads, seen) = (feed.follow(), feed.head());
    let (act, listener) = (cx.clone(), Listener::enter(&app, &cx)?);
    let known: (Operation, bool) = app
        .store
        .read(move |tx| {
            let row = verbs::seen_in(tx, &act, id, verb)?;
            let more = !store::lines_after(tx, id, after, 1)?.is_empty();
            Ok((row, more))
        })
        .await?;
    // A browser asks again and again until it hears that there is no more.
    if known.0.state.is_final() && !known.1 {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(sse::answer(Timeline {
        app,
        listener,
        id,
        verb,
        after,
        heads,
        seen,
        waiting: VecDeque::new(),
        fresh: true,
        over: false,
    }))
}

/// The timeline of an operation as it grows (`text/event-stream`): one event a line, named by its `kind`, with
/// its `seq` as id and a `LineView` as data. It ends with the operation; asked again after the last line, 204.
#[utoipa::path(get, path = "/api/v1/operations/{id}/stream", operation_id = "operations.stream", tag = "operations",
    params(("id" = String, Path), AfterQuery),
    responses((status = 200, body = LineView, content_type = "text/event-stream"), (status = 204)))]
async fn stream(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<OperationId>,
    Query(query): Query<AfterQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    open(app, caller, id, query.last_event_id, &headers, Verb::OperationsStream).await
}

/// The same under the word for submitters.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/stream", operation_id = "tasks.stream", tag = "operations",
    params(("id" = String, Path), AfterQuery),
    responses((status = 200, body = LineView, content_type = "text/event-stream"), (status = 204)))]
async fn task_stream(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<OperationId>,
    Query(query): Query<AfterQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    open(app, caller, id, query.last_event_id, &headers, Verb::TasksStream).await
}

/// At either door.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stream))
}

/// At the console door.
pub(super) fn task_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(task_stream))
}
