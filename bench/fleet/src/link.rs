//! One connection of a simulated node.

use crate::node::{Mode, Node};
use bytes::Bytes;
use muster_agent::{
    chance::jitter,
    clock, host,
    link::wire::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, FrameReader, WireError},
    supervise::Scope,
};
use muster_pki::{
    client::{self, SERVER_NAME, TimeSource},
    files,
};
use muster_protocol::{
    Kind,
    control::{Desired, DrainNotice, Heartbeat, HeartbeatAck, Hello, Refused, Welcome, close},
    facts::FactsOpen,
    frame::encode,
    level,
    telemetry::{HostSample, Sample},
};
use quinn::{Connection, RecvStream, SendStream};
use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, interval, timeout},
};

/// Frames that may wait for the control stream.
const WAITING: usize = 16;
/// Bytes of a sample of a flood.
const FLOOD_SAMPLE: usize = 60 << 10;

/// How a link ended.
#[derive(Debug)]
pub enum End {
    /// The coordinator stops; come back within this.
    Drained(Duration),
    /// Any other way.
    Lost(String),
}

/// What runs on a link.
#[derive(Debug)]
struct Link {
    node: Arc<Node>,
    connection: Connection,
    control: mpsc::Sender<Bytes>,
    /// When the newest heartbeat was sent, and its number.
    beat: Mutex<(u64, Instant)>,
}

/// Dials and stays until the link ends.
pub async fn once(node: &Arc<Node>) -> End {
    match dial(node).await {
        Ok((link, welcome, send, queue, frames)) => {
            let counted = Counted::new(node);
            let end = stay(link, &welcome, send, queue, frames).await;
            drop(counted);
            end
        }
        Err(error) => End::Lost(error.to_string()),
    }
}

/// A link that is counted as up for as long as this lives.
struct Counted(Arc<Node>);

impl Counted {
    fn new(node: &Arc<Node>) -> Self {
        node.meters.arrived();
        Self(Arc::clone(node))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.meters.up.fetch_sub(1, Relaxed);
    }
}

type Dialled = (Arc<Link>, Welcome, SendStream, mpsc::Receiver<Bytes>, FrameReader);

async fn dial(node: &Arc<Node>) -> Result<Dialled, WireError> {
    let broken = |error: muster_pki::PkiError| WireError::Io(std::io::Error::other(error));
    let gone = || WireError::Io(std::io::Error::other("no key or certificate"));
    let certificate = files::load_node_certificate(&node.dir).map_err(broken)?.ok_or_else(gone)?;
    let key = files::load_node_key(&node.dir).map_err(broken)?.ok_or_else(gone)?;
    let timed = Arc::clone(node);
    let time = TimeSource::new(move || timed.clock.trusted_ms());
    let config = client::link(&certificate.roots, certificate.chain, &key, time).map_err(broken)?;
    let address = tokio::net::lookup_host(&node.coordinator).await?.next().ok_or(WireError::Ended)?;
    let endpoint = node.endpoint(address)?;
    let connecting = endpoint.connect_with(config, address, SERVER_NAME)?;
    let connection = timeout(CONNECT_TIMEOUT, connecting).await;
    let connection = connection.map_err(|_| WireError::Silent(node.coordinator.clone()))??;
    let (mut send, receive) = connection.open_bi().await?;
    send.write_chunk(encode(Kind::Hello, &hello(node))).await?;
    let mut frames = FrameReader::new(receive);
    let first = timeout(ANSWER_TIMEOUT, frames.next()).await;
    let first = first.map_err(|_| WireError::Silent(node.coordinator.clone()))??.ok_or(WireError::Ended)?;
    let welcome = match first.kind {
        Kind::Welcome => first.decode::<Welcome>()?,
        _ => return Err(WireError::Refused(first.decode::<Refused>()?)),
    };
    node.clock.hear(welcome.clock_ms);
    let (control, queue) = mpsc::channel(WAITING);
    let beat = Mutex::new((0, Instant::now()));
    Ok((Arc::new(Link { node: Arc::clone(node), connection, control, beat }), welcome, send, queue, frames))
}

fn epoch(node: &Node) -> String {
    node.host.machine_id.clone()
}

fn hello(node: &Node) -> Hello {
    let held = node.held();
    Hello {
        level_lowest: level::LOWEST,
        level_highest: level::HIGHEST,
        capabilities: vec![],
        boot_id: node.host.boot_id.clone(),
        journal_epoch: epoch(node),
        join_sequence: node.join_sequence,
        agent_version: node.host.agent_version.clone(),
        generation: held.generation,
        desired_sha256: held.sha256,
        clock_ms: clock::wall_ms(),
        machine_sha256: host::machine_sha256(&node.host),
    }
}

async fn stay(
    link: Arc<Link>,
    welcome: &Welcome,
    send: SendStream,
    queue: mpsc::Receiver<Bytes>,
    frames: FrameReader,
) -> End {
    let period = |ms: u32| Duration::from_millis(u64::from(ms.max(100)));
    let mut scope = Scope::default();
    scope.spawn("control", write(send, queue));
    scope.spawn("state", state(Arc::clone(&link)));
    scope.spawn("heartbeat", heartbeat(Arc::clone(&link), period(welcome.heartbeat_ms)));
    scope.spawn("telemetry", telemetry(Arc::clone(&link), period(welcome.telemetry_ms)));
    scope.spawn("facts", facts(Arc::clone(&link)));
    scope.spawn("streams", streams(Arc::clone(&link)));
    let end = read(&link, frames).await;
    link.connection.close(close::NORMAL.into(), b"");
    end
}

