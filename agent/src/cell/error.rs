//! What can keep a cell from starting.

use std::io;

/// Why `muster-agent cell` could not begin.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The root half handed over something that makes no sense.
    #[error("the cell's configuration: {0}")]
    Config(String),
    /// The kernel refused.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl CellError {
    pub(super) fn io(what: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Io { what, source: source.into() }
    }
}
