//! Terminals and tunnels over HTTP, up to the WebSocket.

use super::model::command_fault;
use super::serve::{Route, serve};
use super::store::SessionRow;
use super::tokens::{Grant, Opens};
use super::verbs::{self, Minted};
use super::{end, logs, socket};
use crate::app::App;
use crate::base::authz::Verb;
use crate::base::clock::{rfc3339, rfc3339_opt};
use crate::base::http::frame::RequestInfo;
use crate::base::http::{Caller, Json, MaybeJson, Page, PageQuery, Path, Problem, ProblemBody, Query, Visitor};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use muster_protocol::ids::{AllocationId, SessionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the token is to open.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct TerminalRequest {
    /// A command and its arguments; the login shell when left out.
    pub command: Vec<String>,
    /// Without a terminal, stdout comes as binary frames and stderr as `{"t":"stderr"}`. True when left out.
    pub tty: Option<bool>,
}

/// What the tunnel is to reach.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct TunnelRequest {
    /// `ssh`
    pub target: TunnelTarget,
}

/// What a tunnel may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TunnelTarget {
    /// The SSH entry of the cell.
    Ssh,
}

/// A token for one WebSocket.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TokenReply {
    /// Works once; belongs into the first frame, never into an address.
    pub token: String,
    /// RFC 3339.
    pub expires_at: String,
}

impl From<Minted> for TokenReply {
    fn from(minted: Minted) -> Self {
        Self { token: minted.token, expires_at: rfc3339(minted.expires_ms) }
    }
}

/// A session.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SessionReply {
    /// `se_…`
    pub id: String,
    /// `terminal`, `command` or `tunnel`.
    pub kind: String,
    /// `attached`, `detached` or `ended`.
    pub state: String,
    /// Who opened it.
    pub user_id: String,
    /// The program of a command, without its arguments.
    pub program: Option<String>,
    /// From where it was opened.
    pub source_ip: Option<String>,
    /// RFC 3339.
    pub opened_at: String,
    /// When somebody attached last, RFC 3339.
    pub attached_at: String,
    /// RFC 3339.
    pub ended_at: Option<String>,
    /// Why it ended.
    pub end_reason: Option<String>,
    /// Of what ran in it.
    pub exit_code: Option<i64>,
    /// Typed, up to the last detach.
    pub bytes_in: i64,
    /// Printed, up to the last detach.
    pub bytes_out: i64,
}

impl From<SessionRow> for SessionReply {
    fn from(row: SessionRow) -> Self {
        let state = match (row.ended_ms, row.detached_ms) {
            (Some(_), _) => "ended",
            (None, Some(_)) => "detached",
            (None, None) => "attached",
        };
        Self {
            id: row.id.to_string(),
            kind: row.kind,
            state: state.to_owned(),
            user_id: row.user.to_string(),
            program: row.program,
            source_ip: row.source_ip,
            opened_at: rfc3339(row.opened_ms),
            attached_at: rfc3339(row.attached_ms),
            ended_at: rfc3339_opt(row.ended_ms),
            end_reason: row.end_reason,
            exit_code: row.exit_code,
            bytes_in: row.bytes_in,
            bytes_out: row.bytes_out,
        }
    }
}

/// Makes a token for `WS /ws/terminal/{allocation_id}`.
#[utoipa::path(post, path = "/api/v1/allocations/{allocation_id}/terminal-token", operation_id = "terminals.token",
    tag = "terminals", params(("allocation_id" = String, Path)), request_body = Option<TerminalRequest>,
    responses((status = 200, body = TokenReply), (status = 409, body = ProblemBody)))]
async fn terminal_token(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<AllocationId>,
    MaybeJson(body): MaybeJson<TerminalRequest>,
) -> Result<Json<TokenReply>, Problem> {
    let TerminalRequest { command, tty } = body.unwrap_or_default();
    if let Some(fault) = command_fault(&command) {
        return Err(Problem::invalid("command", "invalid", fault));
    }
    let opens = Opens::Session { command, tty: tty.unwrap_or(true) };
    Ok(Json(verbs::mint(&app, &cx, Verb::TerminalsToken, id, opens).await?.into()))
}

/// Makes a token for `WS /ws/tunnel/{allocation_id}`.
#[utoipa::path(post, path = "/api/v1/allocations/{allocation_id}/tunnel-token", operation_id = "tunnels.token",
    tag = "terminals", params(("allocation_id" = String, Path)), request_body = TunnelRequest,
    responses((status = 200, body = TokenReply), (status = 409, body = ProblemBody)))]
