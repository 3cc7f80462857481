//! What is: the agent's answer to a desired document, sent whole after every change.

use crate::control::Generation;
use prost::Message;
use serde::{Deserialize, Serialize};

/// State of every cell the agent knows, and of the document it holds.
#[derive(Clone, PartialEq, Message)]
pub struct Report {
    /// Generation the agent reconciles towards; absent if it holds none.
    #[prost(message, optional, tag = 1)]
    pub generation: Option<Generation>,
    /// Why the last offered document was not taken: empty, `older`, `same_generation_other_bytes`, `malformed`.
    #[prost(string, tag = 2)]
    pub refusal: String,
    /// Every cell on the node, named by the document or not.
    #[prost(message, repeated, tag = 3)]
    pub cells: Vec<CellReport>,
    /// Counts up with every report of a journal.
    #[prost(uint64, tag = 4)]
    pub sequence: u64,
}

/// One cell as it is.
#[derive(Clone, PartialEq, Message)]
pub struct CellReport {
    /// Its allocation.
    #[prost(string, tag = 1)]
    pub allocation: String,
    /// Lease it runs under.
    #[prost(uint64, tag = 2)]
    pub lease_epoch: u64,
    /// Where it is, [`Phase`].
    #[prost(enumeration = "Phase", tag = 3)]
    pub phase: i32,
    /// Step in words while it is prepared or ended (`cgroup`, `home`, `devices`, `network`, `init`…).
    #[prost(string, tag = 4)]
    pub step: String,
    /// Level of isolation in force: `cell`, `userns`, `none`.
    #[prost(string, tag = 5)]
    pub isolation: String,
    /// Limits and walls that are not enforced here, each a word (`memory`, `pids`, `disk`, `network`…).
    #[prost(string, repeated, tag = 6)]
    pub not_enforced: Vec<String>,
    /// `type base64` of the cell's SSH host key; empty while there is none.
    #[prost(string, tag = 7)]
    pub ssh_host_key: String,
    /// Exit code of the batch command or, at `Ended`, of PID 1; absent while running.
    #[prost(int32, optional, tag = 8)]
    pub exit_code: Option<i32>,
    /// Machine-readable reason at `Failed` or an unexpected `Ended`.
    #[prost(string, tag = 9)]
    pub failure_code: String,
    /// For people.
    #[prost(string, tag = 10)]
    pub failure_detail: String,
    /// JSON of [`Receipt`], present at `Ended`.
    #[prost(string, tag = 11)]
    pub receipt_json: String,
    /// No line of the document names it.
    #[prost(bool, tag = 12)]
    pub unclaimed: bool,
    /// Open sessions.
    #[prost(uint32, tag = 13)]
    pub sessions: u32,
    /// Who logs in at its SSH entry; empty is `muster`.
    #[prost(string, tag = 14)]
    pub ssh_user: String,
}

/// Where a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum Phase {
    /// Never sent.
    Unspecified = 0,
    /// Its walls are being built.
    Preparing = 1,
    /// PID 1 answers; sessions are possible.
    Running = 2,
    /// The batch command has ended (`exit_code`); the cell still stands.
    Exited = 3,
    /// Being torn down.
    Ending = 4,
    /// Nothing of it is left, or what is left stands in the receipt.
    Ended = 5,
    /// It could not be built; what was built is gone again, see the receipt.
    Failed = 6,
}

/// Proof of what was removed from a node, kept in the audit trail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Nothing is left.
    pub clean: bool,
    /// When the agent looked, ms since 1970.
    pub checked_ms: i64,
    /// Processes that had to be killed, beyond PID 1.
    pub processes_killed: u64,
    /// Files removed from home, /tmp and /dev/shm, with their sum in bytes.
    pub files_removed: u64,
    /// Bytes removed with them.
    pub bytes_removed: u64,
    /// System V and POSIX IPC objects removed.
    pub ipc_removed: u64,
    /// Mounts removed.
    pub mounts_removed: u64,
    /// GPU memory in use on the leased devices after the end, bytes by UUID; null: not measured.
    #[serde(default)]
    pub gpu_memory_bytes: std::collections::BTreeMap<String, Option<u64>>,
    /// What is left, each in words; empty if clean.
    #[serde(default)]
    pub leftovers: Vec<String>,
    /// What was done, in order, with what was found.
    #[serde(default)]
    pub steps: Vec<ReceiptStep>,
}

/// One line of a receipt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptStep {
    /// `sessions`, `processes`, `devices`, `gpu_memory`, `home`, `tmp`, `shm`, `ipc`, `mounts`, `network`, `cgroup`.
    pub name: String,
    /// What was found and done, in words.
    pub detail: String,
    /// The step left nothing behind.
    pub clean: bool,
}
