//! The process table: one file per process, alive as long as the process holds a lock on it.
//!
//! The kernel drops a POSIX record lock when its process ends, however it ends, and translates the holder's pid
//! into the reader's PID namespace. So an agent sees host pids, a cell sees its own, and nobody has to clean up.

use crate::place::Place;
use crate::scenario::fold;
use crate::state::open_to_all;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// One above the highest pid that Linux can give: entries of dead processes have numbers from here.
const NO_PID: u32 = 1 << 22;

/// What a process uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// UUID of the GPU.
    pub gpu: String,
    /// GPU instance and compute instance on a GPU with MIG.
    #[serde(default)]
    pub instance: Option<(u32, u32)>,
    /// Bytes.
    pub memory: u64,
    /// Percent of the GPU that it keeps busy.
    pub load: u32,
}

/// An entry with the pid that this process knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it uses.
    pub entry: Entry,
    /// Its pid; a number that no process can have if it died and its entry stuck.
    pub pid: u32,
}

/// This process's own place in the table; leaving it takes the entry away.
#[derive(Debug)]
pub struct Registered {
    path: PathBuf,
    file: File,
}

/// This process's own entries by inode: they are never opened again, since closing them would drop the lock.
static OWN: Mutex<Vec<(u64, Entry)>> = Mutex::new(Vec::new());

fn own() -> std::sync::MutexGuard<'static, Vec<(u64, Entry)>> {
    OWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Enters this process into the table.
///
/// # Errors
/// The table cannot be written.
pub fn register(place: &Place, entry: &Entry) -> io::Result<Registered> {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let nanos = std::fs::metadata("/proc/self").map(|meta| meta.ctime_nsec()).unwrap_or_default();
    let name = format!("{}-{count}-{nanos:x}", std::process::id());
    let fresh = place.processes().join(format!("{name}.new"));
    let path = place.processes().join(format!("{name}.json"));
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&fresh)?;
    open_to_all(&fresh, 0o666)?;
    lock(&file)?;
    own().push((file.metadata()?.ino(), entry.clone()));
    file.write_all(&serde_json::to_vec(entry)?)?;
    std::fs::rename(&fresh, &path)?;
    Ok(Registered { path, file })
}

impl Drop for Registered {
    fn drop(&mut self) {
        // An entry that cannot be removed is collected by the next reader, as after a kill.
        let _ = std::fs::remove_file(&self.path);
        if let Ok(meta) = self.file.metadata() {
            own().retain(|(inode, _)| *inode != meta.ino());
        }
    }
}

/// Everyone in the table whom this process can see. Entries of the dead are removed unless `sticks` says that
/// their GPU keeps them.
#[must_use]
pub fn list(place: &Place, sticks: impl Fn(&str) -> bool) -> Vec<Listed> {
    let Ok(folder) = std::fs::read_dir(place.processes()) else { return Vec::new() };
    let mut found = Vec::new();
    for file in folder.flatten() {
        let path = file.path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        found.extend(look(&path, &sticks));
    }
    found.sort_by_key(|listed| listed.pid);
    found
}

fn look(path: &Path, sticks: &impl Fn(&str) -> bool) -> Option<Listed> {
    let inode = std::fs::metadata(path).ok()?.ino();
    if let Some((_, entry)) = own().iter().find(|(own, _)| *own == inode) {
        return Some(Listed { entry: entry.clone(), pid: std::process::id() });
    }
    let file = File::open(path).ok()?;
    let entry: Entry = serde_json::from_reader(&file).ok()?;
    match holder(&file) {
        // Of a PID namespace that this process cannot see into.
        Some(0) => None,
        Some(pid) => Some(Listed { entry, pid }),
        None if sticks(&entry.gpu) => {
            let pid = NO_PID + (fold(&path.to_string_lossy()) % u64::from(NO_PID)) as u32;
            Some(Listed { entry, pid })
        }
        None => {
            // Someone else may have removed it first, and a cell may not be able to: the next reader will.
            let _ = std::fs::remove_file(path);
            None
        }
    }
}

/// Removes every entry of a process that is gone.
///
/// # Errors
/// The table cannot be read.
pub fn forget_all(place: &Place) -> io::Result<()> {
    for file in std::fs::read_dir(place.processes())? {
        let path = file?.path();
        if File::open(&path).is_ok_and(|file| holder(&file).is_none()) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Locks a whole file for this process.
fn lock(file: &File) -> io::Result<()> {
    let whole = whole_file(libc::F_WRLCK);
    // SAFETY: the descriptor is open and `whole` is a valid flock that lives over the call.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const whole) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The pid of the process that holds the lock, 0 if it is not in this PID namespace; none: nobody holds it.
fn holder(file: &File) -> Option<u32> {
    let mut probe = whole_file(libc::F_RDLCK);
    // SAFETY: the descriptor is open and `probe` is a valid flock that lives over the call.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut probe) };
    let held = done == 0 && i32::from(probe.l_type) != libc::F_UNLCK;
    held.then(|| u32::try_from(probe.l_pid).unwrap_or(0))
}

fn whole_file(kind: i32) -> libc::flock {
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().expect("a folder");
        let place = Place::below(dir.path());
        std::fs::create_dir_all(place.processes()).expect("made");
        (dir, place)
    }

    fn entry(memory: u64) -> Entry {
        Entry { gpu: "GPU-a".into(), instance: None, memory, load: 50 }
    }

    #[test]
    fn an_entry_lives_as_long_as_its_holder() {
        let (_dir, place) = table();
        let one = register(&place, &entry(1)).expect("registered");
        let two = register(&place, &entry(2)).expect("registered");
        assert_eq!(list(&place, |_| false).len(), 2);
        assert_eq!(list(&place, |_| false)[0].pid, std::process::id());
        drop(one);
        assert_eq!(list(&place, |_| false).iter().map(|listed| listed.entry.memory).collect::<Vec<_>>(), [2]);
        drop(two);
        assert_eq!(list(&place, |_| false), []);
    }

    #[test]
    fn an_entry_without_holder_is_collected_unless_it_sticks() {
        let (_dir, place) = table();
        let path = place.processes().join("1-0-0.json");
        std::fs::write(&path, serde_json::to_vec(&entry(5)).expect("json")).expect("written");
        let stuck = list(&place, |gpu| gpu == "GPU-a");
        assert_eq!(stuck.len(), 1);
        assert!(stuck[0].pid >= NO_PID);
        assert_eq!(list(&place, |_| false), []);
        assert!(!path.exists());
    }

    #[test]
    fn garbage_in_the_table_is_passed_over() {
        let (_dir, place) = table();
        std::fs::write(place.processes().join("x.json"), b"{").expect("written");
        assert_eq!(list(&place, |_| false), []);
    }
}
