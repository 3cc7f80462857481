//! What the GPU threads share: driver state, lanes, the published inventory, the XID log.

use super::driver::Driver;
use super::facts;
use super::lane::Lane;
use super::types::{GpuConfig, GpuInventory, XidEvent};
use super::xids::{Seen, XidLog};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Called after a change.
pub(super) type Hook = Box<dyn Fn() + Send + Sync>;

/// All of it.
pub(super) struct Shared {
    /// Settings.
    pub(super) config: GpuConfig,
    state: Mutex<State>,
    /// Told at every change of `state` that a reader may wait for.
    changed: Condvar,
    /// Wakes the watch thread before its time.
    kick: Condvar,
    hooks: Mutex<Vec<Hook>>,
    stopped: AtomicBool,
}

#[derive(Default)]
struct State {
    driver: Driver,
    lanes: Arc<Vec<Arc<Lane>>>,
    inventory: GpuInventory,
    first: bool,
    kicked: bool,
    xids: XidLog,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A lock whose data stay whole when a holder panics: every change is one assignment.
pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(config: GpuConfig) -> Self {
        Self {
            config,
            state: Mutex::default(),
            changed: Condvar::new(),
            kick: Condvar::new(),
            hooks: Mutex::default(),
            stopped: AtomicBool::new(false),
        }
    }

    /// Ends every thread at its next turn.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.kick();
        self.changed.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Sleeps, or less if the GPUs are no longer wanted.
    pub(super) fn sleep(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut state = held(&self.state);
        while !self.is_stopped() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn lanes(&self) -> Arc<Vec<Arc<Lane>>> {
        Arc::clone(&held(&self.state).lanes)
    }

    pub(super) fn inventory(&self) -> GpuInventory {
        held(&self.state).inventory.clone()
    }

    /// Sets what the driver is and the lanes of its GPUs.
    pub(super) fn set_driver(&self, driver: Driver, lanes: Vec<Arc<Lane>>) {
        let mut state = held(&self.state);
        state.driver = driver;
        state.lanes = Arc::new(lanes);
        drop(state);
        self.kick();
    }

    /// Has the watch thread look now.
    pub(super) fn kick(&self) {
        held(&self.state).kicked = true;
        self.kick.notify_all();
    }

    /// Waits until somebody kicks or the time is over.
    pub(super) fn wait_kick(&self, time: Duration) {
        let state = held(&self.state);
        let waited = self.kick.wait_timeout_while(state, time, |state| !state.kicked && !self.is_stopped());
        waited.unwrap_or_else(PoisonError::into_inner).0.kicked = false;
    }

    /// Composes the inventory and publishes it if it has changed.
    pub(super) fn publish(&self) {
        let (driver, lanes) = {
            let state = held(&self.state);
            (state.driver.clone(), Arc::clone(&state.lanes))
        };
        if matches!(driver, Driver::Loading) || lanes.iter().any(|lane| lane.is_beginning()) {
            return;
        }
        let mut fresh = facts::compose(&driver, &lanes);
        let mut state = held(&self.state);
        fresh.generation = state.inventory.generation;
        if state.first && fresh == state.inventory {
            return;
        }
        if state.inventory.gpu_state != fresh.gpu_state {
            let (state, detail) = (&fresh.gpu_state, &fresh.gpu_detail);
            if state == "ok" || state == "none" {
                tracing::info!(state, detail, "GPUs");
            } else {
                tracing::warn!(state, detail, "GPUs");
            }
        }
        fresh.generation += 1;
        state.inventory = fresh;
        state.first = true;
        drop(state);
        self.tell();
    }

    /// Publishes that the driver does not answer, for as long as nothing better is known.
    pub(super) fn wait_first(&self, time: Duration) {
        let state = held(&self.state);
        let waited = self.changed.wait_timeout_while(state, time, |state| !state.first);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if !state.first {
            let late = Driver::Error("the driver has not answered yet".into());
            state.inventory = GpuInventory { generation: 1, ..facts::compose(&late, &[]) };
        }
    }

    /// Settles that there are no GPUs, for as long as no thread says otherwise.
    pub(super) fn set_none(&self) {
        let mut state = held(&self.state);
        state.inventory = GpuInventory { generation: 1, gpu_state: "none".into(), ..GpuInventory::default() };
        state.first = true;
    }

    fn tell(&self) {
        self.changed.notify_all();
        for hook in held(&self.hooks).iter() {
            hook();
        }
    }

    pub(super) fn add_hook(&self, hook: Hook) {
        held(&self.hooks).push(hook);
    }

    /// Adds an XID to the log unless the other source has already said it.
    pub(super) fn saw_xid(&self, seen: Seen) {
        if held(&self.state).xids.add(seen) {
            self.tell();
        }
    }

    pub(super) fn xids_after(&self, number: u64) -> (Vec<XidEvent>, u64) {
        held(&self.state).xids.after(number)
    }

    /// Waits until the inventory or the XID log is past what was seen, or the time is over.
    pub(super) fn wait_change(&self, generation: u64, xid: u64, time: Duration) -> (u64, u64) {
        let state = held(&self.state);
        let same = |state: &mut State| {
            state.inventory.generation == generation && state.xids.last() == xid && !self.is_stopped()
        };
        let waited = self.changed.wait_timeout_while(state, time, same);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        (state.inventory.generation, state.xids.last())
    }
}
