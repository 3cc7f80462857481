//! Between an agent and its cells, over the cell's Unix socket. Cells outlive agents, so these words have
//! levels like the link's; sessions and tunnels use the frames of [`crate::session`] and [`crate::tunnel`].
//!
//! Every connection begins with one of `SessionAttach`, `TunnelOpen`, `CellWatch`.

use prost::Message;

/// Tell me what you are, now and on every change.
#[derive(Clone, PartialEq, Message)]
pub struct CellWatch {
    /// Highest level the agent speaks.
    #[prost(uint32, tag = 1)]
    pub level: u32,
}

/// What a cell is.
#[derive(Clone, PartialEq, Message)]
pub struct CellStatus {
    /// Level in use.
    #[prost(uint32, tag = 1)]
    pub level: u32,
    /// Its allocation.
    #[prost(string, tag = 2)]
    pub allocation: String,
    /// Version of the binary that PID 1 runs.
    #[prost(string, tag = 3)]
    pub version: String,
    /// Open sessions, tunnels included.
    #[prost(message, repeated, tag = 4)]
    pub sessions: Vec<CellSession>,
    /// Exit of the batch command; absent while it runs or if there is none.
    #[prost(int32, optional, tag = 5)]
    pub main_exit_code: Option<i32>,
    /// Why the batch command ended if not by itself (`max_runtime`); empty otherwise.
    #[prost(string, tag = 6)]
    pub main_exit_reason: String,
}

/// One session of a cell.
#[derive(Clone, PartialEq, Message)]
pub struct CellSession {
    /// Its id, or `main`.
    #[prost(string, tag = 1)]
    pub session: String,
    /// `terminal`, `command`, `ssh`, `main`.
    #[prost(string, tag = 2)]
    pub kind: String,
    /// Someone looks at it.
    #[prost(bool, tag = 3)]
    pub attached: bool,
    /// Output so far, bytes.
    #[prost(uint64, tag = 4)]
    pub output_bytes: u64,
    /// Stdin so far, bytes.
    #[prost(uint64, tag = 5)]
    pub input_bytes: u64,
}

/// Tell the sessions why, end everything inside and exit.
#[derive(Clone, PartialEq, Message)]
pub struct CellEnd {
    /// `released`, `force_released`, `failed`, `expired`.
    #[prost(string, tag = 1)]
    pub reason: String,
    /// Time for processes to end by themselves, ms.
    #[prost(uint32, tag = 2)]
    pub grace_ms: u32,
}
