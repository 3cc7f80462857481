//! One simulated node, from its enrolment on.

use crate::{cells::Held, link, meters::Meters};
use anyhow::Context;
use muster_agent::{
    chance::jitter,
    clock::{self, Clock, Source},
    enrol::{self, EnrolError, Token, Way},
    identity::{self, Identity},
    link::{Delays, socket::Sockets},
};
use muster_protocol::inventory::{FoundSlot, Host, Inventory};
use quinn::Endpoint;
use sha2::{Digest, Sha256};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicU64},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// How often an enrolment that found no answer is tried again.
const ENROL_TRIES: u32 = 8;

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It has no link, and wants none.
    Off,
    /// It behaves.
    On,
    /// Its link stands and it says nothing: a hung agent.
    Silent,
    /// It sends samples and reports as fast as they are taken.
    Flood,
}

/// A node.
#[derive(Debug)]
pub struct Node {
    /// Its key, certificate and identity lie here.
    pub dir: PathBuf,
    /// `host:port`.
    pub coordinator: String,
    /// Who it is.
    pub identity: Identity,
    /// The machine it says it is.
    pub host: Host,
    /// Trusted time.
    pub clock: Clock,
    /// Counts starts, as an agent's journal would.
    pub join_sequence: u64,
    /// What it was told.
    pub held: Mutex<Held>,
    /// Numbers its reports.
    pub reports: AtomicU64,
    /// What it does.
    pub mode: watch::Sender<Mode>,
    /// Where it is counted.
    pub meters: Arc<Meters>,
    /// The socket of the whole fleet: one each would cost three megabytes a node.
    socket: Arc<OnceLock<Endpoint>>,
}

/// The machine that node `n` of a directory says it is; always the same one.
fn machine(dir: &Path, n: usize) -> Host {
    let id = |what: &str| {
        let digest = Sha256::digest(format!("{what} {} {n}", dir.display()));
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    Host {
        hostname: format!("sim-{n}"),
        machine_id: id("machine"),
        board_serial: id("board"),
        boot_id: id("boot"),
        os: "simulated".into(),
        kernel: "simulated".into(),
        arch: "x86_64".into(),
        cpus: 4,
        memory_bytes: 16 << 30,
        disk_bytes: Some(100 << 30),
        agent_version: env!("CARGO_PKG_VERSION").into(),
        name: format!("sim-{n}"),
    }
}

impl Node {
    /// Makes the node, or finds it where it was made before.
    ///
    /// # Errors
    /// It is not let in, or the file system said no.
    pub async fn enrol(
        dir: &Path,
        n: usize,
        coordinator: &str,
        token: Option<&str>,
        meters: Arc<Meters>,
        socket: Arc<OnceLock<Endpoint>>,
    ) -> anyhow::Result<Self> {
        let host = machine(dir, n);
        let dir = dir.join(n.to_string());
        identity::make_state_dir(&dir)?;
        let identity = match Identity::load(&dir)? {
            Some(identity) => identity,
            None => enrolled(&dir, coordinator, token, &host).await?,
        };
        let join_sequence = u64::try_from(clock::wall_ms()).unwrap_or(0);
        Ok(Self {
            dir,
            coordinator: coordinator.to_owned(),
            identity,
            host,
            clock: Clock::new(None, &clock::boot_id(), Source::Machine),
            join_sequence,
            held: Mutex::default(),
            reports: AtomicU64::new(0),
            mode: watch::channel(Mode::Off).0,
            meters,
            socket,
        })
    }

    /// Four CPU slots and no GPU.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let slot = |n: u32| FoundSlot { kind: "cpu".into(), start: n, ..FoundSlot::default() };
        Inventory {
            host: self.host.clone(),
            gpu_state: "none".into(),
            slots: (0..4).map(slot).collect(),
            isolation: "none".into(),
            ..Inventory::default()
        }
    }

    /// The socket to dial from.
    ///
    /// # Errors
    /// The system has none.
    pub fn endpoint(&self, towards: SocketAddr) -> io::Result<&Endpoint> {
        if self.socket.get().is_none() {
            // Another node may have been first; then that one stands.
            let _ = self.socket.set(Sockets::Udp.endpoint(towards)?);
        }
        self.socket.get().ok_or_else(|| io::Error::other("no socket"))
    }

    /// What it was told.
    pub fn held(&self) -> Held {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a link up as long as the mode asks for one.
    pub async fn keep(self: Arc<Self>) {
        let (mut mode, mut delays) = (self.mode.subscribe(), Delays::default());
        loop {
            if mode.wait_for(|mode| *mode != Mode::Off).await.is_err() {
                return;
            }
            let began = Instant::now();
            let end = tokio::select! {
                end = link::once(&self) => end,
                _ = mode.wait_for(|mode| *mode == Mode::Off) => continue,
            };
            delays.stood(began.elapsed());
            let wait = match end {
                link::End::Drained(spread) => jitter(spread),
                link::End::Lost(why) => {
                    self.meters.failed(why);
                    delays.draw()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = mode.wait_for(|mode| *mode == Mode::Off) => {}
            }
        }
    }
}

async fn enrolled(dir: &Path, coordinator: &str, token: Option<&str>, host: &Host) -> anyhow::Result<Identity> {
    let token = Token::parse(token.context("these nodes are new: give --token, good for all of them")?)?;
    let clock = Clock::new(None, &clock::boot_id(), Source::Machine);
    let way = Way { state_dir: dir, coordinator, sockets: &Sockets::Udp, clock: &clock };
    for again in 1.. {
        match enrol::enroll(way, &token, host.clone(), Vec::new()).await {
            Ok(standing) => {
                anyhow::ensure!(standing.certificate.is_some(), "the token must approve by itself (--auto-approve)");
                return Ok(standing.identity);
            }
            Err(EnrolError::Wire(error)) if again < ENROL_TRIES => {
                tracing::info!(%error, "enrolling again");
                tokio::time::sleep(jitter(Duration::from_secs(2))).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    unreachable!("the last try returns")
}
