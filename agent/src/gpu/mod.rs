//! GPUs of this node, through NVML.
//!
//! Each GPU has a thread of its own, its lane, which alone makes calls about it. A call that does not come back
//! is seen from outside by the watch thread within two seconds, and costs the other GPUs nothing. What was not
//! measured is absent, and what is old is withdrawn.

mod devices;
mod driver;
mod facts;
mod kernel_log;
mod lane;
pub mod limits;
mod lookup;
mod mig;
mod reading;
mod shared;
mod types;
mod watch;
mod xids;

pub use types::{CellMount, DevicePath, DeviceSet, GpuConfig, GpuError, GpuInventory, GpuProcess, XidEvent};
pub use watch::{Change, Watch};

use lane::{Answer, Question};
use muster_protocol::desired::Slot;
use muster_protocol::telemetry::GpuSample;
use shared::Shared;
use std::sync::Arc;

/// The GPUs of this node. Clones are the same GPUs; with the last one the threads end.
#[derive(Debug, Clone)]
pub struct Gpus {
    owner: Arc<Owner>,
}

/// Ends the threads when the last handle goes.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Gpus {
    /// Loads the driver's library and starts to watch its GPUs. Waits at most [`limits::START_MAX`] for the first
    /// inventory; a driver that hangs is `driver_error` until it answers. Never fails: what is wrong stands in
    /// the inventory.
    #[must_use]
    pub fn start(config: GpuConfig) -> Self {
        let shared = Arc::new(Shared::new(config));
        watch::spawn(&shared);
        driver::spawn(&shared);
        shared.wait_first(limits::START_MAX);
        Self { owner: Arc::new(Owner { shared }) }
    }

    /// A node whose GPUs nobody looks for: it has none, and no thread asks.
    #[must_use]
    pub fn absent() -> Self {
        let shared = Arc::new(Shared::new(GpuConfig::default()));
        shared.set_none();
        Self { owner: Arc::new(Owner { shared }) }
    }

    fn shared(&self) -> &Shared {
        &self.owner.shared
    }

    /// GPUs and slots as of at most a quarter of a second ago. Never waits for a GPU.
    #[must_use]
    pub fn inventory(&self) -> GpuInventory {
        self.shared().inventory()
    }

    /// The latest figures of each GPU that answers. Never waits for a GPU.
    #[must_use]
    pub fn sample(&self) -> Vec<GpuSample> {
        self.shared().lanes().iter().filter_map(|lane| lane.sample()).collect()
    }

    /// A place to wait for changes of the inventory and for XIDs, beginning with what there is now.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::new(Arc::clone(&self.owner.shared))
    }

    /// Calls `hook` after each change of the inventory and each XID, from a GPU thread. It must not block.
    pub fn on_change(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.shared().add_hook(Box::new(hook));
    }

    /// XIDs after a number, oldest first, and how many of them are no longer kept.
    #[must_use]
    pub fn xids_after(&self, number: u64) -> (Vec<XidEvent>, u64) {
        self.shared().xids_after(number)
    }

    /// Reads the facts of every GPU again now instead of at their next turn, and waits for it; one that hangs is
    /// not waited for longer than [`limits::ANSWER_MAX`].
    pub fn refresh(&self) {
        for lane in self.shared().lanes().iter() {
            // A lane that cannot answer is in the inventory with its error.
            let _ = lane.ask(Question::Facts);
        }
        self.shared().publish();
    }

    /// Processes on a GPU or a MIG instance, now. Waits for the driver: not for the async thread.
    ///
    /// # Errors
    /// There is no such GPU, or it does not say.
    pub fn processes(&self, uuid: &str) -> Result<Vec<GpuProcess>, GpuError> {
        let found = lookup::find(self.shared(), uuid)?;
        match found.lane.ask(Question::Processes { gpu_instance: found.gpu_instance })? {
            Answer::Processes(processes) => Ok(processes),
            _ => Err(found.lane.hung()),
        }
    }

    /// Memory in use on a GPU or a MIG instance, in bytes, now. Waits for the driver: not for the async thread.
    ///
    /// # Errors
    /// There is no such GPU, or it does not say.
    pub fn memory_used(&self, uuid: &str) -> Result<u64, GpuError> {
        let found = lookup::find(self.shared(), uuid)?;
        let mig = found.gpu_instance.map(|_| uuid.to_owned());
        match found.lane.ask(Question::MemoryUsed { mig })? {
            Answer::MemoryUsed(bytes) => Ok(bytes),
            _ => Err(found.lane.hung()),
        }
    }

    /// UUID of what a slot is: the GPU, or the MIG instance carved there. None for a CPU slot.
    ///
    /// # Errors
    /// The GPU is not there, or the instance not carved.
    pub fn uuid_of(&self, slot: &Slot) -> Result<Option<String>, GpuError> {
        lookup::uuid_of(&self.inventory(), slot)
    }

    /// What a cell needs for a slot.
    ///
    /// # Errors
    /// The GPU is not there, the instance not carved, or a device file is missing.
    pub fn devices_for(&self, slot: &Slot) -> Result<DeviceSet, GpuError> {
        self.devices_for_all(std::slice::from_ref(slot))
    }

    /// What a cell needs for all its slots together.
    ///
    /// # Errors
    /// As [`Gpus::devices_for`], for any of them.
    pub fn devices_for_all(&self, slots: &[Slot]) -> Result<DeviceSet, GpuError> {
        devices::for_slots(&self.shared().config, &self.inventory(), slots)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
