//! Audit: one event a change, in the transaction of the change; later linked into a hash chain.
//!
//! ```text
//! verb ── record ──> event (unsealed) ── seal (reconciler) ──> event with seq, prev_hash, hash
//! ```
//!
//! Invariants: an event is never changed or deleted; a write closure cannot end without [`record`] (or
//! [`unchanged`], when it found nothing to change); sealed events have seq 1, 2, 3, … without holes, and each
//! hash covers the event and the hash before it. Calls no other room.

mod export;
pub mod http;
mod model;
mod record;
mod store;
pub mod tick;

pub use model::{Chain, Entry};
pub use record::{Event, Outcome, note, record, unchanged};
pub use store::last_in;
