//! The reconciler driver: runs a named piece of upkeep on its period and whenever it is nudged.
//!
//! A reconciler takes no input, is idempotent, and looks at the database each time; a lost nudge costs at
//! most one period. Errors are logged and the next run tries again.

use crate::base::http::Problem;
use crate::base::supervise::Supervisor;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Wakes a reconciler. Several nudges before it runs are one.
#[derive(Debug, Clone, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    /// Asks for a run soon. Never waits.
    pub fn notify(&self) {
        self.0.notify_one();
    }

    /// Waits for the next nudge; one given meanwhile is not lost.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}

/// A piece of upkeep. `run` is called again only after it has returned.
#[derive(Debug)]
pub struct Reconciler<F> {
    /// `room.what`, for logs and metrics.
    pub name: &'static str,
    /// The longest time between two runs.
    pub period: Duration,
    /// What wakes it earlier.
    pub nudge: Nudge,
    /// One run.
    pub run: F,
}

impl<F, Fut> Reconciler<F>
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), Problem>> + Send,
{
    /// Starts it as a critical task; the first run is at once.
    pub fn start(self, supervisor: &Supervisor) {
        let stop = supervisor.stopping();
        supervisor.critical(self.name, async move {
            loop {
                if let Err(problem) = (self.run)().await {
                    tracing::warn!(reconciler = self.name, "{}", problem.log_text());
                }
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = self.nudge.wait() => {}
                    () = tokio::time::sleep(self.period) => {}
                }
            }
        });
    }
}
