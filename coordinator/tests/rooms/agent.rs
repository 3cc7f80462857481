//! An agent as small as it can be: real keys, real QUIC, no machine behind it.

use crate::world::World;
use muster_coordinator::links::wire::{FrameReader, WireError};
use muster_pki::client::{self, SERVER_NAME, TimeSource};
use muster_pki::{Csr, NodeKey};
use muster_protocol::control::{Generation, Hello};
use muster_protocol::enrol::{EnrolPoll, EnrolReply, EnrolRequest, PROOF_LABEL, PROOF_LEN};
use muster_protocol::facts::{Facts, FactsAck, FactsOpen};
use muster_protocol::frame::encode;
use muster_protocol::inventory::{FoundSlot, Gpu, Host, Inventory};
use muster_protocol::level;
use muster_protocol::telemetry::{GpuSample, HostSample, Sample};
use muster_protocol::{Frame, Kind};
use prost::Message;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, SendStream};
use rustls_pki_types::CertificateDer;
use std::net::SocketAddr;
use std::time::Duration;

/// Where the test's clock stands.
pub(crate) const NOW_MS: i64 = 1_800_000_000_000;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A machine with a key.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) key: NodeKey,
    endpoint: Endpoint,
    quic: SocketAddr,
}

/// A link after its hello.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) frames: FrameReader,
}

fn now() -> TimeSource {
    TimeSource::new(|| NOW_MS)
}

fn certificates(der: &[Vec<u8>]) -> Vec<CertificateDer<'static>> {
    der.iter().cloned().map(CertificateDer::from).collect()
}

impl Machine {
    pub(crate) fn new(world: &World) -> Self {
        let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { key: NodeKey::generate().unwrap(), endpoint, quic: world.quic }
    }

    pub(crate) async fn connect(&self, config: ClientConfig) -> Result<Connection, ConnectionError> {
        let connecting = self.endpoint.connect_with(config, self.quic, SERVER_NAME).unwrap();
        tokio::time::timeout(PATIENCE, connecting).await.expect("an answer to the handshake")
    }

    /// Enrols with the text of a token.
    pub(crate) async fn enrol(&self, token: &str) -> EnrolReply {
        let parts: Vec<_> = token.split('.').collect();
        let request = EnrolRequest {
            level_lowest: level::LOWEST,
            level_highest: level::HIGHEST,
            token_id: parts[0].to_owned(),
            secret: parts[1].to_owned(),
            csr_der: self.key.request().unwrap(),
            host: Host { hostname: "machine".to_owned(), ..Host::default() },
            clock_ms: NOW_MS,
            ..EnrolRequest::default()
        };
        let (config, _) = client::enrol_pinned(pin(parts[2])).unwrap();
        let connection = self.connect(config).await.unwrap();
        ask(&connection, Kind::EnrolRequest, &request).await
    }

    /// Asks for a certificate with proof of `key`.
    pub(crate) async fn poll(&self, pinned: &str, node_id: &str, key: &NodeKey) -> EnrolReply {
        let (config, _) = client::enrol_pinned(pin(pinned.split('.').nth(2).unwrap())).unwrap();
        let connection = self.connect(config).await.unwrap();
        let mut exporter = [0u8; PROOF_LEN];
        connection.export_keying_material(&mut exporter, PROOF_LABEL, b"").unwrap();
        let poll = EnrolPoll {
            node_id: node_id.to_owned(),
            csr_der: self.key.request().unwrap(),
            proof: key.prove(&exporter).unwrap(),
            clock_ms: NOW_MS,
            host: None,
        };
        ask(&connection, Kind::EnrolPoll, &poll).await
    }

    /// The TLS of a link with an issued certificate.
    pub(crate) fn link_config(&self, issued: &EnrolReply) -> ClientConfig {
        client::link(&certificates(&issued.roots_der), certificates(&issued.chain_der), &self.key, now()).unwrap()
    }

    /// A link up to its welcome.
    pub(crate) async fn link(&self, issued: &EnrolReply, join_sequence: u64) -> Link {
        let connection = self.connect(self.link_config(issued)).await.unwrap();
        let mut link = Link::open(connection).await;
        link.hello(join_sequence, None).await;
        assert_eq!(link.next().await.kind, Kind::Welcome);
        link
    }
}

fn pin(text: &str) -> [u8; 32] {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
}

async fn ask<M: Message>(connection: &Connection, kind: Kind, message: &M) -> EnrolReply {
    let (mut send, recv) = connection.open_bi().await.unwrap();
    send.write_chunk(encode(kind, message)).await.unwrap();
    let reply = FrameReader::new(recv).expect_within(PATIENCE).await.unwrap();
    connection.close(0u32.into(), b"");
    reply.decode().unwrap()
}

