//! The live stream of a tab: what has changed, in a few words, and figures as they are measured.
//!
//! ```text
//! transaction ── commit ──> feed (a ring of changes) ──> each stream: its topics, its tenant ──> one event a change
//! telemetry (in memory) ─────────────────────────────> each stream: its metrics ──> one event a second
//! ```
//!
//! A change says that something is to be fetched again and nothing of what it is. A stream keeps its place in
//! the ring; whoever comes back within the ring misses nothing, everybody else is told to fetch all again.

mod figures;
mod follow;
pub mod http;
mod topics;
