//! What the root half hands to a new cell: one JSON document on an inherited descriptor.
//!
//! `muster-agent cell --config-fd N`: the process reads descriptor N to its end, closes it, and from then on
//! knows all it ever will. It is started inside the cell's namespaces, already in the cgroup `init`, with the
//! root file system, `/proc`, `/dev` (with `/dev/pts` and `/dev/ptmx`) and the host name in place. Every
//! other descriptor it needs is inherited too and named here by number; none of them reaches a payload.
//!
//! Payloads (shells, commands, sshd) run in a user namespace below the one of PID 1, which PID 1 makes itself
//! from [`Payload::uid_map`] and [`Payload::gid_map`]: as root 65,536 ids of the node's private range,
//! unprivileged the caller's one id. With empty maps (isolation `none`) they run as PID 1 does.

use super::CellError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{FromRawFd, RawFd};
use std::path::PathBuf;

/// Cap of the document, in bytes.
pub const CONFIG_MAX: u64 = 4 << 20;
/// Usual value of [`CellConfig::stall_ms`].
pub const STALL_MS: u64 = 60_000;
/// Name of the exit record in the status directory.
pub const EXIT_RECORD: &str = "exit.json";
/// Name of the batch command's kept output in the status directory.
pub const MAIN_LOG: &str = "main.log";

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellConfig {
    /// The allocation's id.
    pub allocation: String,
    /// The lease's epoch; repeated in the exit record.
    pub lease_epoch: u64,
    /// The walls that stand around this process.
    pub isolation: Isolation,
    /// The cell's socket: Unix, stream, bound and listening. Its path lies outside of what the cell can see.
    pub listener_fd: RawFd,
    /// Directory for [`EXIT_RECORD`] and [`MAIN_LOG`], opened `O_RDONLY | O_DIRECTORY`; it survives the cell.
    pub status_fd: RawFd,
    /// Gets `ok\n` once payloads can be started, else one line with the reason, then it is closed.
    #[serde(default)]
    pub ready_fd: Option<RawFd>,
    /// Who may connect: effective user ids as PID 1's user namespace shows them. Processes of the cell itself
    /// are refused whatever their id.
    pub peer_uids: Vec<u32>,
    /// Who the payloads are.
    pub user: CellUser,
    /// Environment of every payload, beside HOME, USER, LOGNAME, SHELL, PATH, TERM and LANG, which it may
    /// override.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Batch command, run at once as session `main`.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// Ends the batch command after so many seconds.
    #[serde(default)]
    pub max_runtime_s: Option<u64>,
    /// The SSH entry; absent: tunnels are refused with `no_ssh`.
    #[serde(default)]
    pub ssh: Option<SshEntry>,
    /// A viewer that takes no output for so long, while there is some, is detached, ms.
    #[serde(default = "default_stall_ms")]
    pub stall_ms: u64,
    /// How payloads are walled off from PID 1.
    #[serde(default)]
    pub payload: Payload,
}

/// How strong the walls are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Made by root: this process is PID 1 and root of the node's user namespace.
    Cell,
    /// Made by an ordinary user: this process is PID 1 and has its rights only in a user namespace.
    Userns,
    /// None: an ordinary process among the node's others. For development.
    None,
}

/// The account of the payloads, as the cell's own `/etc/passwd` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellUser {
    /// User id inside the payloads' user namespace.
    pub uid: u32,
    /// Group id inside it.
    pub gid: u32,
    /// Account name.
    pub name: String,
    /// Home directory, which exists.
    pub home: PathBuf,
    /// Login shell.
    pub shell: PathBuf,
}

/// What `sshd` needs; all paths as the cell sees them, readable by the cell's user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshEntry {
    /// Private host key of this allocation, mode 0600, owned by the cell's user.
    pub host_key: PathBuf,
    /// `authorized_keys`, read-only for the cell, replaced by the agent; read anew on each login.
    pub authorized_keys: PathBuf,
    /// The server's binary.
    #[serde(default = "default_sshd")]
    pub sshd: PathBuf,
}

