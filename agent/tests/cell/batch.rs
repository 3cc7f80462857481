//! The batch command, the end of a cell and what it leaves behind.

use crate::kit::{ALLOCATION, TestCell, again, command, terminal};
use muster_agent::cell::record::{ExitRecord, read_main_log};
use muster_protocol::limits::CELL_LOG_MAX;
use muster_protocol::session::SessionAttach;

fn main_session() -> SessionAttach {
    SessionAttach { allocation: ALLOCATION.into(), main: true, read_only: true, ..SessionAttach::default() }
}

fn batch(script: &str, max_runtime_s: Option<u64>) -> TestCell {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    TestCell::start_with(|config| {
        config.command = Some(command);
        config.max_runtime_s = max_runtime_s;
    })
}

#[test]
fn it_runs_is_followed_and_leaves_its_code_and_log() {
    let cell = batch("echo hello; echo bad >&2; exit 5", None);
    let mut follow = cell.attach(&main_session());
    assert_eq!(follow.until_exit().code, 5);
    assert_eq!((follow.output.as_slice(), follow.errors.as_slice()), (&b"hello\n"[..], &b"bad\n"[..]));
    let status = cell.watch().status_until(|status| status.main_exit_code.is_some());
    assert_eq!((status.main_exit_code, status.main_exit_reason.as_str()), (Some(5), ""));
    let record = ExitRecord::read(cell.status_dir()).unwrap();
    let main = record.main.unwrap();
    assert_eq!((main.code, main.output_bytes), (5, 10));
    let log = read_main_log(cell.status_dir()).unwrap();
    assert!(log == b"hello\nbad\n" || log == b"bad\nhello\n");
}

#[test]
fn nobody_who_follows_can_hold_it_up_and_the_log_keeps_the_end() {
    let cell = batch("seq 1 400000", None);
    let mut follow = cell.attach(&main_session());
    follow.acks = false;
    cell.watch().status_until(|status| status.main_exit_code == Some(0));
    let log = read_main_log(cell.status_dir()).unwrap();
    assert_eq!(log.len(), CELL_LOG_MAX);
    assert!(log.ends_with(b"\n399999\n400000\n"));
}

#[test]
fn it_may_not_run_for_longer_than_said() {
    let cell = batch("echo up; sleep 1000", Some(1));
    let mut follow = cell.attach(&main_session());
    let exit = follow.until_exit();
    assert_eq!((exit.code, exit.reason.as_str()), (143, "max_runtime"));
    let status = cell.watch().status_until(|status| status.main_exit_code.is_some());
    assert_eq!(status.main_exit_reason, "max_runtime");
}

#[test]
fn a_command_that_is_not_there_is_an_exit_code_too() {
    let cell = TestCell::start_with(|config| config.command = Some(vec!["/no/such".into()]));
    let status = cell.watch().status_until(|status| status.main_exit_code.is_some());
    assert_eq!(status.main_exit_code, Some(127));
    assert!(String::from_utf8(read_main_log(cell.status_dir()).unwrap()).unwrap().contains("/no/such"));
}

#[test]
fn the_end_is_told_to_sessions_and_takes_everything_along() {
    let mut cell = batch("sleep 1000", None);
    let mut shell = cell.attach(&terminal("se_1"));
    let script = "trap '' HUP TERM; setsid sh -c 'trap \"\" HUP TERM; sleep 1000' & echo $!; echo up; \
                  while :; do sleep 1; done";
    let mut stubborn = cell.attach(&command("se_2", false, &["bash", "-c", script]));
    stubborn.expect("up");
    let orphan: i32 = stubborn.text().lines().next().unwrap().parse().unwrap();
    cell.end("released", 300);
    assert_eq!(shell.until_exit().reason, "released");
    let exit = stubborn.until_exit();
    assert_eq!((exit.code, exit.signal.as_str(), exit.reason.as_str()), (137, "KILL", "released"));
    assert!(cell.wait().success());
    let gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(orphan), None);
    assert_eq!(gone, Err(nix::errno::Errno::ESRCH));
    let record = ExitRecord::read(cell.status_dir()).unwrap();
    assert_eq!(record.ended.as_deref(), Some("released"));
    assert_eq!(record.main.unwrap().reason, "released");
}

#[test]
fn sigterm_is_an_end_too_and_nothing_new_begins() {
    let mut cell = TestCell::start();
    let script = "trap 'echo asked' TERM HUP; echo up; while :; do sleep 0.1; done";
    let mut stubborn = cell.attach(&command("se_1", false, &["bash", "-c", script]));
    stubborn.expect("up");
    let pid = nix::unistd::Pid::from_raw(cell.pid().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    stubborn.expect("asked");
    assert_eq!(cell.try_attach(&terminal("se_2")).err().unwrap().code, "cell_gone");
    assert!(cell.try_attach(&again("se_1", None)).is_ok());
    assert!(cell.wait().success());
    assert_eq!(ExitRecord::read(cell.status_dir()).unwrap().ended.as_deref(), Some("signal"));
}
