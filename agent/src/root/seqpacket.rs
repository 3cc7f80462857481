//! SOCK_SEQPACKET Unix sockets: whole messages or none.

use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, Shutdown, SockFlag, SockType, UnixAddr, accept4, bind, connect as nix_connect,
    getsockopt, listen, recv, send, setsockopt, shutdown, socket, socketpair,
    sockopt::{PeerCredentials, SendTimeout},
};
use nix::sys::time::TimeVal;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// Longest message in bytes.
pub(super) const MAX_MESSAGE: usize = super::words::WORD_MAX;

/// Two connected ends, closed on exec.
///
/// # Errors
/// The kernel has no descriptor left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Connects to a listening socket at `path`.
pub(super) fn connect(path: &Path) -> io::Result<OwnedFd> {
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    nix_connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(fd)
}

/// Listens at `path`, replacing what a dead root half left there.
pub(super) fn listen_at(path: &Path) -> io::Result<OwnedFd> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&fd, Backlog::new(8)?)?;
    Ok(fd)
}

/// The next connection at a listening socket, with the user behind it.
pub(super) fn accept(listener: &OwnedFd) -> io::Result<(OwnedFd, u32)> {
    let fd = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
    // SAFETY: the kernel has just made this descriptor for us.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let peer = getsockopt(&socket, PeerCredentials)?;
    Ok((socket, peer.uid()))
}

/// One message, or `None` when the other end has closed. Longer messages than [`MAX_MESSAGE`] are an error.
pub(super) fn receive<'b>(fd: &OwnedFd, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
    loop {
        match recv(fd.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC) {
            Ok(0) | Err(nix::errno::Errno::ECONNRESET) => return Ok(None),
            Ok(length) if length > MAX_MESSAGE => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {length} bytes")));
            }
            Ok(length) => return Ok(Some(&buffer[..length])),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends without waiting; `WouldBlock` if the other end does not read.
pub(super) fn send_now(fd: &OwnedFd, message: &[u8]) -> io::Result<()> {
    send_with(fd, message, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)
}

/// Sends, waiting for room; `WouldBlock` if there is none for so long.
pub(super) fn send_within(fd: &OwnedFd, message: &[u8], patience: Duration) -> io::Result<()> {
    setsockopt(fd, SendTimeout, &TimeVal::new(patience.as_secs().cast_signed(), 0))?;
    send_with(fd, message, MsgFlags::MSG_NOSIGNAL)
}

fn send_with(fd: &OwnedFd, message: &[u8], flags: MsgFlags) -> io::Result<()> {
    loop {
        match send(fd.as_raw_fd(), message, flags) {
            Ok(_) => return Ok(()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Ends both directions, so that a thread that waits in [`receive`] returns.
pub(super) fn shut_down(fd: &OwnedFd) {
    // Not connected any more is as good.
    let _ = shutdown(fd.as_raw_fd(), Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_whole_and_the_end_is_seen() {
        let (a, b) = pair().unwrap();
        send_within(&a, b"one", Duration::from_secs(1)).unwrap();
        send_now(&a, b"two").unwrap();
        drop(a);
        let mut buffer = vec![0; MAX_MESSAGE + 1];
        assert_eq!(receive(&b, &mut buffer).unwrap(), Some(&b"one"[..]));
        assert_eq!(receive(&b, &mut buffer).unwrap(), Some(&b"two"[..]));
        assert_eq!(receive(&b, &mut buffer).unwrap(), None);
    }
}
