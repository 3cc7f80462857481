//! What allocations leave on a machine: every trace of their ids, and what long-lived processes hold open.

use crate::{Pids, World};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where the traces of an allocation would be: its cgroups, its run directory, its claim of ids.
const SHARED: [&str; 3] = ["/sys/fs/cgroup", "/run/muster", "/run/user"];

/// Every trace of these allocations on the machine, each in words; nothing when nothing leaked.
///
/// Looks for their ids in command lines, control groups, mounts, run directories, claims of user ids, homes and
/// records, and for network ends of the world's nodes.
#[must_use]
pub fn remains(world: &World, allocations: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |what: &str, text: &str| {
        found.extend(allocations.iter().filter(|id| text.contains(id.as_str())).map(|id| format!("{what}: {id}")));
    };
    for (pid, line) in processes() {
        note(&format!("process {pid}"), &line);
        note(&format!("process {pid} in a cgroup"), &read(&format!("/proc/{pid}/cgroup")));
    }
    let mounts = read("/proc/self/mountinfo");
    note("mount", &mounts);
    note("user", &read("/etc/passwd"));
    let nodes = world.dir().join("demo/nodes");
    for dir in SHARED.iter().map(Path::new).chain([nodes.as_path()]) {
        walk(dir, 0, &mut |path| note("file", &path.display().to_string()));
    }
    for claim in fs::read_dir("/run/muster/ids").into_iter().flatten().flatten() {
        note("claim of ids", &fs::read_to_string(claim.path()).unwrap_or_default());
    }
    let dir = world.dir().display().to_string();
    found.extend(mounts.lines().filter(|line| line.contains(&dir)).map(|line| format!("mount: {line}")));
    found.extend(
        said("losetup", &["-a"]).lines().filter(|line| line.contains(&dir)).map(|line| format!("loop: {line}")),
    );
    let homes = fs::read_dir(&nodes).into_iter().flatten().flatten().map(|node| node.path().join("homes"));
    for home in homes.flat_map(|homes| fs::read_dir(homes).into_iter().flatten().flatten()) {
        found.push(format!("home: {}", home.path().display()));
    }
    let links = said("ip", &["-o", "link"]);
    for agent in world.ready().pids.agents {
        let prefix = format!(": mv{}", short(&agent.node_id));
        found.extend(links.lines().filter(|line| line.contains(&prefix)).map(|line| format!("network: {line}")));
    }
    found
}

/// Open descriptors of the coordinator, the agents and their root halves.
#[must_use]
pub fn descriptors(pids: &Pids) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::from([("coordinator".to_owned(), open(pids.coordinator))]);
    for agent in &pids.agents {
        all.insert(format!("agent {}", agent.name), open(agent.pid));
        all.insert(format!("root half {}", agent.name), agent.root_pid.map_or(0, open));
    }
    all
}

/// Processes below the agents: a root half each, and nothing else when all cells are gone.
#[must_use]
pub fn strays(pids: &Pids) -> Vec<String> {
    let ours: Vec<i32> = pids.agents.iter().flat_map(|agent| [Some(agent.pid), agent.root_pid]).flatten().collect();
    processes()
        .into_iter()
        .filter(|(pid, _)| {
            let stat = read(&format!("/proc/{pid}/stat"));
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<i32>().ok());
            parent.is_some_and(|parent| ours.contains(&parent)) && !ours.contains(pid)
        })
        .map(|(pid, line)| format!("{pid}: {}", line.replace('\0', " ")))
        .collect()
}

/// Processes whose command line names this world's folder or one of these allocations.
#[must_use]
pub fn living(world: &World, allocations: &[String]) -> Vec<String> {
    let dir = world.dir().display().to_string();
    let ours = |line: &str| line.contains(&dir) || allocations.iter().any(|id| line.contains(id));
    let all = processes().into_iter().filter(|(_, line)| ours(line));
    all.map(|(pid, line)| format!("{pid}: {}", line.replace('\0', " "))).collect()
}

/// The short form of a node's id, which stands in the names of its network ends.
fn short(node: &str) -> String {
    let id: Result<muster_protocol::ids::NodeId, _> = node.parse();
    id.map_or_else(|_| node.to_owned(), |id| id.short())
}

fn open(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

fn processes() -> Vec<(i32, String)> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok());
    pids.map(|pid| (pid, read(&format!("/proc/{pid}/cmdline")))).collect()
}

fn read(path: &str) -> String {
    fs::read(path).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn walk(dir: &Path, depth: usize, note: &mut impl FnMut(&PathBuf)) {
    const DEEP_ENOUGH: usize = 8;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        note(&entry.path());
        // What leads elsewhere is another tree.
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir && depth < DEEP_ENOUGH {
            walk(&entry.path(), depth + 1, note);
        }
    }
}
