//! All nodes of one process.

use crate::{
    meters::Meters,
    node::{Mode, Node},
};
use muster_agent::supervise::Scope;
use std::{
    path::Path,
    sync::{Arc, OnceLock, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{sync::Semaphore, sync::mpsc, time::Instant};

/// Enrolments at the same time: each costs the coordinator a transaction.
const ENROLLING: usize = 16;
/// How often the number of links is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// See the module. Dropping it ends all links.
#[derive(Debug)]
pub struct Fleet {
    /// In the order of their numbers.
    pub nodes: Vec<Arc<Node>>,
    /// What is measured.
    pub meters: Arc<Meters>,
    scope: Scope,
}

impl Fleet {
    /// Enrols nodes below a directory, or finds those that were enrolled before. They have no links yet.
    ///
    /// # Errors
    /// The first that was not let in.
    pub async fn enrol(dir: &Path, count: usize, coordinator: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let meters = Arc::new(Meters::default());
        let socket = Arc::new(OnceLock::new());
        let places = Arc::new(Semaphore::new(ENROLLING));
        let (done, mut enrolled) = mpsc::channel(ENROLLING);
        let mut scope = Scope::default();
        for n in 0..count {
            let (places, done) = (Arc::clone(&places), done.clone());
            let (meters, socket) = (Arc::clone(&meters), Arc::clone(&socket));
            let (dir, coordinator, token) = (dir.to_path_buf(), coordinator.to_owned(), token.map(str::to_owned));
            scope.spawn("enrol", async move {
                let _place = places.acquire().await;
                let node = Node::enrol(&dir, n, &coordinator, token.as_deref(), meters, socket).await;
                // Nobody listens any more only after another one failed.
                let _ = done.send((n, node)).await;
            });
        }
        drop(done);
        let mut nodes = Vec::with_capacity(count);
        while let Some((n, node)) = enrolled.recv().await {
            nodes.push((n, Arc::new(node?)));
        }
        nodes.sort_by_key(|(n, _)| *n);
        let nodes = nodes.into_iter().map(|(_, node)| node).collect();
        Ok(Self { nodes, meters, scope: Scope::default() })
    }

    /// Lets every node keep a link.
    pub fn start(&mut self) {
        for node in &self.nodes {
            self.scope.spawn("node", Arc::clone(node).keep());
        }
        self.all(Mode::On);
    }

    /// Puts every node into a mode.
    pub fn all(&self, mode: Mode) {
        self.some(self.nodes.len(), mode);
    }

    /// Puts the first `count` nodes into a mode.
    pub fn some(&self, count: usize, mode: Mode) {
        for node in self.nodes.iter().take(count) {
            node.mode.send_replace(mode);
        }
    }

    /// Waits until so many links are up. False if they are not within `patience`.
    pub async fn up(&self, count: u64, patience: Duration) -> bool {
        let began = Instant::now();
        while self.meters.up.load(Relaxed) != count {
            if began.elapsed() > patience {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }
}
