//! One WebSocket from its handshake to its end.

use super::model::{Auth, Ending, Say, command_fault};
use super::offsets::believable;
use super::pipe::{Outcome, Pipe};
use super::registry::Place;
use super::socket::{Accepted, Socket, authenticate, finish};
use super::store::SessionRow;
use super::tokens::{Grant, Opens};
use super::tunnel::Tunnel;
use super::verbs::{self, Closed};
use crate::app::App;
use crate::base::http::Problem;
use crate::base::http::frame::RequestInfo;
use crate::base::limits;
use crate::cx::Cx;
use crate::links::{LinkError, Stream};
use crate::nodes::model::STALE_MS;
use futures_util::SinkExt;
use muster_protocol::ids::{AllocationId, SessionId};
use muster_protocol::session::{SessionAttach, SessionAttached, SessionError};
use muster_protocol::tunnel::{TunnelOpen, TunnelRefused};
use muster_protocol::{Frame, Kind};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

/// Whether a route serves sessions or tunnels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Terminal,
    Tunnel,
}

/// Serves a WebSocket to its end. With a grant, that of the handshake's bearer, the first frame needs no token.
pub(super) async fn serve(
    app: App,
    accepted: Accepted,
    info: RequestInfo,
    allocation: AllocationId,
    route: Route,
    direct: Option<Grant>,
) {
    let has_origin = accepted.has_origin;
    let Some(mut socket) = accepted.open().await else { return };
    let correlation_id = info.correlation_id.to_string();
    let admitted = match authenticate(&mut socket).await {
        Ok(auth) => granted(&app, &auth, direct)
            .and_then(|grant| admit(&app, &info, grant, allocation, route, has_origin))
            .map(|admitted| (auth, admitted)),
        Err(ending) => Err(ending),
    };
    match admitted {
        Err(ending) => finish(socket, &ending, &correlation_id).await,
        Ok((auth, (cx, grant, place))) => {
            let visit = Visit { app, cx, grant, place };
            visit.run(socket, auth, &correlation_id).await;
        }
    }
}

/// What the first frame's token stands for, or what the bearer may open.
fn granted(app: &App, auth: &Auth, direct: Option<Grant>) -> Result<Grant, Ending> {
    match (&auth.token, direct) {
        (Some(token), _) => app.terminals.tokens.take(token, app.clock.now_ms()).ok_or(Ending::Token),
        (None, Some(grant)) => match command_fault(&auth.command) {
            Some(fault) => Err(Ending::Refused("validation_failed".to_owned(), fault.to_owned())),
            None => {
                let opens = Opens::Session { command: auth.command.clone(), tty: auth.tty.unwrap_or(true) };
                Ok(Grant { opens, ..grant })
            }
        },
        (None, None) => Err(Ending::BadFrame),
    }
}

fn admit(
    app: &App,
    info: &RequestInfo,
    grant: Grant,
    allocation: AllocationId,
    route: Route,
    has_origin: bool,
) -> Result<(Cx, Grant, Place), Ending> {
    let now_ms = app.clock.now_ms();
    let fits = grant.allocation == allocation && (grant.opens == Opens::Ssh) == (route == Route::Tunnel);
    if !fits {
        return Err(Ending::Token);
    }
    // A browser always sends it; so a token made with a cookie that comes without was taken out of one.
    if !grant.bearer && !has_origin {
        return Err(Ending::Origin);
    }
    let person = grant.cx.person().map_err(|_| Ending::Token)?;
    let place = app.terminals.open.enter(person.id, (allocation, person.login_id)).ok_or(Ending::Limit)?;
    let cx = Cx { now_ms, correlation_id: info.correlation_id, source_ip: info.source_ip, ..grant.cx.clone() };
    Ok((cx, grant, place))
}

/// One admitted attach.
struct Visit {
    app: App,
    cx: Cx,
    grant: Grant,
    place: Place,
}

impl Visit {
    async fn run(self, socket: Socket, auth: Auth, correlation_id: &str) {
        let mut socket = Some(socket);
        let (id, outcome) = match &self.grant.opens {
            Opens::Session { command, tty } => self.session(&mut socket, &auth, command, *tty).await,
            Opens::Ssh => self.tunnel(&mut socket).await,
        };
        if let Some(socket) = socket {
            finish(socket, &outcome.ending, correlation_id).await;
        }
        let Some(id) = id else { return };
        let over = match self.grant.opens {
            // A command without a terminal ends with its viewer; what a viewer comes back to is a terminal.
            Opens::Ssh => true,
            Opens::Session { tty: false, .. } if auth.session_id.is_none() => true,
            Opens::Session { .. } => matches!(outcome.ending, Ending::Exited | Ending::Released | Ending::Gone),
        };
        let Outcome { ending, exit_code, bytes_in, bytes_out } = outcome;
        let closed = Closed { ending, exit_code, bytes_in, bytes_out, over };
        if let Err(problem) = verbs::closed(&self.app, &self.cx, &self.grant, id, closed).await {
            tracing::warn!(session = %id, "the end of a session could not be recorded: {}", problem.log_text());
        }
    }

