//! `muster-agent cell`: PID 1 of one allocation.
//!
//! In reading order: [`config`] is what the root half hands over.

pub mod config;
mod error;

pub use error::CellError;
