//! Presence in memory: when each node was last heard, on one monotonic clock.

use super::fuse;
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
    pub(in crate::nodes) fuse: Mutex<fuse::Memory>,
}

impl Default for Board {
    fn default() -> Self {
        Self { origin: Instant::now(), nodes: Mutex::default(), fuse: Mutex::default() }
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

    /// A node that was heard falls silent this moment for as long as makes it offline.
    #[cfg(test)]
    pub(crate) fn lose(&self, node: NodeId) {
        let seen = Seen { origin: self.origin, at_ms: AtomicI64::new(ms_since(self.origin) - model::OFFLINE_MS) };
        self.lock().insert(node, Arc::new(seen));
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

    /// Ten thousand nodes that send a frame each three seconds, each at its own moment, and die at another;
    /// the look at them comes each second. Time is a number here.
    #[test]
    fn a_dead_node_is_offline_within_fifteen_seconds_among_ten_thousand() {
        let period_ms = i64::try_from(super::super::tick::PERIOD.as_millis()).expect("small");
        let mut took: Vec<i64> = (0..10_000_i64)
            .map(|n| {
                let (phase_ms, dies_ms) = (n * 7_919 % FRAME_MS, 100_000 + n * 104_729 % 60_000);
                let last_ms = phase_ms + (dies_ms - phase_ms) / FRAME_MS * FRAME_MS;
                let looks = (dies_ms / period_ms + 1..).map(|look| look * period_ms);
                let mut looks = looks.map(|at| (at, model::presence(at, 0, Some(last_ms))));
                let found = looks.find(|(_, presence)| *presence == Presence::Offline);
                found.map_or(i64::MAX, |(at, _)| at - dies_ms)
            })
            .collect();
        took.sort_unstable();
        assert!(took[9_900] <= 15_000, "p99 {} ms", took[9_900]);
        assert!(took[0] >= model::OFFLINE_MS - FRAME_MS, "{} ms is no evidence yet", took[0]);
    }

    /// The slowest that agents may send.
    const FRAME_MS: i64 = 3_000;

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
