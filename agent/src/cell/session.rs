//! A session: a program, the terminal or pipes it runs on, its ring, and who looks at it.
//!
//! Invariants:
//! - While a viewer that may type is attached, the program waits for it: output beyond a small backlog stays
//!   in the PTY. Nobody attached, or only lookers-on: the program never waits, the ring forgets.
//! - The exit is announced after the last byte of output, once, to each viewer.
//! - After the exit the session only waits to be looked at again, then it is forgotten.

use super::conn::Conn;
use super::input::{Input, InputError};
use super::poll::{Poll, Token, Watched};
use super::pty::{self, PipeEnds};
use super::ring::{Ring, Source};
use super::viewer::{Next, Viewer};
use muster_protocol::Kind;
use muster_protocol::limits::SESSION_RING_MAX;
use muster_protocol::session::{SessionAck, SessionExit, SessionSkipped};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, read, write};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// An ended session can be looked at again for so long.
const KEPT: Duration = Duration::from_secs(60);
/// Between asking a program to end and making it.
const KILL_AFTER: Duration = Duration::from_secs(5);
/// Between telling a program of a hang-up and taking its terminal away.
const HANG_UP_AFTER: Duration = Duration::from_secs(1);
/// Between looks at a terminal that no program has open.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Output read at the end of a program whose children write on, in bytes.
const DRAIN_MAX: usize = 2 << 20;
/// A read that brought less has emptied the PTY, most likely.
const SHORT_READ: usize = 1024;

/// What a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionKind {
    /// On a terminal.
    Terminal,
    /// On pipes.
    Command,
    /// The batch command.
    Main,
}

impl SessionKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Command => "command",
            Self::Main => "main",
        }
    }
}

/// How the program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) code: i32,
    pub(super) signal: String,
    at: Instant,
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) kind: SessionKind,
    /// It ends with its viewer.
    pub(super) end_on_detach: bool,
    pub(super) pid: Pid,
    /// The master, or stdout.
    out: Option<Watched>,
    err: Option<Watched>,
    stdin: Option<Watched>,
    pub(super) ring: Ring,
    pub(super) input: Input,
    pub(super) viewers: Vec<Viewer>,
    pub(super) end: Option<End>,
    /// Why the cell ended it; empty if it did not.
    pub(super) reason: String,
    /// No program has its terminal open now. The master stays: to close it would hang up on a program that
    /// has closed its ends and not ended yet, and change its exit code.
    quiet: bool,
    /// When to look whether a program has opened it again.
    look_at: Option<Instant>,
    kill_at: Option<Instant>,
    /// When its terminal is taken away, if it does not end before.
    hang_up_at: Option<Instant>,
}

impl Session {
    /// A session on a terminal whose master is `master`.
    pub(super) fn on_terminal(key: u32, id: String, pid: Pid, master: OwnedFd) -> Self {
        Self::new(id, SessionKind::Terminal, pid, Watched::new(master, Token::Out(key)), None, None)
    }

    /// A session on pipes.
    pub(super) fn on_pipes(key: u32, id: String, kind: SessionKind, pid: Pid, ends: PipeEnds) -> Self {
        let out = Watched::new(ends.stdout, Token::Out(key));
        let err = Watched::new(ends.stderr, Token::Err(key));
        let stdin = ends.stdin.map(|fd| Watched::new(fd, Token::In(key)));
        Self::new(id, kind, pid, out, Some(err), stdin)
    }

    fn new(
        id: String,
        kind: SessionKind,
        pid: Pid,
        out: Watched,
        err: Option<Watched>,
        stdin: Option<Watched>,
    ) -> Self {
        Self {
            id,
            kind,
            end_on_detach: false,
            pid,
            out: Some(out),
            err,
            stdin,
            ring: Ring::new(SESSION_RING_MAX),
            input: Input::default(),
            viewers: Vec::new(),
            end: None,
            reason: String::new(),
            quiet: false,
            look_at: None,
            kill_at: None,
            hang_up_at: None,
        }
    }