async fn tunnel_token(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<AllocationId>,
    Json(body): Json<TunnelRequest>,
) -> Result<Json<TokenReply>, Problem> {
    let TunnelTarget::Ssh = body.target;
    Ok(Json(verbs::mint(&app, &cx, Verb::TunnelsToken, id, Opens::Ssh).await?.into()))
}

fn upgrade(
    app: App,
    id: AllocationId,
    mut request: Request,
    route: Route,
    grant: Option<Grant>,
) -> Result<Response, Problem> {
    let info = RequestInfo::of(request.extensions())?.clone();
    let (response, accepted) = socket::accept(&info, &mut request)?;
    let supervisor = app.supervisor.clone();
    supervisor.graceful("terminal", serve(app, accepted, info, id, route, grant));
    Ok(response)
}

/// WebSocket of a terminal or a command; the first frame is `{"t":"auth","token":…}`. A script that brings its
/// bearer in the handshake needs no token: its first frame is `{"t":"auth","command"?,"tty"?}`.
#[utoipa::path(get, path = "/ws/terminal/{allocation_id}", operation_id = "terminals.open", tag = "terminals",
    params(("allocation_id" = String, Path)),
    responses((status = 101, description = "WebSocket"), (status = 400, body = ProblemBody)))]
async fn terminal(
    State(app): State<App>,
    Path(id): Path<AllocationId>,
    Visitor(cx): Visitor,
    request: Request,
) -> Result<Response, Problem> {
    let grant = if request.headers().contains_key(header::AUTHORIZATION) {
        let shell = Opens::Session { command: Vec::new(), tty: true };
        Some(verbs::grant(&app, &cx, Verb::TerminalsToken, id, shell).await?)
    } else {
        None
    };
    upgrade(app, id, request, Route::Terminal, grant)
}

/// WebSocket of a tunnel; the first frame is `{"t":"auth","token":…}`, then raw bytes.
#[utoipa::path(get, path = "/ws/tunnel/{allocation_id}", operation_id = "tunnels.open", tag = "terminals",
    params(("allocation_id" = String, Path)),
    responses((status = 101, description = "WebSocket"), (status = 400, body = ProblemBody)))]
async fn tunnel(State(app): State<App>, Path(id): Path<AllocationId>, request: Request) -> Result<Response, Problem> {
    upgrade(app, id, request, Route::Tunnel, None)
}

/// Sessions of an allocation, newest first.
#[utoipa::path(get, path = "/api/v1/allocations/{allocation_id}/sessions", operation_id = "terminals.list",
    tag = "terminals", params(PageQuery, ("allocation_id" = String, Path)),
    responses((status = 200, body = Page<SessionReply>)))]
async fn sessions(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<AllocationId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<SessionReply>>, Problem> {
    Ok(Json(verbs::list(&app, &cx, id, page).await?.map(SessionReply::from)))
}

/// Ends a session of the caller, attached or not: SIGHUP, then SIGKILL.
#[utoipa::path(delete, path = "/api/v1/allocations/{allocation_id}/sessions/{session_id}",
    operation_id = "terminals.end", tag = "terminals",
    params(("allocation_id" = String, Path), ("session_id" = String, Path)),
    responses((status = 204), (status = 409, body = ProblemBody)))]
async fn end_session(
    State(app): State<App>,
    Caller(cx): Caller,
    Path((allocation, session)): Path<(AllocationId, SessionId)>,
) -> Result<StatusCode, Problem> {
    end::end(&app, &cx, allocation, session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How to read a log.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct LogsQuery {
    /// Go on until the command ends.
    pub follow: bool,
    /// Begin at this byte of the output, or at the oldest one kept after it.
    pub from: u64,
}

/// The output of an allocation's own command, from a byte on or from the oldest one kept. The header
/// `Muster-Log-Offset` says which byte of the output is the answer's first. An answer that is cut off is not
/// complete: ask for the rest with `from`.
#[utoipa::path(get, path = "/api/v1/allocations/{allocation_id}/logs", operation_id = "allocations.logs",
    tag = "terminals", params(LogsQuery, ("allocation_id" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 409, body = ProblemBody)))]
async fn read_logs(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<AllocationId>,
    Query(query): Query<LogsQuery>,
) -> Result<Response, Problem> {
    logs::read(&app, &cx, id, query.follow, query.from).await
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(terminal_token))
        .routes(routes!(tunnel_token))
        .routes(routes!(terminal))
        .routes(routes!(tunnel))
        .routes(routes!(sessions))
        .routes(routes!(end_session))
        .routes(routes!(read_logs))
}
