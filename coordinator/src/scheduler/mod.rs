//! Where a request goes: a pure function over a snapshot, and the snapshot kept in memory.
//!
//! `place` decides outside any transaction; the allocation's transaction takes the slots by
//! compare-and-set and plans again on a miss, so a stale snapshot costs time and never a double lease.
//!
//! Calls `catalog`, `nodes`, `slots`. Writes no table.

mod frag;
mod live;
mod model;
mod place;
mod reasons;
mod store;
#[cfg(test)]
mod tests;

pub use live::{Claim, Live};
pub use model::{Change, Class, Closed, Gpu, Node, Plan, Reason, Reasons, Request, Slot, Snapshot, Status, Wanted};
pub use place::place;

use crate::catalog::{Kind, Sku};

/// What an allocation of a SKU asks for.
#[must_use]
pub fn wanted(sku: &Sku) -> Request {
    let count = sku.gpus as usize;
    let kind = match sku.kind {
        Kind::Cpu => Wanted::Cpu(1),
        Kind::Gpu => Wanted::Gpu(count),
        Kind::Mig => Wanted::Mig(sku.profile.clone().unwrap_or_default(), count),
        Kind::Node => Wanted::Node(count),
    };
    let gpu_model = sku.gpu_model.as_ref().map(|model| model.to_lowercase());
    Request { kind, gpu_model, labels: sku.labels.clone() }
}
