//! Telemetry: what nodes measure, in memory alone; and XID events, which are kept.
//!
//! Invariants: a value that was not measured is null; a value older than five seconds is withdrawn; no sample
//! costs a write.

pub mod http;
pub mod link;
pub mod memory;
pub mod ring;
mod store;

pub use http::operator_routes;
pub use memory::{Span, Telemetry};
