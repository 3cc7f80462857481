//! Who comes in, limits, nonsense, and the SSH entry.

use crate::kit::{ALLOCATION, Last, TestCell, again, command, terminal};
use muster_agent::cell::config::SshEntry;
use muster_protocol::cell::CellWatch;
use muster_protocol::limits::CELL_SESSIONS_MAX;
use muster_protocol::session::SessionAttach;
use muster_protocol::tunnel::{TunnelOpen, TunnelRefused};
use muster_protocol::{Frame, Kind, frame};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::process::{Command, Stdio};

#[test]
fn nonsense_ends_only_its_own_connection() {
    let cell = TestCell::start();
    let mut shell = cell.attach(&terminal("se_1"));
    let huge = [0, 62, 0, 0, 0x00, 0x98, 0x96, 0x80];
    let wrong_place = [0, 66, 0, 0, 0, 0, 0, 0];
    let not_prost = [0, 60, 0, 0, 0, 0, 0, 2, 0xff, 0xff];
    for garbage in [&huge[..], &wrong_place, &not_prost, &[0xff; 300][..]] {
        let mut peer = cell.connect();
        // It may be closed before it has taken everything.
        let _ = peer.stream.write_all(garbage);
        let frame = peer.frame().unwrap();
        assert_eq!(frame.kind, Kind::SessionError);
        assert!(peer.frame().is_none());
    }
    let mut viewer = cell.attach(&SessionAttach { read_only: true, ..again("se_1", None) });
    let _ = viewer.peer.stream.write_all(&huge);
    assert!(matches!(viewer.until_last(), Last::Error(error) if error.code == "protocol_error"));
    shell.type_(b"echo still here\n");
    shell.expect("\nstill here");
}

