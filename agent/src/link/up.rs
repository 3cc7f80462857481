//! One link: dial, Hello, Welcome, then everything that runs on it until one of them ends.

use super::{
    End, facts, own_validity, renewal, streams, telemetry,
    wire::{self, ANSWER_TIMEOUT, FrameReader, WireError},
};
use crate::{chance::jitter, host, node::Node, status::LinkState, supervise::Scope};
use bytes::Bytes;
use muster_pki::{
    client::{self, TimeSource},
    files,
};
use muster_protocol::{
    Frame, Kind,
    control::{Desired, DrainNotice, Heartbeat, HeartbeatAck, Hello, Refused, RenewReply, Welcome, close},
    frame::encode,
    level,
    task::KINDS,
};
use quinn::{Connection, SendStream};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

/// Frames that may wait for the control stream.
const CONTROL_WAITING: usize = 16;
/// Bounds of the periods that a Welcome may name.
const PERIODS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));
/// How often the coordinator's time is written down.
const WORD_EVERY: Duration = Duration::from_secs(600);
/// Priority of the control stream over all others.
const CONTROL_PRIORITY: i32 = 100;

/// What runs on a link.
pub(super) struct Link {
    pub(super) node: Arc<Node>,
    pub(super) connection: Connection,
    /// Frames for the control stream.
    pub(super) control: mpsc::Sender<Bytes>,
    /// Answers to renewals.
    pub(super) renewals: watch::Sender<Option<RenewReply>>,
}

/// Dials once and stays until the link ends.
pub(super) async fn once(node: &Arc<Node>, stop: watch::Receiver<bool>) -> End {
    match own_validity(node).await {
        Some((_, end)) if node.clock.trusted_ms() < end => {}
        Some(_) => return End::Recover("the node certificate has expired".into()),
        None => return End::Recover("there is no node certificate".into()),
    }
    node.board.link(LinkState::Dialling);
    match dial(node).await {
        Ok((link, welcome, sender, frames)) => stay(link, &welcome, sender, frames, stop).await,
        Err(error) if error.close_code() == Some(close::EXPIRED) => End::Recover(error.to_string()),
        Err(error) => End::Again(error),
    }
}

type Control = (SendStream, mpsc::Receiver<Bytes>);

async fn dial(node: &Arc<Node>) -> Result<(Link, Welcome, Control, FrameReader), WireError> {
    let broken = |error: muster_pki::PkiError| WireError::Io(std::io::Error::other(error));
    let certificate = files::load_node_certificate(&node.state_dir).map_err(broken)?;
    let key = files::load_node_key(&node.state_dir).map_err(broken)?;
    let (Some(certificate), Some(key)) = (certificate, key) else {
        return Err(WireError::Io(std::io::Error::other("the node's key or certificate is gone")));
    };
    let clock = node.clock.clone();
    let time = TimeSource::new(move || clock.trusted_ms());
    let config = client::link(&certificate.roots, certificate.chain, &key, time).map_err(broken)?;
    let connection = wire::connect(&node.sockets, &node.coordinator, config).await?;
    let (mut send, receive) = connection.open_bi().await?;
    // Priority is a wish: on a stream that is already gone it changes nothing.
    let _ = send.set_priority(CONTROL_PRIORITY);
    send.write_chunk(encode(Kind::Hello, &hello(node))).await?;
    let mut frames = FrameReader::new(receive);
    let welcome = timeout(ANSWER_TIMEOUT, welcome(&mut frames))
        .await
        .map_err(|_| WireError::Silent(node.coordinator.clone()))??;
    if welcome.fleet_id != node.identity.fleet_id {
        connection.close(close::PROTOCOL_ERROR.into(), b"another fleet");
        return Err(WireError::Rehomed(node.identity.fleet_id.clone(), welcome.fleet_id));
    }
    let (control, queue) = mpsc::channel(CONTROL_WAITING);
    let link = Link { node: Arc::clone(node), connection, control, renewals: watch::channel(None).0 };
    Ok((link, welcome, (send, queue), frames))
}

fn hello(node: &Node) -> Hello {
    let held = node.cells.held();
    let mut capabilities = vec!["session".to_owned(), "tunnel".to_owned()];
    capabilities.extend(KINDS.iter().map(|kind| format!("task.{kind}")));
    Hello {
        level_lowest: level::LOWEST,
        level_highest: level::HIGHEST,
        capabilities,
        boot_id: node.host.boot_id.clone(),
        journal_epoch: node.journal.epoch().to_owned(),
        join_sequence: node.journal.join_sequence(),
        agent_version: node.host.agent_version.clone(),
        generation: held.as_ref().map(|(generation, _)| *generation),
        desired_sha256: held.map(|(_, sha256)| sha256).unwrap_or_default(),
        clock_ms: node.clock.wall_ms(),
        machine_sha256: host::machine_sha256(&node.host),
    }
}

async fn welcome(frames: &mut FrameReader) -> Result<Welcome, WireError> {
    while let Some(frame) = frames.next().await? {
        match frame.kind {
            Kind::Welcome => return Ok(frame.decode()?),
            Kind::Refused => {
                let refused: Refused = frame.decode()?;
                return Err(WireError::Refused(refused));
            }
            _ => {}
        }
    }
    Err(WireError::Ended)
}

