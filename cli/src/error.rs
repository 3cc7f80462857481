//! What goes wrong, in which words it is said, and with which exit code.

use serde::Deserialize;
use std::fmt;

/// Exit codes, the same for every command but `terminal`, `exec` and `ssh`.
pub mod exit {
    /// Done.
    pub const OK: u8 = 0;
    /// The command line, the input or this machine.
    pub const CLIENT: u8 = 1;
    /// The coordinator or the way to it.
    pub const SERVER: u8 = 2;
    /// Not signed in, or not allowed.
    pub const AUTH: u8 = 3;
    /// No such thing, or not yours.
    pub const NOT_FOUND: u8 = 4;
    /// It is there, but not in a state that allows this.
    pub const CONFLICT: u8 = 5;
    /// Own failure of `terminal`, `exec` and `ssh`, whose other codes are the remote command's.
    pub const SESSION: u8 = 255;
}

/// A refusal as the API words it (`application/problem+json`).
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Problem {
    /// HTTP status.
    #[serde(default)]
    pub status: u16,
    /// Snake-case word that programs rely on.
    #[serde(default)]
    pub code: String,
    /// Short, for people.
    #[serde(default)]
    pub title: String,
    /// The sentence for people.
    #[serde(default)]
    pub detail: Option<String>,
    /// What ties this answer to the coordinator's log.
    #[serde(default)]
    pub correlation_id: Option<String>,
    /// Fields that were refused.
    #[serde(default)]
    pub errors: Vec<FieldError>,
    /// What to do next.
    #[serde(default)]
    pub action: Option<Action>,
}

/// One refused field.
#[derive(Debug, Clone, Deserialize)]
pub struct FieldError {
    /// Path of the field.
    #[serde(default)]
    pub field: String,
    /// Snake-case word.
    #[serde(default)]
    pub code: String,
    /// For people.
    #[serde(default)]
    pub detail: Option<String>,
}

/// The next step the API proposes.
#[derive(Debug, Clone, Deserialize)]
pub struct Action {
    /// In words.
    #[serde(default)]
    pub label: String,
    /// Where.
    #[serde(default)]
    pub href: Option<String>,
}

/// Everything that ends a command early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wrong arguments or input, or something of this machine.
    #[error("{0}")]
    Client(String),
    /// The coordinator could not be reached, or broke off.
    #[error("{0}")]
    Network(String),
    /// Nobody is signed in.
    #[error("{0}")]
    Auth(String),
    /// A name that nothing has.
    #[error("{0}")]
    NotFound(String),
    /// A thing that took time ended badly.
    #[error("{0}")]
    Failed(String),
    /// The API refused.
    #[error("{}", .0.detail.as_deref().filter(|text| !text.is_empty()).unwrap_or(&.0.title))]
    Api(Box<Problem>),
    /// A session's own end: this code, with the words already said.
    #[error("exit {0}")]
    Exit(u8),
}

/// Shorthand of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A client-side failure from anything that can be shown.
    pub fn client(what: impl fmt::Display) -> Self {
        Self::Client(what.to_string())
    }

    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Client(_) => exit::CLIENT,
            Self::Network(_) | Self::Failed(_) => exit::SERVER,
            Self::Auth(_) => exit::AUTH,
            Self::NotFound(_) => exit::NOT_FOUND,
            Self::Api(problem) => match problem.status {
                401 | 403 => exit::AUTH,
                404 => exit::NOT_FOUND,
                409 | 412 | 423 => exit::CONFLICT,
                400..=499 if problem.status != 429 => exit::CLIENT,
                _ => exit::SERVER,
            },
            Self::Exit(code) => *code,
        }
    }

    /// The API's word for it, empty if it did not come from there.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Api(problem) => &problem.code,
            _ => "",
        }
    }

    /// Says it on stderr: the sentence, the fields, the next step, the correlation id.
    pub fn report(&self) {
        if matches!(self, Self::Exit(_)) {
            return;
        }
        eprintln!("error: {}", crate::output::clean(&self.to_string()));
        let Self::Api(problem) = self else { return };
        let said = self.to_string();
        // One wrong field whose words were the sentence already needs no line of its own.
        for error in problem.errors.iter().filter(|error| error.detail.as_deref() != Some(&said)) {
            let detail = error.detail.as_deref().unwrap_or_default();
            eprintln!("  {}: {} {}", error.field, error.code, detail);
        }
        // A command of ours is a better next step here than a page of the console.
        if let Some(next) = next_step(&problem.code) {
            eprintln!("next: {next}");
        } else if let Some(action) = &problem.action {
            match &action.href {
                Some(href) => eprintln!("next: {} ({href})", action.label),
                None => eprintln!("next: {}", action.label),
            }
        }
        match &problem.correlation_id {
            Some(id) => eprintln!("code: {}, correlation id: {id}", problem.code),
            None => eprintln!("code: {}", problem.code),
        }
    }
}

/// What to try with this program.
fn next_step(code: &str) -> Option<&'static str> {
    Some(match code {
        "unauthenticated" | "token_expired" | "refresh_reused" => "sign in again with `muster login`",
        "operator_token_required" => "sign in with `muster login --operator`",
        "operator_role_required" => "ask an operator for a role (`muster users`), or sign in as somebody who has one",
        "ssh_key_missing" => "add a key with `muster keys add FILE`, or launch with --no-ssh",
        "sold_out" => "see what is free with `muster skus list`",
        "node_offline" | "node_timeout" | "agent_busy" => "try again in a few seconds",
        "not_active" => "see its state with `muster allocations show`",
        _ => return None,
    })
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Client(error.to_string())
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Network(format!("the coordinator answered with something else than expected: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_follow_the_status() {
        for (status, code) in [(401, 3), (403, 3), (404, 4), (409, 5), (412, 5), (422, 1), (429, 2), (500, 2), (503, 2)]
        {
            let problem = Problem { status, ..Problem::default() };
            assert_eq!(Error::Api(Box::new(problem)).exit_code(), code, "{status}");
        }
    }
}
