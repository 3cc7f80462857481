//! What a cell holds, looked at before its end, so that the receipt can say what was removed.

use super::process::in_child;
use super::state::Record;
use super::words::Level;
use nix::sched::{CloneFlags, setns};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Names in a receipt's line; more are only counted.
const NAMES: usize = 12;
/// Characters of a name that are shown.
const NAME_LONG: usize = 80;
/// Time for counting one tree.
const COUNTING: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Names of the processes beside PID 1.
    pub(super) processes: Vec<String>,
    pub(super) home: Option<File>,
    pub(super) tmp: Option<File>,
    pub(super) shm: Option<File>,
    /// System V and POSIX objects in words.
    pub(super) ipc: Vec<String>,
    /// Mounts of PID 1's namespace, and those that were not there at the start, in any of its namespaces.
    pub(super) mounts: u64,
    pub(super) planted_mounts: Vec<String>,
}

/// Looks at a live cell. What cannot be seen is missing, never guessed.
pub(super) fn look(record: &Record) -> Held {
    if record.level == Level::None {
        return Held {
            processes: members(record).into_iter().map(|(_, name)| name).collect(),
            home: record.folder.as_ref().and_then(|folder| File::open(folder.join("home")).ok()),
            tmp: record.folder.as_ref().and_then(|folder| File::open(folder.join("tmp")).ok()),
            ..Held::default()
        };
    }
    let root = PathBuf::from(format!("/proc/{}/root", record.pid));
    let (mounts, planted_mounts) = mounts(record);
    Held {
        processes: inside_processes(&root.join("proc")),
        home: File::open(root.join("home/muster")).ok(),
        tmp: File::open(root.join("tmp")).ok(),
        shm: File::open(root.join("dev/shm")).ok(),
        ipc: ipc(record, &root),
        mounts,
        planted_mounts,
    }
}

/// Processes as the cell's own `/proc` lists them, those of PID namespaces within it included.
fn inside_processes(proc: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(proc).into_iter().flatten().flatten() {
        let pid = entry.file_name().to_string_lossy().parse::<u32>();
        if pid.is_ok_and(|pid| pid != 1)
            && let Ok(name) = fs::read_to_string(entry.path().join("comm"))
        {
            names.push(name.trim_end().to_owned());
        }
    }
    names
}

/// Processes that belong to a cell by their user (made by root) or their environment: pid and name. PID 1 of a
/// walled cell is none of them.
pub(super) fn members(record: &Record) -> Vec<(i32, String)> {
    if !record.is_of_this_boot() {
        return Vec::new();
    }
    let mark = format!("MUSTER_ALLOCATION={}", record.allocation);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let belongs = match (record.level, record.ids) {
            (_, Some(ids)) => user_of(pid).is_some_and(|uid| ids.holds(uid)),
            (Level::Cell, None) => false,
            _ => fs::read(entry.path().join("environ"))
                .is_ok_and(|text| text.split(|byte| *byte == 0).any(|line| line == mark.as_bytes())),
        };
        if belongs && pid != record.pid && super::state::start_time(pid).is_some() {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            found.push((pid, name.trim_end().to_owned()));
        }
    }
    found
}

/// Some process of the machine has such a user.
pub(super) fn any_process(mut has: impl FnMut(u32) -> bool) -> bool {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.any(|pid| user_of(pid).is_some_and(&mut has))
}

fn user_of(pid: i32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next()?.parse().ok())
}

/// Mount points of a process.
pub(super) fn mount_points(pid: i32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    text.lines().filter_map(|line| line.split(' ').nth(4).map(str::to_owned)).collect()
}

fn mounts(record: &Record) -> (u64, Vec<String>) {
    let points = mount_points(record.pid);
    let known: BTreeSet<&str> = record.mounts.iter().map(String::as_str).collect();
    let beyond = |points: &[String]| -> Vec<String> {
        points.iter().filter(|point| !known.contains(point.as_str())).cloned().collect()
    };
    let mut planted = beyond(&points);
    let mut spaces: BTreeSet<PathBuf> = fs::read_link(format!("/proc/{}/ns/mnt", record.pid)).into_iter().collect();
    for (pid, _) in members(record) {
        if fs::read_link(format!("/proc/{pid}/ns/mnt")).is_ok_and(|space| spaces.insert(space)) {
            planted.extend(beyond(&mount_points(pid)));
        }
    }
    (points.len() as u64, planted)
}

