//! What the GPU side takes and gives: settings, inventory, device sets, XID events, errors.

use muster_protocol::inventory::{FoundSlot, Gpu};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the `[gpu]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GpuConfig {
    /// The NVML library; without it the ordinary loader looks for `libnvidia-ml.so.1`.
    #[serde(rename = "nvml_library")]
    pub lib_path: Option<PathBuf>,
    /// Where the node keeps `nvidia0`, `nvidiactl`, `nvidia-uvm`, …; inside a cell they always stand in `/dev`.
    pub dev_root: PathBuf,
    /// Driver files that a cell with a GPU gets besides its devices, for roots that do not have them.
    pub cell_mounts: Vec<CellMount>,
    /// Environment that a cell with a GPU gets besides `CUDA_VISIBLE_DEVICES` and `NVIDIA_VISIBLE_DEVICES`.
    pub cell_env: BTreeMap<String, String>,
}

impl Default for GpuConfig {
    fn default() -> Self {
        Self { lib_path: None, dev_root: PathBuf::from("/dev"), cell_mounts: Vec::new(), cell_env: BTreeMap::new() }
    }
}

/// A file or folder of the node that a cell with a GPU sees and cannot change. Targets in `/run` need not exist before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellMount {
    /// Path on the node.
    pub source: PathBuf,
    /// Path in the cell.
    pub target: PathBuf,
}

/// One device file: where the node keeps it and where the cell sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DevicePath {
    /// Path on the node, in [`GpuConfig::dev_root`].
    pub source: PathBuf,
    /// Path in the cell, in `/dev`.
    pub target: PathBuf,
    /// Whether only the lease's own cell may have it (a GPU or a MIG capability), and not every cell with a GPU
    /// (`nvidiactl`, `nvidia-uvm`). The leftovers of a release are looked for on these.
    pub exclusive: bool,
}

/// All that a cell needs for its GPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSet {
    /// Device files, sorted, each once.
    pub paths: Vec<DevicePath>,
    /// UUIDs of GPUs and MIG instances in slot order: `CUDA_VISIBLE_DEVICES` and `NVIDIA_VISIBLE_DEVICES`.
    pub visible: Vec<String>,
    /// Other files, in the order in which they are to be mounted; empty without a GPU.
    pub mounts: Vec<CellMount>,
    /// Environment of each session, the two variables above included: without a GPU they say that there is none.
    pub env: BTreeMap<String, String>,
}

/// The GPU part of the node's inventory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GpuInventory {
    /// Counts up with every change.
    pub generation: u64,
    /// `ok`, `none`, `driver_missing`, `driver_error` or `degraded`.
    pub gpu_state: String,
    /// Why, for people; empty at `ok`.
    pub gpu_detail: String,
    /// Empty without a driver.
    pub driver_version: String,
    /// Highest CUDA version of the driver, `13.0`; empty without one.
    pub cuda_version: String,
    /// In index order.
    pub gpus: Vec<Gpu>,
    /// Kinds `gpu` and `mig`; CPU slots are not the GPU side's to offer.
    pub slots: Vec<FoundSlot>,
}

/// A process on a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuProcess {
    /// Process id as the agent sees it.
    pub pid: u32,
    /// GPU memory in bytes; absent if the driver does not say.
    pub memory_bytes: Option<u64>,
    /// GPU instance it runs in, on a GPU with MIG.
    pub gpu_instance: Option<u32>,
}

/// An XID, numbered in the order in which the agent saw them since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XidEvent {
    /// From 1, without gaps.
    pub number: u64,
    /// When the agent saw it, ms since 1970.
    pub at_ms: i64,
    /// `GPU-…`; empty if the GPU is unknown to NVML, then [`Self::pci_bus_id`] names it.
    pub gpu_uuid: String,
    /// As the kernel wrote it; empty if only NVML said it.
    pub pci_bus_id: String,
    /// The number in NVIDIA's catalogue.
    pub xid: u64,
    /// GPU instance that it hit, if said.
    pub gpu_instance: Option<u32>,
    /// `nvml` or `kernel`: who said it first.
    pub source: &'static str,
}

/// Why a question about a GPU has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// No driver, or none that works.
    #[error("no working NVIDIA driver: {0}")]
    NoDriver(String),
    /// The driver lists no such GPU or MIG instance.
    #[error("{0}: no such GPU")]
    NotFound(String),
    /// The placement is not carved.
    #[error("{gpu}: no MIG instance {profile} at {start}")]
    NoInstance {
        /// UUID of the GPU.
        gpu: String,
        /// Profile asked for.
        profile: String,
        /// First memory slice asked for.
        start: u32,
    },
    /// No answer within the deadline.
    #[error("{gpu} does not answer (waited {waited:?})")]
    Hung {
        /// UUID of the GPU.
        gpu: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// NVML refused.
    #[error("{gpu}: {reason}")]
    Nvml {
        /// UUID of the GPU.
        gpu: String,
        /// What NVML said.
        reason: String,
    },
    /// The GPU's device file is not there.
    #[error("{0}: no such device file; `nvidia-modprobe -u -c 0` makes those that the driver has not made yet")]
    NoDevice(PathBuf),
}
