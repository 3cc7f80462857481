//! Deaths of either side, restarts, repeated and broken-off requests.

use crate::kit::{Node, Session, exe, run, wait_for, wanted};
use muster_agent::root::{CellInfo, CellState, CreateCell, Event, Reply, Request};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::time::Duration;

fn kill_9(pid: i32) {
    // It may be gone already, which is as good.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

#[test]
fn a_killed_pid_1_is_noticed_and_leaves_nothing() {
    let mut node = Node::start();
    let cell = node.create(wanted());
    let mut session = Session::open(&cell, "echo up; (trap '' HUP; setsid sleep 1000) & sleep 1000");
    session.expect("up");
    kill_9(cell.pid);
    let status = loop {
        if let Event::Gone { allocation, status } = node.event() {
            assert_eq!(allocation, cell.allocation);
            break status;
        }
    };
    assert_eq!(status, Some(137));
    assert_eq!(node.list()[0].state, CellState::Dead);
    let again = CreateCell {
        cell: muster_protocol::desired::Cell { allocation: cell.allocation, ..wanted().cell },
        ..wanted()
    };
    assert!(node.ask(Request::CellCreate(Box::new(again))).unwrap_err().to_string().starts_with("cell_dead"));
    let receipt = node.end(cell.allocation, 0);
    assert!(receipt.clean, "{receipt:?}");
    assert_eq!(receipt.steps[0].detail, "PID 1 was gone already");
    assert_eq!(node.traces(), Vec::<String>::new());
}

#[test]
fn a_cell_outlives_the_root_half() {
    let mut node = Node::start();
    let cell = node.create(wanted());
    let mut session = Session::open(&cell, "echo up; read x; for i in 1 2 3; do echo $i; done; sleep 1000");
    session.expect("up");
    node.kill_half();
    assert_eq!(run(&cell, "echo still here").out, "still here\n");
    node.start_half();
    let listed = node.list();
    assert_eq!(listed, std::slice::from_ref(&cell));
    match node.ask(Request::CellAdopt { allocation: cell.allocation }) {
        Ok(Reply::Cell(info)) => assert_eq!(*info, cell),
        other => panic!("{other:?}"),
    }
    kill_9(cell.pid);
    loop {
        if let Event::Gone { allocation, .. } = node.event() {
            assert_eq!(allocation, cell.allocation);
            break;
        }
    }
    assert!(node.end(cell.allocation, 0).clean);
}

#[test]
fn the_end_of_all_cells_waits_for_those_that_are_being_built() {
    let mut node = Node::start();
    let identity = serde_json::json!({
        "node_id": node.id, "fleet_id": "f", "coordinator": "127.0.0.1:1", "ca_sha256": "", "stage": "issued",
    });
    fs::write(node.state_dir().join("identity.json"), identity.to_string()).unwrap();
    let _answers: Vec<_> = (0..4).map(|_| node.send(Request::CellCreate(Box::new(wanted())))).collect();
    while !matches!(node.event(), Event::Step { .. }) {}
    node.kill_half();
    assert_ne!(node.traces(), Vec::<String>::new(), "workers go on without their root half");
    let mut end = std::process::Command::new(exe());
    end.args(["root", "--end-cells", "--state-dir"]).arg(node.state_dir());
    let output = end.arg("--config").arg(node.dir.path().join("agent.toml")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(node.traces(), Vec::<String>::new());
}

#[test]
fn requests_may_be_repeated_and_older_leases_are_fenced() {
    let node = Node::start();
    let mut wanted = wanted();
    wanted.cell.lease_epoch = 5;
    let cell = node.create(wanted.clone());
    assert_eq!(node.create(wanted.clone()), cell);
    for (epoch, code) in [(4, "older_lease"), (6, "other_lease")] {
        wanted.cell.lease_epoch = epoch;
        let refused = node.ask(Request::CellCreate(Box::new(wanted.clone()))).unwrap_err();
        assert!(refused.to_string().starts_with(code), "{refused}");
    }
    assert!(node.ask(Request::CellForget { allocation: cell.allocation }).is_err());
    let receipt = node.end(cell.allocation, 100);
    assert_eq!(node.end(cell.allocation, 100), receipt);
    wanted.cell.lease_epoch = 5;
    let refused = node.ask(Request::CellCreate(Box::new(wanted))).unwrap_err();
    assert!(refused.to_string().starts_with("cell_ended"), "{refused}");
    assert_eq!(node.list()[0].state, CellState::Ended);
    for _ in 0..2 {
        assert!(matches!(node.ask(Request::CellForget { allocation: cell.allocation }), Ok(Reply::Done)));
    }
    assert!(node.list().is_empty());
    assert!(node.end(cell.allocation, 100).clean);
    assert!(node.list().is_empty());
}

fn children(pid: u32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let direct: Vec<i32> = text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    direct.iter().flat_map(|pid| children(pid.unsigned_abs())).chain(direct.clone()).collect()
}

fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Kills the half with its worker, and only the worker, at many points of a build.
#[test]
fn a_build_that_is_broken_off_is_taken_down() {
    let mut node = Node::start();
    for round in 0..16 {
        let wanted = wanted();
        let allocation = wanted.cell.allocation;
        let before: Vec<i32> = children(node.half_pid());
        let waiting = node.send(Request::CellCreate(Box::new(wanted.clone())));
        std::thread::sleep(Duration::from_millis(12 * round));
        let started: Vec<i32> = children(node.half_pid()).into_iter().filter(|pid| !before.contains(pid)).collect();
        if round % 2 == 0 {
            node.kill_half();
        }
        started.iter().for_each(|pid| kill_9(*pid));
        wait_for("they are gone", || !started.iter().any(|pid| is_alive(*pid)));
        let _ = waiting.blocking_recv();
        if round % 2 == 0 {
            node.start_half();
        }
        match node.list().as_slice() {
            [] => assert!(node.end(allocation, 0).clean),
            [cell] if cell.state == CellState::Dead => assert!(node.end(allocation, 0).clean),
            [cell] if cell.state == CellState::Ended => {}
            [cell] => assert!(run(cell, "true").code == 0 && node.end(allocation, 0).clean),
            more => panic!("{more:?}"),
        }
        assert!(node.ask(Request::CellForget { allocation }).is_ok(), "round {round}");
        assert_eq!(node.traces(), Vec::<String>::new(), "round {round}");
    }
    let cell = node.create(wanted());
    assert_eq!(run(&cell, "echo fine").out, "fine\n");
}

#[test]
fn what_cannot_be_built_is_taken_down_and_says_why() {
    let node = Node::start();
    let mut wanted = wanted();
    wanted.cell.image = muster_protocol::desired::Image::Rootfs { path: "/etc".into() };
    let allocation = wanted.cell.allocation;
    let refused = node.ask(Request::CellCreate(Box::new(wanted))).unwrap_err().to_string();
    assert!(refused.starts_with("create_failed") && refused.contains("no image directory"), "{refused}");
    let receipt = node.end(allocation, 0);
    assert!(receipt.clean, "{receipt:?}");
    assert_eq!(node.traces(), Vec::<String>::new());
}

#[test]
fn the_batch_log_is_there_after_the_end() {
    let node = Node::start();
    let mut wanted = wanted();
    wanted.cell.command = Some(["sh", "-c", "seq 1 30000; exit 3"].map(str::to_owned).to_vec());
    let cell: CellInfo = node.create(wanted);
    let record = node.state_dir().join("root/cells").join(cell.allocation.to_string()).join("status/exit.json");
    wait_for("the command's end", || fs::read_to_string(&record).is_ok_and(|text| text.contains("\"code\":3")));
    let ended = node.ask(Request::CellEnd { allocation: cell.allocation, reason: "released".into(), grace_ms: 0 });
    match ended {
        Ok(Reply::Ended { receipt, exit }) => {
            assert!(receipt.clean);
            assert_eq!(exit.unwrap().exit_code, Some(3));
        }
        other => panic!("{other:?}"),
    }
    let (mut text, mut offset) = (Vec::new(), 0);
    loop {
        match node.ask(Request::CellOutput { allocation: cell.allocation, offset }) {
            Ok(Reply::Output { offset: at, base64, end }) => {
                assert_eq!(at, offset);
                use base64::Engine;
                let piece = base64::engine::general_purpose::STANDARD.decode(base64).unwrap();
                offset += piece.len() as u64;
                text.extend(piece);
                if offset == end {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    let wanted: String = (1..=30_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(String::from_utf8(text).unwrap(), wanted);
}

#[test]
fn many_are_built_and_ended_at_once() {
    let node = Node::start();
    let wanted: Vec<CreateCell> = (0..12).map(|_| wanted()).collect();
    let ask = |wanted: &CreateCell| node.send(Request::CellCreate(Box::new(wanted.clone())));
    // Each is asked for twice, as after a lost answer.
    let waiting: Vec<_> = wanted.iter().chain(&wanted).map(ask).collect();
    let cells: Vec<CellInfo> = waiting
        .into_iter()
        .map(|answer| match answer.blocking_recv().unwrap() {
            Reply::Cell(info) => *info,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(cells[..12], cells[12..]);
    let maps: std::collections::BTreeSet<String> =
        cells[..12].iter().map(|cell| run(cell, "cat /proc/self/uid_map; ip -4 -o address show eth0").out).collect();
    assert_eq!(maps.len(), 12);
    let end = |cell: &CellInfo| {
        node.send(Request::CellEnd { allocation: cell.allocation, reason: "released".into(), grace_ms: 100 })
    };
    let waiting: Vec<_> = cells.iter().map(end).collect();
    for answer in waiting {
        let ended = answer.blocking_recv().unwrap();
        assert!(matches!(&ended, Reply::Ended { receipt, .. } if receipt.clean), "{ended:?}");
    }
    assert_eq!(node.traces(), Vec::<String>::new());
}

/// Kills the half with its worker at many points of an end.
#[test]
fn an_end_that_is_broken_off_is_finished_by_the_next() {
    let mut node = Node::start();
    for round in 0..8 {
        let cell = node.create(wanted());
        run(&cell, "echo x > ~/x; (setsid sleep 1000 &)");
        let before: Vec<i32> = children(node.half_pid());
        let end = Request::CellEnd { allocation: cell.allocation, reason: "released".into(), grace_ms: 50 };
        let waiting = node.send(end);
        std::thread::sleep(Duration::from_millis(15 * round));
        let started: Vec<i32> = children(node.half_pid()).into_iter().filter(|pid| !before.contains(pid)).collect();
        node.kill_half();
        started.iter().for_each(|pid| kill_9(*pid));
        wait_for("they are gone", || !started.iter().any(|pid| is_alive(*pid)));
        let _ = waiting.blocking_recv();
        node.start_half();
        let receipt = node.end(cell.allocation, 0);
        assert!(receipt.clean, "{receipt:?}");
        assert_eq!(node.traces(), Vec::<String>::new(), "round {round}");
    }
}

/// A cell that died in an earlier boot, as its record on the disk tells of it now.
fn as_of_an_earlier_boot(node: &Node, cell: &CellInfo, change: impl Fn(&mut serde_json::Value)) {
    let path = record_path(node, cell);
    let mut record = record(node, cell);
    record["boot_id"] = "an earlier boot".into();
    change(&mut record);
    fs::write(path, record.to_string()).unwrap();
}

fn record_path(node: &Node, cell: &CellInfo) -> std::path::PathBuf {
    node.state_dir().join("root/cells").join(cell.allocation.to_string()).join("cell.json")
}

fn record(node: &Node, cell: &CellInfo) -> serde_json::Value {
    serde_json::from_slice(&fs::read(record_path(node, cell)).unwrap()).unwrap()
}

#[test]
fn the_end_of_a_cell_of_an_earlier_boot_touches_no_other() {
    let mut node = Node::start();
    let (dead, alive) = (node.create(wanted()), node.create(wanted()));
    let mut session = Session::open(&alive, "echo up; exec sleep 1003");
    session.expect("up");
    kill_9(dead.pid);
    node.kill_half();
    let theirs = record(&node, &alive);
    as_of_an_earlier_boot(&node, &dead, |record| {
        record["ids"] = theirs["ids"].clone();
        record["net"] = theirs["net"].clone();
    });
    node.start_half();
    let receipt = node.end(dead.allocation, 0);
    assert!(receipt.clean, "{receipt:?}");
    assert_eq!(run(&alive, "pgrep -cx sleep; ip -o link show eth0 | grep -c UP").out, "1\n1\n");
}

#[test]
fn ids_of_a_cell_that_died_with_the_machine_are_not_given_to_another() {
    let mut node = Node::start();
    let dead = node.create(wanted());
    let index = record(&node, &dead)["ids"]["index"].as_u64().unwrap();
    let claim = std::path::Path::new("/run/muster/ids").join(index.to_string());
    kill_9(dead.pid);
    node.kill_half();
    // A reboot: the claims are gone, the records are not.
    fs::remove_file(&claim).unwrap();
    as_of_an_earlier_boot(&node, &dead, |_| {});
    node.start_half();
    assert!(fs::read_to_string(&claim).unwrap().contains(&dead.allocation.to_string()));
    assert!(node.end(dead.allocation, 0).clean);
    assert!(!claim.exists());
}

#[test]
fn a_broken_off_build_that_is_slow_to_go_holds_up_no_start() {
    let mut node = Node::start();
    let cell = node.create(wanted());
    let holder = fs::File::open(format!("/proc/{}/root/home/muster", cell.pid)).unwrap();
    kill_9(cell.pid);
    node.kill_half();
    let mut record = record(&node, &cell);
    record["phase"] = "building".into();
    fs::write(record_path(&node, &cell), record.to_string()).unwrap();
    let began = std::time::Instant::now();
    node.start_half();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(holder);
    wait_for("it is taken down", || node.traces().is_empty() && node.list().is_empty());
}

#[test]
fn a_run_half_that_does_not_read_holds_no_worker() {
    use nix::sys::socket::{MsgFlags, send};
    use std::os::fd::AsRawFd;
    let mut node = Node::start();
    node.kill_half();
    let config = node.dir.path().join("agent.toml");
    let (mut half, socket) = muster_agent::root::start_half(exe(), &node.state_dir(), Some(&config), (0, 0)).unwrap();
    let say = |id: u64, request: &Request| {
        let text = serde_json::json!({ "id": id, "request": request }).to_string();
        send(socket.as_raw_fd(), text.as_bytes(), MsgFlags::empty()).unwrap()
    };
    let _ = say(1, &Request::Hello { version: "test".into(), node: node.id });
    for id in 2..2000 {
        let _ = say(id, &Request::CellList);
    }
    let end = Request::CellEnd { allocation: wanted().cell.allocation, reason: "released".into(), grace_ms: 0 };
    let _ = say(2000, &end);
    wait_for("it is cut off, and nothing waits for it", || half.try_wait().unwrap().is_some());
    node.start_half();
}