fn ipc(record: &Record, root: &Path) -> Vec<String> {
    let mut found: Vec<String> = fs::read_dir(root.join("dev/mqueue"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| format!("message queue /{}", entry.file_name().to_string_lossy()))
        .collect();
    let (pid, by_user) = (record.pid, record.ids.is_none());
    let counted = in_child(move || {
        if by_user {
            let user = File::open(format!("/proc/{pid}/ns/user")).map_err(|e| e.to_string())?;
            setns(user, CloneFlags::CLONE_NEWUSER).map_err(|e| e.to_string())?;
        }
        let ipc = File::open(format!("/proc/{pid}/ns/ipc")).map_err(|e| e.to_string())?;
        setns(ipc, CloneFlags::CLONE_NEWIPC).map_err(|e| e.to_string())?;
        let mut found: Vec<String> = Vec::new();
        for (file, word) in [("shm", "shared memory"), ("sem", "semaphores"), ("msg", "message queue")] {
            let text = fs::read_to_string(format!("/proc/sysvipc/{file}")).unwrap_or_default();
            let ids = text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned));
            found.extend(ids.map(|id| format!("System V {word} {id}")));
        }
        Ok(found)
    });
    match counted {
        Ok(more) => found.extend(more),
        Err(why) => tracing::warn!(why, allocation = %record.allocation, "IPC objects were not counted"),
    }
    found
}

/// Files below a directory.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// A few of their names.
    pub(super) names: Vec<String>,
    /// Not all was counted in time.
    pub(super) cut: bool,
}

impl Count {
    /// For people.
    pub(super) fn words(&self) -> String {
        let least = if self.cut { "at least " } else { "" };
        let names =
            if self.names.is_empty() { String::new() } else { format!(": {}", listed(&self.names, self.files)) };
        format!("{least}{} files, {} bytes{names}", self.files, self.bytes)
    }
}

/// Counts what is below an open directory, even if its mount is in no namespace any more.
pub(super) fn count(dir: &File) -> Count {
    let base = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    let end = Instant::now() + COUNTING;
    let mut count = Count::default();
    let mut waiting = vec![PathBuf::new()];
    while let Some(below) = waiting.pop() {
        for entry in fs::read_dir(base.join(&below)).into_iter().flatten().flatten() {
            if Instant::now() > end {
                count.cut = true;
                return count;
            }
            let Ok(meta) = entry.metadata() else { continue };
            let name = below.join(entry.file_name());
            if meta.is_dir() {
                waiting.push(name);
                continue;
            }
            count.files += 1;
            count.bytes += meta.blocks() * 512;
            if count.names.len() < NAMES {
                count.names.push(name.to_string_lossy().into_owned());
            }
        }
    }
    count
}

/// Tenants choose these names: no control characters, and not too long for a receipt.
fn plain(name: &str) -> String {
    let cut: String = name.chars().take(NAME_LONG).map(|c| if c.is_control() { '?' } else { c }).collect();
    if cut.len() < name.len() { cut + "…" } else { cut }
}

/// A few names and how many more there are.
pub(super) fn listed(names: &[String], all: u64) -> String {
    let shown: Vec<String> = names.iter().take(NAMES).map(|name| plain(name)).collect();
    match all.saturating_sub(shown.len() as u64) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_counted_through_its_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/one"), vec![1; 5000]).unwrap();
        fs::write(dir.path().join("two"), "").unwrap();
        let found = count(&File::open(dir.path()).unwrap());
        assert_eq!(found.files, 2);
        assert!(found.bytes >= 5000 && !found.cut);
        assert!(found.words().contains("a/b/one"));
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        assert!(listed(&names, 30).ends_with("and 18 more"));
        assert_eq!(listed(&names[..2], 2), "0, 1");
        assert_eq!(listed(&["a\x1b[2J\n".into()], 1), "a?[2J?");
        assert_eq!(listed(&["é".repeat(500)], 1), format!("{}…", "é".repeat(80)));
    }
}
