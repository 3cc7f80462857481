//! The control stream: opened by the agent, lives as long as the link.
//!
//! `Hello` → `Welcome` or `Refused`; then heartbeats and reports up, desired documents and notices down.

use prost::Message;

/// First words of an agent. A link is up only after [`Welcome`].
#[derive(Clone, PartialEq, Message)]
pub struct Hello {
    /// Lowest level the agent speaks.
    #[prost(uint32, tag = 1)]
    pub level_lowest: u32,
    /// Highest level the agent speaks.
    #[prost(uint32, tag = 2)]
    pub level_highest: u32,
    /// What this agent can do beyond its level (`session`, `tunnel`, `task.probe`…).
    #[prost(string, repeated, tag = 3)]
    pub capabilities: Vec<String>,
    /// Kernel boot id: tells a reboot from a partition.
    #[prost(string, tag = 4)]
    pub boot_id: String,
    /// Random at the creation of the journal: another one means that the node's memory is new.
    #[prost(string, tag = 5)]
    pub journal_epoch: String,
    /// Counts the starts of the agent on this journal; two live ones are a clone.
    #[prost(uint64, tag = 6)]
    pub join_sequence: u64,
    /// Version of the agent.
    #[prost(string, tag = 7)]
    pub agent_version: String,
    /// Generation of the desired document the agent holds; absent if none.
    #[prost(message, optional, tag = 8)]
    pub generation: Option<Generation>,
    /// SHA-256 of that document, raw.
    #[prost(bytes = "vec", tag = 9)]
    pub desired_sha256: Vec<u8>,
    /// The agent's wall clock, ms since 1970.
    #[prost(int64, tag = 10)]
    pub clock_ms: i64,
    /// SHA-256 of what the agent knows its machine by, raw: the coordinator's clone check.
    #[prost(bytes = "vec", tag = 11)]
    pub machine_sha256: Vec<u8>,
}

/// The link is up.
#[derive(Clone, PartialEq, Message)]
pub struct Welcome {
    /// The level in use.
    #[prost(uint32, tag = 1)]
    pub level: u32,
    /// The coordinator's clock, ms since 1970: the agent's floor of trusted time.
    #[prost(int64, tag = 2)]
    pub clock_ms: i64,
    /// The fleet, fixed for the life of the coordinator's data.
    #[prost(string, tag = 3)]
    pub fleet_id: String,
    /// Period of heartbeats in ms when nothing else is sent.
    #[prost(uint32, tag = 4)]
    pub heartbeat_ms: u32,
    /// Period of telemetry in ms.
    #[prost(uint32, tag = 5)]
    pub telemetry_ms: u32,
}

/// No link. `code` is one of the words of `close`.
#[derive(Clone, PartialEq, Message)]
pub struct Refused {
    /// Machine-readable reason: `revoked`, `superseded`, `version`, `unknown_node`, `protocol_error`, `draining`.
    #[prost(string, tag = 1)]
    pub code: String,
    /// For people, with the next step.
    #[prost(string, tag = 2)]
    pub detail: String,
    /// Wait this long before the next try, ms; zero: the agent's own back-off.
    #[prost(uint32, tag = 3)]
    pub retry_after_ms: u32,
}

/// QUIC application close codes of the link; number and word in one row.
pub mod close {
    macro_rules! codes {
        ($($name:ident = $number:literal, $word:literal;)*) => {
            $(#[doc = concat!("`", $word, "`")] pub const $name: u32 = $number;)*
            /// The word of a number.
            #[must_use]
            pub fn word(number: u64) -> &'static str {
                match number { $($number => $word,)* _ => "unknown" }
            }
        };
    }
    codes! {
        NORMAL = 0, "normal";
        REVOKED = 1, "revoked";
        SUPERSEDED = 2, "superseded";
        VERSION = 3, "version";
        PROTOCOL_ERROR = 4, "protocol_error";
        DRAINING = 5, "draining";
        NO_CERTIFICATE = 6, "no_certificate";
        FOREIGN_CA = 7, "foreign_ca";
        UNKNOWN_NODE = 8, "unknown_node";
        EXPIRED = 9, "certificate_expired";
        RATE_LIMITED = 10, "rate_limited";
        SESSION_LIMIT = 11, "session_limit";
    }
}

/// Liveness with the agent's clock. Any received frame counts as one.
#[derive(Clone, PartialEq, Message)]
pub struct Heartbeat {
    /// Counts up per link.
    #[prost(uint64, tag = 1)]
    pub sequence: u64,
    /// The agent's wall clock, ms since 1970.
    #[prost(int64, tag = 2)]
    pub clock_ms: i64,
}

/// Answer to a heartbeat.
#[derive(Clone, PartialEq, Message)]
pub struct HeartbeatAck {
    /// The heartbeat's number.
    #[prost(uint64, tag = 1)]
    pub sequence: u64,
    /// The coordinator's clock, ms since 1970.
    #[prost(int64, tag = 2)]
    pub clock_ms: i64,
}

/// Age of a desired document. A restore from backup raises the epoch. Ordered by (epoch, n).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Message)]
pub struct Generation {
    /// Raised by a restore of the coordinator.
    #[prost(uint64, tag = 1)]
    pub fleet_epoch: u64,
    /// Raised by every change of the node's document.
    #[prost(uint64, tag = 2)]
    pub n: u64,
}

/// What should be on the node: opaque bytes that are journalled and compared as they came.
#[derive(Clone, PartialEq, Message)]
pub struct Desired {
    /// Age of the document.
    #[prost(message, required, tag = 1)]
    pub generation: Generation,
    /// JSON of [`crate::desired::Document`].
    #[prost(bytes = "bytes", tag = 2)]
    pub document: bytes::Bytes,
    /// SHA-256 of `document`, raw.
    #[prost(bytes = "vec", tag = 3)]
    pub sha256: Vec<u8>,
}

/// A CSR for the next certificate over the live link.
#[derive(Clone, PartialEq, Message)]
pub struct RenewRequest {
    /// DER; only its public key is used.
    #[prost(bytes = "vec", tag = 1)]
    pub csr_der: Vec<u8>,
}

/// The next certificate. The old one stays valid until the new one has completed a handshake.
#[derive(Clone, PartialEq, Message)]
pub struct RenewReply {
    /// DER, leaf first; empty if refused.
    #[prost(bytes = "vec", repeated, tag = 1)]
    pub chain_der: Vec<Vec<u8>>,
    /// DER of every CA the agent shall trust.
    #[prost(bytes = "vec", repeated, tag = 2)]
    pub roots_der: Vec<Vec<u8>>,
    /// Reason of a refusal, as [`Refused::code`].
    #[prost(string, tag = 3)]
    pub refusal: String,
}

/// The coordinator is about to stop: reconnect after a random part of the spread.
#[derive(Clone, PartialEq, Message)]
pub struct DrainNotice {
    /// Spread in ms.
    #[prost(uint32, tag = 1)]
    pub spread_ms: u32,
}
