//! A real `ssh` into a walled cell, and keys that change under it.

use crate::kit::{Node, wanted};
use muster_agent::root::{CellInfo, Request};
use muster_protocol::Kind;
use muster_protocol::frame::{HEADER_LEN, encode, parse_header};
use muster_protocol::tunnel::TunnelOpen;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};

pub(crate) fn key(dir: &Path, name: &str) -> String {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(name)).status();
    assert!(made.unwrap().success());
    fs::read_to_string(dir.join(format!("{name}.pub"))).unwrap().trim().to_owned()
}

/// `ssh` over a connection to the cell.
pub(crate) fn ssh(mut inside: UnixStream, cell: &CellInfo, dir: &Path, key: &str, arguments: &[&str]) -> Output {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = door.local_addr().unwrap().port().to_string();
    let open = TunnelOpen { allocation: cell.allocation.to_string(), session: "se_ssh".into(), target: "ssh".into() };
    inside.write_all(&encode(Kind::TunnelOpen, &open)).unwrap();
    let mut header = [0; HEADER_LEN];
    inside.read_exact(&mut header).unwrap();
    assert_eq!(parse_header(&header).unwrap(), (Kind::TunnelReady, 0));
    let pump = std::thread::spawn(move || {
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
    let known = dir.join("known");
    fs::write(&known, format!("cell {}\n", cell.ssh_host_key)).unwrap();
    let output = Command::new("ssh")
        .args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes"])
        .args(["-o", "HostKeyAlias=cell", "-o", "LogLevel=ERROR", "-p", &port, "-i"])
        .arg(dir.join(key))
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg("muster@127.0.0.1")
        .args(arguments)
        .output()
        .unwrap();
    pump.join().unwrap();
    output
}

#[test]
fn ssh_lands_behind_the_walls_and_keys_change_at_once() {
    let node = Node::start();
    let dir = node.dir.path();
    let (mine, other) = (key(dir, "mine"), key(dir, "other"));
    let mut wanted = wanted();
    wanted.cell.ssh_keys = Some(vec![mine]);
    let cell = node.create(wanted);
    assert!(cell.ssh_host_key.starts_with("ssh-ed25519 AAAA"));
    let output = ssh(
        UnixStream::connect(&cell.socket).unwrap(),
        &cell,
        dir,
        "mine",
        &["id -un; hostname; echo $GREETING; ps -e | wc -l; exit 9"],
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(9), "{text} {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with("muster\nmy-cell\nhello\n"), "{text}");
    let output =
        ssh(UnixStream::connect(&cell.socket).unwrap(), &cell, dir, "mine", &["-tt", "tty; stty size; exit 3"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("/dev/pts/"));
    assert_eq!(
        ssh(UnixStream::connect(&cell.socket).unwrap(), &cell, dir, "other", &["true"]).status.code(),
        Some(255)
    );
    node.ask(Request::CellKeys { allocation: cell.allocation, keys: vec![other] }).unwrap();
    assert_eq!(ssh(UnixStream::connect(&cell.socket).unwrap(), &cell, dir, "other", &["true"]).status.code(), Some(0));
    assert_eq!(ssh(UnixStream::connect(&cell.socket).unwrap(), &cell, dir, "mine", &["true"]).status.code(), Some(255));
    let bad = Request::CellKeys { allocation: cell.allocation, keys: vec!["a\nb".into()] };
    assert!(node.ask(bad).unwrap_err().to_string().starts_with("bad_key"));
}
