//! The closed list of words between the `run` half and the `root` half of an agent.
//!
//! One JSON document per SOCK_SEQPACKET message. There is no word that runs a command of the caller's: a
//! taken-over `run` half can make, end and count cells, and nothing else. Every request may be repeated.

use crate::gpu::DevicePath;
use muster_protocol::desired;
use muster_protocol::ids::{AllocationId, NodeId};
use muster_protocol::report::Receipt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Longest message in bytes; longer ones are refused on either side.
pub const WORD_MAX: usize = 128 << 10;
/// Most bytes of a batch log in one [`Reply::Output`].
pub const OUTPUT_PIECE_MAX: usize = 64 << 10;
/// Most devices of one cell.
pub const DEVICES_MAX: usize = 256;
/// Longest time a cell's processes may take to end by themselves, ms.
pub const GRACE_MAX_MS: u32 = 60_000;

/// How far a cell is walled off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// All walls, built as root.
    Cell,
    /// Namespaces of an unprivileged user: no limits, no way out of the loopback.
    Userns,
    /// No walls. For development, only if asked for.
    None,
}

impl Level {
    /// The word in reports, configuration and for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Cell => "cell",
            Self::Userns => "userns",
            Self::None => "none",
        }
    }

    /// The level behind a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Cell, Self::Userns, Self::None].into_iter().find(|level| level.word() == word)
    }
}

/// What `run` asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// First on every connection. Answer: [`Reply::Hello`].
    Hello {
        /// Version of the caller, for the log.
        version: String,
        /// Whose cells: their host names (cgroups, interfaces, run directory) carry its short form.
        node: NodeId,
    },
    /// Build a cell. [`Event::Step`]s, then [`Reply::Cell`]. A live cell of the same lease is answered as it is.
    CellCreate(Box<CreateCell>),
    /// Every cell known, alive or not. Answer: [`Reply::Cells`].
    CellList,
    /// One cell, after a restart say. Answer: [`Reply::Cell`], or refused `unknown_cell`.
    CellAdopt {
        /// Which.
        allocation: AllocationId,
    },
    /// The complete set of `authorized_keys`, replaced at once. Answer: [`Reply::Done`].
    CellKeys {
        /// Which cell.
        allocation: AllocationId,
        /// Lines of `authorized_keys`.
        keys: Vec<String>,
    },
    /// End a cell and all that is left of a dead one. [`Event::Step`]s, then [`Reply::Ended`], which is kept
    /// and repeated until [`Request::CellForget`].
    CellEnd {
        /// Which cell; an unknown one is answered with a clean receipt.
        allocation: AllocationId,
        /// Said to open sessions.
        reason: String,
        /// Time for processes to end by themselves, ms, at most [`GRACE_MAX_MS`].
        grace_ms: u32,
    },
    /// The receipt is safe elsewhere: drop it with the batch log. Answer: [`Reply::Done`].
    CellForget {
        /// Which ended cell.
        allocation: AllocationId,
    },
    /// A piece of the kept batch log, also after the end. Answer: [`Reply::Output`].
    CellOutput {
        /// Which cell.
        allocation: AllocationId,
        /// First byte wanted.
        offset: u64,
    },
    /// What a cell uses. Answer: [`Reply::Usage`].
    CellUsage {
        /// Which cell.
        allocation: AllocationId,
    },
}

/// All that a cell is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateCell {
    /// The line of the desired document.
    pub cell: desired::Cell,
    /// Leased device files.
    pub devices: Vec<DevicePath>,
    /// Environment that names the devices (`CUDA_VISIBLE_DEVICES`…); wins over the cell's own.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// What `root` answers, once for each request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Hello`].
    Hello {
        /// Version of the root half.
        version: String,
        /// Level of every cell it builds.
        level: Level,
        /// Walls and limits that this machine cannot hold, each a word.
        not_enforced: Vec<String>,
    },
    /// One cell.
    Cell(Box<CellInfo>),
    /// Every cell.
    Cells {
        /// In order of their allocations.
        cells: Vec<CellInfo>,
    },
    /// The cell is no more.
    Ended {
        /// Without GPU memory, which the caller measures.
        receipt: Box<Receipt>,
        /// How the batch command or PID 1 ended, as far as known.
        exit: Option<ExitRecord>,
    },
    /// A piece of a batch log.
    Output {
        /// Offset of the first byte; later than asked if older ones are gone.
        offset: u64,
        /// At most [`OUTPUT_PIECE_MAX`] bytes, base64.
        base64: String,
        /// Offset behind the last byte there is.
        end: u64,
    },
    /// What a cell uses; null: not measured here.
    Usage(CellUsage),
    /// Done, nothing to say.
    Done,
    /// Not done.
    Refused {
        /// A word: `unknown_cell`, `older_lease`, `other_lease`, `bad_device`, `create_failed`, `busy`, …
        code: String,
        /// For people.
        detail: String,
    },
}

