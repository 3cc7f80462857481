//! `muster-enroll/1`: how a machine becomes a node. One bidirectional stream, one request, one reply.
//!
//! The agent checks the hash of the coordinator's CA against its token before it sends the secret.

use crate::inventory::Host;
use prost::Message;

/// Label of the TLS exporter that binds proofs of a key to their connection.
pub const PROOF_LABEL: &[u8] = b"EXPORTER-muster-enroll-proof";
/// Length of the exported secret in bytes.
pub const PROOF_LEN: usize = 32;

/// A bootstrap token's secret and a CSR.
#[derive(Clone, PartialEq, Message)]
pub struct EnrolRequest {
    /// Lowest level the agent speaks.
    #[prost(uint32, tag = 1)]
    pub level_lowest: u32,
    /// Highest level the agent speaks.
    #[prost(uint32, tag = 2)]
    pub level_highest: u32,
    /// The token's id.
    #[prost(string, tag = 3)]
    pub token_id: String,
    /// The token's secret as printed.
    #[prost(string, tag = 4)]
    pub secret: String,
    /// DER; only its public key is used.
    #[prost(bytes = "vec", tag = 5)]
    pub csr_der: Vec<u8>,
    /// The machine.
    #[prost(message, required, tag = 6)]
    pub host: Host,
    /// UUIDs of its GPUs.
    #[prost(string, repeated, tag = 7)]
    pub gpu_uuids: Vec<String>,
    /// The agent's wall clock, ms since 1970.
    #[prost(int64, tag = 8)]
    pub clock_ms: i64,
}

/// Proof of the key of a pending or known node: is there a certificate yet?
#[derive(Clone, PartialEq, Message)]
pub struct EnrolPoll {
    /// The node that the key is bound to.
    #[prost(string, tag = 1)]
    pub node_id: String,
    /// DER of a CSR made with the node's key: its self-signature names the key.
    #[prost(bytes = "vec", tag = 2)]
    pub csr_der: Vec<u8>,
    /// Signature of the node's key over the exporter value of this connection ([`PROOF_LABEL`]).
    #[prost(bytes = "vec", tag = 3)]
    pub proof: Vec<u8>,
    /// The agent's wall clock, ms since 1970.
    #[prost(int64, tag = 4)]
    pub clock_ms: i64,
    /// The machine, so that a clone can be named.
    #[prost(message, optional, tag = 5)]
    pub host: Option<Host>,
}

/// Where the node stands.
#[derive(Clone, PartialEq, Message)]
pub struct EnrolReply {
    /// `pending`, `issued` or `refused`.
    #[prost(string, tag = 1)]
    pub status: String,
    /// Set unless refused.
    #[prost(string, tag = 2)]
    pub node_id: String,
    /// DER, leaf first, at `issued`.
    #[prost(bytes = "vec", repeated, tag = 3)]
    pub chain_der: Vec<Vec<u8>>,
    /// DER of every CA to trust, at `issued`.
    #[prost(bytes = "vec", repeated, tag = 4)]
    pub roots_der: Vec<Vec<u8>>,
    /// At `refused`: `token_spent`, `token_expired`, `token_revoked`, `token_unknown`, `node_rejected`,
    /// `node_removed`, `key_mismatch`, `recovery_exhausted`, `version`, `malformed`, `rate_limited`.
    #[prost(string, tag = 5)]
    pub refusal: String,
    /// For people, with the next step.
    #[prost(string, tag = 6)]
    pub detail: String,
    /// Ask again after so many ms, at `pending`.
    #[prost(uint32, tag = 7)]
    pub retry_after_ms: u32,
    /// The coordinator's clock, ms since 1970.
    #[prost(int64, tag = 8)]
    pub clock_ms: i64,
    /// The fleet's id, at `pending` and `issued`: a node is never silently re-homed.
    #[prost(string, tag = 9)]
    pub fleet_id: String,
}
