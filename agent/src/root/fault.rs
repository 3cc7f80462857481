//! Why something was not done: a word for programs, a sentence for people.

use super::words::Reply;
use std::fmt::Display;

/// A failure on the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub(super) struct Fault {
    /// For programs.
    pub(super) code: &'static str,
    /// What was being done.
    pub(super) what: String,
    /// What went wrong.
    pub(super) why: String,
}

impl Fault {
    /// A refusal with its word.
    pub(super) fn new(code: &'static str, what: impl Display, why: impl Display) -> Self {
        Self { code, what: what.to_string(), why: why.to_string() }
    }

    /// As the answer to a request.
    pub(super) fn reply(&self) -> Reply {
        Reply::Refused { code: self.code.into(), detail: self.to_string() }
    }
}

/// Says what was being done when it failed.
pub(super) trait Doing<T> {
    /// Wraps the error as a [`Fault`] with the word `failed`.
    fn doing(self, what: impl Display) -> Result<T, Fault>;
}

impl<T, E: Display> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Display) -> Result<T, Fault> {
        self.map_err(|error| Fault::new("failed", what, error))
    }
}
