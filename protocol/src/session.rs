//! Sessions: a terminal or a command in a cell, with bytes numbered both ways so that either end may come
//! back and nothing is lost or doubled within the ring.
//!
//! `SessionAttach` → `SessionAttached` or `SessionError`; then [`crate::Kind::SessionInput`] towards the cell,
//! [`crate::Kind::SessionOutput`] and [`crate::Kind::SessionErrOutput`] back, each `offset u64 | bytes`.
//! Output and error output share one numbering. A side stops sending when
//! [`crate::limits::SESSION_CREDIT`] bytes are unacknowledged. Input that the cell already has is dropped by
//! its offset. The same frames run between coordinator and agent and between agent and cell.

use prost::Message;

/// Opens, or comes back to, a session.
#[derive(Clone, PartialEq, Message)]
pub struct SessionAttach {
    /// The cell.
    #[prost(string, tag = 1)]
    pub allocation: String,
    /// The session; unknown ids are opened if `create` is set.
    #[prost(string, tag = 2)]
    pub session: String,
    /// Open it if it does not exist, else `session_gone`.
    #[prost(bool, tag = 3)]
    pub create: bool,
    /// A PTY if true, else pipes.
    #[prost(bool, tag = 4)]
    pub terminal: bool,
    /// The command; empty: the login shell. Only read when the session is opened.
    #[prost(string, repeated, tag = 5)]
    pub command: Vec<String>,
    /// Columns; 0: 80.
    #[prost(uint32, tag = 6)]
    pub cols: u32,
    /// Rows; 0: 24.
    #[prost(uint32, tag = 7)]
    pub rows: u32,
    /// Output before this offset is known to the viewer; absent: from the start of the ring.
    #[prost(uint64, optional, tag = 8)]
    pub after: Option<u64>,
    /// Only look: input, resize and signals are refused.
    #[prost(bool, tag = 9)]
    pub read_only: bool,
    /// The session named [`MAIN_SESSION`] of a batch cell has no id of its own.
    #[prost(bool, tag = 10)]
    pub main: bool,
    /// The session ends with its viewer (a command run by `exec`), instead of staying for re-attach.
    #[prost(bool, tag = 11)]
    pub end_on_detach: bool,
}

/// Name of a batch command's session in a cell.
pub const MAIN_SESSION: &str = "main";

/// The session is open; output follows from `offset`.
#[derive(Clone, PartialEq, Message)]
pub struct SessionAttached {
    /// The session.
    #[prost(string, tag = 1)]
    pub session: String,
    /// It existed before.
    #[prost(bool, tag = 2)]
    pub resumed: bool,
    /// Offset of the next output byte: the larger of `after` and the start of the ring.
    #[prost(uint64, tag = 3)]
    pub offset: u64,
    /// Bytes of stdin the session has taken since it began.
    #[prost(uint64, tag = 4)]
    pub input_offset: u64,
    /// `after` lay before the ring: bytes from there to `offset` are lost.
    #[prost(uint64, optional, tag = 5)]
    pub skipped_from: Option<u64>,
    /// Offset behind the newest output byte, so that a reader who does not follow knows where to stop.
    #[prost(uint64, tag = 6)]
    pub end: u64,
}

/// Everything before `offset` has been taken.
#[derive(Clone, PartialEq, Message)]
pub struct SessionAck {
    /// Of output if sent towards the cell, of stdin if sent by it.
    #[prost(uint64, tag = 1)]
    pub offset: u64,
}

/// The window's size.
#[derive(Clone, PartialEq, Message)]
pub struct SessionResize {
    /// Columns.
    #[prost(uint32, tag = 1)]
    pub cols: u32,
    /// Rows.
    #[prost(uint32, tag = 2)]
    pub rows: u32,
}

/// A signal to the session's foreground process group.
#[derive(Clone, PartialEq, Message)]
pub struct SessionSignal {
    /// `INT`, `TERM`, `HUP`, `QUIT`, `KILL`, `USR1`, `USR2`, `TSTP`, `CONT`.
    #[prost(string, tag = 1)]
    pub name: String,
}

/// No more stdin.
#[derive(Clone, PartialEq, Message)]
pub struct SessionEof {}

/// The command ended; sent after its last output.
#[derive(Clone, PartialEq, Message)]
pub struct SessionExit {
    /// Exit code, or 128 + signal.
    #[prost(int32, tag = 1)]
    pub code: i32,
    /// The signal's name; empty if it exited.
    #[prost(string, tag = 2)]
    pub signal: String,
    /// Why the cell ended it, `released` say; empty if it ended by itself.
    #[prost(string, tag = 3)]
    pub reason: String,
}

/// The attach is refused, or over while the session may live on.
#[derive(Clone, PartialEq, Message)]
pub struct SessionError {
    /// `session_limit`, `session_gone`, `superseded`, `stalled`, `cell_gone`, `spawn_failed`, `agent_busy`, `protocol_error`.
    #[prost(string, tag = 1)]
    pub code: String,
    /// For people.
    #[prost(string, tag = 2)]
    pub detail: String,
}

/// Output that fell out of the ring before this viewer got it.
#[derive(Clone, PartialEq, Message)]
pub struct SessionSkipped {
    /// First lost offset.
    #[prost(uint64, tag = 1)]
    pub from: u64,
    /// First offset that follows.
    #[prost(uint64, tag = 2)]
    pub to: u64,
}
