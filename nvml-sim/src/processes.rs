//! The process table: record locks on device files.
//!
//! A process on a GPU holds a shared lock on the GPU's device file, or on the capability file of a compute instance.
//! Where the lock begins is the process's slot, and its length says what it uses. A shared lock needs the open
//! device and no right to write, so a cell enters nothing for a GPU that it has not leased, and has nothing to fill.
//! The kernel drops a lock when its process ends, however it ends, and translates the holder's pid into the reader's
//! PID namespace: an agent sees host pids, a cell its own.

use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Processes that one device file can have.
const SLOTS: u32 = 1 << 14;
/// Bytes of the file, as locks count them, that belong to a slot.
const SLOT: i64 = 1 << 48;
/// Loads that a length can tell: a lock is `memory * LOADS + load + 1` long.
const LOADS: i64 = 128;
/// Bytes of memory from which a length would leave its slot.
const MEMORY_MAX: u64 = 1 << 40;
/// Entries of one file that a look finds at most, and how long it may take: its holders can lock it as often as
/// they like.
pub const ENTRIES_MAX: usize = 512;
const LOOK_MAX: Duration = Duration::from_millis(100);
/// One above the highest pid that Linux can give.
const NO_PID: u32 = 1 << 22;

/// What a process uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// GPU instance and compute instance on a GPU with MIG.
    #[serde(default)]
    pub instance: Option<(u32, u32)>,
    /// Which of the places in the table it has.
    pub slot: u32,
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

impl Listed {
    /// An entry whose process is gone.
    #[must_use]
    pub fn of_the_dead(entry: &Entry) -> Self {
        Self { entry: entry.clone(), pid: NO_PID + entry.slot }
    }
}

/// This process's own place in the table; leaving it takes the entry away.
#[derive(Debug)]
pub struct Registered {
    inode: Inode,
    slot: u32,
}

/// Device and number.
type Inode = (u64, u64);

/// A device file on which this process has entries. A process does not see its own locks, and loses all it has on
/// a file when it closes any descriptor of it: so this one is kept, and nobody opens the file beside it.
#[derive(Debug)]
struct Own {
    inode: Inode,
    file: File,
    entries: Vec<Entry>,
}

/// Read by whoever opens and closes device files, so that no entry comes in between.
static OWN: RwLock<Vec<Own>> = RwLock::new(Vec::new());

/// Enters this process into the table of a device file, in a slot that is none of `kept`.
///
/// # Errors
/// The file cannot be opened, the figures cannot be told, or the table is full.
pub fn register(
    table: &Path,
    instance: Option<(u32, u32)>,
    (memory, load): (u64, u32),
    kept: &[u32],
) -> io::Result<Registered> {
    if memory >= MEMORY_MAX || load > 100 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a process uses less than 1 TiB and up to 100 %"));
    }
    let mut all = OWN.write().unwrap_or_else(PoisonError::into_inner);
    let inode = inode(&std::fs::metadata(table)?);
    let at = match all.iter().position(|own| own.inode == inode) {
        Some(at) => at,
        None => {
            all.push(Own { inode, file: File::open(table)?, entries: Vec::new() });
            all.len() - 1
        }
    };
    let own = &mut all[at];
    let first = std::process::id();
    for slot in (0..SLOTS).map(|step| (first % SLOTS + step) % SLOTS) {
        if kept.contains(&slot) || own.entries.iter().any(|entry| entry.slot == slot) {
            continue;
        }
        let entry = Entry { instance, slot, memory, load };
        if enter(&own.file, &entry)? {
            own.entries.push(entry);
            return Ok(Registered { inode, slot });
        }
    }
    Err(io::Error::other("the process table is full"))
}

