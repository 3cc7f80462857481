//! One connection to the cell's socket: frames in, frames out, written at once where the socket takes them.

use super::poll::{Poll, Token, Watched};
use muster_protocol::{Frame, FrameDecoder, FrameError, Kind, frame};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, UnixAddr, recv, sendmsg};
use prost::Message;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// A connection must say what it is within this time.
const FIRST_FRAME: Duration = Duration::from_secs(10);
/// A connection that was told its last may take so long to take it and close.
const LINGER: Duration = Duration::from_secs(60);

/// What a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It has not said yet, and has until then.
    First { until: Instant },
    /// It looks at the session with this key.
    Viewer { session: u32 },
    /// It gets the cell's status.
    Watch,
    /// It was told its last; what it still sends is dropped.
    Closing { until: Instant },
    /// It is gone and about to be forgotten.
    Gone,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Conn {
    fd: Watched,
    decoder: FrameDecoder,
    /// What the socket did not take yet.
    out: Vec<u8>,
    pub(super) role: Role,
}

impl Conn {
    pub(super) fn new(id: u32, fd: OwnedFd, poll: &Poll, now: Instant) -> Self {
        let mut fd = Watched::new(fd, Token::Conn(id));
        poll.want(&mut fd, true, false);
        let role = Role::First { until: now + FIRST_FRAME };
        Self { fd, decoder: FrameDecoder::default(), out: Vec::new(), role }
    }

    /// Reads once: how much came, none at the end of the stream, an error if nothing waits.
    ///
    /// Before the first frame never a byte beyond it is read: the rest may belong to sshd.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> Result<usize, Errno> {
        let room = match self.role {
            Role::First { .. } => self.decoder.missing().clamp(1, scratch.len()),
            _ => scratch.len(),
        };
        match recv(self.fd.as_raw_fd(), &mut scratch[..room], MsgFlags::MSG_DONTWAIT) {
            Ok(count) => {
                if !matches!(self.role, Role::Closing { .. } | Role::Gone) {
                    self.decoder.push(&scratch[..count]);
                }
                Ok(count)
            }
            Err(Errno::ECONNRESET) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// It has not said yet what it is.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.role, Role::First { .. })
    }

    /// Someone is there who has not taken everything yet.
    pub(super) fn is_owed(&self) -> bool {
        match self.role {
            Role::Viewer { .. } => true,
            Role::Closing { .. } => self.is_blocked(),
            Role::First { .. } | Role::Watch | Role::Gone => false,
        }
    }

    /// The next whole frame.
    pub(super) fn frame(&mut self) -> Result<Option<Frame>, FrameError> {
        self.decoder.next()
    }

    /// Something waits for the socket.
    pub(super) fn is_blocked(&self) -> bool {
        !self.out.is_empty()
    }

    /// Queues a message; [`Conn::flush`] or the next output sends it.
    pub(super) fn queue<M: Message>(&mut self, kind: Kind, message: &M) {
        self.out.extend_from_slice(&frame::encode(kind, message));
    }

    /// Sends a message.
    pub(super) fn send<M: Message>(&mut self, poll: &Poll, kind: Kind, message: &M) {
        self.queue(kind, message);
        self.flush(poll);
    }

    /// Sends numbered bytes, and whatever was queued before them, in one system call.
    pub(super) fn send_numbered(&mut self, poll: &Poll, kind: Kind, offset: u64, head: &[u8], tail: &[u8]) {
        let header = frame::numbered_header(kind, offset, head.len() + tail.len());
        self.write(poll, &[&header, head, tail]);
    }

    /// Sends what is queued.
    pub(super) fn flush(&mut self, poll: &Poll) {
        if self.is_blocked() {
            self.write(poll, &[]);
        }
    }

    fn write(&mut self, poll: &Poll, parts: &[&[u8]]) {
        if self.role == Role::Gone {
            return;
        }
        let mut all = [IoSlice::new(&self.out), IoSlice::new(&[]), IoSlice::new(&[]), IoSlice::new(&[])];
        for (slot, part) in all[1..].iter_mut().zip(parts) {
            *slot = IoSlice::new(part);
        }
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let mut sent = match sendmsg::<UnixAddr>(self.fd.as_raw_fd(), &all, &[], flags, None) {
            Ok(sent) => sent,
            Err(Errno::EAGAIN | Errno::EINTR) => 0,
            Err(_) => return self.role = Role::Gone,
        };
        let from_out = sent.min(self.out.len());
        self.out.drain(..from_out);
        sent -= from_out;
        for part in parts {
            let skip = sent.min(part.len());
            self.out.extend_from_slice(&part[skip..]);
            sent -= skip;
        }
        if self.out.is_empty() && self.out.capacity() > 4096 {
            self.out = Vec::new();
        }
        let blocked = self.is_blocked();
        poll.want(&mut self.fd, true, blocked);
    }

    /// Its last words are queued: send them, end our side and wait for the peer to end its own.
    pub(super) fn finish(&mut self, poll: &Poll, now: Instant) {
        if !matches!(self.role, Role::Closing { .. } | Role::Gone) {
            self.role = Role::Closing { until: now + LINGER };
        }
        self.flush(poll);
        self.end_if_flushed();
    }

    /// Ends our side once a closing connection has taken everything.
    pub(super) fn end_if_flushed(&mut self) {
        if matches!(self.role, Role::Closing { .. }) && !self.is_blocked() {
            let _ = nix::sys::socket::shutdown(self.fd.as_raw_fd(), nix::sys::socket::Shutdown::Write);
        }
    }

    /// When it will be given up if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.role {
            Role::First { until } | Role::Closing { until } => Some(until),
            Role::Viewer { .. } | Role::Watch | Role::Gone => None,
        }
    }

    /// The bare socket, for a tunnel.
    pub(super) fn into_fd(self, poll: &Poll) -> OwnedFd {
        self.fd.into_fd(poll)
    }
}
