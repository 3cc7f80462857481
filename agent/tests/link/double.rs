//! A coordinator that says what a test wants, and an agent as a real process without GPUs and without walls.

use muster_agent::{
    identity::{Identity, Stage},
    link::wire::FrameReader,
};
use muster_pki::{
    Arrival, Ca, Csr, NodeKey, Trust,
    files::{self, NodeCertificate},
    server,
    transport::EndpointKeys,
};
use muster_protocol::{
    Frame, Kind,
    control::{Desired, Generation, Hello, Welcome},
    frame::encode,
    ids::{AllocationId, CertificateId, NodeId, SlotId},
    report::{CellReport, Phase, Report},
};
use quinn::{Connection, Endpoint, SendStream};
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use std::{
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::timeout;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const FLEET: &str = "f1";

pub(crate) fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("{what} did not happen within {PATIENCE:?}"))
}

pub(crate) struct Double {
    pub(crate) ca: Ca,
    pub(crate) trust: Trust,
    pub(crate) door: Endpoint,
    pub(crate) node: NodeId,
}

impl Double {
    pub(crate) fn start() -> Self {
        let ca = Ca::create(FLEET, now_ms()).unwrap();
        let leaf = server::LeafSwap::new(ca.issue_link_server(now_ms()).unwrap()).unwrap();
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let keys = EndpointKeys::generate().unwrap().endpoint_config();
        let config = server::link_config(&leaf).unwrap();
        let door = Endpoint::new(keys, Some(config), socket, Arc::new(quinn::TokioRuntime)).unwrap();
        let trust = Trust::new(FLEET, &[ca.certificate().clone()]).unwrap();
        let random = EndpointKeys::generate().unwrap().to_bytes();
        let node = NodeId::new(now_ms().unsigned_abs(), random[..10].try_into().unwrap());
        Self { ca, trust, door, node }
    }

    pub(crate) fn issue(&self, csr: &Csr, issued_ms: i64, life_s: u64) -> Vec<Vec<u8>> {
        let id = CertificateId::new(now_ms().unsigned_abs(), [5; 10]);
        self.ca.issue_node(csr, self.node, id, issued_ms, life_s).unwrap().chain
    }

    /// An enrolled agent, running.
    pub(crate) fn agent(&self, issued_ms: i64, life_s: u64) -> Agent {
        let dir = tempfile::Builder::new().prefix("lk").tempdir().unwrap();
        let key = NodeKey::generate().unwrap();
        let csr = Csr::parse(&key.request().unwrap()).unwrap();
        let chain = self.issue(&csr, issued_ms, life_s).into_iter().map(CertificateDer::from).collect();
        files::save_node_key(dir.path(), &key).unwrap();
        let roots = vec![self.ca.certificate().clone()];
        files::save_node_certificate(dir.path(), &NodeCertificate { chain, roots }).unwrap();
        let identity = Identity {
            node_id: self.node,
            fleet_id: FLEET.into(),
            coordinator: self.door.local_addr().unwrap().to_string(),
            ca_sha256: "00".repeat(32),
            stage: Stage::Issued,
        };
        identity.save(dir.path()).unwrap();
        let text = format!(
            "isolation = \"none\"\ncpu_slots = 2\nrun_dir = {:?}\n[gpu]\nnvml_library = \"/nonexistent\"\n",
            dir.path().join("run")
        );
        std::fs::write(dir.path().join("agent.toml"), text).unwrap();
        let mut agent = Agent { dir, child: None };
        agent.start();
        agent
    }

    /// The next link, judged, with its Hello.
    pub(crate) async fn hello(&self) -> (Connection, SendStream, FrameReader, Hello) {
        soon("a link", async {
            let connection = self.door.accept().await.unwrap().await.unwrap();
            assert!(matches!(self.trust.admit(&connection, now_ms()), Ok(Arrival::Node(who)) if who.node == self.node));
            let (send, receive) = connection.accept_bi().await.unwrap();
            let mut frames = FrameReader::new(receive);
            let frame = frames.next().await.unwrap().unwrap();
            assert_eq!(frame.kind, Kind::Hello);
            (connection, send, frames, frame.decode().unwrap())
        })
        .await
    }

    /// The next link, welcomed.
    pub(crate) async fn link(&self) -> Link {
        let (connection, mut send, frames, hello) = self.hello().await;
        let welcome = welcome(FLEET);
        send.write_chunk(encode(Kind::Welcome, &welcome)).await.unwrap();
        Link { connection, send, frames, hello }
    }
}