fn default_stall_ms() -> u64 {
    STALL_MS
}

fn default_sshd() -> PathBuf {
    PathBuf::from("/usr/sbin/sshd")
}

/// Walls between PID 1 and what it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// User ids of the payloads' user namespace; empty: no such namespace.
    #[serde(default)]
    pub uid_map: Vec<IdMap>,
    /// Group ids of it.
    #[serde(default)]
    pub gid_map: Vec<IdMap>,
    /// Files of the cgroup `work`, one per hierarchy of version 1, that a payload enters by writing to them.
    #[serde(default)]
    pub cgroup_fds: Vec<RawFd>,
    /// Directory of `work` in version 2, in which payloads are born.
    #[serde(default)]
    pub cgroup_v2_fd: Option<RawFd>,
    /// Open files a payload may have; null: as inherited. Lowered to what may be set.
    #[serde(default)]
    pub nofile: Option<u64>,
    /// Locked memory without a limit, where that may be set.
    #[serde(default)]
    pub memlock_unlimited: bool,
    /// Apply the list of refused system calls.
    #[serde(default)]
    pub seccomp: bool,
}

/// One line of a `uid_map` or `gid_map`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// First id inside.
    pub inside: u32,
    /// Its id in PID 1's user namespace.
    pub outside: u32,
    /// How many ids follow one another.
    pub count: u32,
}

impl IdMap {
    /// The id in PID 1's user namespace that stands behind `id`, if any.
    #[must_use]
    pub fn outside(maps: &[Self], id: u32) -> Option<u32> {
        if maps.is_empty() {
            return Some(id);
        }
        maps.iter()
            .find(|map| id >= map.inside && id - map.inside < map.count)
            .map(|map| map.outside + (id - map.inside))
    }
}

impl CellConfig {
    /// Reads and checks the document on an inherited descriptor, and closes that.
    ///
    /// # Errors
    /// If it cannot be read, is over [`CONFIG_MAX`] or makes no sense.
    pub fn from_fd(fd: RawFd) -> Result<Self, CellError> {
        // SAFETY: the descriptor was inherited for this purpose only; nothing else in this process knows it.
        let file = unsafe { File::from_raw_fd(fd) };
        let mut text = Vec::new();
        file.take(CONFIG_MAX + 1)
            .read_to_end(&mut text)
            .map_err(|source| CellError::io("read the configuration", source))?;
        if text.len() as u64 > CONFIG_MAX {
            return Err(CellError::Config("over the size limit".into()));
        }
        let config: Self = serde_json::from_slice(&text).map_err(|error| CellError::Config(error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), CellError> {
        let wrong = |what: &str| Err(CellError::Config(what.to_owned()));
        if self.payload.uid_map.is_empty() != self.payload.gid_map.is_empty() {
            return wrong("uid_map and gid_map go together");
        }
        if self.payload.uid_map.is_empty() && self.isolation != Isolation::None {
            return wrong("only isolation `none` goes without a user namespace");
        }
        if IdMap::outside(&self.payload.uid_map, self.user.uid).is_none() {
            return wrong("user.uid is not in uid_map");
        }
        if IdMap::outside(&self.payload.gid_map, self.user.gid).is_none() {
            return wrong("user.gid is not in gid_map");
        }
        if self.command.as_ref().is_some_and(Vec::is_empty) {
            return wrong("command is empty");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_looked_up_in_the_maps() {
        let maps = [IdMap { inside: 0, outside: 200_000, count: 10 }, IdMap { inside: 1000, outside: 5, count: 1 }];
        assert_eq!(IdMap::outside(&maps, 9), Some(200_009));
        assert_eq!(IdMap::outside(&maps, 10), None);
        assert_eq!(IdMap::outside(&maps, 1000), Some(5));
        assert_eq!(IdMap::outside(&[], 7), Some(7));
    }
}
