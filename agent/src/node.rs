//! A node at work: all that its parts need of each other, in one place, and the tasks that keep it so.

use crate::{
    cells::{Cells, Driver, Tools},
    clock::Clock,
    enrol::Way,
    identity::Identity,
    journal::Journal,
    link::{self, socket::Sockets},
    root::{self, Level, Reply, Request},
    status::Board,
    supervise::{Aside, Scope},
    tasks::{Bench, Tasks},
    telemetry::{self, Backlog, HostSampler, Sampler},
};
use anyhow::{Context, bail};
use muster_protocol::{
    facts::{FactBody, Xid},
    inventory::{Host, Inventory},
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::sleep,
};

/// See the module.
#[derive(Debug)]
pub struct Node {
    /// Who we are.
    pub identity: Identity,
    /// Where key, certificate and journal lie.
    pub state_dir: PathBuf,
    /// `host:port` to dial.
    pub coordinator: String,
    /// The network.
    pub sockets: Sockets,
    /// This machine.
    pub host: Host,
    /// Trusted time.
    pub clock: Clock,
    /// What is remembered.
    pub journal: Journal,
    /// The cells.
    pub cells: Cells,
    /// Node tasks.
    pub tasks: Tasks,
    /// The inventory, and every change of it.
    pub inventory: watch::Receiver<Arc<Inventory>>,
    /// Samples that wait for a link.
    pub samples: Arc<Backlog>,
    /// Told after every fact that is put into the outbox.
    pub facts: Arc<Notify>,
    /// What people on the node see.
    pub board: Board,
    /// Where blocking work is done.
    pub aside: Aside,
}

impl Node {
    /// The way to the coordinator.
    #[must_use]
    pub fn way(&self) -> Way<'_> {
        let Self { state_dir, coordinator, sockets, clock, .. } = self;
        Way { state_dir, coordinator, sockets, clock }
    }
}

/// What a node is put together from.
#[derive(Debug)]
pub struct Parts {
    /// Who it is; issued.
    pub identity: Identity,
    /// Where key, certificate and journal lie.
    pub state_dir: PathBuf,
    /// `host:port` to dial.
    pub coordinator: String,
    /// The network.
    pub sockets: Sockets,
    /// The machine.
    pub host: Host,
    /// Root half, journal, clock, GPUs.
    pub tools: Tools,
    /// What the root half says unasked.
    pub events: mpsc::Receiver<root::Event>,
    /// What people on the node see.
    pub board: Board,
    /// CPU slots to offer, if the operator named a number.
    pub cpu_slots: Option<u32>,
    /// Measures the machine itself.
    pub sampler: Option<HostSampler>,
}

/// Sets a node to work until it is told to end; [`ended`] waits for that. Its tasks live as long as the scope.
///
/// # Errors
/// The root half or the journal is gone.
pub async fn start(parts: Parts, stop: watch::Receiver<bool>) -> anyhow::Result<(Arc<Node>, Scope)> {
    let Parts { identity, state_dir, coordinator, sockets, host, tools, events, board, cpu_slots, sampler } = parts;
    let (level, not_enforced) = hello(&tools.root, &identity).await?;
    let (driver, cells) = Driver::new(tools.clone()).await?;
    let look = {
        let (host, gpus, not_enforced) = (host.clone(), tools.gpus.clone(), not_enforced.clone());
        move || telemetry::inventory(&host, gpus.inventory(), cpu_slots, level, &not_enforced)
    };
    let (inventory, inventory_seen) = watch::channel(Arc::new(look()));
    let bench = Bench { tools: tools.clone(), host: host.clone(), state_dir: state_dir.clone(), level, not_enforced };
    let samples = Arc::<Backlog>::default();
    let sampler = Sampler::new(sampler, tools.clock.clone(), tools.gpus.clone(), tools.root.clone(), cells.clone());
    let node = Arc::new(Node {
        identity,
        state_dir,
        coordinator,
        sockets,
        host,
        clock: tools.clock.clone(),
        journal: tools.journal.clone(),
        cells,
        tasks: Tasks::new(bench),
        inventory: inventory_seen,
        samples: Arc::clone(&samples),
        facts: Arc::clone(&tools.facts),
        board,
        aside: tools.aside,
    });
    tracing::info!(node = %node.identity.node_id, level = level.word(), "the agent is up");
    let mut scope = Scope::default();
    scope.spawn("cells", driver.run(events));
    scope.spawn("telemetry", telemetry::keep(sampler, samples));
    scope.spawn("gpus", follow_gpus(tools, inventory, look));
    scope.spawn("link", link::keep(Arc::clone(&node), stop));
    Ok((node, scope))
}

/// Waits until a node has ended as it was told, or cannot go on.
///
/// # Errors
/// It cannot go on.
pub async fn ended(mut scope: Scope) -> anyhow::Result<()> {
    match scope.ended().await {
        "link" => Ok(()),
        "cells" => bail!("the root half is gone; start the agent again, its cells live on"),
        ended => bail!("the task `{ended}` ended"),
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
