//! The machine, its GPUs and the slots found in them: sent after Hello and on every change.

use prost::Message;

/// All of it.
#[derive(Clone, PartialEq, Message)]
pub struct Inventory {
    /// The machine.
    #[prost(message, required, tag = 1)]
    pub host: Host,
    /// `ok`, `none`, `driver_missing`, `driver_error` or `degraded`.
    #[prost(string, tag = 2)]
    pub gpu_state: String,
    /// Why, for people; empty at `ok`.
    #[prost(string, tag = 3)]
    pub gpu_detail: String,
    /// Driver version; empty without one.
    #[prost(string, tag = 4)]
    pub driver_version: String,
    /// GPUs in index order.
    #[prost(message, repeated, tag = 5)]
    pub gpus: Vec<Gpu>,
    /// Slots found.
    #[prost(message, repeated, tag = 6)]
    pub slots: Vec<FoundSlot>,
    /// Strongest isolation the agent can give: `cell`, `userns`, `none`.
    #[prost(string, tag = 7)]
    pub isolation: String,
    /// Limits and walls not enforced on this node, each a word.
    #[prost(string, repeated, tag = 8)]
    pub not_enforced: Vec<String>,
    /// Highest CUDA version of the driver, e.g. `13.0`; empty without one.
    #[prost(string, tag = 9)]
    pub cuda_version: String,
}

/// Facts of the machine.
#[derive(Clone, PartialEq, Message)]
pub struct Host {
    /// Its own name for itself.
    #[prost(string, tag = 1)]
    pub hostname: String,
    /// `/etc/machine-id`; empty if none.
    #[prost(string, tag = 2)]
    pub machine_id: String,
    /// Board serial; empty if unreadable.
    #[prost(string, tag = 3)]
    pub board_serial: String,
    /// Kernel boot id.
    #[prost(string, tag = 4)]
    pub boot_id: String,
    /// `Debian GNU/Linux 12 (bookworm)`.
    #[prost(string, tag = 5)]
    pub os: String,
    /// Kernel release.
    #[prost(string, tag = 6)]
    pub kernel: String,
    /// `x86_64`.
    #[prost(string, tag = 7)]
    pub arch: String,
    /// CPUs this agent may use.
    #[prost(uint32, tag = 8)]
    pub cpus: u32,
    /// Memory in bytes.
    #[prost(uint64, tag = 9)]
    pub memory_bytes: u64,
    /// Size of the file system of cells' homes, bytes.
    #[prost(uint64, optional, tag = 10)]
    pub disk_bytes: Option<u64>,
    /// Version of the agent.
    #[prost(string, tag = 11)]
    pub agent_version: String,
    /// What operators call the node: configured, else the host name.
    #[prost(string, tag = 12)]
    pub name: String,
}

/// One GPU. What NVML did not answer is absent.
#[derive(Clone, PartialEq, Message)]
pub struct Gpu {
    /// `GPU-…`.
    #[prost(string, tag = 1)]
    pub uuid: String,
    /// `NVIDIA H100 80GB HBM3`.
    #[prost(string, tag = 2)]
    pub model: String,
    /// NVML index.
    #[prost(uint32, tag = 3)]
    pub index: u32,
    /// Minor number: the N of `/dev/nvidiaN`.
    #[prost(uint32, optional, tag = 4)]
    pub minor: Option<u32>,
    /// `00000000:18:00.0`.
    #[prost(string, tag = 5)]
    pub pci_bus_id: String,
    /// Memory in bytes.
    #[prost(uint64, optional, tag = 6)]
    pub memory_total_bytes: Option<u64>,
    /// MIG: absent if the GPU cannot.
    #[prost(bool, optional, tag = 7)]
    pub mig_enabled: Option<bool>,
    /// MIG instances that exist.
    #[prost(message, repeated, tag = 8)]
    pub mig: Vec<MigInstance>,
    /// NUMA node of the PCI device.
    #[prost(int32, optional, tag = 9)]
    pub numa_node: Option<i32>,
    /// Active NVLinks.
    #[prost(uint32, optional, tag = 10)]
    pub nvlinks: Option<u32>,
    /// Empty if it answers; else what NVML said.
    #[prost(string, tag = 11)]
    pub error: String,
    /// ECC mode; absent if the GPU cannot.
    #[prost(bool, optional, tag = 12)]
    pub ecc_enabled: Option<bool>,
    /// Power limit in mW.
    #[prost(uint32, optional, tag = 13)]
    pub power_limit_mw: Option<u32>,
}

/// A MIG GPU instance with its one compute instance.
#[derive(Clone, PartialEq, Message)]
pub struct MigInstance {
    /// `MIG-…`.
    #[prost(string, tag = 1)]
    pub uuid: String,
    /// `1g.10gb`.
    #[prost(string, tag = 2)]
    pub profile: String,
    /// First memory slice.
    #[prost(uint32, tag = 3)]
    pub start: u32,
    /// Memory slices.
    #[prost(uint32, tag = 4)]
    pub size: u32,
    /// GPU instance id.
    #[prost(uint32, tag = 5)]
    pub gpu_instance: u32,
    /// Compute instance id.
    #[prost(uint32, tag = 6)]
    pub compute_instance: u32,
    /// Memory in bytes.
    #[prost(uint64, optional, tag = 7)]
    pub memory_total_bytes: Option<u64>,
}

/// A schedulable part the agent found. The coordinator gives it its id.
#[derive(Clone, PartialEq, Message)]
pub struct FoundSlot {
    /// `gpu`, `mig` or `cpu`.
    #[prost(string, tag = 1)]
    pub kind: String,
    /// GPU of a `gpu` or `mig` slot; empty for `cpu`.
    #[prost(string, tag = 2)]
    pub gpu_uuid: String,
    /// MIG profile; empty otherwise.
    #[prost(string, tag = 3)]
    pub profile: String,
    /// First memory slice of a MIG placement, or the number of a `cpu` slot.
    #[prost(uint32, tag = 4)]
    pub start: u32,
    /// Memory slices of a MIG placement; 0 otherwise.
    #[prost(uint32, tag = 5)]
    pub size: u32,
    /// Memory slices of the whole GPU (its occupancy mask has so many bits); 1 without MIG, 0 for `cpu`.
    #[prost(uint32, tag = 6)]
    pub gpu_slices: u32,
}
