//! Bounded queues in front of the store's threads: many async askers, one or few blocking takers.

use crate::base::{http::Problem, limits};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who is asking. People go first in every batch; no lane can starve another, since each batch takes a
/// share of all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Requests of people and scripts.
    People,
    /// Messages of agents.
    Agents,
    /// Reconcilers and clean-up.
    Upkeep,
}

struct State<J> {
    lanes: [VecDeque<(J, OwnedSemaphorePermit)>; 3],
    closed: bool,
}

/// Three bounded lanes with one condition variable.
pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    ready: Condvar,
    room: [Arc<Semaphore>; 3],
}

impl<J> std::fmt::Debug for Queue<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

fn closed() -> Problem {
    Problem::unavailable("dependency_unavailable", "The database is closed: the coordinator is stopping.")
}

impl<J> Queue<J> {
    pub(super) fn new() -> Self {
        let room = || Arc::new(Semaphore::new(limits::STORE_QUEUE));
        Self {
            state: Mutex::new(State { lanes: [VecDeque::new(), VecDeque::new(), VecDeque::new()], closed: false }),
            ready: Condvar::new(),
            room: [room(), room(), room()],
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room in the lane, then hands the job over.
    pub(super) async fn put(&self, lane: Lane, job: J) -> Result<(), Problem> {
        let permit = self.room[lane as usize].clone().acquire_owned().await.map_err(|_| closed())?;
        self.push(lane, job, permit)
    }

    /// The same from a thread without a runtime; a full lane is an error there.
    pub(super) fn put_blocking(&self, lane: Lane, job: J) -> Result<(), Problem> {
        let permit = self.room[lane as usize].clone().try_acquire_owned().map_err(|_| closed())?;
        self.push(lane, job, permit)
    }

    fn push(&self, lane: Lane, job: J, permit: OwnedSemaphorePermit) -> Result<(), Problem> {
        let mut state = self.lock();
        if state.closed {
            return Err(closed());
        }
        state.lanes[lane as usize].push_back((job, permit));
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Blocks for the next batch, at most `share` jobs a lane, people first. Empty when closed and drained.
    pub(super) fn take(&self, share: [usize; 3]) -> Vec<J> {
        let mut state = self.lock();
        loop {
            let mut batch = Vec::new();
            for (lane, most) in state.lanes.iter_mut().zip(share) {
                let count = most.min(lane.len());
                batch.extend(lane.drain(..count).map(|(job, _permit)| job));
            }
            if !batch.is_empty() || state.closed {
                return batch;
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Blocks for the next job, from the first lane of `order` that has one. None when closed and drained.
    pub(super) fn take_one(&self, order: [Lane; 3]) -> Option<J> {
        let mut state = self.lock();
        loop {
            let next = order.iter().find_map(|lane| state.lanes[*lane as usize].pop_front());
            if next.is_some() || state.closed {
                return next.map(|(job, _permit)| job);
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// No new jobs; what is queued is still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        for room in &self.room {
            room.close();
        }
        self.ready.notify_all();
    }
}