    /// Why this attach is to end although neither side wants it to.
    async fn told(&self) -> Ending {
        let stopping = self.app.supervisor.stopping();
        tokio::select! {
            ending = self.place.told_to_end() => ending,
            () = stopping.cancelled() => Ending::Draining,
        }
    }

    /// The agent has said nothing for so long that keys go nowhere. Whoever attached can come back without a loss;
    /// a tunnel cannot, and a command without a terminal ends with its viewer: they wait for the link's end.
    async fn silence(&self) -> Ending {
        loop {
            let silent_ms = self.app.board.age_ms(self.grant.node).unwrap_or(0);
            match u64::try_from(STALE_MS - silent_ms) {
                Ok(left_ms @ 1..) => sleep(Duration::from_millis(left_ms)).await,
                _ => return Ending::Timeout,
            }
        }
    }

    fn row(&self, kind: &str, program: Option<String>) -> SessionRow {
        let now_ms = self.cx.now_ms;
        SessionRow {
            id: self.cx.new_id(),
            allocation: self.grant.allocation,
            tenant: self.grant.tenant,
            // The grant was made by a person.
            user: self.cx.user_id().unwrap_or_else(|_| self.cx.new_id()),
            kind: kind.to_owned(),
            program,
            source_ip: self.cx.source_ip.map(|ip| ip.to_string()),
            opened_ms: now_ms,
            attached_ms: now_ms,
            detached_ms: None,
            ended_ms: None,
            end_reason: None,
            exit_code: None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    async fn session(
        &self,
        socket: &mut Option<Socket>,
        auth: &Auth,
        command: &[String],
        tty: bool,
    ) -> (Option<SessionId>, Outcome) {
        match self.attach(auth, command, tty).await {
            Err(ending) => (None, Outcome::refused(ending)),
            Ok((id, _, attached)) if !believable(attached.offset) || !believable(attached.input_offset) => {
                (Some(id), Outcome::refused(Ending::Internal))
            }
            Ok((id, stream, attached)) => {
                if let Err(ending) = greet(socket, &attached).await {
                    return (Some(id), Outcome::refused(ending));
                }
                let Stream { send, frames } = stream;
                let (offset, input_offset) = (attached.offset, attached.input_offset);
                let pipe = Pipe { writer: send, reader: frames, offset, input_offset };
                let told = async {
                    tokio::select! {
                        ending = self.told() => ending,
                        ending = self.silence(), if tty => ending,
                    }
                };
                (Some(id), pipe.run(socket, told).await)
            }
        }
    }

    /// Attaches at the node while the row is written: neither waits for the other, and nothing is shown
    /// before both are done.
    async fn attach(
        &self,
        auth: &Auth,
        command: &[String],
        tty: bool,
    ) -> Result<(SessionId, Stream, SessionAttached), Ending> {
        let (app, cx) = (&self.app, &self.cx);
        let mut attach = SessionAttach {
            allocation: self.grant.allocation.to_string(),
            terminal: tty,
            command: command.to_vec(),
            cols: auth.cols.unwrap_or(0).min(u32::from(u16::MAX)),
            rows: auth.rows.unwrap_or(0).min(u32::from(u16::MAX)),
            after: auth.after,
            end_on_detach: !tty,
            ..SessionAttach::default()
        };
        if let Some(wanted) = &auth.session_id {
            let id: SessionId = wanted.parse().map_err(|_| Ending::Gone)?;
            // Whose session it is must be known before anything is sent to it.
            verbs::resumed(app, cx, self.grant.allocation, id).await.map_err(|problem| ending_of(&problem))?;
            attach.session = id.to_string();
            return match self.at_node(&attach).await {
                Ok((stream, attached)) => Ok((id, stream, attached)),
                Err(ending) => {
                    // It ended while nobody looked: nobody else will ever say so.
                    self.note_end(id, &ending, ending == Ending::Gone).await;
                    Err(ending)
                }
            };
        }
        let kind = if tty && command.is_empty() { "terminal" } else { "command" };
        let row = self.row(kind, command.first().cloned());
        let id = row.id;
        attach.session = id.to_string();
        attach.create = true;
        let (attached, written) = tokio::join!(self.at_node(&attach), verbs::opened(app, cx, row));
        match (attached, written) {
            (Ok((stream, attached)), Ok(())) => Ok((id, stream, attached)),
            (Err(ending), Ok(())) => {
                self.note_end(id, &ending, true).await;
                Err(ending)
            }
            (Ok((mut stream, _)), Err(problem)) => {
                // The allocation ended in between; so will the session, but not only then.
                let signal = muster_protocol::session::SessionSignal { name: "KILL".to_owned() };
                let _ = stream.send(Kind::SessionSignal, &signal).await;
                Err(ending_of(&problem))
            }
            (Err(_), Err(problem)) => Err(ending_of(&problem)),
        }
    }

    /// Notes the end of an attach that never was.
    async fn note_end(&self, id: SessionId, ending: &Ending, over: bool) {
        let closed = Closed { ending: ending.clone(), exit_code: None, bytes_in: 0, bytes_out: 0, over };
        if let Err(problem) = verbs::closed(&self.app, &self.cx, &self.grant, id, closed).await {
            tracing::warn!(session = %id, "{}", problem.log_text());
        }
    }

    async fn at_node(&self, attach: &SessionAttach) -> Result<(Stream, SessionAttached), Ending> {
        let link = self.app.links.get(self.grant.node).ok_or(Ending::NodeOffline)?;
        let answered = async {
            let mut stream = link.open_session(attach).await.map_err(|error| ending_of_link(&error))?;
            let frame = answer(&mut stream).await?;
            match frame.kind {
                Kind::SessionAttached => Ok((stream, frame.decode().map_err(|_| Ending::Internal)?)),
                Kind::SessionError => {
                    let error: SessionError = frame.decode().map_err(|_| Ending::Internal)?;
                    Err(Ending::of_cell(&error.code, &error.detail))
                }
                _ => Err(Ending::Internal),
            }
        };
        timeout(limits::TERMINAL_OPEN, answered).await.unwrap_or(Err(Ending::Timeout))
    }

    async fn tunnel(&self, socket: &mut Option<Socket>) -> (Option<SessionId>, Outcome) {
        let row = self.row("tunnel", None);
        let id = row.id;
        let open = TunnelOpen {
            allocation: self.grant.allocation.to_string(),
            session: id.to_string(),
            target: "ssh".to_owned(),
        };
        let (opened, written) = tokio::join!(self.tunnel_at_node(&open), verbs::opened(&self.app, &self.cx, row));
        if let Err(problem) = written {
            return (None, Outcome::refused(ending_of(&problem)));
        }
        let tunnel = match opened {
            Ok(tunnel) => tunnel,
            Err(ending) => return (Some(id), Outcome::refused(ending)),
        };
        let ready = Say::TunnelReady { session_id: &id.to_string() }.text();
        if let Err(ending) = say(socket, ready).await {
            return (Some(id), Outcome::refused(ending));
        }
        (Some(id), tunnel.run(socket, self.told()).await)
    }

    async fn tunnel_at_node(&self, open: &TunnelOpen) -> Result<Tunnel, Ending> {
        let link = self.app.links.get(self.grant.node).ok_or(Ending::NodeOffline)?;
        let answered = async {
            let mut stream = link.open_tunnel(open).await.map_err(|error| ending_of_link(&error))?;
            let frame = answer(&mut stream).await?;
            match frame.kind {
                Kind::TunnelReady => {
                    let (writer, first, reader) = stream.into_raw();
                    Ok(Tunnel { writer, reader, first })
                }
                Kind::TunnelRefused => {
                    let refused: TunnelRefused = frame.decode().map_err(|_| Ending::Internal)?;
                    Err(Ending::of_cell(&refused.code, &refused.detail))
                }
                _ => Err(Ending::Internal),
            }
        };
        timeout(limits::TERMINAL_OPEN, answered).await.unwrap_or(Err(Ending::Timeout))
    }
}

impl Outcome {
    fn refused(ending: Ending) -> Self {
        Self { ending, exit_code: None, bytes_in: 0, bytes_out: 0 }
    }
}

async fn answer(stream: &mut Stream) -> Result<Frame, Ending> {
    stream.next().await.map_err(|_| Ending::NodeOffline)?.ok_or(Ending::NodeOffline)
}

async fn greet(socket: &mut Option<Socket>, attached: &SessionAttached) -> Result<(), Ending> {
    let ready = Say::SessionReady {
        session_id: &attached.session,
        resumed: attached.resumed,
        offset: attached.offset,
        input_offset: attached.input_offset,
    };
    say(socket, ready.text()).await?;
    if let Some(from) = attached.skipped_from {
        say(socket, Say::Notice { code: "output_skipped", from, to: attached.offset }.text()).await?;
    }
    Ok(())
}

async fn say(socket: &mut Option<Socket>, text: String) -> Result<(), Ending> {
    let socket = socket.as_mut().ok_or(Ending::Left)?;
    match timeout(limits::TERMINAL_STALL, socket.send(Message::text(text))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Ending::Left),
        Err(_) => Err(Ending::Stalled),
    }
}

fn ending_of(problem: &Problem) -> Ending {
    match problem.code() {
        "not_active" => Ending::Released,
        "not_found" => Ending::Gone,
        _ => Ending::Internal,
    }
}

pub(super) fn ending_of_link(error: &LinkError) -> Ending {
    match error {
        LinkError::Offline | LinkError::Wire(_) => Ending::NodeOffline,
        LinkError::SessionLimit => Ending::Busy,
    }
}
