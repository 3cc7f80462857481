//! `muster-agent run`: the half of the agent that has the network.
//!
//! In order: settings, the root half, the journal, giving up root's rights, the GPUs; then one thread for all
//! the rest. Ending it ends the root half and no cell.

use crate::{
    args,
    cells::{Driver, Tools},
    clock::Clock,
    config::Config,
    enrol, host,
    identity::{self, Identity, Stage},
    journal::Journal,
    link,
    node::Node,
    notify, privileges,
    root::{self, Level, Reply, Request},
    status::{self, Board, LinkState},
    supervise::Scope,
    tasks::{Bench, Tasks},
    telemetry::{self, Backlog, Sampler},
};
use anyhow::{Context, bail};
use muster_pki::client::TimeSource;
use muster_protocol::{
    facts::{FactBody, Xid},
    inventory::{Host, Inventory},
};
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
    sync::{Notify, mpsc, watch},
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
    let socket = match arguments.root_socket.as_ref().or(config.root_socket.as_ref()) {
        Some(path) => root::Client::connect(path).with_context(|| format!("the root half at {}", path.display()))?,
        None => {
            let exe = std::env::current_exe()?;
            let owner = user.as_ref().map_or_else(privileges::own_ids, |user| (user.uid, user.gid));
            let (_child, socket) = root::start_half(&exe, &state_dir, common.config.as_deref(), owner)
                .context("the root half cannot be started")?;
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
    let clock = Clock::new(journal.word());
    let coordinator = config.coordinator.clone().unwrap_or_else(|| identity.coordinator.clone());
    let board = Board::default();
    let Some(identity) = approved(&state_dir, &coordinator, identity, &host, &clock, &board, stop.clone()).await?
    else {
        return Ok(());
    };
    let (level, not_enforced) = hello(&client, &identity).await?;
    let gpu_config = config.gpu.clone();
    let gpus = crate::supervise::blocking("gpu-start", move || crate::gpu::Gpus::start(gpu_config)).await?;
    let facts = Arc::new(Notify::new());
    let tools = Tools {
        root: client.clone(),
        journal: journal.clone(),
        clock: clock.clone(),
        gpus: gpus.clone(),
        facts: Arc::clone(&facts),
    };
    let (driver, cells) = Driver::new(tools.clone()).await?;
    let look = {
        let (host, gpus, not_enforced, slots) = (host.clone(), gpus.clone(), not_enforced.clone(), config.cpu_slots);
        move || telemetry::inventory(&host, gpus.inventory(), slots, level, &not_enforced)
    };
    let (inventory, inventory_seen) = watch::channel(Arc::new(look()));
    let bench = Bench { tools: tools.clone(), host: host.clone(), state_dir: state_dir.clone(), level, not_enforced };
    let (sampler, samples) = (Sampler::new(&state_dir, gpus, client, cells.clone()), Arc::<Backlog>::default());
    let node = Arc::new(Node {
        identity,
        samples: Arc::clone(&samples),
        state_dir,
        coordinator,
        host,
        clock,
        journal,
        cells,
        tasks: Tasks::new(bench),
        inventory: inventory_seen,
        facts,
        board,
    });
    tracing::info!(node = %node.identity.node_id, level = level.word(), "the agent is up");
    let mut scope = Scope::default();
    scope.spawn("cells", driver.run(events));
    scope.spawn("telemetry", telemetry::keep(sampler, samples));
    scope.spawn("gpus", follow_gpus(tools, inventory, look));
    scope.spawn("status", status::keep(Arc::clone(&node)));
    scope.spawn("link", link::keep(node, stop.clone()));
    match scope.ended().await {
        "link" => Ok(()),
        "cells" => bail!("the root half is gone; start the agent again, its cells live on"),
        ended => bail!("the task `{ended}` ended"),
    }
}

/// Waits for approval if need be; nothing if the agent was told to end meanwhile.
async fn approved(
    state_dir: &Path,
    coordinator: &str,
    identity: Identity,
    host: &Host,
    clock: &Clock,
    board: &Board,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<Option<Identity>> {
    if identity.stage == Stage::Issued {
        return Ok(Some(identity));
    }
    board.link(LinkState::Pending);
    tracing::info!(node = %identity.node_id, "waiting for approval: muster nodes approve {}", identity.node_id);
    loop {
        let trusted = clock.clone();
        let time = TimeSource::new(move || trusted.trusted_ms());
        let asked = enrol::poll(state_dir, coordinator, &identity, time, host.clone()).await;
        let wait = match asked {
            Ok(standing) if standing.identity.stage == Stage::Issued => {
                clock.hear(standing.coordinator_ms);
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

async fn hello(client: &root::Client, identity: &Identity) -> anyhow::Result<(Level, Vec<String>)> {
    let request = Request::Hello { version: env!("CARGO_PKG_VERSION").to_owned(), node: identity.node_id };
    match client.ask(request).await.context("the root half")? {
        Reply::Hello { level, not_enforced, .. } => Ok((level, not_enforced)),
        _ => bail!("the root half answered out of turn"),
    }
}

/// Publishes each change of the GPUs, and puts each XID into the outbox.
async fn follow_gpus(
    tools: Tools,
    inventory: watch::Sender<Arc<Inventory>>,
    look: impl Fn() -> Inventory + Send + 'static,
) {
    let changed = Arc::new(Notify::new());
    let hook = Arc::clone(&changed);
    tools.gpus.on_change(move || hook.notify_one());
    let mut seen = 0;
    loop {
        let now = Arc::new(look());
        inventory.send_if_modified(|last| {
            let differs = *last != now;
            *last = now;
            differs
        });
        let (xids, lost) = tools.gpus.xids_after(seen);
        if lost > 0 {
            tracing::warn!(lost, "XIDs came faster than they could be kept");
        }
        for event in xids {
            seen = event.number;
            let xid = Xid { gpu_uuid: event.gpu_uuid, xid: event.xid, source: event.source.to_owned() };
            match tools.journal.fact(event.at_ms, FactBody::Xid(xid)).await {
                Ok(true) => tools.facts.notify_one(),
                Ok(false) => tracing::warn!("the outbox is full; an XID is not in it"),
                Err(error) => tracing::error!(%error, "an XID is not in the journal"),
            }
        }
        changed.notified().await;
        // A storm of changes becomes a few.
        sleep(Duration::from_millis(100)).await;
    }
}
