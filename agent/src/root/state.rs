//! What is remembered of each cell, one small file each, written before anything is made by that name.
//!
//! `<state>/root/cells/<allocation>/cell.json` beside `status/` (exit record and batch log, written by PID 1).
//! The directory itself is the lock: whoever builds or ends the cell holds an flock on it.

use super::cgroup::CgroupRecord;
use super::fault::{Doing, Fault};
use super::ids::IdRange;
use super::net::NetRecord;
use super::words::{CellInfo, CellState, ExitRecord, Level};
use crate::clock::boot_id;
use crate::gpu::DevicePath;
use muster_protocol::ids::{AllocationId, NodeId};
use muster_protocol::report::Receipt;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How far a cell has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Being built; PID 1 has not been let go.
    Building,
    /// PID 1 was let go.
    Running,
    /// Asked to end.
    Ending,
    /// Ended; the receipt is in the record.
    Ended,
}

/// One cell's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) allocation: AllocationId,
    pub(super) lease_epoch: u64,
    pub(super) node: NodeId,
    pub(super) level: Level,
    pub(super) phase: Phase,
    pub(super) boot_id: String,
    /// 0 until PID 1 exists.
    pub(super) pid: i32,
    pub(super) start_time: u64,
    pub(super) run_dir: PathBuf,
    #[serde(default)]
    pub(super) ids: Option<IdRange>,
    /// Image file of the home, where it is a loop file system.
    #[serde(default)]
    pub(super) image: Option<PathBuf>,
    /// Directory with `home` and `tmp`, where it is not.
    #[serde(default)]
    pub(super) folder: Option<PathBuf>,
    #[serde(default)]
    pub(super) cgroup: CgroupRecord,
    #[serde(default)]
    pub(super) net: Option<NetRecord>,
    #[serde(default)]
    pub(super) devices: Vec<DevicePath>,
    #[serde(default)]
    pub(super) not_enforced: Vec<String>,
    #[serde(default)]
    pub(super) ssh_host_key: String,
    #[serde(default)]
    pub(super) ssh_user: String,
    /// Mount points that the cell was made with, as it sees them.
    #[serde(default)]
    pub(super) mounts: Vec<String>,
    #[serde(default)]
    pub(super) receipt: Option<Receipt>,
    #[serde(default)]
    pub(super) exit: Option<ExitRecord>,
}

impl Record {
    /// Path of the cell's socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.run_dir.join("cell.sock")
    }

    /// It has ended and left nothing.
    pub(super) fn is_clean(&self) -> bool {
        self.phase == Phase::Ended && self.receipt.as_ref().is_some_and(|receipt| receipt.clean)
    }

    /// It was made in this boot. What an earlier one names by a number is gone, and may have been given to others.
    pub(super) fn is_of_this_boot(&self) -> bool {
        !self.boot_id.is_empty() && self.boot_id == boot_id()
    }

    /// PID 1 lives: same boot, same pid, same start time.
    pub(super) fn alive(&self) -> bool {
        self.pid > 0 && self.is_of_this_boot() && start_time(self.pid) == Some(self.start_time)
    }

    /// Bytes that home and /tmp take on the node's disk, where they are one file.
    pub(super) fn disk_bytes(&self) -> Option<u64> {
        self.image.as_ref().and_then(|image| fs::metadata(image).ok()).map(|meta| meta.blocks() * 512)
    }

    /// As told to the `run` half.
    pub(super) fn info(&self) -> CellInfo {
        let state = match self.phase {
            Phase::Ended => CellState::Ended,
            _ if self.alive() => CellState::Running,
            _ => CellState::Dead,
        };
        CellInfo {
            allocation: self.allocation,
            lease_epoch: self.lease_epoch,
            state,
            pid: self.pid,
            start_time: self.start_time,
            boot_id: self.boot_id.clone(),
            socket: self.socket(),
            isolation: self.level,
            not_enforced: self.not_enforced.clone(),
            ssh_host_key: self.ssh_host_key.clone(),
            ssh_user: self.ssh_user.clone(),
            devices: self.devices.clone(),
        }
    }
}

/// Where the root half keeps things.
#[derive(Debug, Clone)]
pub(super) struct Places {
    root: PathBuf,
    homes: PathBuf,
}

impl Places {
    /// Makes the directories, open to nobody else. As root the state directory itself becomes root's: its group,
    /// the `run` half, may keep files in it and cannot put its own in the place of ours.
    pub(super) fn open(state_dir: &Path, run_group: u32) -> Result<Self, Fault> {
        let places = Self { root: state_dir.join("root"), homes: state_dir.join("homes") };
        let us = nix::unistd::geteuid();
        fs::create_dir_all(state_dir).doing(format!("make {}", state_dir.display()))?;
        if us.is_root() {
            crate::privileges::share(state_dir, run_group).doing("share the state directory")?;
        }
        for dir in [&places.root, &places.cells(), &places.homes] {
            private_dir(dir)?;
            let meta = fs::symlink_metadata(dir).doing(format!("look at {}", dir.display()))?;
            if !meta.is_dir() || meta.uid() != us.as_raw() {
                return Err(Fault::new("failed", dir.display(), "is not a directory of ours"));
            }
        }
        Ok(places)
    }

