//! Tells how long cells run: every minute while they stand, and to the millisecond when one is ended.

use super::Tools;
use muster_protocol::ids::AllocationId;
use std::time::Duration;
use tokio::time::Instant;

/// Pause between two tellings. A cell that is lost with its machine loses at most this.
const PERIOD: Duration = Duration::from_secs(60);

/// When to tell next.
#[derive(Debug)]
pub(super) struct Meter {
    due: Instant,
}

impl Meter {
    /// Tells at once: what passed while the agent was dead is not forgotten.
    pub(super) fn new() -> Self {
        Self { due: Instant::now() }
    }

    /// When [`Meter::tell`] has something to do.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Tells, if it is time, of all cells that stand.
    pub(super) async fn tell(&mut self, tools: &Tools, standing: impl Iterator<Item = (AllocationId, u64)>) {
        let now = Instant::now();
        if now < self.due {
            return;
        }
        self.due = now + PERIOD;
        let cells: Vec<_> = standing.map(|(allocation, epoch)| (allocation.to_string(), epoch)).collect();
        if !cells.is_empty() {
            tell(tools, cells).await;
        }
    }
}

/// A cell stands now: its time begins.
pub(super) async fn begins(tools: &Tools, allocation: AllocationId, lease_epoch: u64) {
    tell(tools, vec![(allocation.to_string(), lease_epoch)]).await;
}

/// A cell's time ends, now if it was seen to stand until now.
pub(super) async fn ends(tools: &Tools, allocation: AllocationId, seen: bool) {
    match tools.journal.usage_ends(tools.clock.now(), allocation.to_string(), seen).await {
        Ok(()) => tools.facts.notify_one(),
        Err(error) => tracing::error!(%allocation, %error, "the end of a cell's time is not in the journal"),
    }
}

async fn tell(tools: &Tools, cells: Vec<(String, u64)>) {
    match tools.journal.usage(tools.clock.now(), cells).await {
        Ok(true) => tools.facts.notify_one(),
        Ok(false) => {}
        // Nothing is lost: the next telling covers it.
        Err(error) => tracing::warn!(%error, "the time of cells is not in the journal yet"),
    }
}
