//! Tunnels: raw bytes to the SSH entry of a cell. After [`TunnelReady`] the stream carries no more frames.

use prost::Message;

/// First on a tunnel stream.
#[derive(Clone, PartialEq, Message)]
pub struct TunnelOpen {
    /// The cell.
    #[prost(string, tag = 1)]
    pub allocation: String,
    /// For the audit trail and `muster-agent status`.
    #[prost(string, tag = 2)]
    pub session: String,
    /// `ssh`.
    #[prost(string, tag = 3)]
    pub target: String,
}

/// Raw bytes follow.
#[derive(Clone, PartialEq, Message)]
pub struct TunnelReady {}

/// No tunnel.
#[derive(Clone, PartialEq, Message)]
pub struct TunnelRefused {
    /// `cell_gone`, `no_ssh`, `session_limit`, `unsupported`, `spawn_failed`.
    #[prost(string, tag = 1)]
    pub code: String,
    /// For people.
    #[prost(string, tag = 2)]
    pub detail: String,
}
