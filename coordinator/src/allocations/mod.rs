//! Allocations: leases of slots of one node by a project.
//!
//! ```text
//! requested ── node builds ──> provisioning ── PID 1 answers ──> active <──> degraded (node silent)
//!     │ in time or not at all       │                              │ release, end of the command
//!     └──────────> failed <─────────┴── cell ended by itself ──────┤
//!                                                              releasing ── receipt ──> released
//!                                                                  └── late ──> release_failed ── receipt ──┘
//! ```
//!
//! Beside the state stands the wish, which is what the node's desired document says: the cell, its tombstone,
//! or nothing once the receipt is stored. Slots are free again with the receipt and never before; a receipt
//! that names leftovers puts a quarantine hold on each slot.
//!
//! Invariants: a launch writes everything or nothing, with its answer; no slot is held twice; a tombstone
//! stays until its receipt is stored; a node's report is news or it is not, and never undoes an end. Calls
//! `audit`, `projects`, `access`, `operations`, `catalog`, `nodes`, `links`, `slots`, `scheduler`.

mod cells;
mod doc;
pub mod drafts;
mod effects;
mod evaluate;
pub mod http;
mod kinds;
pub mod labels;
mod launch;
pub mod link;
mod model;
mod progress;
pub mod projects;
mod proof;
mod release;
mod request;
mod store;
#[cfg(test)]
mod tests;
pub mod tick;
mod view;

pub use doc::desired_in;
pub use kinds::kinds;
pub use link::Heard;
pub use model::{Lease, State, Wish};
pub use proof::restored_in;
pub use store::Allocation;
pub use view::AllocationView;

use crate::base::authz::Verb;
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use muster_protocol::desired::Slot;
use muster_protocol::ids::AllocationId;

/// The allocation, if the actor may do `verb` to it; 404 for a foreign and an unknown one alike.
///
/// # Errors
/// 404, 403 `forbidden_role`, or what the store says.
pub fn find_in(tx: &mut Tx, cx: &Cx, id: AllocationId, verb: Verb) -> Result<Allocation, Problem> {
    release::seen_in(tx, cx, id, verb)
}

/// The slots it leases, or leased.
///
/// # Errors
/// Only what the store says.
pub fn slots_in(tx: &mut Tx, id: AllocationId) -> Result<Vec<Slot>, Problem> {
    store::slots_of(tx, id)
}

/// An allocation as it is shown. The caller has looked whether it may be.
///
/// # Errors
/// 404, or what the store says.
pub fn view_in(tx: &mut Tx, id: AllocationId) -> Result<AllocationView, Problem> {
    let row = store::find(tx, id)?.ok_or_else(|| Problem::not_found("allocation"))?;
    view::shown_in(tx, row)
}

/// What its batch command printed: offset and bytes of each piece, in order. At most 1 MiB in all.
///
/// # Errors
/// Only what the store says.
pub fn log_of_in(tx: &mut Tx, id: AllocationId) -> Result<Vec<(u64, Vec<u8>)>, Problem> {
    store::log_of(tx, id)
}
