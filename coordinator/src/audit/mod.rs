//! Audit: one event a change, in the transaction of the change; later linked into a hash chain.
//!
//! ```text
//! verb ── record ──> event (unsealed) ── seal (reconciler) ──> event with seq, prev_hash, hash
//! ```
//!
//! Invariants: an event is never changed or deleted; a write closure cannot end without [`record`] (or
//! [`unchanged`], when it found nothing to change). Calls no other room.

mod record;

pub use record::{Event, Outcome, note, record, unchanged};
