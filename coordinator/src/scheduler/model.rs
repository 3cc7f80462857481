//! What placement looks at and what it answers: a snapshot, a request, a plan or reasons.

use muster_protocol::desired::SlotKind;
use muster_protocol::ids::{NodeId, SlotId};
use std::collections::BTreeMap;

/// Units of one whole GPU in the fragmentation score. Divisible by every slice count in use (1, 4, 7, 8).
pub(super) const GPU_UNITS: i64 = 840;
/// Units of one CPU slot: small beside a GPU, so that GPU capacity decides wherever there is any.
pub(super) const CPU_UNITS: i64 = 20;

/// All nodes that exist, as the store knew them at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Nodes by id.
    pub nodes: BTreeMap<NodeId, Node>,
}

/// One node.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Labels that a request may ask for.
    pub labels: BTreeMap<String, String>,
    /// Why nothing may be placed on it now; none: it is open.
    pub closed: Option<Closed>,
    /// Its GPUs.
    pub gpus: Vec<Gpu>,
    /// Its slots; overlapping ones are allowed, occupancy decides.
    pub slots: Vec<Slot>,
}

/// Why a node takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Closed {
    /// Its agent cannot be reached.
    Offline,
    /// Cordoned, draining or in maintenance.
    Cordoned,
    /// Degraded or quarantined.
    Unhealthy,
    /// Not an approved, active node.
    Inactive,
}

/// One GPU with its occupancy over memory slices.
#[derive(Debug, Clone)]
pub struct Gpu {
    /// `GPU-…`.
    pub uuid: String,
    /// As NVML says it.
    pub model: String,
    /// Memory slices; 1 without MIG.
    pub slices: u32,
    /// Leased or reserved slices, a bit each.
    pub used: u64,
    /// GPUs with the same number talk fast to each other.
    pub island: i64,
}

/// One slot.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Its id.
    pub id: SlotId,
    /// What it is.
    pub kind: SlotKind,
    /// Index into the node's GPUs; none for `cpu`.
    pub gpu: Option<usize>,
    /// MIG profile; empty otherwise.
    pub profile: String,
    /// First memory slice of a MIG placement.
    pub start: u32,
    /// Memory slices of a MIG placement.
    pub size: u32,
    /// Whether it can be had.
    pub status: Status,
}

/// Whether a slot can be had, apart from the occupancy of its GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Approved and not leased.
    Free,
    /// Reserved, leased or being scrubbed.
    Busy,
    /// A hold keeps it from being sold.
    Held,
    /// No operator has approved it.
    Unapproved,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The kind of product.
    pub kind: Wanted,
    /// Model to match, in lower case, a part of NVML's name; none: any.
    pub gpu_model: Option<String>,
    /// Labels the node must carry.
    pub labels: BTreeMap<String, String>,
}

/// Kind and number of slots, all on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// So many CPU slots.
    Cpu(usize),
    /// So many whole GPUs.
    Gpu(usize),
    /// So many placements of one profile.
    Mig(String, usize),
    /// A whole node with at least so many GPUs.
    Node(usize),
}

impl Wanted {
    /// Slots that have to be found; at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Cpu(count) | Self::Gpu(count) | Self::Mig(_, count) => (*count).max(1),
            Self::Node(_) => 1,
        }
    }
}

/// A request that is expected later, with its share of all requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// What will be wanted.
    pub request: Request,
    /// Its weight among all classes; 1 or more.
    pub weight: i64,
}

/// Where it goes: slots of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The node.
    pub node: NodeId,
    /// Its slots, in id order.
    pub slots: Vec<SlotId>,
}

/// Why it goes nowhere: matching slots by the first thing that keeps each from being used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasons {
    /// Slots that match by kind, profile, model and labels.
    pub matching: usize,
    /// Of these, slots that are free on open nodes (too few on any one node).
    pub free: usize,
    /// Slots by reason.
    pub counts: BTreeMap<Reason, usize>,
    /// Fewest acts after which the request would fit; empty if no act of an operator helps.
    pub smallest_change: Vec<Change>,
}

