//! What should be on a node: one JSON document with a generation.
//!
//! Absence never destroys. A cell ends only by its tombstone or its own `not_after_ms`; a cell that the
//! document does not name is kept and reported `unclaimed`.

use crate::ids::{AllocationId, SlotId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole of it. Unknown fields are ignored by older agents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Cells that shall exist, by allocation.
    #[serde(default)]
    pub cells: Vec<Cell>,
    /// Cells that shall end; each kept until its receipt is stored by the coordinator.
    #[serde(default)]
    pub tombstones: Vec<Tombstone>,
}

/// One allocation's cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Whose cell.
    pub allocation: AllocationId,
    /// What people call it; the host name inside.
    pub name: String,
    /// Fences an older lease of the same slots.
    pub lease_epoch: u64,
    /// Leased slots of this node.
    pub slots: Vec<Slot>,
    /// Sizes from the SKU.
    pub size: Size,
    /// What runs in it.
    pub image: Image,
    /// Environment of every session.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Batch command, run once when the cell is up.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// Ends the batch command after so many seconds.
    #[serde(default)]
    pub max_runtime_s: Option<u64>,
    /// The cell ends itself at this time, ms since 1970; null by default.
    #[serde(default)]
    pub not_after_ms: Option<i64>,
    /// Public keys of `authorized_keys`, the complete set; null: no SSH.
    #[serde(default)]
    pub ssh_keys: Option<Vec<String>>,
    /// Of the request that asked for it: one id finds it in every log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub correlation_id: String,
}

/// A leased slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Its id.
    pub id: SlotId,
    /// What it is.
    pub kind: SlotKind,
    /// GPU of a `gpu` or `mig` slot.
    #[serde(default)]
    pub gpu_uuid: Option<String>,
    /// MIG profile such as `1g.10gb`.
    #[serde(default)]
    pub profile: Option<String>,
    /// First memory slice of a MIG placement.
    #[serde(default)]
    pub start: Option<u32>,
    /// Memory slices of a MIG placement.
    #[serde(default)]
    pub size: Option<u32>,
}

/// Kind of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotKind {
    /// A whole GPU.
    Gpu,
    /// A MIG placement.
    Mig,
    /// A share of a node without need of a GPU.
    Cpu,
}

impl SlotKind {
    /// The word in routes, rows and tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Mig => "mig",
            Self::Cpu => "cpu",
        }
    }

    /// The kind behind a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Gpu, Self::Mig, Self::Cpu].into_iter().find(|kind| kind.word() == word)
    }
}

/// What a cell may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Thousandths of a CPU.
    pub cpu_milli: u64,
    /// Memory limit in bytes.
    pub memory_bytes: u64,
    /// Size of the home in bytes.
    pub disk_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
}

/// What a cell's root is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Image {
    /// The node's own root, read-only, with its private parts hidden.
    Host,
    /// An unpacked image at a path of the node.
    Rootfs {
        /// Absolute path below the agent's image directory.
        path: String,
    },
}

/// A cell that shall end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Whose cell.
    pub allocation: AllocationId,
    /// The lease that ends; an older cell of the same allocation ends as well.
    pub lease_epoch: u64,
    /// Said to open sessions: `released`, `force_released`, `failed`, `expired`.
    pub reason: String,
}
