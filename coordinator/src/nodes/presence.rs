//! Presence in memory: when each node was last heard, on one monotonic clock.

use super::model::{self, Presence};
use muster_protocol::ids::NodeId;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};
use tokio::time::Instant;

/// When a node was last heard; shared by its link and the board.
#[derive(Debug)]
pub struct Seen {
    origin: Instant,
    at_ms: AtomicI64,
}

impl Seen {
    /// A frame came just now.
    pub fn touch(&self) {
        self.at_ms.store(ms_since(self.origin), Ordering::Relaxed);
    }
}

/// Every node that was heard since the coordinator's start.
#[derive(Debug)]
pub struct Board {
    origin: Instant,
    nodes: Mutex<HashMap<NodeId, Arc<Seen>>>,
}

impl Default for Board {
    fn default() -> Self {
        Self { origin: Instant::now(), nodes: Mutex::default() }
    }
}

fn ms_since(origin: Instant) -> i64 {
    i64::try_from(origin.elapsed().as_millis()).unwrap_or(i64::MAX)
}

impl Board {
    /// A link of this node is up: what to touch at every frame.
    pub fn heard(&self, node: NodeId) -> Arc<Seen> {
        let fresh = || Arc::new(Seen { origin: self.origin, at_ms: AtomicI64::new(0) });
        let seen = Arc::clone(self.lock().entry(node).or_insert_with(fresh));
        seen.touch();
        seen
    }

    /// Presence now.
    #[must_use]
    pub fn of(&self, node: NodeId) -> Presence {
        let last = self.lock().get(&node).map(|seen| seen.at_ms.load(Ordering::Relaxed));
        model::presence(ms_since(self.origin), 0, last)
    }

    /// How long ago the node was last heard, ms; none since the coordinator's start.
    #[must_use]
    pub fn age_ms(&self, node: NodeId) -> Option<i64> {
        let last = self.lock().get(&node).map(|seen| seen.at_ms.load(Ordering::Relaxed))?;
        Some(ms_since(self.origin) - last)
    }

    /// Drops a node that was removed.
    pub fn forget(&self, node: NodeId) {
        self.lock().remove(&node);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Arc<Seen>>> {
        // Every change under the lock is one call; a panic leaves no half of it.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_heard_by_itself_alone_and_can_be_forgotten() {
        let board = Board::default();
        let (node, other) = (NodeId::new(1, [1; 10]), NodeId::new(2, [2; 10]));
        assert_eq!((board.of(node), board.age_ms(node)), (Presence::Unknown, None));
        board.heard(node).touch();
        assert_eq!((board.of(node), board.of(other)), (Presence::Online, Presence::Unknown));
        board.forget(node);
        assert_eq!(board.of(node), Presence::Unknown);
    }
}
