//! The cell's control groups: `<cell>/init` for PID 1, without limits, and `<cell>/work` for all it starts.
//!
//! A machine may have version 2, version 1 or both mounted. Each controller is taken from version 2 where it
//! is there, else from version 1, else the limit is not enforced, which is said.

mod v1;
mod v2;

use super::devices::Rule;
use super::fault::{Doing, Fault};
use super::state::make_below;
use super::words::CellUsage;
use muster_protocol::desired::Size;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Period of the CPU limit, microseconds.
const CPU_PERIOD_US: u64 = 100_000;

/// What a cell is limited in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Limit {
    Cpu,
    Memory,
    Pids,
    Devices,
}

impl Limit {
    /// The word in reports.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Devices => "devices",
        }
    }
}

/// The groups of a cell, by path; enough to find and remove them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CgroupRecord {
    /// The cell's group in the version 2 hierarchy.
    #[serde(default)]
    pub(super) v2: Option<PathBuf>,
    /// The cell's groups in version 1 hierarchies, by controller.
    #[serde(default)]
    pub(super) v1: Vec<(String, PathBuf)>,
}

/// Where hierarchies are mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hierarchies {
    pub(super) v2: Option<PathBuf>,
    /// Controller and mount point.
    pub(super) v1: Vec<(String, PathBuf)>,
}

/// Controllers of version 1 that cells use.
const V1_WANTED: [&str; 5] = ["cpu", "cpuacct", "memory", "pids", "devices"];