pub(crate) fn welcome(fleet: &str) -> Welcome {
    Welcome { level: 1, clock_ms: now_ms(), fleet_id: fleet.into(), heartbeat_ms: 1000, telemetry_ms: 500 }
}

/// A welcomed link.
pub(crate) struct Link {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    frames: FrameReader,
    pub(crate) hello: Hello,
}

impl Link {
    pub(crate) async fn say(&mut self, frame: bytes::Bytes) {
        self.send.write_chunk(frame).await.unwrap();
    }

    pub(crate) async fn desire(&mut self, epoch: u64, n: u64, document: &str) {
        let desired = Desired {
            generation: Generation { fleet_epoch: epoch, n },
            document: document.as_bytes().to_vec().into(),
            sha256: Sha256::digest(document).to_vec(),
        };
        self.say(encode(Kind::Desired, &desired)).await;
    }

    /// The next frame of a kind.
    pub(crate) async fn expect(&mut self, kind: Kind) -> Frame {
        soon(&format!("{kind:?}"), async {
            loop {
                let frame = self.frames.next().await.unwrap().expect("the control stream stands");
                if frame.kind == kind {
                    return frame;
                }
            }
        })
        .await
    }

    /// The next report that is as wanted.
    pub(crate) async fn report(&mut self, wanted: impl Fn(&Report) -> bool) -> Report {
        loop {
            let report: Report = self.expect(Kind::Report).await.decode().unwrap();
            if wanted(&report) {
                return report;
            }
        }
    }

    /// The next report in which the cell is in a phase.
    pub(crate) async fn cell(&mut self, allocation: AllocationId, phase: Phase) -> CellReport {
        let id = allocation.to_string();
        let find = |report: &Report| report.cells.iter().find(|cell| cell.allocation == id).cloned();
        let report = self.report(|report| find(report).is_some_and(|cell| cell.phase() == phase)).await;
        find(&report).unwrap()
    }
}

/// The agent's `run` half as a process.
pub(crate) struct Agent {
    pub(crate) dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Agent {
    pub(crate) fn start(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_muster-agent"))
            .arg("run")
            .arg("--state-dir")
            .arg(self.dir.path())
            .env("MUSTER_USER", "root")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Sends a signal to the half that has the rights, its child.
    pub(crate) fn signal_root_half(&self, signal: nix::sys::signal::Signal) {
        let pid = self.child.as_ref().unwrap().id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let half = children.split_whitespace().next().unwrap().parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(half), signal).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
        // Cells outlive their agent: without this they would outlive the test too.
        let _ = Command::new(env!("CARGO_BIN_EXE_muster-agent"))
            .args(["root", "--end-cells", "--state-dir"])
            .arg(self.dir.path())
            .output();
    }
}

/// A document with one cell.
pub(crate) fn one_cell(allocation: AllocationId, command: &str) -> String {
    format!(r#"{{"cells":[{}]}}"#, cell_line(allocation, command))
}

/// A document with some cells that only serve sessions.
pub(crate) fn many_cells(allocations: &[AllocationId]) -> String {
    let lines: Vec<_> = allocations.iter().map(|allocation| cell_line(*allocation, "")).collect();
    format!(r#"{{"cells":[{}]}}"#, lines.join(","))
}

fn cell_line(allocation: AllocationId, command: &str) -> String {
    let slot = SlotId::from_bytes(allocation.to_bytes());
    let command = if command.is_empty() { String::new() } else { format!(r#""command":["sh","-c","{command}"],"#) };
    format!(
        r#"{{"allocation":"{allocation}","name":"c","lease_epoch":1,{command}
        "slots":[{{"id":"{slot}","kind":"cpu"}}],"image":{{"kind":"host"}},
        "size":{{"cpu_milli":1000,"memory_bytes":268435456,"disk_bytes":268435456,"pids":100}}}}"#
    )
}

pub(crate) fn tombstone(allocation: AllocationId) -> String {
    format!(r#"{{"tombstones":[{{"allocation":"{allocation}","lease_epoch":1,"reason":"released"}}]}}"#)
}

pub(crate) fn an_allocation() -> AllocationId {
    let random = EndpointKeys::generate().unwrap().to_bytes();
    AllocationId::new(now_ms().unsigned_abs(), random[..10].try_into().unwrap())
}
