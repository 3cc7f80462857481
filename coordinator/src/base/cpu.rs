//! A small pool of threads for what would hold up the edge: argon2, exports, compression, large JSON.

use crate::base::{http::Problem, limits};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// A job.
pub type Work = Box<dyn FnOnce() + Send>;

/// The pool. Cheap to clone; its threads end with the last clone.
#[derive(Debug, Clone)]
pub enum Cpu {
    /// Threads take jobs from here.
    Pool(SyncSender<Work>),
    /// Jobs are done where they are asked for: a simulation has one thread.
    Inline,
}

impl Cpu {
    /// Starts the pool.
    pub fn start() -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel::<Work>(limits::CPU_QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..limits::CPU_THREADS {
            let jobs = jobs.clone();
            std::thread::Builder::new().name("cpu".to_owned()).spawn(move || while step(&jobs) {})?;
        }
        Ok(Self::Pool(queue))
    }

    /// Runs `job` on the pool. 503 `busy` when the queue is full.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let Self::Pool(queue) = self else { return Ok(job()) };
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move || {
            // The asker may have gone away; then the result is of no use to anyone.
            let _ = reply.send(catch_unwind(AssertUnwindSafe(job)));
        });
        queue.try_send(work).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => {
                Problem::unavailable("busy", "The coordinator is busy; try again in a moment.")
            }
        })?;
        match answer.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) | Err(_) => Err(Problem::internal("a job of the cpu pool panicked")),
        }
    }
}

/// Takes and runs one job. False when the pool is to end.
fn step(jobs: &Mutex<Receiver<Work>>) -> bool {
    let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
    next.map(|work| work()).is_ok()
}
