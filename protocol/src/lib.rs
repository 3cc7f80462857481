//! The words between `muster-coordinator`, `muster-agent` and the cells.
//!
//! In reading order: [`ids`] names things, [`limits`] bounds them, [`money`] counts what they cost, [`frame`] cuts a
//! byte stream into messages, [`kind`] lists every message there is, [`level`] says which of them a peer knows; then
//! one module per conversation.
//!
//! Invariants:
//! - No runtime, socket, clock, randomness or SQL in this crate: bytes in, values out.
//! - A tag number or a frame kind is never reused; an unknown kind is skipped, an unknown field ignored.
//! - Every field where zero differs from "not measured" is optional.
//! - Decoding never panics and never allocates more than the cap of the frame's kind.

pub mod cell;
pub mod control;
pub mod desired;
pub mod enrol;
pub mod facts;
pub mod frame;
pub mod ids;
pub mod inventory;
pub mod kind;
pub mod level;
pub mod limits;
pub mod money;
pub mod report;
pub mod session;
pub mod task;
pub mod telemetry;
pub mod tunnel;

pub use frame::{Frame, FrameDecoder, FrameError};
pub use kind::Kind;
