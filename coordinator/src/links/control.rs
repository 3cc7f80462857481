//! The life of one link: hello, welcome, then frames until it is lost, superseded or revoked.

use super::pace::Pace;
use super::registry::{Link, priority};
use super::wire::{self, FrameReader, WireError};
use super::{desired, facts, samples};
use crate::app::App;
use crate::base::http::Problem;
use crate::nodes::link::{Greeting, greeted};
use crate::{enrolment, inbound, nodes};
use muster_pki::NodeIdentity;
use muster_protocol::control::{DrainNotice, Generation, Heartbeat, HeartbeatAck, Hello, Refused, Welcome, close};
use muster_protocol::frame::encode;
use muster_protocol::{Frame, FrameError, Kind, level};
use quinn::{Connection, SendStream};
use std::sync::Arc;
use std::time::Duration;

/// How long an agent may take for its hello.
const HELLO: Duration = Duration::from_secs(10);
/// When a node that waits for an operator is to ask again.
const APPROVAL_PAUSE: Duration = Duration::from_secs(5);
/// How long a refused agent may take to read why.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Period of heartbeats when nothing else is sent, ms.
const HEARTBEAT_MS: u32 = 3_000;
/// Period of telemetry, ms.
const TELEMETRY_MS: u32 = 1_000;
/// Bounds of the time over which agents come back after a drain, ms.
const SPREAD_MS: (u32, u32) = (200, 30_000);
/// Time for each node within it, ms: half of the pace at which handshakes are taken.
const SPREAD_EACH_MS: u32 = 5;
/// Control frames a second, and at once.
const PACE: (u32, u32) = (50, 1_000);
/// How often a frame that the store could not take in is tried again before the link is given up.
const STORE_TRIES: u32 = 5;
const STORE_PAUSE: Duration = Duration::from_millis(200);

/// Serves a connection whose certificate is judged good.
pub(super) async fn run(app: App, connection: Connection, identity: NodeIdentity) {
    let node = identity.node;
    match greet(&app, &connection, &identity).await {
        Ok(up) => {
            let link = Arc::clone(&up.link);
            tracing::info!(%node, peer = %connection.remote_address(), "a link is up");
            let ended = live(&app, up, identity.not_after_ms).await;
            app.links.leave(&link);
            end(&app, &connection, &ended);
            tracing::info!(%node, "a link is down: {}", why(&connection, &ended));
        }
        Err(error) => {
            tracing::warn!(%node, peer = %connection.remote_address(), "no link: {error}");
            end(&app, &connection, &Err(error));
        }
    }
}

/// A link after its welcome.
struct Up {
    link: Arc<Link>,
    send: SendStream,
    reader: FrameReader,
    held: Option<Generation>,
}

/// Why a link does not come up, or ends.
#[derive(Debug, thiserror::Error)]
enum Down {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("{}: {detail}", close::word(u64::from(*code)))]
    Closed { code: u32, detail: &'static str },
    #[error("the store is away: {0}")]
    Store(Problem),
}

impl From<FrameError> for Down {
    fn from(error: FrameError) -> Self {
        Self::Wire(error.into())
    }
}

fn end(app: &App, connection: &Connection, ended: &Result<(), Down>) {
    match ended {
        Ok(()) => connection.close(close::NORMAL.into(), b""),
        Err(Down::Closed { code, detail }) => {
            app.links.meters.closed(close::word(u64::from(*code)));
            connection.close((*code).into(), detail.as_bytes());
        }
        Err(Down::Wire(error)) if error.is_protocol() => {
            app.links.meters.closed("protocol_error");
            connection.close(close::PROTOCOL_ERROR.into(), error.to_string().as_bytes());
        }
        Err(Down::Wire(_)) => connection.close(close::NORMAL.into(), b"the stream is gone"),
        Err(Down::Store(_)) => connection.close(close::NORMAL.into(), b"the coordinator is busy"),
    }
}

fn why(connection: &Connection, ended: &Result<(), Down>) -> String {
    match (ended, connection.close_reason()) {
        (Err(Down::Closed { .. } | Down::Store(_)), _) | (Ok(()), None) => {
            ended.as_ref().err().map_or_else(|| "the agent is done".to_owned(), ToString::to_string)
        }
        (_, Some(reason)) => reason.to_string(),
        (Err(error), None) => error.to_string(),
    }
}

