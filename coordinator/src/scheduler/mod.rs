//! Where a request goes: a pure function over a snapshot, and the snapshot kept in memory.
//!
//! `place` decides outside any transaction; the allocation's transaction takes the slots by
//! compare-and-set and plans again on a miss, so a stale snapshot costs time and never a double lease.
//!
//! Calls `catalog`, `nodes`, `slots`. Writes no table.

mod frag;
mod model;
mod place;
mod reasons;
#[cfg(test)]
mod tests;

pub use model::{Change, Class, Closed, Gpu, Node, Plan, Reason, Reasons, Request, Slot, Snapshot, Status, Wanted};
pub use place::place;
