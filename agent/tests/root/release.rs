//! Release with everything planted that people leave behind.

use crate::kit::{Node, Session, run, wanted};
use muster_agent::gpu::DevicePath;
use muster_agent::root::{Reply, Request};
use std::process::Command;

#[test]
fn planted_leftovers_are_removed_and_listed() {
    let node = Node::start();
    let mut wanted = wanted();
    let device = node.dir.path().join("dev/nvidia0");
    wanted.devices = vec![DevicePath { source: device, target: "/dev/nvidia0".into(), exclusive: true }];
    let cell = node.create(wanted);
    let mut plant = Session::open(
        &cell,
        "bash -c 'trap \"\" HUP TERM; exec -a hup-ignorer sleep 1001' &
        setsid bash -c 'trap \"\" HUP TERM; setsid sleep 1002 & exec sleep 1003' &
        bash -c 'exec 9</dev/nvidia0; exec sleep 1004' &
        head -c 100000 /dev/zero > /tmp/planted-tmp; head -c 5000 /dev/zero > /dev/shm/planted-shm
        echo x > ~/planted-home; ipcmk -M 4096; ipcmk -Q; ipcmk -S 2
        mkdir ~/inner; unshare -Urm sh -c 'mount -t tmpfs x ~/inner && echo mounted && exec sleep 1006' &
        echo planted; exec sleep 1005",
    );
    plant.expect("planted");
    plant.expect("mounted");
    let mounted = Command::new("nsenter")
        .args(["-t", &cell.pid.to_string(), "-m", "mount", "-t", "tmpfs", "planted", "/mnt"])
        .status();
    assert!(mounted.unwrap().success());
    let receipt = node.end(cell.allocation, 200);
    assert!(receipt.clean, "{receipt:?}");
    assert!(receipt.processes_killed >= 5, "{receipt:?}");
    assert!(receipt.files_removed >= 3 && receipt.bytes_removed >= 105_000, "{receipt:?}");
    assert_eq!(receipt.ipc_removed, 3);
    assert!(receipt.mounts_removed > 10);
    let line = |name: &str| receipt.steps.iter().find(|step| step.name == name).unwrap().detail.clone();
    assert!(line("processes").contains("sleep"), "{receipt:?}");
    assert!(line("home").contains("planted-home"), "{receipt:?}");
    assert!(line("tmp").contains("planted-tmp"), "{receipt:?}");
    assert!(line("shm").contains("planted-shm"), "{receipt:?}");
    assert!(line("ipc").contains("System V shared memory"), "{receipt:?}");
    assert!(line("mounts").contains("/mnt") && line("mounts").contains("/home/muster/inner"), "{receipt:?}");
    assert!(line("devices").contains("none open"), "{receipt:?}");
    let names: Vec<&str> = receipt.steps.iter().map(|step| step.name.as_str()).collect();
    let order = ["sessions", "processes", "devices", "home", "tmp", "shm", "ipc", "mounts", "network", "cgroup"];
    assert_eq!(names, order);
    assert_eq!(node.traces(), Vec::<String>::new());
}

#[test]
fn a_home_that_somebody_holds_is_a_leftover_until_it_is_free() {
    let node = Node::start();
    let cell = node.create(wanted());
    run(&cell, "echo x > ~/f");
    let holder = std::fs::File::open(format!("/proc/{}/root/home/muster", cell.pid)).unwrap();
    let receipt = node.end(cell.allocation, 0);
    assert!(!receipt.clean);
    assert!(receipt.leftovers.iter().any(|what| what.contains("still held by loop")), "{receipt:?}");
    drop(holder);
    let receipt = node.end(cell.allocation, 0);
    assert!(receipt.clean, "{receipt:?}");
}

#[test]
fn what_a_cell_without_ids_of_its_own_left_is_known_until_it_is_gone() {
    let node = Node::start_with_level("none");
    let cell = node.create(wanted());
    let home = run(&cell, "mkdir inner; pwd").out.trim().to_owned();
    let inner = format!("{home}/inner");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "planted", &inner]).status();
    assert!(mounted.unwrap().success());
    let receipt = node.end(cell.allocation, 0);
    assert!(!receipt.clean, "{receipt:?}");
    // The run half has told of it and forgets; who looks again still finds it.
    assert!(matches!(node.ask(Request::CellForget { allocation: cell.allocation }), Ok(Reply::Done)));
    let receipt = node.end(cell.allocation, 0);
    let unmounted = Command::new("umount").arg(&inner).status();
    assert!(!receipt.clean, "{receipt:?}");
    assert!(unmounted.unwrap().success());
    let receipt = node.end(cell.allocation, 0);
    assert!(receipt.clean, "{receipt:?}");
    assert!(matches!(node.ask(Request::CellForget { allocation: cell.allocation }), Ok(Reply::Done)));
    assert_eq!(node.traces(), Vec::<String>::new());
}
