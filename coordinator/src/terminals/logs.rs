//! The output of a batch command: live from its cell, or what was kept of it.
//!
//! An answer that ends before the command's output does is cut off and not ended, so that nobody takes a part for
//! the whole; its first byte's offset is in a header, so that a reader can go on where it was.

use super::model::Ending;
use super::place::{self, Place};
use super::registry;
use super::serve::ending_of_link;
use crate::allocations::State;
use crate::app::App;
use crate::base::authz::Verb;
use crate::base::http::Problem;
use crate::base::limits;
use crate::cx::Cx;
use crate::links::Stream;
use axum::body::Body;
use axum::http::header::{self, HeaderName};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use muster_protocol::Kind;
use muster_protocol::frame::encode;
use muster_protocol::ids::AllocationId;
use muster_protocol::session::{SessionAck, SessionAttach, SessionAttached, SessionError};
use std::io;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Says which byte of the output, from 0, is the first of the answer.
const OFFSET: HeaderName = HeaderName::from_static("muster-log-offset");
/// Output after which the cell is told that it was taken.
const OUTPUT_ACK: u64 = 16 << 10;
/// Pause between looks at an allocation whose command has not begun.
const LOOK: Duration = Duration::from_millis(200);

/// The log of an allocation from a byte on, or from the oldest byte kept. 404, 409 `no_command`, 409
/// `session_limit`.
pub(super) async fn read(app: &App, cx: &Cx, id: AllocationId, follow: bool, from: u64) -> Result<Response, Problem> {
    let place = find(app, cx, id).await?;
    if !place.has_command {
        let detail = "This allocation runs no command of its own, so it has no log.";
        return Err(Problem::conflict("no_command", detail));
    }
    let person = cx.person()?;
    let entered = app.terminals.open.enter(person.id, (id, person.login_id));
    let entered = entered.ok_or_else(|| {
        Problem::conflict("session_limit", "You follow as many logs and sessions as one may at a time: end some.")
    })?;
    let reader = Reader { app: app.clone(), cx: cx.clone(), id, entered };
    let kind = (header::CONTENT_TYPE, "application/octet-stream".to_owned());
    let Some(live) = reader.begin(place, follow, from).await? else {
        let (at, bytes) = reader.kept(from).await?;
        return Ok(([kind, (OFFSET, at.to_string())], bytes).into_response());
    };
    let at = live.at;
    let pieces = stream::unfold(Some((reader, live)), |state| async move {
        let (reader, mut live) = state?;
        match reader.piece(&mut live).await {
            Ok(Some(piece)) => Some((Ok(piece), Some((reader, live)))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(([kind, (OFFSET, at.to_string())], Body::from_stream(pieces)).into_response())
}

async fn find(app: &App, cx: &Cx, id: AllocationId) -> Result<Place, Problem> {
    let cx = cx.clone();
    app.store.read(move |tx| place::find_in(tx, &cx, id, Verb::AllocationsLogs)).await
}

/// Who reads what, entered among the open attaches: counted with them, and ended with the rights or the sign-in.
struct Reader {
    app: App,
    cx: Cx,
    id: AllocationId,
    entered: registry::Place,
}

impl Reader {
    /// Looks at the command in its cell; `None` if only what was kept is left. A follower waits for the cell.
    async fn begin(&self, mut place: Place, follow: bool, from: u64) -> Result<Option<Live>, Problem> {
        loop {
            match place.state {
                State::Requested | State::Provisioning if follow => {}
                State::Active | State::Degraded | State::Releasing => {
                    let live = Live::attach(&self.app, self.id, &place, follow, from).await?;
                    // While it is released its cell may be gone already, and the last words still on their way.
                    if live.is_some() || !follow || place.state != State::Releasing {
                        return Ok(live);
                    }
                }
                _ => return Ok(None),
            }
            place = self.look_again().await?;
        }
    }

    async fn look_again(&self) -> Result<Place, Problem> {
        tokio::select! {
            () = sleep(LOOK) => find(&self.app, &self.cx, self.id).await,
            why = self.told() => Err(Problem::unavailable("interrupted", why.detail().to_owned())),
        }
    }

    /// Why nothing more is to be read. That its allocation is released is none: its command's last words follow.
    async fn told(&self) -> Ending {
        let stopping = self.app.supervisor.stopping();
        let revoked = async {
            match self.entered.told_to_end().await {
                Ending::Released => std::future::pending().await,
                ending => ending,
            }
        };
        tokio::select! {
            ending = revoked => ending,
            () = stopping.cancelled() => Ending::Draining,
        }
    }

    /// The next piece; none after the last.
    async fn piece(&self, live: &mut Live) -> io::Result<Option<Bytes>> {
        let next = tokio::select! {
            next = live.next() => next,
            why = self.told() => return Err(io::Error::other(why.code().to_owned())),
        };
        match next {
            Next::Piece(piece) => Ok(Some(piece)),
            Next::Last => Ok(None),
            Next::Cut => {
                // A cell that is over took its stream along, and its last words are kept.
                let over = loop {
                    match self.look_again().await.map_err(|problem| cut(&problem.log_text()))?.state {
                        State::Releasing => {}
                        state => break matches!(state, State::Released | State::Failed),
                    }
                };
                if !over {
                    return Err(cut("the cell's stream is gone"));
                }
                let (at, bytes) = self.kept(live.at).await.map_err(|problem| cut(&problem.log_text()))?;
                if at > live.at {
                    return Err(cut("what follows was not kept"));
                }
                live.at = at + bytes.len() as u64;
                live.until = Some(live.at);
                Ok(Some(bytes.into()).filter(|rest: &Bytes| !rest.is_empty()))
            }
        }
    }

    /// What was kept from a byte on, and which byte is its first.
    async fn kept(&self, from: u64) -> Result<(u64, Vec<u8>), Problem> {
        let id = self.id;
        self.app.store.read(move |tx| place::log_in(tx, id, from)).await
    }
}

fn cut(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, why.to_owned())
}

/// What comes of waiting for output.
enum Next {
    Piece(Bytes),
    /// The command has ended, or all that was asked for was read.
    Last,
    /// Output may follow that cannot be had here.
    Cut,
}

/// A read-only look at the main session.
struct Live {
    stream: Stream,
    acked: u64,
    at: u64,
    /// Where to stop.
    until: Option<u64>,
}

impl Live {
    async fn attach(
        app: &App,
        id: AllocationId,
        place: &Place,
        follow: bool,
        from: u64,
    ) -> Result<Option<Self>, Problem> {
        let away = || Problem::conflict("node_offline", "The node of this allocation is not connected.").retry_after(1);
        let link = app.links.get(place.node_id).ok_or_else(away)?;
        let after = (from > 0).then_some(from);
        let attach = SessionAttach {
            allocation: id.to_string(),
            read_only: true,
            main: true,
            after,
            ..SessionAttach::default()
        };
        let opened = link.open_session(&attach).await;
        let mut stream = opened.map_err(|error| Problem::conflict("node_offline", ending_of_link(&error).detail()))?;
        let Ok(Ok(Some(frame))) = timeout(limits::TERMINAL_OPEN, stream.next()).await else {
            return Err(Problem::unavailable("node_timeout", "The node did not answer in time."));
        };
        match frame.kind {
            Kind::SessionAttached => {}
            Kind::SessionError => {
                let error: SessionError = frame.decode().map_err(Problem::internal)?;
                return match Ending::of_cell(&error.code, &error.detail) {
                    // What it printed came before that.
                    Ending::Gone | Ending::Released => Ok(None),
                    Ending::Busy if place.state == State::Releasing => Ok(None),
                    Ending::Limit => {
                        Err(Problem::conflict("session_limit", "The node has as many sessions as it takes."))
                    }
                    ending => Err(Problem::unavailable("agent_busy", ending.detail().to_owned()).retry_after(1)),
                };
            }
            _ => return Ok(None),
        }
        let attached: SessionAttached = frame.decode().map_err(Problem::internal)?;
        let at = attached.offset;
        let until = if follow { None } else { Some(attached.end.max(at)) };
        Ok(Some(Self { stream, acked: at, at, until }))
    }

    /// May be dropped while it waits.
    async fn next(&mut self) -> Next {
        loop {
            if self.until.is_some_and(|until| self.at >= until) {
                return Next::Last;
            }
            if self.at - self.acked >= OUTPUT_ACK {
                self.acked = self.at;
                let ack = encode(Kind::SessionAck, &SessionAck { offset: self.at });
                if self.stream.send_frame(ack).await.is_err() {
                    return Next::Cut;
                }
            }
            let Ok(Some(frame)) = self.stream.next().await else { return Next::Cut };
            match frame.kind {
                Kind::SessionOutput | Kind::SessionErrOutput => {
                    let Ok((offset, bytes)) = frame.numbered() else { return Next::Cut };
                    // The cell may say anything: an offset that goes back or wraps ends the look.
                    match offset.checked_add(bytes.len() as u64) {
                        Some(at) if at >= self.at => self.at = at,
                        _ => return Next::Cut,
                    }
                    return Next::Piece(bytes);
                }
                Kind::SessionExit => return Next::Last,
                Kind::SessionError => return Next::Cut,
                _ => {}
            }
        }
    }
}
