//! The output of a batch command: live from its cell, or what was kept of it.

use super::place::{self, Place};
use super::serve::ending_of_link;
use crate::allocations::State;
use crate::app::App;
use crate::base::authz::Verb;
use crate::base::http::Problem;
use crate::base::limits;
use crate::cx::Cx;
use crate::links::Stream;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use muster_protocol::Kind;
use muster_protocol::frame::encode;
use muster_protocol::ids::AllocationId;
use muster_protocol::session::{SessionAck, SessionAttach, SessionAttached};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Output after which the cell is told that it was taken.
const OUTPUT_ACK: u64 = 16 << 10;
/// Pause between looks at an allocation whose command has not begun.
const LOOK: Duration = Duration::from_millis(200);

/// The log of an allocation. 404, 409 `no_command`.
pub(super) async fn read(app: &App, cx: &Cx, id: AllocationId, follow: bool) -> Result<Response, Problem> {
    let place = find(app, cx, id).await?;
    if !place.has_command {
        let detail = "This allocation runs no command of its own, so it has no log.";
        return Err(Problem::conflict("no_command", detail));
    }
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    let live = begin(app, cx, id, place, follow).await?;
    let Some(live) = live else {
        let bytes = app.store.read(move |tx| place::log_in(tx, id)).await?;
        return Ok((kind, bytes).into_response());
    };
    let pieces = stream::unfold(live, |mut live| async move {
        let piece = live.next().await?;
        Some((Ok::<_, Infallible>(piece), live))
    });
    Ok((kind, Body::from_stream(pieces)).into_response())
}

async fn find(app: &App, cx: &Cx, id: AllocationId) -> Result<Place, Problem> {
    let cx = cx.clone();
    app.store.read(move |tx| place::find_in(tx, &cx, id, Verb::AllocationsLogs)).await
}

/// Looks at the command in its cell; `None` if only what was kept is left. A follower waits for the cell.
async fn begin(app: &App, cx: &Cx, id: AllocationId, mut place: Place, follow: bool) -> Result<Option<Live>, Problem> {
    loop {
        match place.state {
            State::Requested | State::Provisioning if follow => {
                sleep(LOOK).await;
                place = find(app, cx, id).await?;
            }
            State::Active | State::Degraded | State::Releasing => return Live::attach(app, id, &place, follow).await,
            _ => return Ok(None),
        }
    }
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
    async fn attach(app: &App, id: AllocationId, place: &Place, follow: bool) -> Result<Option<Self>, Problem> {
        let away = || Problem::conflict("node_offline", "The node of this allocation is not connected.").retry_after(1);
        let link = app.links.get(place.node_id).ok_or_else(away)?;
        let attach =
            SessionAttach { allocation: id.to_string(), read_only: true, main: true, ..SessionAttach::default() };
        let opened = link.open_session(&attach).await;
        let mut stream = opened.map_err(|error| Problem::conflict("node_offline", ending_of_link(&error).detail()))?;
        let Ok(Ok(Some(frame))) = timeout(limits::TERMINAL_OPEN, stream.next()).await else {
            return Err(Problem::unavailable("node_timeout", "The node did not answer in time."));
        };
        if frame.kind != Kind::SessionAttached {
            // The cell is gone; what it printed came before that.
            return Ok(None);
        }
        let attached: SessionAttached = frame.decode().map_err(Problem::internal)?;
        let at = attached.offset;
        let until = if follow { None } else { Some(attached.end.max(at)) };
        Ok(Some(Self { stream, acked: at, at, until }))
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.until.is_some_and(|until| self.at >= until) {
                return None;
            }
            if self.at - self.acked >= OUTPUT_ACK {
                self.acked = self.at;
                self.stream.send_frame(encode(Kind::SessionAck, &SessionAck { offset: self.at })).await.ok()?;
            }
            let frame = self.stream.next().await.ok()??;
            match frame.kind {
                Kind::SessionOutput | Kind::SessionErrOutput => {
                    let (offset, bytes) = frame.numbered().ok()?;
                    // The cell may say anything: an offset that goes back or wraps ends the look.
                    self.at = offset.checked_add(bytes.len() as u64).filter(|at| *at >= self.at)?;
                    return Some(bytes);
                }
                Kind::SessionExit | Kind::SessionError => return None,
                _ => {}
            }
        }
    }
}
