//! What all processes of a simulation share: MIG instances, faults, counters, XIDs. One JSON file, replaced at
//! once by whoever holds the lock; readers need no lock.

use crate::mig::Instance;
use crate::place::Place;
use crate::processes::{ENTRIES_MAX, Entry};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// XIDs kept for processes that wait for them.
pub const XIDS_KEPT: usize = 1024;

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// By UUID.
    pub gpus: BTreeMap<String, GpuState>,
    /// The last [`XIDS_KEPT`], oldest first.
    pub xids: Vec<Xid>,
    /// Number of the last XID.
    pub last_xid: u64,
}

/// One GPU.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuState {
    /// MIG mode now.
    pub mig_enabled: bool,
    /// MIG mode after a reset.
    pub mig_pending: bool,
    /// GPU instances, by id.
    pub instances: Vec<Instance>,
    /// Persistence mode.
    pub persistence: bool,
    /// What is wrong with it.
    pub faults: Faults,
    /// Corrected ECC errors.
    pub ecc_corrected: u64,
    /// Uncorrected ECC errors.
    pub ecc_uncorrected: u64,
    /// Rows remapped: corrected, uncorrected.
    pub remapped_rows: (u32, u32),
    /// Figures that are said instead of the ones that follow from the processes.
    pub said: Said,
}

/// What is wrong with a GPU.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Faults {
    /// Every call says `GPU_IS_LOST`.
    pub lost: bool,
    /// Every call blocks until this ends.
    pub hang: bool,
    /// Every call takes so long.
    pub slow_ms: u64,
    /// Changes of MIG mode and of instances say `IN_USE`.
    pub in_use: bool,
    /// Changes of MIG mode stay pending, instances say `RESET_REQUIRED`.
    pub reset_required: bool,
    /// Entries of the process table and their memory stay when the process ends.
    pub sticky_handle: bool,
    /// What the node has seen of the process table while handles stick.
    pub stuck: Vec<Entry>,
    /// Functions that say `NOT_SUPPORTED`, by their C names.
    pub not_supported: Vec<String>,
}

/// Figures to be said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// Percent.
    pub utilization: Option<u32>,
    /// Degrees Celsius.
    pub temperature_c: Option<u32>,
    /// mW.
    pub power_mw: Option<u32>,
    /// NVML's bits.
    pub throttle_reasons: Option<u64>,
}

/// An XID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Xid {
    /// Counts up by one.
    pub number: u64,
    /// Of which GPU.
    pub gpu: String,
    /// The code.
    pub xid: u64,
    /// GPU instance that it hit.
    #[serde(default)]
    pub gpu_instance: Option<u32>,
}

impl GpuState {
    /// What has a process table of its own: each compute instance, or the undivided GPU.
    #[must_use]
    pub fn divisions(&self) -> Vec<Option<(u32, u32)>> {
        if !self.mig_enabled {
            return vec![None];
        }
        let instances = self.instances.iter();
        instances.flat_map(|instance| instance.compute.iter().map(|ci| Some((instance.id, ci.id)))).collect()
    }
}

impl Faults {
    /// Keeps entries beyond the life of their processes, if handles stick.
    pub fn note(&mut self, entries: Vec<Entry>) {
        let fresh = entries.into_iter().filter(|entry| self.sticky_handle && !self.stuck.contains(entry));
        let fresh: Vec<Entry> = fresh.take(ENTRIES_MAX.saturating_sub(self.stuck.len())).collect();
        self.stuck.extend(fresh);
    }
}

impl State {
    /// Adds an XID to the log.
    pub fn raise(&mut self, gpu: &str, xid: u64, gpu_instance: Option<u32>) {
        self.last_xid += 1;
        self.xids.push(Xid { number: self.last_xid, gpu: gpu.into(), xid, gpu_instance });
        let over = self.xids.len().saturating_sub(XIDS_KEPT);
        self.xids.drain(..over);
    }
}

/// Reads the state.
///
/// # Errors
/// It cannot be read, or is none.
pub fn load(place: &Place) -> io::Result<State> {
    Ok(serde_json::from_slice(&std::fs::read(place.state())?)?)
}

/// Changes the state while no other process does.
///
/// # Errors
/// It cannot be written: cells see it read-only.
pub fn change<T>(place: &Place, with: impl FnOnce(&mut State) -> T) -> io::Result<T> {
    try_change(place, |state| Ok::<_, std::convert::Infallible>(with(state))).map(|done| match done {
        Ok(value) => value,
    })
}

/// As [`change`], for a change that can be refused; then nothing is written.
///
/// # Errors
/// The outer error is the file's, the inner one the change's.
pub fn try_change<T, E>(place: &Place, with: impl FnOnce(&mut State) -> Result<T, E>) -> io::Result<Result<T, E>> {
    let lock = lock_file(&place.lock())?;
    lock.lock()?;
    let mut state = if place.state().exists() { load(place)? } else { State::default() };
    let value = match with(&mut state) {
        Ok(value) => value,
        Err(refused) => return Ok(Err(refused)),
    };
    replace(&place.state(), &serde_json::to_vec(&state)?)?;
    Ok(Ok(value))
}

fn lock_file(path: &Path) -> io::Result<File> {
    if let Ok(file) = OpenOptions::new().read(true).write(true).open(path) {
        return Ok(file);
    }
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    open_to_all(path, 0o666)?;
    Ok(file)
}

/// Replaces a file at once, writable for all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = File::create(&fresh)?;
    file.write_all(bytes)?;
    open_to_all(&fresh, 0o666)?;
    std::fs::rename(&fresh, path)
}

/// Sets a mode whatever the umask is.
pub(crate) fn open_to_all(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_xids_is_bounded_and_numbered() {
        let mut state = State::default();
        for n in 0..(XIDS_KEPT as u64 + 5) {
            state.raise("GPU-a", 79, None);
            assert_eq!(state.last_xid, n + 1);
        }
        assert_eq!(state.xids.len(), XIDS_KEPT);
        assert!(state.xids.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
    }

    #[test]
    fn changes_of_many_threads_are_all_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let place = Place::below(dir.path());
        std::fs::create_dir_all(&place.share).expect("made");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        change(&place, |state| state.last_xid += 1).expect("changed");
                    }
                });
            }
        });
        assert_eq!(load(&place).expect("there").last_xid, 160);
    }

    #[test]
    fn a_refused_change_writes_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let place = Place::below(dir.path());
        std::fs::create_dir_all(&place.share).expect("made");
        let refused = try_change(&place, |state| {
            state.last_xid = 9;
            Err::<(), _>("no")
        });
        assert_eq!(refused.expect("the file is writable"), Err("no"));
        assert!(!place.state().exists());
    }
}
