//! Slots: the parts of nodes that can be leased.
//!
//! ```text
//! discovered ── approve ──> free ── reserve ──> reserved ── cell runs ──> leased
//!     └ reject ─> rejected   ^                      └────── end ──────────┐ end
//!                            └──── clean ──────────────────────────── scrubbing
//! ```
//!
//! Invariants: the bits of a GPU are taken by compare-and-set, so no part is ever held twice; a held slot
//! keeps its bits and is never reserved; hardware that changed is approved anew.

pub mod http;
pub mod link;
pub mod model;
pub mod remove;
pub mod store;
pub mod tick;
pub mod verbs;

pub use http::operator_routes;
pub use store::SlotRow;
pub use verbs::{free_in, hold_in, lease_in, reserve_in, scrubbing_in};
