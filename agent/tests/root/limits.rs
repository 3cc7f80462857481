//! Sizes hold, and leave a way in.

use crate::kit::{MIB, Node, SIZE, Session, run, wait_for, wanted};
use muster_agent::root::{CellInfo, CellUsage, Reply, Request};
use std::time::Instant;

fn usage(node: &Node, cell: &CellInfo) -> CellUsage {
    match node.ask(Request::CellUsage { allocation: cell.allocation }) {
        Ok(Reply::Usage(usage)) => usage,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fork_bomb_stays_inside_and_a_rescue_shell_opens() {
    let node = Node::start();
    let cell = node.create(wanted());
    let mut bomb = Session::open(&cell, "echo lit; exec bash -c 'while :; do sleep 1000 & done 2>/dev/null'");
    bomb.expect("lit");
    wait_for("the bomb is at its limit", || usage(&node, &cell).pids == Some(SIZE.pids));
    let rescue = run(&cell, "echo rescued; kill -9 -1");
    assert!(rescue.out.contains("rescued"), "{rescue:?}");
    wait_for("the bomb is out", || usage(&node, &cell).pids.unwrap() < 5);
    assert_eq!(run(&cell, "echo fine | cat").out, "fine\n");
    assert!(node.end(cell.allocation, 100).clean);
}

#[test]
fn a_memory_hog_dies_alone() {
    let node = Node::start();
    let cell = node.create(wanted());
    let mut bystander = Session::open(&cell, "echo up; read x; echo alive");
    bystander.expect("up");
    let hog = run(&cell, "head -c 600M /dev/zero | tail -c 600M | wc -c; echo ${PIPESTATUS}");
    assert!(!hog.out.contains("629145600"), "{hog:?}");
    let used = usage(&node, &cell);
    assert!(used.memory_peak_bytes.unwrap() <= SIZE.memory_bytes, "{used:?}");
    assert!(used.memory_peak_bytes.unwrap() > SIZE.memory_bytes / 2, "{used:?}");
    // Files in /dev/shm count as memory, and may take half of it.
    let shm = run(&cell, "head -c 400M /dev/zero > /dev/shm/x; stat -c %s /dev/shm/x; rm /dev/shm/x");
    assert_eq!(shm.out.trim(), (SIZE.memory_bytes / 2).to_string(), "{shm:?}");
    assert_eq!(run(&cell, "echo fine").out, "fine\n");
}

#[test]
fn a_disk_filler_stays_inside() {
    let node = Node::start();
    let cell = node.create(wanted());
    for place in ["~", "/tmp", "/var/tmp"] {
        let script = format!("cd {place}; head -c 200M /dev/zero > x; stat -c %s x; touch y && ls y; rm -f x y");
        let ran = run(&cell, &script);
        let size: u64 = ran.out.lines().next().and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("{ran:?}"));
        assert!(ran.err.contains("No space left"), "{ran:?}");
        assert!(size < SIZE.disk_bytes && size > SIZE.disk_bytes / 2, "{place}: {size}");
    }
    let inodes = run(&cell, "cd /tmp; i=0; while true > f$i; do i=$((i+1)); done 2>/dev/null; echo $i; rm -f f*");
    assert!(inodes.out.trim().parse::<u64>().unwrap() < 100_000, "{inodes:?}");
    let used = usage(&node, &cell).disk_bytes.unwrap();
    assert!(used <= SIZE.disk_bytes + MIB, "{used}");
}

#[test]
fn the_cpu_share_is_kept() {
    let node = Node::start();
    let mut wanted = wanted();
    wanted.cell.size.cpu_milli = 200;
    let cell = node.create(wanted);
    let (before, begun) = (usage(&node, &cell).cpu_usec.unwrap(), Instant::now());
    run(&cell, "for i in 1 2 3 4; do timeout 2 sh -c 'while :; do :; done' & done; wait");
    let used = usage(&node, &cell).cpu_usec.unwrap() - before;
    let share = u128::from(used) * 1000 / begun.elapsed().as_micros();
    assert!(share < 300, "{share} thousandths of a CPU");
}