/// Frames of any kind with any body, after any beginning, cut anywhere: one connection at most is lost.
#[test]
fn no_frames_whatever_hurt_a_neighbour() {
    use proptest::prelude::*;
    let cell = TestCell::start();
    let mut shell = cell.attach(&command("se_neighbour", true, &["sh", "-c", "stty raw -echo; echo up; exec cat"]));
    shell.expect("up");
    let shell = std::cell::RefCell::new(shell);
    let beginning = prop_oneof![
        Just(Vec::new()),
        Just(frame::encode(Kind::SessionAttach, &command("se_fuzz", false, &["cat"])).to_vec()),
        Just(frame::encode(Kind::SessionAttach, &command("se_fuzz_tty", true, &["cat"])).to_vec()),
        Just(frame::encode(Kind::CellWatch, &CellWatch { level: 1 }).to_vec()),
    ];
    let kinds =
        prop::sample::select(Kind::ALL.iter().copied().filter(|kind| *kind != Kind::CellEnd).collect::<Vec<_>>());
    let body = prop::collection::vec(prop_oneof![Just(0u8), Just(8), any::<u8>()], 0..40);
    let frames = prop::collection::vec((kinds, body), 0..12);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&(beginning, frames, 0usize..20), |(mut bytes, frames, cut)| {
            for (kind, body) in frames {
                bytes.extend_from_slice(&Frame { kind, body: body.into() }.to_bytes());
            }
            bytes.truncate(bytes.len().saturating_sub(cut));
            let mut peer = cell.connect();
            let _ = peer.stream.write_all(&bytes);
            drop(peer);
            let mut shell = shell.borrow_mut();
            shell.type_(b"x");
            while shell.output.iter().filter(|byte| **byte == b'x').count() < shell.typed as usize {
                prop_assert_eq!(shell.step(), None);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn sessions_have_names_owners_and_a_limit() {
    let cell = TestCell::start();
    let refused = |attach: &SessionAttach| cell.try_attach(attach).err().unwrap().code;
    assert_eq!(refused(&again("se_none", None)), "session_gone");
    assert_eq!(refused(&SessionAttach { allocation: "al_other".into(), ..terminal("se_1") }), "cell_gone");
    assert_eq!(refused(&terminal("../x")), "protocol_error");
    assert_eq!(refused(&terminal("main")), "protocol_error");
    assert_eq!(refused(&SessionAttach { main: true, ..terminal("") }), "session_gone");
    for i in 0..CELL_SESSIONS_MAX {
        cell.attach(&command(&format!("se_{i}"), false, &["sleep", "1000"]));
    }
    assert_eq!(refused(&terminal("se_more")), "session_limit");
    let mut one = cell.attach(&again("se_0", None));
    one.kind_and_send(Kind::SessionSignal, &muster_protocol::session::SessionSignal { name: "KILL".into() });
    assert_eq!(one.until_exit().code, 137);
    cell.attach(&terminal("se_more"));
}

#[test]
fn strangers_are_not_heard() {
    let cell = TestCell::start_with(|config| config.peer_uids = vec![4_000_000]);
    let mut peer = cell.connect();
    assert_eq!(peer.stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn many_short_commands_do_not_use_up_the_limit() {
    let cell = TestCell::start();
    for i in 0..2 * CELL_SESSIONS_MAX {
        let mut run = cell.attach(&command(&format!("se_{i}"), false, &["true"]));
        assert_eq!(run.until_exit().code, 0);
    }
}

fn tunnel(target: &str) -> TunnelOpen {
    TunnelOpen { allocation: ALLOCATION.into(), session: "se_ssh".into(), target: target.into() }
}

#[test]
fn tunnels_without_ssh_are_refused() {
    let cell = TestCell::start();
    for (target, code) in [("ssh", "no_ssh"), ("moon", "unsupported")] {
        let mut peer = cell.connect();
        peer.send(Kind::TunnelOpen, &tunnel(target));
        let frame = peer.frame().unwrap();
        assert_eq!(frame.decode::<TunnelRefused>().unwrap().code, code);
        assert!(peer.frame().is_none());
    }
}

/// Everything an `ssh` needs to reach the cell, and the keys on both sides.
struct Ssh {
    cell: TestCell,
    dir: tempfile::TempDir,
}

impl Ssh {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["host", "mine", "other"] {
            let file = dir.path().join(name);
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file).status();
            assert!(made.unwrap().success());
        }
        std::fs::copy(dir.path().join("mine.pub"), dir.path().join("authorized_keys")).unwrap();
        let cell = TestCell::start_with(|config| {
            config.user.name = me();
            config.env.insert("SPACED".into(), "a \"b\" \\c #d".into());
            config.ssh = Some(SshEntry {
                host_key: dir.path().join("host"),
                authorized_keys: dir.path().join("authorized_keys"),
                sshd: "/usr/sbin/sshd".into(),
            });
        });
        Self { cell, dir }
    }

    /// `ssh` to a port of ours, whose bytes go through a tunnel of the cell.
    fn run(&self, key: &str, arguments: &[&str], input: &[u8]) -> std::process::Output {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = door.local_addr().unwrap().port().to_string();
        let mut peer = self.cell.connect();
        peer.send(Kind::TunnelOpen, &tunnel("ssh"));
        assert_eq!(peer.frame().unwrap().kind, Kind::TunnelReady);
        peer.stream.set_read_timeout(None).unwrap();
        let inside = peer.stream;
        let pumps = std::thread::spawn(move || {
            let outside = door.accept().unwrap().0;
            let (mut from, mut to) = (outside.try_clone().unwrap(), inside.try_clone().unwrap());
            let up = std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
            let (mut from, mut to) = (inside, outside);
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
            up.join().unwrap();
        });
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "IdentitiesOnly=yes"]);
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-p", &port]);
        ssh.arg("-i").arg(self.dir.path().join(key)).arg(format!("{}@127.0.0.1", me())).args(arguments);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = ssh.spawn().unwrap();
        // A refused login reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        pumps.join().unwrap();
        output
    }
}

fn me() -> String {
    nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name
}

#[test]
fn ssh_lands_in_the_cell() {
    let ssh = Ssh::start();
    let output = ssh.run("mine", &["cat; echo $CUDA_VISIBLE_DEVICES; echo \"$SPACED\"; exit 9"], b"over stdin\n");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(9), "{text} {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text, "over stdin\nGPU-1\na \"b\" \\c #d\n");
    let output = ssh.run("mine", &["-tt", "tty; stty size; exit 3"], b"");
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("/dev/pts/"));
    let output = ssh.run("other", &["true"], b"");
    assert_eq!(output.status.code(), Some(255));
    ssh.cell.watch().status_until(|status| status.sessions.is_empty());
}
