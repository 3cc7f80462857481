//! Events over HTTP, for staff.

use super::export::{self, Format};
use super::model::{Chain, Entry};
use super::store::{self, Filter};
use super::{Event, record};
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::{parse_rfc3339, rfc3339};
use crate::base::http::{Caller, Json, Page, PageQuery, Path, Problem, Query};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use muster_protocol::ids::EventId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Events checked in one read.
const VERIFY_BATCH: i64 = 1000;
/// Longest text to look for, characters.
const TEXT_MAX: usize = 100;

/// Who acted.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActorReply {
    /// `person`, `node`, `system` or `anonymous`.
    kind: String,
    /// The id of the person or node, or the reconciler's name.
    id: String,
    /// The person's name at that time.
    name: String,
}

/// An event.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventReply {
    /// `ev_…`
    id: String,
    /// RFC 3339.
    at: String,
    /// Who acted.
    actor: ActorReply,
    /// What was done.
    action: String,
    /// The id of what it was done to.
    target: String,
    /// The tenant it concerns.
    tenant_id: Option<String>,
    /// The project it concerns.
    project_id: Option<String>,
    /// `success`, `refused` or `failed`.
    outcome: String,
    /// Why.
    reason: Option<String>,
    /// Ties it to a request, its log lines and node tasks.
    correlation_id: String,
    /// Where the request came from.
    source_ip: Option<String>,
    /// What was there before.
    #[schema(value_type = Option<Object>)]
    before: Option<serde_json::Value>,
    /// What was there afterwards.
    #[schema(value_type = Option<Object>)]
    after: Option<serde_json::Value>,
    /// Its place in the chain; null for the few seconds until it is sealed.
    seq: Option<i64>,
    /// Its hash, hex.
    hash: Option<String>,
}

impl From<Entry> for EventReply {
    fn from(entry: Entry) -> Self {
        let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        Self {
            id: entry.id,
            at: rfc3339(entry.at_ms),
            actor: ActorReply { kind: entry.actor_kind, id: entry.actor_id, name: entry.actor_name },
            action: entry.action,
            target: entry.target,
            tenant_id: entry.tenant_id,
            project_id: entry.project_id,
            outcome: entry.outcome,
            reason: entry.reason,
            correlation_id: entry.correlation_id,
            source_ip: entry.source_ip,
            before: json(entry.before_json),
            after: json(entry.after_json),
            seq: entry.seq,
            hash: entry.hash.map(hex::encode),
        }
    }
}

/// What a list of events is narrowed to.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// The id or name of the actor.
    actor: Option<String>,
    /// An action, or all of a room: `nodes.`
    action: Option<String>,
    /// The id of what it was done to.
    target: Option<String>,
    /// A tenant's id.
    tenant: Option<String>,
    /// `success`, `refused` or `failed`.
    outcome: Option<String>,
    /// All of one request.
    correlation_id: Option<String>,
    /// RFC 3339, inclusive.
    from: Option<String>,
    /// RFC 3339, exclusive.
    to: Option<String>,
    /// A part of any text of the event: names, ids, reason, what was before and after. At most 100 characters.
    q: Option<String>,
}

fn time(field: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let bad = || Problem::invalid(field, "invalid", "Write times like 2026-01-31T08:00:00Z.");
    text.map(|text| parse_rfc3339(text).ok_or_else(bad)).transpose()
}

fn filter(query: EventQuery) -> Result<Filter, Problem> {
    // The engines fold the letters of ASCII alone.
    let text = query.q.map(|text| text.trim().to_ascii_lowercase()).filter(|text| !text.is_empty());
    if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_MAX) {
        return Err(Problem::invalid("q", "too_long", "Look for at most 100 characters."));
    }
    Ok(Filter {
        text,
        from_ms: time("from", query.from.as_deref())?,
        to_ms: time("to", query.to.as_deref())?,
        actor: query.actor,
        action: query.action,
        target: query.target,
        tenant: query.tenant,
        outcome: query.outcome,
        correlation_id: query.correlation_id,
    })
}

/// Events, newest first.
#[utoipa::path(get, path = "/api/v1/admin/audit-logs", operation_id = "audit.list", tag = "audit",
    params(PageQuery, EventQuery), responses((status = 200, body = Page<EventReply>)))]
async fn list(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(page): Query<PageQuery>,
    Query(query): Query<EventQuery>,
) -> Result<Json<Page<EventReply>>, Problem> {
    authz::require(&cx, Verb::AuditList, Scope::Platform)?;
    let filter = filter(query)?;
    let rows = {
        let page = page.clone();
        app.store.read(move |tx| store::page(tx, &filter, &page)).await?
    };
    Ok(Json(Page::cut(rows, &page, |entry| (entry.at_ms, entry.id.clone()))?.map(EventReply::from)))
}

/// One event.
#[utoipa::path(get, path = "/api/v1/admin/audit-logs/{id}", operation_id = "audit.show", tag = "audit",
    params(("id" = String, Path)), responses((status = 200, body = EventReply)))]