    /// Reads output once into the ring, at most a scratch full. Returns what was read, for the log.
    pub(super) fn read<'a>(&mut self, source: Source, scratch: &'a mut [u8]) -> &'a [u8] {
        let slot = match source {
            Source::Out => &mut self.out,
            Source::Err => &mut self.err,
        };
        let Some(stream) = slot else { return &[] };
        let mut len = 0;
        let mut over = false;
        while len < scratch.len() {
            match read(&*stream, &mut scratch[len..]) {
                Ok(0) => over = true,
                Ok(count) => {
                    len += count;
                    if count >= SHORT_READ {
                        continue;
                    }
                }
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => {}
                // A terminal whose last program is gone says EIO.
                Err(_) => over = true,
            }
            break;
        }
        match self.kind {
            SessionKind::Terminal => self.quiet |= over,
            _ if over => *slot = None,
            _ => {}
        }
        self.ring.push(source, &scratch[..len]);
        &scratch[..len]
    }

    /// Takes stdin from a viewer and hands on what the program's side takes at once.
    pub(super) fn offer_input(&mut self, offset: u64, bytes: &[u8]) -> Result<(), InputError> {
        self.input.offer(offset, bytes)?;
        self.write_input();
        Ok(())
    }

    /// Hands waiting stdin on, as far as it is taken.
    pub(super) fn write_input(&mut self) {
        let is_terminal = self.kind == SessionKind::Terminal;
        let slot = if is_terminal { &mut self.out } else { &mut self.stdin };
        while !self.input.waiting().is_empty() {
            let Some(stream) = &*slot else {
                self.input.discard();
                break;
            };
            match write(stream, self.input.waiting()) {
                Ok(count) => self.input.took(count),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(_) => {
                    self.input.discard();
                    if !is_terminal {
                        *slot = None;
                    }
                }
            }
        }
        if !is_terminal && self.input.is_over() {
            self.stdin = None;
        }
    }

    /// Sends every viewer what it lacks, then decides whether the program has to wait.
    pub(super) fn pump(&mut self, conns: &mut BTreeMap<u32, Conn>, poll: &Poll, now: Instant) {
        let taken = self.input.taken();
        let exit = self.end.as_ref().map(|end| SessionExit {
            code: end.code,
            signal: end.signal.clone(),
            reason: self.reason.clone(),
        });
        for viewer in &mut self.viewers {
            if let Some(conn) = conns.get_mut(&viewer.conn) {
                viewer.input_taken(taken, now);
                send_all(viewer, conn, &self.ring, taken, poll, now);
                if let (Some(exit), Next::UpToDate) = (&exit, viewer.next(&self.ring)) {
                    conn.queue(Kind::SessionExit, exit);
                    conn.finish(poll, now);
                    viewer.told_exit = true;
                }
            }
        }
        self.viewers.retain(|viewer| !viewer.told_exit);
        let held = self.kind != SessionKind::Main && self.viewers.iter().any(|viewer| viewer.holds_back(&self.ring));
        let write = !self.input.waiting().is_empty();
        let is_terminal = self.kind == SessionKind::Terminal;
        if self.look_at.is_some_and(|at| at <= now) {
            (self.quiet, self.look_at) = (false, None);
        }
        if self.quiet && self.end.is_none() {
            self.look_at = self.look_at.or(Some(now + LOOK_AGAIN));
        }
        if let Some(out) = &mut self.out {
            poll.want(out, !held && !self.quiet, is_terminal && write && !self.quiet);
        }
        if let Some(err) = &mut self.err {
            poll.want(err, !held, false);
        }
        if let Some(stdin) = &mut self.stdin {
            poll.want(stdin, false, write);
        }
    }

    /// The program ended: takes its last output and lets go of its terminal or pipes.
    pub(super) fn ended(
        &mut self,
        code: i32,
        signal: &str,
        scratch: &mut [u8],
        now: Instant,
        mut log: impl FnMut(&Ring, &[u8]),
    ) {
        for source in [Source::Out, Source::Err] {
            let mut drained = 0;
            while drained < DRAIN_MAX {
                let bytes = self.read(source, scratch);
                if bytes.is_empty() {
                    break;
                }
                drained += bytes.len();
                log(&self.ring, bytes);
            }
        }
        (self.out, self.err, self.stdin) = (None, None, None);
        self.input.discard();
        self.ring.shrink();
        (self.hang_up_at, self.look_at) = (None, None);
        if self.kill_at.take().is_some() {
            // Its leader ended as it was asked to; the rest of its group had the same time.
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
        self.end = Some(End { code, signal: signal.to_owned(), at: now });
    }

    /// Sets the size of its terminal, if it has one.
    pub(super) fn resize(&self, cols: u32, rows: u32) {
        if let (Some(master), SessionKind::Terminal) = (&self.out, self.kind) {
            let _ = pty::resize(master, cols, rows);
        }
    }

    /// Sends a signal to what runs in the foreground.
    pub(super) fn signal(&self, signal: Signal) {
        if self.end.is_some() {
            return;
        }
        let foreground = match (&self.out, self.kind) {
            (Some(master), SessionKind::Terminal) => pty::foreground(master),
            _ => None,
        };
        let _ = killpg(foreground.unwrap_or(self.pid), signal);
        // A shell between two commands hears of a hang-up only if it is told itself.
        if signal == Signal::SIGHUP && foreground.is_some_and(|group| group != self.pid) {
            let _ = kill(self.pid, signal);
        }
    }

    /// Hangs up, as a closed window does: a program that missed or ignores the signal loses its terminal.
    pub(super) fn hang_up(&mut self, now: Instant) {
        self.signal(Signal::SIGHUP);
        if self.end.is_none() && self.kind == SessionKind::Terminal {
            self.hang_up_at = self.hang_up_at.or(Some(now + HANG_UP_AFTER));
        }
    }

    /// Asks the program and its group to end, and makes them after a while.
    pub(super) fn stop(&mut self, now: Instant) {
        if self.end.is_some() || self.kill_at.is_some() {
            return;
        }
        for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCONT] {
            self.signal(signal);
            let _ = killpg(self.pid, signal);
        }
        self.kill_at = Some(now + KILL_AFTER);
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.signal(Signal::SIGKILL);
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
        if self.hang_up_at.is_some_and(|at| at <= now) {
            self.hang_up_at = None;
            self.out = None;
        }
    }

    /// Nothing is left to do for it and nobody came back in time.
    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        self.viewers.is_empty() && self.end.as_ref().is_some_and(|end| end.at + KEPT <= now)
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let forget = self.end.as_ref().filter(|_| self.viewers.is_empty()).map(|end| end.at + KEPT);
        let viewers = self.viewers.iter().flat_map(|viewer| [viewer.stalls_at(), viewer.tells_input_at()]);
        viewers.chain([self.kill_at, self.hang_up_at, self.look_at, forget]).flatten().min()
    }
}

fn send_all(viewer: &mut Viewer, conn: &mut Conn, ring: &Ring, taken: u64, poll: &Poll, now: Instant) {
    let waiting = loop {
        if conn.is_blocked() {
            break true;
        }
        match viewer.next(ring) {
            Next::Full => break true,
            Next::UpToDate => break false,
            Next::Skipped { from, to } => {
                conn.queue(Kind::SessionSkipped, &SessionSkipped { from, to });
                viewer.sent(to);
                conn.flush(poll);
            }
            Next::Output(offset, piece) => {
                if let Some(offset) = viewer.take_input_ack(taken, true, now) {
                    conn.queue(Kind::SessionAck, &SessionAck { offset });
                }
                let kind = match piece.source {
                    Source::Out => Kind::SessionOutput,
                    Source::Err => Kind::SessionErrOutput,
                };
                conn.send_numbered(poll, kind, offset, piece.head, piece.tail);
                viewer.sent(offset + piece.len() as u64);
            }
        }
    };
    viewer.note_waiting(waiting, now);
    if !conn.is_blocked()
        && let Some(offset) = viewer.take_input_ack(taken, false, now)
    {
        conn.send(poll, Kind::SessionAck, &SessionAck { offset });
    }
}
