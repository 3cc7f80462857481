//! A machine with an agent: the product's `run` half, on simulated ground. Its cells and its disk outlive it.

use crate::dice::Dice;
use crate::disk::Disk;
use crate::history::History;
use crate::net::Net;
use crate::root::Root;
use crate::{BASE_MS, COORDINATOR};
use muster_agent::cells::Tools;
use muster_agent::clock::{Clock, Reading, Source};
use muster_agent::enrol::{self, Token, Way};
use muster_agent::gpu::Gpus;
use muster_agent::identity::{self, Identity, Stage};
use muster_agent::journal::{self, Journal};
use muster_agent::link::socket::Sockets;
use muster_agent::node::{self, Node, Parts};
use muster_agent::root::Client;
use muster_agent::status::Board;
use muster_agent::supervise::{Aside, Scope};
use muster_protocol::ids::NodeId;
use muster_protocol::inventory::Host;
use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

/// CPU slots of each machine.
pub const SLOTS: u32 = 8;
/// After its start an agent is taken to be busy with the past for so long, ms.
const CATCH_UP_MS: u64 = 15_000;
/// An agent that ended by itself is started again after this, as systemd does.
const AGAIN: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Agent {
    alive: Arc<AtomicBool>,
    _tasks: Scope,
}

#[derive(Debug, Default)]
struct State {
    agent: Option<Agent>,
    node: Option<Arc<Node>>,
    id: Option<NodeId>,
}

/// See the module.
#[derive(Debug)]
pub struct Machine {
    /// Its number.
    pub index: usize,
    /// Its address.
    pub ip: IpAddr,
    /// Its root half.
    pub root: Arc<Root>,
    /// Its disk.
    pub disk: Arc<Disk>,
    /// Its wall clock less the truth, ms.
    pub skew_ms: Arc<AtomicI64>,
    state_dir: PathBuf,
    token: String,
    net: Arc<Net>,
    dice: Arc<Dice>,
    began: Instant,
    booted: Mutex<(Instant, u64)>,
    history: Arc<History>,
    /// When its agent was dead or its disk slow, virtual ms.
    troubles: Mutex<Vec<(u64, u64)>>,
    /// Starts of the agent.
    pub starts: AtomicU64,
    state: Mutex<State>,
}

impl Machine {
    /// A machine with a bootstrap token; its agent does not run.
    pub fn new(
        index: usize,
        seed: u64,
        folder: &std::path::Path,
        token: String,
        net: &Arc<Net>,
        history: &Arc<History>,
    ) -> anyhow::Result<Arc<Self>> {
        let state_dir = folder.join(format!("agent{index}"));
        identity::make_state_dir(&state_dir)?;
        let now = Instant::now();
        Ok(Arc::new(Self {
            index,
            ip: IpAddr::from([10, 0, 1, u8::try_from(index)? + 1]),
            root: Root::new(index, seed, Arc::clone(history)),
            disk: Disk::new(seed, &format!("agent {index}")),
            skew_ms: Arc::default(),
            state_dir,
            token,
            net: Arc::clone(net),
            dice: Arc::new(Dice::new(seed, &format!("machine {index}"))),
            began: now,
            booted: Mutex::new((now, 1)),
            history: Arc::clone(history),
            troubles: Mutex::default(),
            starts: AtomicU64::new(0),
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node at work, if its agent runs and has come so far.
    #[must_use]
    pub fn node(&self) -> Option<Arc<Node>> {
        self.state().node.clone()
    }

    /// Its id, once it has one.
    #[must_use]
    pub fn id(&self) -> Option<NodeId> {
        self.state().id
    }

    /// Something keeps its agent from its work from now on, for so long.
    pub fn trouble(&self, time: Duration) {
        let now = self.history.now_ms();
        let until = now.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).saturating_add(CATCH_UP_MS);
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).push((now, until));
    }

    /// Whether its agent was kept from its work at any time between two.
    #[must_use]
    pub fn was_troubled(&self, from_ms: u64, to_ms: u64) -> bool {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.iter().any(|(from, to)| *from <= to_ms && from_ms <= *to)
    }

    /// Starts the agent, if it does not run.
    pub fn start(self: &Arc<Self>) {
        let mut state = self.state();
        if state.agent.is_some() {
            return;
        }
        if let Some(last) =
            self.troubles.lock().unwrap_or_else(PoisonError::into_inner).iter_mut().rev().find(|at| at.1 == u64::MAX)
        {
            last.1 = self.history.now_ms() + CATCH_UP_MS;
        }
        let alive = Arc::new(AtomicBool::new(true));
        let (this, lives) = (Arc::clone(self), Arc::clone(&alive));
        let mut tasks = Scope::default();
        tasks.spawn("agent", async move {
            loop {
                this.root.recover();
                if let Err(error) = this.live(&lives).await {
                    tracing::info!(machine = this.index, "the agent ended: {error:#}");
                }
                this.state().node = None;
                this.trouble(AGAIN);
                sleep(AGAIN).await;
            }
        });
        state.agent = Some(Agent { alive, _tasks: tasks });
    }

    /// The agent dies where it stands.
    pub fn crash(&self) {
        let mut state = self.state();
        state.node = None;
        if let Some(agent) = state.agent.take() {
            agent.alive.store(false, Ordering::Relaxed);
            self.trouble(Duration::MAX);
        }
    }

    /// The machine loses its power: the agent and every cell.
    pub fn power_cut(&self) {
        self.crash();
        self.root.power_cut();
        let mut booted = self.booted.lock().unwrap_or_else(PoisonError::into_inner);
        *booted = (Instant::now(), booted.1 + 1);
    }

    fn source(&self) -> Source {
        let (began, skew) = (self.began, Arc::clone(&self.skew_ms));
        let booted = self.booted.lock().unwrap_or_else(PoisonError::into_inner).0;
        let ms = |since: Instant| i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX);
        Source::Given(Arc::new(move || Reading {
            wall_ms: BASE_MS + ms(began) + skew.load(Ordering::Relaxed),
            boot_ms: ms(booted),
        }))
    }

    fn sockets(&self, alive: &Arc<AtomicBool>) -> Sockets {
        let (net, ip, alive, dice) = (Arc::clone(&self.net), self.ip, Arc::clone(alive), Arc::clone(&self.dice));
        Sockets::Given(Arc::new(move |_towards| {
            let mut config = EndpointConfig::default();
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&dice.between(0, u64::MAX).to_le_bytes());
            config.rng_seed(Some(seed));
            let socket = net.socket(ip, 0, Arc::clone(&alive));
            Endpoint::new_with_abstract_socket(config, None, socket, Arc::new(TokioRuntime))
        }))
    }

