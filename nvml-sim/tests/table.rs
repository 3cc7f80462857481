//! The process table, with processes.

use nvidia_ml_sim::place::Place;
use nvidia_ml_sim::processes::ENTRIES_MAX;
use nvidia_ml_sim::scenario::{Scenario, write};
use nvidia_ml_sim::view::View;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Node {
    dir: tempfile::TempDir,
    place: Place,
}

/// A process that stands in the table.
struct User(Child);

impl Drop for User {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Node {
    fn new(lines: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let scenario = lines.iter().try_fold(Scenario::new("t"), |s, line| s.with_line(line)).expect("good lines");
        let place = write(dir.path(), &scenario).expect("written");
        Self { dir, place }
    }

    /// A view that has kept nothing.
    fn view(&self) -> View {
        View::open(self.place.clone()).expect("opened")
    }

    fn start(&self, words: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simgpu-use"));
        command.args(words).env("MUSTER_NVML_SIM_DIR", self.dir.path()).stdout(Stdio::piped());
        command.spawn().expect("started")
    }

    fn use_gpu(&self, words: &[&str]) -> User {
        stands(self.start(words))
    }

    fn stick(&self, on: bool) {
        let to = if on { "on" } else { "off" };
        let done = Command::new(env!("CARGO_BIN_EXE_simgpu-fault"))
            .args(["--gpu", "0", "sticky-handle", to])
            .env("MUSTER_NVML_SIM_DIR", self.dir.path())
            .status();
        assert!(done.expect("started").success());
    }

    /// Pid and memory in MiB of everyone on GPU 0.
    fn listed(&self) -> Vec<(u32, u64)> {
        self.view().processes(0).iter().map(|listed| (listed.pid, listed.entry.memory >> 20)).collect()
    }
}

fn stands(mut child: Child) -> User {
    let mut line = String::new();
    let read = BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line);
    assert!(read.expect("a line") > 0, "it has no line to say");
    User(child)
}

#[test]
fn many_that_come_at_once_are_all_listed_and_leave_nothing() {
    let node = Node::new(&["h200"]);
    let memory = |n: u32| format!("{}MiB", n + 100);
    let started: Vec<Child> = (0..40).map(|n| node.start(&["--memory", &memory(n), "--load", "2"])).collect();
    let users: Vec<User> = started.into_iter().map(stands).collect();
    let mut expected: Vec<(u32, u64)> = (100..).zip(&users).map(|(mib, user)| (user.0.id(), mib)).collect();
    expected.sort_unstable();
    assert_eq!(node.listed(), expected);
    assert_eq!(node.view().utilization(0), 80);
    drop(users);
    assert_eq!(node.listed(), []);
}

#[test]
fn a_process_lists_its_own_entries_and_keeps_them_while_it_looks() {
    let node = Node::new(&["t4*2"]);
    let view = node.view();
    let one = view.register(0, None, 1 << 20, 10).expect("entered");
    let two = view.register(0, None, 2 << 20, 20).expect("entered");
    let own = std::process::id();
    assert_eq!(node.listed(), [(own, 1), (own, 2)]);
    // Looking is what would have dropped the locks that another process sees.
    let smi = Command::new(env!("CARGO_BIN_EXE_simgpu-smi")).env("MUSTER_NVML_SIM_DIR", node.dir.path()).output();
    let text = String::from_utf8(smi.expect("started").stdout).expect("text");
    assert!(text.contains(&format!("{own:<9} 1 MiB")) && text.contains(&format!("{own:<9} 2 MiB")), "{text}");
    drop(one);
    assert_eq!(node.listed(), [(own, 2)]);
    drop(two);
    assert_eq!(node.listed(), []);
    assert_eq!(node.view().processes(1), []);
    assert!(view.register(0, None, 1 << 40, 1).is_err() && view.register(0, None, 1, 101).is_err());
}

#[test]
fn instances_have_tables_of_their_own() {
    let node = Node::new(&["a100-80:3g.40gb@0,1g.10gb@4"]);
    let view = node.view();
    let devices = view.mig_devices(0);
    let of = |at: usize| (devices[at].0.id, devices[at].1);
    let _one = view.register(0, Some(of(0)), 1 << 30, 10).expect("entered");
    let _two = view.register(0, Some(of(1)), 2 << 30, 10).expect("entered");
    let instances: Vec<_> = node.view().processes(0).iter().map(|listed| listed.entry.instance).collect();
    assert_eq!(instances, [Some(of(0)), Some(of(1))]);
    assert_eq!(node.view().memory(0, Some(&devices[1].0)).2, 2 << 30);
    // A lock on the undivided GPU, whose file all its tenants have, says nothing.
    let _three = view.register(0, None, 4 << 30, 10).expect("entered");
    assert_eq!(node.listed().len(), 2);
}

#[test]
fn what_was_listed_once_sticks_until_the_fault_ends() {
    let node = Node::new(&["h100"]);
    let before = node.use_gpu(&["--memory", "1GiB"]);
    drop(before);
    node.stick(true);
    assert_eq!(node.listed(), [], "who was gone before does not come back");
    let first = node.use_gpu(&["--memory", "3GiB"]);
    let pid = first.0.id();
    assert_eq!(node.listed(), [(pid, 3072)]);
    drop(first);
    let left = node.listed();
    assert_eq!(left.iter().map(|(_, mib)| *mib).collect::<Vec<_>>(), [3072]);
    assert!(left[0].0 >= 1 << 22, "no process can have the pid {left:?}");
    let second = node.use_gpu(&["--memory", "3GiB"]);
    assert_eq!(node.listed().len(), 2, "it does not take the place of the dead");
    drop(second);
    assert_eq!(node.listed().len(), 2);
    node.stick(false);
    assert_eq!(node.listed(), []);
    node.stick(true);
    assert_eq!(node.listed(), [], "what has ended does not stick again");
}

/// A holder of the device may lock it in any way.
#[test]
fn a_stuffed_table_costs_a_look_little_and_says_no_more_than_a_full_one() {
    let node = Node::new(&["t4"]);
    let stuff = "import fcntl, sys, time\n\
                 f = open(sys.argv[1])\n\
                 lock = lambda length, start: fcntl.lockf(f, fcntl.LOCK_SH, length, start)\n\
                 lock(1, 5); lock(128, 1 << 48); lock(0, (1 << 62) + 7)\n\
                 for slot in range(2, 3000): lock((1 << 20) * 128 + 2, slot << 48)\n\
                 print('stuffed', flush=True); time.sleep(1000)";
    let file = node.place.dev.join("nvidia0");
    let child = Command::new("python3").args(["-c", stuff]).arg(file).stdout(Stdio::piped()).spawn();
    let stuffed = stands(child.expect("started"));
    let began = Instant::now();
    let found = node.listed();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!((1..=ENTRIES_MAX).contains(&found.len()), "{}", found.len());
    assert!(found.iter().all(|listed| *listed == (stuffed.0.id(), 1)), "{found:?}");
    let view = node.view();
    let (total, reserved, used) = view.memory(0, None);
    assert!(used <= total - reserved && view.utilization(0) <= 100);
    drop(view.register(0, None, 1, 1).expect("there is room beside it"));
    drop(stuffed);
    assert_eq!(node.listed(), []);
}
