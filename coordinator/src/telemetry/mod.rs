//! Telemetry: what nodes measure, the last fifteen minutes by the second and in memory alone; means of it by the
//! minute for a day and by the hour for a month; and XID events, which are kept.
//!
//! Invariants: a value that was not measured is null; a value older than five seconds is withdrawn; no sample
//! costs a write: means are written a few minutes' worth at a time.

mod history;
pub mod http;
pub mod link;
mod means;
pub mod memory;
pub mod ring;
mod store;
pub mod tick;
mod tracks;

pub use history::{cell_history_in, node_history_in};
pub use http::operator_routes;
pub use memory::{Span, Telemetry};

/// Widths of points, and how long points of each are kept, ms; finest first.
pub const STEPS_MS: [(i64, i64); 3] = [
    (ring::STEP_MS, ring::STEP_MS * ring::POINTS as i64),
    (means::MINUTES.step_ms, means::MINUTES.kept_ms),
    (means::HOURS.step_ms, means::HOURS.kept_ms),
];
