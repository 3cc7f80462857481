//! Node tasks: acts, as opposed to what should be. One stream each; resetting it cancels.
//!
//! `TaskOffer` → `TaskAccepted` (journalled) → progress and log → `TaskResult` → `TaskResultAck`. An agent that has too
//! much to do ends the stream without an answer: the offer comes again.

use prost::Message;

/// Kinds of task this build knows; the list is closed, there is no shell.
pub const KINDS: &[&str] = &["probe", "discover", "scrub", "collect_logs"];

/// One command to one agent. At most once by id.
#[derive(Clone, PartialEq, Message)]
pub struct TaskOffer {
    /// Node task id.
    #[prost(string, tag = 1)]
    pub id: String,
    /// One of [`KINDS`]; another is answered with a result of code `unsupported`.
    #[prost(string, tag = 2)]
    pub kind: String,
    /// JSON, by kind.
    #[prost(string, tag = 3)]
    pub arguments_json: String,
    /// Ends the task after so many ms from its start.
    #[prost(uint64, tag = 4)]
    pub deadline_ms: u64,
    /// Counts offers of the same id.
    #[prost(uint32, tag = 5)]
    pub attempt: u32,
    /// Coordinator clock after which the task shall not start, ms since 1970.
    #[prost(int64, tag = 6)]
    pub not_after_ms: i64,
    /// Of the request that asked for it: one id finds it in every log.
    #[prost(string, tag = 7)]
    pub correlation_id: String,
}

/// The journal holds the task; it will run or has run.
#[derive(Clone, PartialEq, Message)]
pub struct TaskAccepted {
    /// Node task id.
    #[prost(string, tag = 1)]
    pub id: String,
}

/// How far it is.
#[derive(Clone, PartialEq, Message)]
pub struct TaskProgress {
    /// Step in words.
    #[prost(string, tag = 1)]
    pub step: String,
    /// Percent, if it can be said.
    #[prost(uint32, optional, tag = 2)]
    pub percent: Option<u32>,
}

/// A line of output.
#[derive(Clone, PartialEq, Message)]
pub struct TaskLog {
    /// Text.
    #[prost(string, tag = 1)]
    pub line: String,
}

/// The end of a task; kept by the agent until acknowledged.
#[derive(Clone, PartialEq, Message)]
pub struct TaskResult {
    /// Node task id.
    #[prost(string, tag = 1)]
    pub id: String,
    /// `ok`, `failed`, `cancelled`, `deadline`, `expired`, `unsupported`.
    #[prost(string, tag = 2)]
    pub code: String,
    /// For people.
    #[prost(string, tag = 3)]
    pub detail: String,
    /// JSON, by kind.
    #[prost(string, tag = 4)]
    pub result_json: String,
}

/// The result is stored.
#[derive(Clone, PartialEq, Message)]
pub struct TaskResultAck {
    /// Node task id.
    #[prost(string, tag = 1)]
    pub id: String,
}