/// What keeps a matching slot from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Reserved, leased, being scrubbed, or its GPU's slices are.
    Busy,
    /// A hold.
    Held,
    /// Not approved.
    Unapproved,
    /// Its node cannot be reached.
    NodeOffline,
    /// Its node is cordoned, draining or in maintenance.
    NodeCordoned,
    /// Its node is degraded or quarantined.
    NodeUnhealthy,
    /// Its node is not active.
    NodeInactive,
    /// Free, but its node has too few of them.
    Topology,
}

impl Reason {
    /// The word in answers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Held => "held",
            Self::Unapproved => "unapproved",
            Self::NodeOffline => "node_offline",
            Self::NodeCordoned => "node_cordoned",
            Self::NodeUnhealthy => "node_unhealthy",
            Self::NodeInactive => "node_inactive",
            Self::Topology => "topology_unsatisfied",
        }
    }
}

impl From<Closed> for Reason {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Offline => Self::NodeOffline,
            Closed::Cordoned => Self::NodeCordoned,
            Closed::Unhealthy => Self::NodeUnhealthy,
            Closed::Inactive => Self::NodeInactive,
        }
    }
}

/// One act that takes a reason away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is in the way.
    pub reason: Reason,
    /// On which node.
    pub node: NodeId,
    /// On how many slots; 1 for an act on the node.
    pub count: usize,
}

impl Gpu {
    /// All of its slices.
    #[must_use]
    pub fn full(&self) -> u64 {
        mask(0, self.slices)
    }
}

/// `size` bits from `start`; slices beyond 64 are cut off.
#[must_use]
pub(super) fn mask(start: u32, size: u32) -> u64 {
    let ones = if size >= 64 { u64::MAX } else { (1u64 << size) - 1 };
    if start >= 64 { 0 } else { ones << start }
}

impl Node {
    /// The slices a slot takes on its GPU; zero for `cpu`.
    #[must_use]
    pub fn bits(&self, slot: &Slot) -> u64 {
        match (slot.kind, slot.gpu.and_then(|index| self.gpus.get(index))) {
            (SlotKind::Gpu, Some(gpu)) => gpu.full(),
            (SlotKind::Mig, Some(_)) => mask(slot.start, slot.size),
            _ => 0,
        }
    }

    /// The slot is approved, unheld, unleased, and none of its slices is taken.
    #[must_use]
    pub fn is_free(&self, slot: &Slot) -> bool {
        slot.status == Status::Free
            && slot.gpu.is_none_or(|index| self.gpus.get(index).is_some_and(|gpu| gpu.used & self.bits(slot) == 0))
    }

    /// Takes slots (by index) out of what is free.
    pub fn take(&mut self, slots: &[usize]) {
        for &index in slots {
            let bits = self.bits(&self.slots[index]);
            if let Some(gpu) = self.slots[index].gpu {
                self.gpus[gpu].used |= bits;
            }
            self.slots[index].status = Status::Busy;
        }
    }

    /// The node carries all labels and, where a model is asked for, nothing is said about its GPUs yet.
    #[must_use]
    pub fn carries(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }
}

impl Request {
    /// The slot is of the wanted kind, profile and model (occupancy aside).
    #[must_use]
    pub fn matches(&self, node: &Node, slot: &Slot) -> bool {
        let kind = match &self.kind {
            Wanted::Cpu(_) => slot.kind == SlotKind::Cpu,
            Wanted::Gpu(_) => slot.kind == SlotKind::Gpu,
            Wanted::Mig(profile, _) => slot.kind == SlotKind::Mig && slot.profile == *profile,
            Wanted::Node(_) => true,
        };
        kind && self.fits_model(slot.gpu.and_then(|index| node.gpus.get(index)))
    }

    /// The GPU, if there is one, is of the wanted model.
    #[must_use]
    pub fn fits_model(&self, gpu: Option<&Gpu>) -> bool {
        match (&self.gpu_model, gpu) {
            (None, _) => true,
            (Some(wanted), Some(gpu)) => gpu.model.to_lowercase().contains(wanted.as_str()),
            (Some(_), None) => matches!(self.kind, Wanted::Node(_)),
        }
    }
}
