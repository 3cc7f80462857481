//! Terminals: sessions of people in allocations, and the tunnels of their ssh.
//!
//! ```text
//! token (a minute, once) ──> WebSocket ── auth ──> attached <──> detached ──> ended
//!                                 └── closed with its own code
//! ```
//!
//! Invariants: the cell owns a session, this room owns who may come back to it; bytes are numbered by the cell
//! and passed on as they are; an attach is written to the audit trail before its first byte is shown.

mod end;
pub mod http;
mod logs;
pub mod model;
mod offsets;
mod pipe;
mod place;
pub mod registry;
mod serve;
mod socket;
mod store;
pub mod tick;
pub mod tokens;
mod tunnel;
mod verbs;

pub use registry::Registry;
pub use tokens::Tokens;

/// The room's part of the application: all of it in memory.
#[derive(Debug, Default)]
pub struct Terminals {
    /// Tokens that wait to be used.
    pub tokens: Tokens,
    /// Open attaches.
    pub open: Registry,
}
