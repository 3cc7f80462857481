//! The watch thread, which sees from outside that a GPU hangs, and the place where others wait for changes.

use super::limits::{DRIVER_RETRY, STACK, WATCH_EVERY};
use super::shared::Shared;
use super::types::XidEvent;
use std::sync::Arc;
use std::time::Duration;

/// A waiter with what it has seen.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    generation: u64,
    xid: u64,
}

/// What has happened since the last look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The inventory is another one.
    pub inventory: bool,
    /// XIDs, oldest first.
    pub xids: Vec<XidEvent>,
    /// XIDs that came but are no longer kept.
    pub xids_lost: u64,
}

impl Watch {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (generation, xid) = shared.wait_change(u64::MAX, u64::MAX, Duration::ZERO);
        Self { shared, generation, xid }
    }

    /// Waits for something to happen; none if the time is over first.
    pub fn wait(&mut self, time: Duration) -> Option<Change> {
        let (generation, xid) = self.shared.wait_change(self.generation, self.xid, time);
        if (generation, xid) == (self.generation, self.xid) {
            return None;
        }
        let (xids, xids_lost) = self.shared.xids_after(self.xid);
        let change = Change { inventory: generation != self.generation, xids, xids_lost };
        self.generation = generation;
        self.xid = change.xids.last().map_or(xid, |last| last.number);
        Some(change)
    }

    /// What has happened, without waiting.
    pub fn poll(&mut self) -> Option<Change> {
        self.wait(Duration::ZERO)
    }
}

/// Starts the watch thread.
pub(super) fn spawn(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    spawn_thread("gpu-watch", move || {
        while !shared.is_stopped() {
            let quiet = shared.lanes().is_empty();
            shared.wait_kick(if quiet { DRIVER_RETRY } else { WATCH_EVERY });
            shared.publish();
        }
    });
}

/// A thread of the GPU side. A machine that cannot start one more has no use for the agent at all.
pub(super) fn spawn_thread(name: &str, body: impl FnOnce() + Send + 'static) {
    let started = std::thread::Builder::new().name(name.into()).stack_size(STACK).spawn(body);
    if let Err(error) = started {
        tracing::error!(name, %error, "cannot start a thread");
    }
}
