//! The one epoll of a cell, and descriptors that know what they wait for.
//!
//! A descriptor that waits for nothing is taken out of the epoll: a hung-up PTY would otherwise wake the loop
//! without end. Tokens are never used twice, so an event of a descriptor that was closed earlier in the same
//! batch finds nobody.

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// Events taken from the kernel at once.
const BATCH: usize = 64;

/// What may wake the loop. The number is the id of a connection or session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Listener,
    Signals,
    Conn(u32),
    /// The PTY's master, or stdout.
    Out(u32),
    /// Stderr of a command without a terminal.
    Err(u32),
    /// Stdin of a command without a terminal.
    In(u32),
}

impl Token {
    fn to_u64(self) -> u64 {
        let (kind, id) = match self {
            Self::Listener => (0, 0),
            Self::Signals => (1, 0),
            Self::Conn(id) => (2, id),
            Self::Out(id) => (3, id),
            Self::Err(id) => (4, id),
            Self::In(id) => (5, id),
        };
        (kind << 32) | u64::from(id)
    }

    fn from_u64(raw: u64) -> Option<Self> {
        let id = (raw & 0xffff_ffff) as u32;
        Some(match raw >> 32 {
            0 => Self::Listener,
            1 => Self::Signals,
            2 => Self::Conn(id),
            3 => Self::Out(id),
            4 => Self::Err(id),
            5 => Self::In(id),
            _ => return None,
        })
    }
}

/// What has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wake {
    pub(super) token: Token,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The other side is gone, or an error waits.
    pub(super) hung_up: bool,
}

/// A descriptor and what it waits for.
#[derive(Debug)]
pub(super) struct Watched {
    fd: OwnedFd,
    token: Token,
    read: bool,
    write: bool,
}

impl Watched {
    pub(super) fn new(fd: OwnedFd, token: Token) -> Self {
        Self { fd, token, read: false, write: false }
    }

    /// Out of the epoll and the loop's hands.
    pub(super) fn into_fd(mut self, poll: &Poll) -> OwnedFd {
        poll.want(&mut self, false, false);
        self.fd
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// The epoll.
#[derive(Debug)]
pub(super) struct Poll {
    epoll: Epoll,
}

impl Poll {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)? })
    }

    /// Waits for reading on a descriptor that stays for good.
    pub(super) fn watch(&self, fd: &impl AsFd, token: Token) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, token.to_u64()))?)
    }

    /// Sets what `watched` waits for; a system call only if that changes.
    pub(super) fn want(&self, watched: &mut Watched, read: bool, write: bool) {
        if (watched.read, watched.write) == (read, write) {
            return;
        }
        let was_out = !watched.read && !watched.write;
        let mut flags = EpollFlags::empty();
        flags.set(EpollFlags::EPOLLIN, read);
        flags.set(EpollFlags::EPOLLOUT, write);
        let mut event = EpollEvent::new(flags, watched.token.to_u64());
        let done = match (was_out, read || write) {
            (true, _) => self.epoll.add(&watched.fd, event),
            (false, true) => self.epoll.modify(&watched.fd, &mut event),
            (false, false) => self.epoll.delete(&watched.fd),
        };
        // Only a closed or foreign descriptor, or no kernel memory, is refused; the next change tries again.
        if done.is_ok() {
            (watched.read, watched.write) = (read, write);
        }
    }

    /// Waits for events until `deadline`, then puts them into `wakes`.
    pub(super) fn wait(&self, deadline: Option<Instant>, now: Instant, wakes: &mut Vec<Wake>) -> io::Result<()> {
        wakes.clear();
        let timeout = match deadline {
            None => EpollTimeout::NONE,
            // Rounded up, so that a deadline has passed when it wakes us.
            Some(at) => EpollTimeout::try_from(at.saturating_duration_since(now) + Duration::from_micros(999))
                .unwrap_or(EpollTimeout::MAX),
        };
        let mut events = [EpollEvent::empty(); BATCH];
        let count = match self.epoll.wait(&mut events, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        wakes.extend(events[..count].iter().filter_map(|event| {
            let flags = event.events();
            Some(Wake {
                token: Token::from_u64(event.data())?,
                readable: flags.contains(EpollFlags::EPOLLIN),
                writable: flags.contains(EpollFlags::EPOLLOUT),
                hung_up: flags.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR),
            })
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip() {
        for token in
            [Token::Listener, Token::Signals, Token::Conn(7), Token::Out(u32::MAX), Token::Err(0), Token::In(1)]
        {
            assert_eq!(Token::from_u64(token.to_u64()), Some(token));
        }
        assert_eq!(Token::from_u64(u64::MAX), None);
    }
}