    pub(super) fn cells(&self) -> PathBuf {
        self.root.join("cells")
    }

    pub(super) fn cell(&self, allocation: AllocationId) -> PathBuf {
        self.cells().join(allocation.to_string())
    }

    /// Exit record and batch log.
    pub(super) fn status(&self, allocation: AllocationId) -> PathBuf {
        self.cell(allocation).join("status")
    }

    pub(super) fn image(&self, allocation: AllocationId) -> PathBuf {
        self.homes.join(format!("{allocation}.img"))
    }

    pub(super) fn folder(&self, allocation: AllocationId) -> PathBuf {
        self.homes.join(allocation.to_string())
    }

    /// Takes the cell's lock, waiting for whoever has it; its directory exists afterwards.
    pub(super) fn lock(&self, allocation: AllocationId) -> Result<Flock<File>, Fault> {
        let dir = self.cell(allocation);
        loop {
            private_dir(&dir)?;
            let file = File::open(&dir).doing("open the cell's directory")?;
            let held = Flock::lock(file, FlockArg::LockExclusive)
                .map_err(|(_, error)| Fault::new("failed", "lock the cell", error))?;
            // It may have been forgotten, and even made anew, while we waited.
            if fs::metadata(&dir).is_ok_and(|now| held.metadata().is_ok_and(|ours| ours.ino() == now.ino())) {
                return Ok(held);
            }
        }
    }

    /// Somebody builds or ends this cell right now.
    pub(super) fn is_busy(&self, allocation: AllocationId) -> bool {
        File::open(self.cell(allocation)).is_ok_and(|file| Flock::lock(file, FlockArg::LockSharedNonblock).is_err())
    }

    /// Waits until nobody builds or ends a cell any more: workers outlive the root half that began them.
    pub(super) fn settle(&self) -> Result<(), Fault> {
        for entry in fs::read_dir(self.cells()).doing("list the cells")?.flatten() {
            let Ok(file) = File::open(entry.path()) else { continue };
            let held = Flock::lock(file, FlockArg::LockShared);
            drop(held.map_err(|(_, error)| Fault::new("failed", "wait for a cell", error))?);
        }
        Ok(())
    }

    /// The cell's memory, if there is any.
    pub(super) fn load(&self, allocation: AllocationId) -> Result<Option<Record>, Fault> {
        match fs::read(self.cell(allocation).join("cell.json")) {
            Ok(text) => serde_json::from_slice(&text).map(Some).doing(format!("read the record of {allocation}")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing(format!("read the record of {allocation}")),
        }
    }

    /// Writes the memory so that it is there after a power cut, whole or not at all.
    pub(super) fn save(&self, record: &Record) -> Result<(), Fault> {
        let text = serde_json::to_vec_pretty(record).doing("write the record")?;
        replace(&self.cell(record.allocation).join("cell.json"), &text, 0o600)
            .doing(format!("write the record of {}", record.allocation))
    }

    /// Every cell there is a memory of.
    pub(super) fn all(&self) -> Result<Vec<Record>, Fault> {
        let mut records = Vec::new();
        for entry in fs::read_dir(self.cells()).doing("list the cells")?.flatten() {
            let Some(allocation) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            match self.load(allocation) {
                Ok(record) => records.extend(record),
                Err(fault) => tracing::error!(%fault, "a cell's record is unreadable"),
            }
        }
        records.sort_by_key(|record| record.allocation);
        Ok(records)
    }

    /// Drops everything that is kept of a cell.
    pub(super) fn forget(&self, allocation: AllocationId) -> Result<(), Fault> {
        match fs::remove_dir_all(self.cell(allocation)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).doing("forget the cell"),
            _ => Ok(()),
        }
    }
}

/// A directory for the agent alone, its parents made as needed.
pub(super) fn private_dir(dir: &Path) -> Result<(), Fault> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).doing(format!("make {}", dir.display()))
}

/// Tries to make a directory whose parents others take away. Each costs microseconds, and an end takes them away once.
const MAKE_TRIES: usize = 1_000;

/// Makes a directory below those that all cells of a node share: the end of the last one may take them away just now.
pub(super) fn make_below(dir: &Path) -> io::Result<()> {
    for _ in 1..MAKE_TRIES {
        match fs::create_dir_all(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => return done,
        }
    }
    fs::create_dir_all(dir)
}

/// Replaces a file at once: new file, fsync, rename, fsync of the directory.
pub(super) fn replace(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(mode).open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// Start time of a process in clock ticks since boot; `None` if there is none, or only its zombie.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_start_time(&stat)
}

fn parse_start_time(stat: &str) -> Option<u64> {
    // The name may hold spaces and brackets: everything counts from the last bracket.
    let mut rest = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = rest.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    rest.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_is_read_past_strange_names() {
        let stat = "12 (a) b (c) S 1 1 1 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 777 99 1";
        assert_eq!(parse_start_time(stat), Some(777));
        assert_eq!(parse_start_time(&stat.replace(") S", ") Z")), None);
        assert_eq!(parse_start_time("12 (a"), None);
    }

    #[test]
    fn our_own_start_is_steady() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(start_time(pid).is_some());
        assert_eq!(start_time(pid), start_time(pid));
    }
}