async fn show(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<EventId>,
) -> Result<Json<EventReply>, Problem> {
    authz::require(&cx, Verb::AuditShow, Scope::Platform)?;
    let entry = app.store.read(move |tx| store::find(tx, &id.to_string())).await?;
    Ok(Json(entry.into()))
}

/// How events are exported.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct FormatQuery {
    /// `csv` or `jsonl`.
    #[param(inline)]
    format: Format,
}

/// Where an export is.
struct Walk {
    app: App,
    filter: Filter,
    format: Format,
    /// The page to be read; none at the end.
    next: Option<PageQuery>,
}

/// All events that fit, newest first, as a file. The export is an event itself. A stream that breaks off was
/// not whole: the connection ends without its last chunk.
#[utoipa::path(get, path = "/api/v1/admin/audit-logs/export", operation_id = "audit.export", tag = "audit",
    params(FormatQuery, EventQuery),
    responses((status = 200, body = String, content_type = "text/csv"),
        (status = 200, body = String, content_type = "application/x-ndjson")))]
async fn export(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(FormatQuery { format }): Query<FormatQuery>,
    Query(query): Query<EventQuery>,
) -> Result<Response, Problem> {
    authz::require(&cx, Verb::AuditExport, Scope::Platform)?;
    let filter = filter(query.clone())?;
    let context = cx.clone();
    let event = Event::new(Verb::AuditExport.as_str(), format.word()).after(&query);
    app.store.write(move |tx| record(tx, &context, event.clone(), ())).await?;
    app.nudges.seal.notify();
    let first = PageQuery { cursor: None, limit: Some(crate::base::limits::PAGE_MOST) };
    let head = Bytes::from_static(if format == Format::Csv { export::HEAD.as_bytes() } else { b"" });
    let walk = Walk { app, filter, format, next: Some(first) };
    let pages = stream::try_unfold((Some(head), walk), |(head, walk)| async move {
        match head {
            Some(head) => Ok(Some((head, (None, walk)))),
            None => Ok::<_, Problem>(step(walk).await?.map(|(bytes, walk)| (bytes, (None, walk)))),
        }
    });
    let name = format!("attachment; filename=\"muster-audit.{}\"", format.word());
    let head = [(header::CONTENT_TYPE, format.content_type().to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((head, Body::from_stream(pages)).into_response())
}

/// Reads and writes out the next page.
async fn step(mut walk: Walk) -> Result<Option<(Bytes, Walk)>, Problem> {
    let Some(page) = walk.next.take() else { return Ok(None) };
    let (filter, format) = (walk.filter.clone(), walk.format);
    let (bytes, cursor) = walk
        .app
        .store
        .read(move |tx| {
            let rows = store::page(tx, &filter, &page)?;
            let page = Page::cut(rows, &page, |entry| (entry.at_ms, entry.id.clone()))?;
            let mut text = String::new();
            for entry in page.items {
                match format {
                    Format::Csv => text.push_str(&export::csv(&entry)),
                    Format::Jsonl => {
                        let line = serde_json::to_string(&EventReply::from(entry)).map_err(Problem::internal)?;
                        text.push_str(&line);
                        text.push('\n');
                    }
                }
            }
            Ok((Bytes::from(text), page.next_cursor))
        })
        .await?;
    walk.next = cursor.map(|cursor| PageQuery { cursor: Some(cursor), limit: Some(crate::base::limits::PAGE_MOST) });
    Ok(Some((bytes, walk)))
}

/// Whether the chain holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChainReply {
    /// Whether every sealed event is as it was written and none is missing.
    ok: bool,
    /// Events checked.
    checked: u64,
    /// The first event that does not hold.
    broken_at: Option<String>,
    /// The hash of the last event checked, hex: keep it elsewhere to notice a chain that was cut short.
    head: String,
    /// Events that wait for their place.
    unsealed: i64,
}

/// Checks the whole chain.
#[utoipa::path(get, path = "/api/v1/admin/audit-logs/verify", operation_id = "audit.verify", tag = "audit",
    responses((status = 200, body = ChainReply)))]
async fn verify(State(app): State<App>, Caller(cx): Caller) -> Result<Json<ChainReply>, Problem> {
    authz::require(&cx, Verb::AuditVerify, Scope::Platform)?;
    let mut chain = Chain::start(app.store.read(store::unsealed).await?);
    loop {
        let from = chain.clone();
        let (next, more) = app
            .store
            .read(move |tx| {
                let mut chain = from.clone();
                let more = store::verify(tx, &mut chain, VERIFY_BATCH)?;
                Ok((chain, more))
            })
            .await?;
        chain = next;
        if !more {
            break;
        }
    }
    Ok(Json(ChainReply {
        ok: chain.broken_at.is_none(),
        checked: chain.checked,
        broken_at: chain.broken_at,
        head: hex::encode(chain.head),
        unsealed: chain.unsealed,
    }))
}

/// Routes of the operator door.
#[must_use]
pub fn operator_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(export)).routes(routes!(verify)).routes(routes!(show))
}
