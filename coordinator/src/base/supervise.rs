//! The only spawner of tasks. Each has a name and a kind: when a critical task ends before shutdown the
//! process drains and exits non-zero; a scoped one (a link, a terminal) ends with its owner.

use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Spawns, names and ends the tasks of the edge. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    tasks: TaskTracker,
    stop: CancellationToken,
    kill: CancellationToken,
    failed: Arc<AtomicBool>,
}

impl Supervisor {
    /// A task the coordinator cannot work without. It is dropped at its next await when the process drains,
    /// unless it watches [`Supervisor::stopping`] and ends by itself first.
    pub fn critical(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let supervisor = self.clone();
        self.spawn(async move {
            let ended = AssertUnwindSafe(task).catch_unwind().await;
            if !supervisor.stop.is_cancelled() {
                let how = if ended.is_err() { "panicked" } else { "ended" };
                tracing::error!(task = name, "a critical task {how}: the coordinator stops");
                supervisor.failed.store(true, Ordering::Relaxed);
                supervisor.stop.cancel();
            }
        });
    }

    /// A task that belongs to one owner. Ends by itself or when the process drains.
    pub fn scoped(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.spawn(async move {
            tokio::select! {
                ended = AssertUnwindSafe(task).catch_unwind() => {
                    if ended.is_err() {
                        tracing::error!(task = name, "a task panicked");
                    }
                }
                () = stop.cancelled() => {}
            }
        });
    }

    /// A scoped task that is told to stop but not cut off at an await: it must watch
    /// [`Supervisor::stopping`] itself and end within the drain deadline.
    pub fn graceful(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!(task = name, "a task panicked");
            }
        });
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let kill = self.kill.clone();
        self.tasks.spawn(async move {
            // None: it was killed, and nobody waits for it.
            let _ = kill.run_until_cancelled_owned(task).await;
        });
    }

    /// Cancelled when the process drains. `child_token()` makes one for an owner of its own.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts the drain.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends every task where it stands; none of them runs any further. For what outlived the drain, and for the
    /// crash of a simulated coordinator.
    pub fn kill(&self) {
        self.kill.cancel();
    }

    /// Cancelled by [`Supervisor::kill`].
    #[must_use]
    pub fn killed(&self) -> CancellationToken {
        self.kill.clone()
    }

    /// Waits until every task has ended, at most `deadline`. True when all have.
    pub async fn drained(&self, deadline: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(deadline, self.tasks.wait()).await.is_ok()
    }

    /// Whether a critical task ended before its time.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}
