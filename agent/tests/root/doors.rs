//! What the root half hears, and from whom.

use crate::kit::Node;
use muster_agent::root::{Client, Error, Request};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, socket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

fn dial(path: &Path) -> nix::Result<OwnedFd> {
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?).map(|()| fd)
}

/// The account `daemon`.
const USER: u32 = 1;

#[test]
fn nonsense_ends_only_its_own_connection() {
    let node = Node::start_as(USER, "userns");
    let path = node.dir.path().join("root.sock");
    let long = vec![b'x'; 150 << 10];
    let shell = br#"{"id":1,"request":{"do":"shell","command":"id"}}"#;
    for garbage in [&b"garbage"[..], b"{}", b"[]", b"\xff\xfe", shell, &long] {
        let fd = dial(&path).unwrap();
        send(fd.as_raw_fd(), garbage, MsgFlags::MSG_NOSIGNAL).unwrap();
        let mut buffer = [0; 1024];
        let heard = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty());
        assert!(matches!(heard, Ok(0) | Err(Errno::ECONNRESET)), "{heard:?} to {} bytes", garbage.len());
    }
    assert!(node.list().is_empty());
    let (client, _events) = Client::connect(&path).unwrap();
    match client.ask_blocking(Request::CellList) {
        Err(Error::Refused { code, .. }) => assert_eq!(code, "hello_first"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn strangers_are_turned_away() {
    let node = Node::start_as(USER, "userns");
    let path = node.dir.path().join("root.sock");
    let stranger = std::thread::spawn(move || {
        // SAFETY: plain numbers; they change this thread only, which ends after it.
        unsafe { libc::syscall(libc::SYS_setresuid, -1, USER + 1, -1) };
        dial(&path)
    });
    assert_eq!(stranger.join().unwrap().unwrap_err(), Errno::EACCES);
    assert!(node.list().is_empty());
}