impl Hierarchies {
    /// Those of this process's mounts.
    pub(super) fn find() -> Self {
        Self::parse(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
    }

    fn parse(mountinfo: &str) -> Self {
        let mut found = Self::default();
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let Some(point) = left.split(' ').nth(4).map(PathBuf::from) else { continue };
            let mut right = right.split(' ');
            match (right.next(), right.nth(1)) {
                (Some("cgroup2"), _) => {
                    found.v2.get_or_insert(point);
                }
                (Some("cgroup"), Some(options)) => {
                    for controller in options.split(',').filter(|option| V1_WANTED.contains(option)) {
                        if !found.v1.iter().any(|(known, _)| known == controller) {
                            found.v1.push((controller.to_owned(), point.clone()));
                        }
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The groups that a cell would have: `<parent>/<node>/<cell>` in each hierarchy.
    pub(super) fn plan(&self, parent: &str, node: &str, cell: &str) -> CgroupRecord {
        let below = |point: &PathBuf| point.join(parent).join(node).join(cell);
        CgroupRecord {
            v2: self.v2.as_ref().map(below),
            v1: self.v1.iter().map(|(controller, point)| (controller.clone(), below(point))).collect(),
        }
    }
}

/// Groups that exist, ready to be entered.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// What a process writes to enter `init`, one per hierarchy of version 1.
    pub(super) init: Vec<File>,
    /// The directory of `init` in version 2, where a process can be born.
    pub(super) init_v2: Option<OwnedFd>,
    /// The same of `work`.
    pub(super) work: Vec<File>,
    /// The same of `work`.
    pub(super) work_v2: Option<OwnedFd>,
    /// Limits that hold.
    pub(super) enforced: Vec<Limit>,
}

impl CgroupRecord {
    /// Makes the groups with their limits; what cannot be enforced is missing from the answer. Hierarchies that
    /// may not be written (in a container, say) are left out of the record.
    pub(super) fn make(&mut self, size: &Size, rules: &[Rule]) -> Result<Groups, Fault> {
        let mut groups = Groups::default();
        if let Some(cell) = self.v2.take()
            && allowed(&cell, v2::make(&cell, size, rules, &mut groups))?
        {
            self.v2 = Some(cell);
        }
        let mut entered: Vec<PathBuf> = Vec::new();
        for (controller, cell) in std::mem::take(&mut self.v1) {
            if !allowed(&cell, v1::make(&cell, &controller, size, rules, &mut groups))? {
                continue;
            }
            // Controllers that are mounted together share their groups.
            if !entered.contains(&cell) {
                v1::enter_later(&cell, &mut groups).doing(format!("open the group {}", cell.display()))?;
                entered.push(cell.clone());
            }
            self.v1.push((controller, cell));
        }
        Ok(groups)
    }

    /// What the cell uses.
    pub(super) fn usage(&self) -> CellUsage {
        let mut usage = CellUsage::default();
        if let Some(cell) = &self.v2 {
            v2::usage(&cell.join("work"), &mut usage);
        }
        for (controller, cell) in &self.v1 {
            v1::usage(&cell.join("work"), controller, &mut usage);
        }
        usage
    }

    fn cells(&self) -> impl Iterator<Item = &PathBuf> {
        self.v2.iter().chain(self.v1.iter().map(|(_, cell)| cell))
    }

    /// Processes in any of the groups, groups below them included.
    pub(super) fn processes(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = self.cells().flat_map(|cell| processes_below(cell)).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Kills whatever is in the groups and removes them.
    ///
    /// # Errors
    /// Something is left after `patience`; the text says what.
    pub(super) fn remove(&self, patience: Duration) -> Result<(), String> {
        let end = Instant::now() + patience;
        loop {
            if let Some(cell) = &self.v2 {
                // Not there in kernels before 5.14; the loop below does the same more slowly.
                let _ = fs::write(cell.join("cgroup.kill"), "1");
            }
            let pids = self.processes();
            for pid in &pids {
                super::process::kill(*pid);
            }
            let left: Vec<String> = self
                .cells()
                .filter_map(|cell| remove_tree(cell).err().map(|e| format!("{}: {e}", cell.display())))
                .collect();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(if pids.is_empty() {
                    left.join("; ")
                } else {
                    format!("{}; processes {pids:?}", left.join("; "))
                });
            }
            super::process::pause(Duration::from_millis(10));
        }
    }

    /// Removes the node's and our own groups above the cell's, if nothing else is in them.
    pub(super) fn remove_empty_parents(&self) {
        for cell in self.cells() {
            for parent in cell.ancestors().skip(1).take(2) {
                // Refused as long as other cells are there.
                if fs::remove_dir(parent).is_err() {
                    break;
                }
            }
        }
    }
}

/// Whether a hierarchy may be written; other failures stay failures.
fn allowed(cell: &Path, made: io::Result<()>) -> Result<bool, Fault> {
    match made {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            tracing::warn!(%error, group = %cell.display(), "no limits from this hierarchy");
            Ok(false)
        }
        Err(error) => Err(error).doing(format!("make the group {}", cell.display())),
    }
}

fn make_groups(cell: &Path) -> io::Result<()> {
    for group in ["init", "work"] {
        make_below(&cell.join(group))?;
    }
    Ok(())
}

fn processes_below(group: &Path) -> Vec<i32> {
    let mut pids: Vec<i32> = fs::read_to_string(group.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            pids.extend(processes_below(&entry.path()));
        }
    }
    pids
}

fn remove_tree(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:4 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn groups_are_made_while_the_last_cell_of_the_node_goes() {
        let point = tempfile::tempdir().unwrap();
        let hierarchies = Hierarchies { v2: Some(point.path().to_owned()), v1: Vec::new() };
        let plan = |cell: &str| hierarchies.plan("muster", "node", cell);
        let (goes, comes) = (plan("al_1"), plan("al_2"));
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    goes.remove_empty_parents();
                }
            });
            let made: Vec<_> = (0..2000)
                .map(|_| {
                    let cell = comes.v2.as_ref().unwrap();
                    let made = make_groups(cell);
                    remove_tree(cell).unwrap();
                    made
                })
                .collect();
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(made.iter().all(Result::is_ok), "{:?}", made.iter().find(|made| made.is_err()));
        });
    }

    #[test]
    fn both_versions_are_found() {
        let found = Hierarchies::parse(HYBRID);
        assert_eq!(found.v2.as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
        let names: Vec<&str> = found.v1.iter().map(|(controller, _)| controller.as_str()).collect();
        assert_eq!(names, ["cpu", "cpuacct", "memory"]);
        let plan = found.plan("muster", "node", "al_x");
        assert_eq!(plan.v1[2].1, Path::new("/sys/fs/cgroup/memory/muster/node/al_x"));
    }
}