/// Takes a slot unless another process has it. Two that take it at once both go on to the next one.
fn enter(file: &File, entry: &Entry) -> io::Result<bool> {
    let from = i64::from(entry.slot) * SLOT;
    if other(file, from, SLOT).is_some() {
        return Ok(false);
    }
    set(file, libc::F_RDLCK, from, entry.memory as i64 * LOADS + i64::from(entry.load) + 1)?;
    let alone = other(file, from, SLOT).is_none();
    if !alone {
        set(file, libc::F_UNLCK, from, SLOT)?;
    }
    Ok(alone)
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut all = OWN.write().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = all.iter().position(|own| own.inode == self.inode) else { return };
        let own = &mut all[at];
        // What cannot be unlocked goes with the process.
        let _ = set(&own.file, libc::F_UNLCK, i64::from(self.slot) * SLOT, SLOT);
        own.entries.retain(|entry| entry.slot != self.slot);
        if own.entries.is_empty() {
            all.remove(at);
        }
    }
}

/// Everyone in the table of a device file whom this process can see.
#[must_use]
pub fn list(table: &Path, instance: Option<(u32, u32)>) -> Vec<Listed> {
    let all = OWN.read().unwrap_or_else(PoisonError::into_inner);
    let Ok(meta) = std::fs::metadata(table) else { return Vec::new() };
    if let Some(own) = all.iter().find(|own| own.inode == inode(&meta)) {
        let pid = std::process::id();
        let mut found = others(&own.file, instance);
        found.extend(own.entries.iter().map(|entry| Listed { entry: entry.clone(), pid }));
        return found;
    }
    File::open(table).map(|file| others(&file, instance)).unwrap_or_default()
}

fn others(file: &File, instance: Option<(u32, u32)>) -> Vec<Listed> {
    let end = i64::from(SLOTS) * SLOT;
    let began = Instant::now();
    let mut found = Vec::new();
    let mut ranges = vec![(0, end)];
    // The kernel names one lock of a range, in no order; then what is left and right of it is asked for.
    while let Some((from, to)) = ranges.pop()
        && found.len() < ENTRIES_MAX
        && began.elapsed() < LOOK_MAX
    {
        let Some(lock) = other(file, from, to - from) else { continue };
        let behind = if lock.l_len == 0 { end } else { lock.l_start + lock.l_len };
        ranges.extend([(from, lock.l_start), (behind, to)].into_iter().filter(|(from, to)| from < to));
        found.extend(told(&lock, instance));
    }
    found
}

/// What a lock says. Nothing if its holder is in a PID namespace that this process cannot see into, or means
/// something else by it.
fn told(lock: &libc::flock, instance: Option<(u32, u32)>) -> Option<Listed> {
    let pid = u32::try_from(lock.l_pid).ok().filter(|pid| *pid > 0)?;
    let slot = u32::try_from(lock.l_start / SLOT).ok().filter(|_| lock.l_start % SLOT == 0)?;
    let length = u64::try_from(lock.l_len - 1).ok()?;
    let (memory, load) = (length / LOADS as u64, (length % LOADS as u64) as u32);
    (memory < MEMORY_MAX && load <= 100).then_some(Listed { entry: Entry { instance, slot, memory, load }, pid })
}

fn inode(meta: &Metadata) -> Inode {
    (meta.dev(), meta.ino())
}

/// Locks a range for this process, or unlocks it.
fn set(file: &File, kind: i32, from: i64, length: i64) -> io::Result<()> {
    let lock = range(kind, from, length);
    // SAFETY: the descriptor is open and `lock` is a valid flock that lives over the call.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A lock of another process in a range.
fn other(file: &File, from: i64, length: i64) -> Option<libc::flock> {
    let mut probe = range(libc::F_WRLCK, from, length);
    // SAFETY: the descriptor is open and `probe` is a valid flock that lives over the call.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut probe) };
    (done == 0 && i32::from(probe.l_type) != libc::F_UNLCK).then_some(probe)
}

fn range(kind: i32, from: i64, length: i64) -> libc::flock {
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: from, l_len: length, l_pid: 0 }
}
