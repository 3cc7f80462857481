//! The store of a simulation: closures run where they are asked for, one after the other, when the simulated
//! disk lets them. A job on another thread would make paused time jump.

use super::job::BoxedJob;
use super::{Problem, Tx, sqlite};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a simulated disk takes for a transaction: before it is done, and before its end is known. Whoever is
/// dropped in the first pause has written nothing; whoever is dropped in the second does not know that it has.
#[derive(Clone)]
pub struct Disk(pub Arc<dyn Fn() -> (Duration, Duration) + Send + Sync>);

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disk")
    }
}

#[derive(Debug)]
pub(super) struct Inline {
    /// Taken for the whole of a write, pauses included: writes go in the order in which they were asked for.
    writer: tokio::sync::Mutex<Tx>,
    reader: Mutex<Tx>,
    disk: Disk,
}

impl Inline {
    pub(super) fn new(writer: Tx, reader: Tx, disk: Disk) -> Self {
        Self { writer: tokio::sync::Mutex::new(writer), reader: Mutex::new(reader), disk }
    }

    /// Does a job that writes in its turn, and answers it.
    pub(super) async fn write(&self, mut job: BoxedJob) {
        let mut tx = self.writer.lock().await;
        let (before, after) = (self.disk.0)();
        pause(before).await;
        let done = sqlite::write_alone(&mut tx, job.as_mut());
        drop(tx);
        pause(after).await;
        job.answer(done);
    }

    /// Does a job that writes at once, at a start, when nothing else can be running.
    pub(super) fn write_now(&self, mut job: BoxedJob) {
        let done = match self.writer.try_lock() {
            Ok(mut tx) => sqlite::write_alone(&mut tx, job.as_mut()),
            Err(_) => Err(Problem::internal("the inline store is busy")),
        };
        job.answer(done);
    }

    /// Does a job that reads.
    pub(super) fn read(&self, mut job: BoxedJob) {
        let mut tx = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let done = sqlite::read_alone(&mut tx, job.as_mut());
        drop(tx);
        job.answer(done);
    }
}

async fn pause(time: Duration) {
    // A sleep of nothing would still wait for the next tick.
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