async fn stay(
    link: Link,
    welcome: &Welcome,
    control: Control,
    frames: FrameReader,
    mut stop: watch::Receiver<bool>,
) -> End {
    let node = Arc::clone(&link.node);
    hear_time(&node, welcome.clock_ms, true).await;
    node.board.link(LinkState::Up { level: welcome.level });
    tracing::info!(level = welcome.level, coordinator = node.coordinator, "the link is up");
    let period = |ms: u32| Duration::from_millis(u64::from(ms)).clamp(PERIODS.0, PERIODS.1);
    let link = Arc::new(link);
    let mut scope = Scope::default();
    scope.spawn("control", write(control.0, control.1));
    scope.spawn("heartbeat", heartbeat(Arc::clone(&link), period(welcome.heartbeat_ms)));
    scope.spawn("report", report(Arc::clone(&link)));
    scope.spawn("inventory", inventory(Arc::clone(&link)));
    node.samples.set_period(period(welcome.telemetry_ms));
    scope.spawn("telemetry", telemetry::run(Arc::clone(&link)));
    scope.spawn("facts", facts::run(Arc::clone(&link)));
    scope.spawn("streams", streams::run(Arc::clone(&link)));
    scope.spawn("renewal", renewal::run(Arc::clone(&link)));
    let end = tokio::select! {
        // Ends with the connection, too, and alone knows whether the coordinator had announced it.
        end = read(&link, frames) => end,
        _ = stop.wait_for(|stop| *stop) => End::Stopped,
    };
    if matches!(end, End::Stopped) {
        link.connection.close(close::NORMAL.into(), b"the agent ends");
    }
    end
}

fn ended(error: WireError) -> End {
    match error.close_code() {
        Some(close::EXPIRED) => End::Recover(error.to_string()),
        _ => End::Again(error),
    }
}

/// The one writer of the control stream.
async fn write(mut send: SendStream, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(frame) = queue.recv().await {
        if let Err(error) = send.write_chunk(frame).await {
            return tracing::debug!(%error, "the control stream ended");
        }
    }
}

/// Reads the control stream to its end.
async fn read(link: &Arc<Link>, mut frames: FrameReader) -> End {
    let mut drain = None;
    loop {
        let frame = match frames.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return drained(drain, WireError::Ended),
            Err(error) => return drained(drain, error),
        };
        match control(link, frame, &mut drain).await {
            Ok(()) => {}
            Err(error) => {
                link.connection.close(close::PROTOCOL_ERROR.into(), error.to_string().as_bytes());
                return End::Again(error);
            }
        }
    }
}

fn drained(spread: Option<Duration>, error: WireError) -> End {
    match spread {
        Some(spread) => End::After(jitter(spread), "the coordinator restarts".into()),
        None => ended(error),
    }
}

async fn control(link: &Arc<Link>, frame: Frame, drain: &mut Option<Duration>) -> Result<(), WireError> {
    match frame.kind {
        Kind::Desired => link.node.cells.offer(frame.decode::<Desired>()?).await,
        Kind::HeartbeatAck => hear_time(&link.node, frame.decode::<HeartbeatAck>()?.clock_ms, false).await,
        Kind::RenewReply => drop(link.renewals.send_replace(Some(frame.decode::<RenewReply>()?))),
        Kind::DrainNotice => {
            let spread = Duration::from_millis(u64::from(frame.decode::<DrainNotice>()?.spread_ms));
            *drain = Some(spread.min(PERIODS.1));
        }
        Kind::Refused => return Err(WireError::Refused(frame.decode::<Refused>()?)),
        other => tracing::debug!(?other, "a frame that has no business on the control stream"),
    }
    Ok(())
}

async fn hear_time(node: &Node, coordinator_ms: i64, keep: bool) {
    let word = node.clock.hear(coordinator_ms);
    if keep || node.board.word_due(WORD_EVERY) {
        node.board.word_kept();
        if let Err(error) = node.journal.keep_word(word).await {
            tracing::warn!(%error, "the coordinator's time is not in the journal");
        }
    }
}

async fn heartbeat(link: Arc<Link>, period: Duration) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for sequence in 1.. {
        ticks.tick().await;
        let beat = Heartbeat { sequence, clock_ms: link.node.clock.wall_ms() };
        if link.control.send(encode(Kind::Heartbeat, &beat)).await.is_err() {
            return;
        }
    }
}

/// Sends the report whole, now and after every change.
async fn report(link: Arc<Link>) {
    let mut report = link.node.cells.report();
    loop {
        let whole = Arc::clone(&report.borrow_and_update());
        if link.control.send(encode(Kind::Report, &*whole)).await.is_err() || report.changed().await.is_err() {
            return;
        }
    }
}

/// Sends the inventory, now and after every change.
async fn inventory(link: Arc<Link>) {
    let mut inventory = link.node.inventory.clone();
    loop {
        let whole = Arc::clone(&inventory.borrow_and_update());
        if link.control.send(encode(Kind::Inventory, &*whole)).await.is_err() || inventory.changed().await.is_err() {
            return;
        }
    }
}

/// Sleeps until a moment of trusted time, looking again in between: that time may jump.
pub(super) async fn sleep_until_trusted(node: &Node, at_ms: i64) {
    loop {
        let left = at_ms - node.clock.trusted_ms();
        let Ok(left @ 1..) = u64::try_from(left) else { return };
        let slept = Instant::now();
        sleep(Duration::from_millis(left).min(Duration::from_secs(30))).await;
        tracing::trace!(slept_ms = slept.elapsed().as_millis() as u64, "renewal looked at the time");
    }
}