    /// One life of the agent.
    async fn live(&self, alive: &Arc<AtomicBool>) -> anyhow::Result<()> {
        self.starts.fetch_add(1, Ordering::Relaxed);
        let boot = self.booted.lock().unwrap_or_else(PoisonError::into_inner).1;
        let boot_id = format!("boot {}.{boot}", self.index);
        let host = Host {
            name: format!("node-{}", self.index),
            machine_id: format!("machine {}", self.index),
            boot_id: boot_id.clone(),
            cpus: 8,
            memory_bytes: 64 << 30,
            agent_version: "simulated".into(),
            ..Host::default()
        };
        let disk = Arc::clone(&self.disk);
        let journal =
            Journal::open_inline(&self.state_dir.join("journal.db"), journal::Disk(Arc::new(move || disk.write())))?;
        let clock = Clock::new(journal.word(), &boot_id, self.source());
        let sockets = self.sockets(alive);
        let coordinator = COORDINATOR.to_string();
        let way = Way { state_dir: &self.state_dir, coordinator: &coordinator, sockets: &sockets, clock: &clock };
        let identity = match Identity::load(&self.state_dir)? {
            Some(identity) if identity.stage == Stage::Issued => identity,
            _ => enrol::enroll(way, &Token::parse(&self.token)?, host.clone(), Vec::new()).await?.identity,
        };
        anyhow::ensure!(identity.stage == Stage::Issued, "the token approves by itself");
        self.state().id = Some(identity.node_id);
        let (client, asked) = Client::channel();
        let (events, heard) = mpsc::channel(64);
        let mut root = Scope::default();
        root.spawn("root", Arc::clone(&self.root).serve(asked, events));
        let tools =
            Tools { root: client, journal, clock, gpus: Gpus::absent(), facts: Arc::default(), aside: Aside::Here };
        let parts = Parts {
            identity,
            state_dir: self.state_dir.clone(),
            coordinator,
            sockets,
            host,
            tools,
            events: heard,
            board: Board::default(),
            cpu_slots: Some(SLOTS),
            sampler: None,
        };
        let (_stop, stopped) = watch::channel(false);
        let (node, tasks) = node::start(parts, stopped).await?;
        self.state().node = Some(node);
        node::ended(tasks).await
    }
}