/// What `root` says unasked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A create or an end has come to this step.
    Step {
        /// Which cell.
        allocation: AllocationId,
        /// `ids`, `cgroup`, `home`, `devices`, `network`, `mounts`, `init`; at the end the names of receipt steps.
        step: String,
    },
    /// PID 1 of a cell is gone without having been asked to; what is left waits for [`Request::CellEnd`].
    Gone {
        /// Which cell.
        allocation: AllocationId,
        /// Exit code or 128 + signal, if the root half was its parent.
        status: Option<i32>,
    },
}

/// What is known of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellInfo {
    /// Its allocation.
    pub allocation: AllocationId,
    /// Its lease.
    pub lease_epoch: u64,
    /// Whether it lives.
    pub state: CellState,
    /// PID 1 as the node counts; 0 if it never started.
    pub pid: i32,
    /// Start time of PID 1 in clock ticks since boot, tells a reused pid.
    pub start_time: u64,
    /// Boot id of the kernel it was made under.
    pub boot_id: String,
    /// Its socket; frames of `protocol::cell`.
    pub socket: PathBuf,
    /// Level in force.
    pub isolation: Level,
    /// Walls and limits not enforced, each a word.
    pub not_enforced: Vec<String>,
    /// `type base64`; empty without SSH.
    pub ssh_host_key: String,
    /// Who logs in there; empty without SSH.
    pub ssh_user: String,
    /// Leased device files.
    pub devices: Vec<DevicePath>,
}

/// Whether a cell lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellState {
    /// PID 1 lives.
    Running,
    /// PID 1 is gone, or it was never finished: to be ended.
    Dead,
    /// Ended; its receipt is kept.
    Ended,
}

/// How a cell ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Exit code of the batch command, or 128 + signal.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// Why it was ended if not by itself; empty otherwise.
    #[serde(default)]
    pub reason: String,
}

/// Use of a cell's `work` group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellUsage {
    /// CPU time since its start, microseconds.
    pub cpu_usec: Option<u64>,
    /// Memory now, bytes.
    pub memory_bytes: Option<u64>,
    /// Most memory at a time, bytes.
    pub memory_peak_bytes: Option<u64>,
    /// Processes and threads now.
    pub pids: Option<u64>,
    /// Bytes used in its home and /tmp.
    pub disk_bytes: Option<u64>,
}

/// A message towards `root`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ask {
    /// Not 0; comes back in the answer.
    pub(super) id: u64,
    /// What is wanted.
    pub(super) request: Request,
}

/// A message towards `run`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Answer {
    /// To a request.
    Reply {
        /// Of the request.
        id: u64,
        /// The answer.
        reply: Reply,
    },
    /// Unasked.
    Event(Event),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_went() {
        let allocation = AllocationId::new(7, [1; 10]);
        let ask = Ask { id: 3, request: Request::CellEnd { allocation, reason: "released".into(), grace_ms: 5 } };
        let back: Ask = serde_json::from_slice(&serde_json::to_vec(&ask).unwrap()).unwrap();
        assert_eq!((back.id, back.request), (ask.id, ask.request));
        for answer in [
            Answer::Reply { id: 9, reply: Reply::Usage(CellUsage { pids: Some(4), ..CellUsage::default() }) },
            Answer::Reply { id: 9, reply: Reply::Done },
            Answer::Event(Event::Step { allocation, step: "home".into() }),
        ] {
            let text = serde_json::to_string(&answer).unwrap();
            let back: Answer = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&back).unwrap(), text);
        }
    }

    #[test]
    fn words_outside_the_list_are_refused() {
        for bad in [r#"{"id":1,"request":{"do":"shell","command":"id"}}"#, r#"{"id":1}"#, "[]", "{"] {
            assert!(serde_json::from_str::<Ask>(bad).is_err(), "{bad}");
        }
    }
}
