//! `muster-agent run`: the half of the agent that has the network.
//!
//! In order: settings, the root half, the journal, giving up root's rights, the GPUs; then one thread for all
//! the rest. Ending it ends the root half and no cell.

use crate::{
    args,
    cells::Tools,
    clock::{self, Clock, Source},
    config::Config,
    enrol::{self, Way},
    gpu::Gpus,
    host,
    identity::{self, Identity, Stage},
    journal::Journal,
    link::socket::Sockets,
    node::{self, Parts},
    notify, privileges, root,
    status::{self, Board, LinkState},
    supervise::Aside,
    telemetry::HostSampler,
};
use anyhow::Context;
use muster_pki::client::TimeSource;
use muster_protocol::inventory::Host;
use nix::{
    fcntl::{Flock, FlockArg},
    sys::stat::{Mode, umask},
};
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    time::sleep,
};

/// Name of the journal in the state directory.
const JOURNAL: &str = "journal.db";
/// Held by the one agent of a state directory.
const LOCK: &str = "run.lock";
/// Streams and files have so long to end after a signal.
const END_WITHIN: Duration = Duration::from_secs(3);

/// Everything that is there before the runtime.
struct Prepared {
    config: Config,
    state_dir: PathBuf,
    identity: Identity,
    host: Host,
    client: root::Client,
    events: mpsc::Receiver<root::Event>,
    journal: Journal,
}

/// Runs the agent until it is told to end.
///
/// # Errors
/// It cannot start, the root half is gone, or an operator rejected the node.
pub fn run(arguments: &args::Run) -> anyhow::Result<()> {
    let common = &arguments.common;
    let state_dir = std::path::absolute(&common.state_dir)?;
    let config = Config::load(common.config.as_deref(), &state_dir)?;
    let identity = identity::require(&state_dir)?;
    let lock = lock(&state_dir)?;
    let facts = host::facts(config.name.as_deref(), &state_dir);
    let user = privileges::target(config.user.as_deref())?;
    let mut half = None;
    let socket = match arguments.root_socket.as_ref().or(config.root_socket.as_ref()) {
        Some(path) => root::Client::connect(path).with_context(|| format!("the root half at {}", path.display()))?,
        None => {
            let exe = std::env::current_exe()?;
            let owner = user.as_ref().map_or_else(privileges::own_ids, |user| (user.uid, user.gid));
            // What the root half would end with is said here, once, and not that it is gone.
            let _ = root::root_config(&config, &state_dir, owner)?;
            let (child, socket) = root::start_half(&exe, &state_dir, common.config.as_deref(), owner)
                .context("the root half cannot be started")?;
            half = Some(child);
            root::Client::new(socket)?
        }
    };
    // After the root half has started: what it makes for cells has modes of its own.
    umask(Mode::from_bits_truncate(0o077));
    if let Some(user) = &user {
        privileges::hand_over(&state_dir, user)?;
        privileges::become_user(user)?;
    }
    let journal = Journal::open(&state_dir.join(JOURNAL)).context("the journal cannot be opened")?;
    let (client, events) = socket;
    let prepared = Prepared { config, state_dir, identity, host: facts, client, events, journal };
    let ended = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(prepared));
    // It ends with our socket, after the cells that it is building or ending.
    if let Some(mut half) = half {
        let _ = half.wait()?;
    }
    drop(lock);
    ended
}

/// Two agents on one journal would be two nodes with one name.
fn lock(state_dir: &Path) -> anyhow::Result<Flock<File>> {
    let path = state_dir.join(LOCK);
    let file = File::options().create(true).append(true).open(&path).with_context(|| path.display().to_string())?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|_| anyhow::anyhow!("another agent runs on the state directory {}", state_dir.display()))
}

async fn serve(prepared: Prepared) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopped) = watch::channel(false);
    let work = agent(prepared, stopped);
    tokio::pin!(work);
    tokio::select! {
        ended = &mut work => return ended,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("the agent ends; its cells do not");
    stop.send_replace(true);
    tokio::time::timeout(END_WITHIN, work).await.unwrap_or(Ok(()))
}

async fn agent(prepared: Prepared, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let Prepared { config, state_dir, identity, host, client, events, journal } = prepared;
    // Waiting for approval is work, too: systemd is not kept waiting for a person.
    notify::ready();
    let clock = Clock::new(journal.word(), &host.boot_id, Source::Machine);
    let coordinator = config.coordinator.clone().unwrap_or_else(|| identity.coordinator.clone());
    let board = Board::default();
    let sockets = Sockets::Udp;
    let way = Way { state_dir: &state_dir, coordinator: &coordinator, sockets: &sockets, clock: &clock };
    let Some(identity) = approved(way, identity, &host, &board, stop.clone()).await? else {
        return Ok(());
    };
    let gpu_config = config.gpu.clone();
    let gpus = Aside::Thread.run("gpu-start", move || Gpus::start(gpu_config)).await?;
    let tools = Tools { root: client, journal, clock, gpus, facts: Arc::default(), aside: Aside::Thread };
    let sampler = Some(HostSampler::new(&state_dir));
    let cpu_slots = config.cpu_slots;
    let parts = Parts { identity, state_dir, coordinator, sockets, host, tools, events, board, cpu_slots, sampler };
    let (node, mut scope) = node::start(parts, stop).await?;
    scope.spawn("status", status::keep(node));
    node::ended(scope).await
}

/// Waits for approval if need be; nothing if the agent was told to end meanwhile.
async fn approved(
    way: Way<'_>,
    identity: Identity,
    host: &Host,
    board: &Board,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<Option<Identity>> {
    if identity.stage == Stage::Issued {
        return Ok(Some(identity));
    }
    board.link(LinkState::Pending);
    tracing::info!(node = %identity.node_id, "waiting for approval: muster nodes approve {}", identity.node_id);
    let since_ms = clock::wall_ms();
    loop {
        status::waits(way.state_dir, &identity, host, way.coordinator, since_ms);
        let trusted = way.clock.clone();
        let time = TimeSource::new(move || trusted.trusted_ms());
        let asked = enrol::poll(way, &identity, time, host.clone()).await;
        let wait = match asked {
            Ok(standing) if standing.identity.stage == Stage::Issued => {
                way.clock.hear(standing.coordinator_ms);
                return Ok(Some(standing.identity));
            }
            Ok(standing) => standing.retry_after,
            Err(error) if error.is_final() => return Err(anyhow::Error::new(error).context("this node is not let in")),
            Err(error) => {
                tracing::warn!(%error, "still waiting for approval");
                Duration::from_secs(1) + crate::chance::jitter(Duration::from_secs(4))
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(None),
        }
    }
}