/// Why the coordinator closed a connection: the word of its code.
pub(crate) async fn closed_as(connection: &Connection) -> &'static str {
    match tokio::time::timeout(PATIENCE, connection.closed()).await.expect("the connection is closed") {
        ConnectionError::ApplicationClosed(close) => {
            muster_protocol::control::close::word(close.error_code.into_inner())
        }
        other => panic!("closed by something else: {other}"),
    }
}

impl Link {
    pub(crate) async fn open(connection: Connection) -> Self {
        let (send, recv) = connection.open_bi().await.unwrap();
        Self { connection, send, frames: FrameReader::new(recv) }
    }

    pub(crate) async fn hello(&mut self, join_sequence: u64, generation: Option<Generation>) {
        let hello = Hello {
            level_lowest: level::LOWEST,
            level_highest: level::HIGHEST,
            boot_id: "boot".to_owned(),
            journal_epoch: "journal".to_owned(),
            join_sequence,
            agent_version: "9.9.9".to_owned(),
            clock_ms: NOW_MS,
            generation,
            machine_sha256: vec![7; 32],
            ..Hello::default()
        };
        self.tell(Kind::Hello, &hello).await;
    }

    pub(crate) async fn tell<M: Message>(&mut self, kind: Kind, message: &M) {
        self.send.write_chunk(encode(kind, message)).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Frame {
        self.frames.expect_within(PATIENCE).await.unwrap()
    }

    /// The next frame of a kind; others are passed over.
    pub(crate) async fn next_of(&mut self, kind: Kind) -> Frame {
        loop {
            let frame = self.next().await;
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// One sample of one GPU.
    pub(crate) async fn sample(&self, uuid: &str, utilization_percent: Option<u32>) {
        let gpu = GpuSample { uuid: uuid.to_owned(), utilization_percent, ..GpuSample::default() };
        let host = HostSample { cpu_milli: Some(125), ..HostSample::default() };
        let sample = Sample { sampled_ms: NOW_MS, host: Some(host), gpus: vec![gpu], ..Sample::default() };
        let mut stream = self.connection.open_uni().await.unwrap();
        stream.write_chunk(encode(Kind::Telemetry, &sample)).await.unwrap();
        stream.finish().unwrap();
    }

    /// Sends facts on a stream of their own; the last acknowledged number before and after them.
    pub(crate) async fn facts(&self, items: Facts) -> (u64, u64) {
        let (mut send, recv) = self.connection.open_bi().await.unwrap();
        let mut frames = FrameReader::new(recv);
        let open = FactsOpen { journal_epoch: "journal".to_owned() };
        send.write_chunk(encode(Kind::FactsOpen, &open)).await.unwrap();
        let before: FactsAck = frames.expect_within(PATIENCE).await.unwrap().decode().unwrap();
        send.write_chunk(encode(Kind::Facts, &items)).await.unwrap();
        let after: FactsAck = frames.expect_within(PATIENCE).await.unwrap().decode().unwrap();
        send.finish().unwrap();
        (before.number, after.number)
    }

    /// Nothing more comes, and the stream says so.
    pub(crate) async fn is_over(&mut self) -> bool {
        loop {
            match self.frames.expect_within(PATIENCE).await {
                Ok(_) => {}
                Err(WireError::Deadline) => return false,
                Err(_) => return true,
            }
        }
    }
}

/// An inventory with one GPU that has the slots given as (kind, profile, start, size).
pub(crate) fn inventory(uuid: &str, slots: &[(&str, &str, u32, u32)]) -> Inventory {
    Inventory {
        host: Host { hostname: "machine".to_owned(), cpus: 4, ..Host::default() },
        gpu_state: "ok".to_owned(),
        isolation: "cell".to_owned(),
        gpus: vec![Gpu {
            uuid: uuid.to_owned(),
            model: "Test GPU".to_owned(),
            memory_total_bytes: Some(8 << 30),
            ..Gpu::default()
        }],
        slots: slots
            .iter()
            .map(|(kind, profile, start, size)| FoundSlot {
                kind: (*kind).to_owned(),
                gpu_uuid: uuid.to_owned(),
                profile: (*profile).to_owned(),
                start: *start,
                size: *size,
                gpu_slices: 8,
            })
            .collect(),
        ..Inventory::default()
    }
}

/// The key of a request as rows show it.
pub(crate) fn fingerprint(machine: &Machine) -> String {
    Csr::parse(&machine.key.request().unwrap()).unwrap().fingerprint()
}
