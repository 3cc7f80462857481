//! Nodes: machines with our agent, from their first token to long after their removal.
//!
//! ```text
//! token ──> pending_approval ── approve ──> enrolling ── first link ──> in_service ── remove ──> removed
//!                     └─ reject ─────────────────────────────────────────────────────────────────^
//! ```
//!
//! Invariants: an id is for life; many that fall silent together blow a [`fuse`]; presence, scheduling and health are separate facets, and the one word
//! `state` is derived from them; the live presence is in memory, its row is written on a settled change.

pub mod acts;
pub mod facts;
pub mod fuse;
pub mod http;
pub mod link;
mod meters;
pub mod model;
mod presence;
pub mod probe;
pub mod store;
pub mod tasks;
pub mod tick;
pub mod verbs;
pub mod view;

pub use http::operator_routes;
pub use presence::{Board, Seen};
pub use store::NodeRow;