async fn greet(app: &App, connection: &Connection, identity: &NodeIdentity) -> Result<Up, Down> {
    let opened = tokio::time::timeout(HELLO, connection.accept_bi()).await.map_err(|_| WireError::Deadline)?;
    let (mut send, recv) = opened.map_err(|lost| WireError::Read(lost.into()))?;
    // Fails only if the stream is already over, which the first write then says.
    let _ = send.set_priority(priority::CONTROL);
    let mut reader = FrameReader::new(recv);
    let frame = reader.expect_within(HELLO).await?;
    if frame.kind != Kind::Hello {
        return Err(FrameError::OutOfPlace(frame.kind).into());
    }
    let hello: Hello = frame.decode()?;
    let Some(level) = level::negotiate(hello.level_lowest, hello.level_highest) else {
        return refuse(send, close::VERSION, "agent and coordinator have no protocol level in common").await;
    };
    let (node, greeting) = (identity.node, Greeting::of(&hello));
    // Twice: between handshake and hello, and before it can be found among the live links.
    let revoked = || app.trust.is_revoked(node, identity.certificate);
    if revoked() {
        return refuse(send, close::REVOKED, "the node certificate is revoked").await;
    }
    let known = greeted(app, node, greeting).await.map_err(Down::Store)?;
    if known.is_none()
        && let Some((word, detail)) = nodes::link::waits(app, node).await.map_err(Down::Store)?
    {
        return refuse_for_now(send, word, detail, APPROVAL_PAUSE).await;
    }
    if known.is_none_or(|row| row.key_sha256 != identity.key_fingerprint) {
        return refuse(send, close::UNKNOWN_NODE, "the coordinator knows no such node").await;
    }
    let now_ms = app.clock.now_ms();
    let seen = app.board.heard(node);
    let link = app.links.enter(node, identity.certificate, connection.clone(), seen, hello.journal_epoch);
    if revoked() {
        app.links.leave(&link);
        return refuse(send, close::REVOKED, "the node certificate is revoked").await;
    }
    link.set_agent_clock(hello.clock_ms, now_ms);
    let welcome = Welcome {
        level,
        clock_ms: now_ms,
        fleet_id: app.fleet.id.clone(),
        heartbeat_ms: HEARTBEAT_MS,
        telemetry_ms: TELEMETRY_MS,
    };
    if let Err(error) = wire::send(&mut send, encode(Kind::Welcome, &welcome)).await {
        app.links.leave(&link);
        return Err(error.into());
    }
    Ok(Up { link, send, reader, held: hello.generation })
}

/// Says why there is no link.
async fn refuse(send: SendStream, code: u32, detail: &'static str) -> Result<Up, Down> {
    say_no(send, close::word(code.into()), detail, 0).await;
    Err(Down::Closed { code, detail })
}

/// Says why there is no link yet, and when to ask again.
async fn refuse_for_now(
    send: SendStream,
    word: &'static str,
    detail: &'static str,
    pause: Duration,
) -> Result<Up, Down> {
    say_no(send, word, detail, u32::try_from(pause.as_millis()).unwrap_or(u32::MAX)).await;
    Err(Down::Closed { code: close::UNKNOWN_NODE, detail })
}

/// Gives the agent a moment to read why.
async fn say_no(mut send: SendStream, code: &str, detail: &str, retry_after_ms: u32) {
    let refused = Refused { code: code.to_owned(), detail: detail.to_owned(), retry_after_ms };
    // An agent that does not listen finds the same code in the close.
    if wire::send(&mut send, encode(Kind::Refused, &refused)).await.is_ok() && send.finish().is_ok() {
        let _ = tokio::time::timeout(LAST_WORDS, send.stopped()).await;
    }
}