async fn write(mut send: SendStream, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(frame) = queue.recv().await {
        if send.write_chunk(frame).await.is_err() {
            return;
        }
    }
}

/// Inventory and report, as an agent says them first.
async fn state(link: Arc<Link>) {
    let _ = link.control.send(encode(Kind::Inventory, &link.node.inventory())).await;
    report(&link).await;
}

async fn report(link: &Link) {
    let sequence = (link.node.join_sequence << 20) + link.node.reports.fetch_add(1, Relaxed);
    let report = link.node.held().report(sequence, clock::wall_ms());
    // Fails only if the link is over.
    let _ = link.control.send(encode(Kind::Report, &report)).await;
}

async fn read(link: &Link, mut frames: FrameReader) -> End {
    let mut drain = None;
    loop {
        let frame = match frames.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return drain.map_or_else(|| End::Lost("ended".into()), End::Drained),
            Err(error) => return drain.map_or_else(|| End::Lost(error.to_string()), End::Drained),
        };
        let fine = match frame.kind {
            Kind::Desired => match frame.decode::<Desired>() {
                Ok(desired) => {
                    let taken = link.node.held.lock().unwrap_or_else(PoisonError::into_inner).take(desired);
                    report(link).await;
                    taken
                }
                Err(_) => false,
            },
            Kind::HeartbeatAck => frame.decode::<HeartbeatAck>().is_ok_and(|ack| {
                link.node.clock.hear(ack.clock_ms);
                let (sequence, at) = *link.beat.lock().unwrap_or_else(PoisonError::into_inner);
                if sequence == ack.sequence {
                    link.node.meters.round_trip(at.elapsed());
                }
                true
            }),
            Kind::DrainNotice => frame.decode::<DrainNotice>().is_ok_and(|notice| {
                drain = Some(Duration::from_millis(u64::from(notice.spread_ms)));
                true
            }),
            _ => true,
        };
        if !fine {
            return End::Lost("a frame that cannot be read".into());
        }
    }
}

/// Beats at its own moment of the period, as agents that started at different times do.
async fn heartbeat(link: Arc<Link>, period: Duration) {
    tokio::time::sleep(jitter(period)).await;
    let mut ticks = interval(period);
    for sequence in 1.. {
        ticks.tick().await;
        if *link.node.mode.borrow() == Mode::Silent {
            continue;
        }
        *link.beat.lock().unwrap_or_else(PoisonError::into_inner) = (sequence, Instant::now());
        if link
            .control
            .send(encode(Kind::Heartbeat, &Heartbeat { sequence, clock_ms: clock::wall_ms() }))
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn telemetry(link: Arc<Link>, period: Duration) {
    tokio::time::sleep(jitter(period)).await;
    let mut ticks = interval(period);
    loop {
        let mode = *link.node.mode.borrow();
        if mode != Mode::Flood {
            ticks.tick().await;
        }
        if mode == Mode::Silent {
            continue;
        }
        let frame = encode(Kind::Telemetry, &sample(mode == Mode::Flood));
        let bytes = frame.len() as u64;
        match timeout(period / 2, one_way(&link.connection, frame)).await {
            Ok(Some(())) => {
                link.node.meters.samples[0].fetch_add(1, Relaxed);
                if mode == Mode::Flood {
                    link.node.meters.flood_bytes.fetch_add(bytes, Relaxed);
                    report(&link).await;
                }
            }
            Ok(None) => return,
            Err(_) => drop(link.node.meters.samples[1].fetch_add(1, Relaxed)),
        }
    }
}

async fn one_way(connection: &Connection, frame: Bytes) -> Option<()> {
    let mut stream = connection.open_uni().await.ok()?;
    // Priority is a wish: on a stream that is already gone it changes nothing.
    let _ = stream.set_priority(-100);
    stream.write_chunk(frame).await.ok()?;
    stream.finish().ok()
}

fn sample(large: bool) -> Sample {
    let host = HostSample {
        cpu_milli: Some(1_000),
        memory_used_bytes: Some(1 << 30),
        load1_milli: Some(500),
        disk_free_bytes: Some(50 << 30),
    };
    let mut sample = Sample { sampled_ms: clock::wall_ms(), host: Some(host), ..Sample::default() };
    if large {
        let gpu = muster_protocol::telemetry::GpuSample { uuid: "x".repeat(FLOOD_SAMPLE), ..Default::default() };
        sample.gpus.push(gpu);
    }
    sample
}

/// An outbox without facts: it is opened, as an agent does, and stands.
async fn facts(link: Arc<Link>) {
    let Ok((mut send, receive)) = link.connection.open_bi().await else { return };
    let open = FactsOpen { journal_epoch: epoch(&link.node) };
    if send.write_chunk(encode(Kind::FactsOpen, &open)).await.is_ok() {
        let mut frames = FrameReader::new(receive);
        while let Ok(Some(_)) = frames.next().await {}
    }
}

/// Whatever the coordinator opens is refused: there is nothing behind it.
async fn streams(link: Arc<Link>) {
    while let Ok((mut send, receive)) = link.connection.accept_bi().await {
        let _: RecvStream = receive;
        let _ = send.reset(2_u32.into());
    }
}