async fn live(app: &App, up: Up, not_after_ms: i64) -> Result<(), Down> {
    let Up { link, mut send, mut reader, mut held } = up;
    let (app_, link_) = (app.clone(), Arc::clone(&link));
    app.supervisor.scoped("link.samples", async move { samples::take(app_, link_).await });
    let (app_, link_) = (app.clone(), Arc::clone(&link));
    app.supervisor.scoped("link.facts", async move { facts::take(app_, link_).await });
    desired::catch_up(app, link.node, held).await.map_err(Down::Store)?;
    desired::ensure(app, link.node).await.map_err(Down::Store)?;
    link.wake.notify_one();
    app.nudges.node_tasks.notify();
    let stop = app.supervisor.stopping();
    let mut end_ms = not_after_ms;
    let mut sent = None;
    let mut pace = Pace::new(PACE.0, PACE.1);
    loop {
        let left = u64::try_from(end_ms - app.clock.now_ms()).unwrap_or(0);
        tokio::select! {
            frame = reader.next() => match frame? {
                None => return Ok(()),
                Some(frame) => {
                    link.seen.touch();
                    pace.turn(frame.body.len()).await;
                    take(app, &link, &mut send, &frame, &mut held, &mut end_ms).await?;
                }
            },
            () = link.wake.notified() => {
                let next = desired::next(app, link.node, held.max(sent)).await.map_err(Down::Store)?;
                if let Some(next) = next {
                    sent = Some(next.generation);
                    wire::send(&mut send, encode(Kind::Desired, &next)).await?;
                }
            },
            () = tokio::time::sleep(Duration::from_millis(left)) => {
                return Err(Down::Closed { code: close::EXPIRED, detail: "the node certificate has expired" });
            }
            () = stop.cancelled() => return goodbye(app, &mut send).await,
        }
    }
}

/// One frame of the agent.
async fn take(
    app: &App,
    link: &Link,
    send: &mut SendStream,
    frame: &Frame,
    held: &mut Option<Generation>,
    end_ms: &mut i64,
) -> Result<(), Down> {
    let node = link.node;
    match frame.kind {
        Kind::Heartbeat => {
            let heartbeat: Heartbeat = frame.decode()?;
            let clock_ms = app.clock.now_ms();
            link.set_agent_clock(heartbeat.clock_ms, clock_ms);
            let ack = HeartbeatAck { sequence: heartbeat.sequence, clock_ms };
            wire::send(send, encode(Kind::HeartbeatAck, &ack)).await?;
        }
        Kind::Report => {
            let report: muster_protocol::report::Report = frame.decode()?;
            if !report.refusal.is_empty() {
                tracing::warn!(%node, reason = report.refusal, "the agent did not take its desired document");
            }
            *held = report.generation;
            stored(|| inbound::report(app, node, report.clone())).await?;
        }
        Kind::Inventory => {
            let inventory: muster_protocol::inventory::Inventory = frame.decode()?;
            stored(|| inbound::inventory(app, node, inventory.clone())).await?;
        }
        Kind::RenewRequest => {
            let (reply, end) = enrolment::link::renew(app, node, frame.decode()?).await;
            *end_ms = end.map_or(*end_ms, |end| end.max(*end_ms));
            wire::send(send, encode(Kind::RenewReply, &reply)).await?;
        }
        other => return Err(FrameError::OutOfPlace(other).into()),
    }
    Ok(())
}

/// Takes something in, trying again while the store is away: the agent says a thing once.
async fn stored<F, Fut>(mut attempt: F) -> Result<(), Down>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), Problem>>,
{
    let mut tries = 1;
    loop {
        match attempt().await {
            Ok(()) => return Ok(()),
            Err(problem) if tries >= STORE_TRIES => return Err(Down::Store(problem)),
            Err(problem) => {
                tracing::warn!("what an agent said could not be stored: {}", problem.log_text());
                tries += 1;
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }
}

async fn goodbye(app: &App, send: &mut SendStream) -> Result<(), Down> {
    let links = u32::try_from(app.links.count()).unwrap_or(u32::MAX);
    let spread_ms = links.saturating_mul(SPREAD_EACH_MS).clamp(SPREAD_MS.0, SPREAD_MS.1);
    wire::send(send, encode(Kind::DrainNotice, &DrainNotice { spread_ms })).await?;
    // Fails only if the agent is gone, and then nobody reads.
    let _ = send.finish();
    let _ = tokio::time::timeout(LAST_WORDS, send.stopped()).await;
    Err(Down::Closed { code: close::DRAINING, detail: "the coordinator stops" })
}
