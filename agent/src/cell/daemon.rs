//! The loop of a cell: one thread, one epoll, everything a cell owns in one place.

use super::config::CellConfig;
use super::conn::{Conn, Role};
use super::ending::Ending;
use super::poll::{Poll, Token, Wake};
use super::record::{ExitRecord, StatusDir};
use super::ring::Source;
use super::session::{Session, SessionKind};
use super::spawn::Spawner;
use super::trim;
use muster_protocol::Kind;
use muster_protocol::limits::CELL_SESSIONS_MAX;
use muster_protocol::session::SessionError;
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

/// Bytes read at once; only the pages that are used count.
const SCRATCH: usize = 64 << 10;
/// Output that all rings of a cell keep together, in bytes.
const RINGS_MAX: usize = 128 << 20;
/// A ring up to this size is never the reason that all are too large.
const RING_MAX_EACH: usize = RINGS_MAX / (2 * CELL_SESSIONS_MAX);
/// Reads of one connection before the others have their turn.
const READS_PER_WAKE: usize = 4;

/// After so long without an event, code that the events needed is let go.
const IDLE: Duration = Duration::from_secs(5);

/// A running sshd.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) id: String,
    pub(super) pid: Pid,
}

/// Everything.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) config: CellConfig,
    pub(super) poll: Poll,
    pub(super) listener: UnixListener,
    pub(super) signals: SignalFd,
    pub(super) spawner: Spawner,
    pub(super) status: StatusDir,
    pub(super) record: ExitRecord,
    pub(super) conns: BTreeMap<u32, Conn>,
    pub(super) sessions: BTreeMap<u32, Session>,
    pub(super) tunnels: Vec<Tunnel>,
    pub(super) ending: Option<Ending>,
    /// This process is PID 1 of a PID namespace.
    pub(super) is_init: bool,
    /// When the batch command has run long enough.
    pub(super) main_until: Option<Instant>,
    /// Those who watch do not know all yet.
    pub(super) status_changed: bool,
    /// When this process makes itself small, if nothing happens until then.
    idle_at: Option<Instant>,
    scratch: Vec<u8>,
    last_id: u32,
    /// The last moment the loop looked at the clock.
    pub(super) now: Instant,
}

impl Cell {
    pub(super) fn new(
        config: CellConfig,
        listener: UnixListener,
        signals: SignalFd,
        spawner: Spawner,
        status: StatusDir,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.watch(&listener, Token::Listener)?;
        poll.watch(&signals, Token::Signals)?;
        let record = ExitRecord {
            allocation: config.allocation.clone(),
            lease_epoch: config.lease_epoch,
            started_at_ms: super::record::now_ms(),
            ..ExitRecord::default()
        };
        Ok(Self {
            config,
            poll,
            listener,
            signals,
            spawner,
            status,
            record,
            conns: BTreeMap::new(),
            sessions: BTreeMap::new(),
            tunnels: Vec::new(),
            ending: None,
            is_init: nix::unistd::getpid().as_raw() == 1,
            main_until: None,
            status_changed: false,
            idle_at: Some(Instant::now()),
            scratch: vec![0; SCRATCH],
            last_id: 0,
            now: Instant::now(),
        })
    }

    /// A number for a connection or session that none had before.
    pub(super) fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    /// Runs until the cell has ended.
    pub(super) fn run(&mut self) -> io::Result<()> {
        let mut wakes: Vec<Wake> = Vec::new();
        loop {
            if self.ending.as_ref().is_some_and(Ending::is_over) {
                return Ok(());
            }
            let deadline = self.deadline();
            self.poll.wait(deadline, self.now, &mut wakes)?;
            self.now = Instant::now();
            if !wakes.is_empty() {
                self.idle_at = Some(self.now + IDLE);
            }
            for wake in &wakes {
                self.dispatch(*wake);
            }
            if deadline.is_some_and(|at| at <= self.now) {
                self.tick();
            }
            if self.ending.is_some() {
                self.advance_end();
            }
            self.forget_gone();
            if self.status_changed {
                self.tell_watchers();
            }
        }
    }

    fn dispatch(&mut self, wake: Wake) {
        let readable = wake.readable || wake.hung_up;
        match wake.token {
            Token::Listener => self.accept(),
            Token::Signals => self.take_signals(),
            Token::Conn(id) => {
                if readable {
                    self.read_conn(id);
                }
                if wake.writable {
                    self.write_conn(id);
                }
            }
            Token::Out(key) => {
                if readable {
                    self.read_session(key, Source::Out);
                }
                if wake.writable {
                    self.write_session(key);
                }
                self.pump(key);
            }
            Token::Err(key) => {
                self.read_session(key, Source::Err);
                self.pump(key);
            }
            Token::In(key) => {
                self.write_session(key);
                self.pump(key);
            }
        }
    }

    fn read_session(&mut self, key: u32, source: Source) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let bytes = session.read(source, &mut self.scratch);
        if session.kind == SessionKind::Main && !bytes.is_empty() {
            // A full disk costs the log, not the program.
            let _ = self.status.log(&session.ring, bytes);
        }
        if session.ring.len() > RING_MAX_EACH {
            self.bound_rings();
        }
    }

    /// Rings are PID 1's memory and not the tenant's: all together they are bounded too. The largest that
    /// nobody looks at forgets its older half.
    fn bound_rings(&mut self) {
        while self.sessions.values().map(|session| session.ring.len()).sum::<usize>() > RINGS_MAX {
            let largest =
                self.sessions.values_mut().max_by_key(|session| (session.viewers.is_empty(), session.ring.len()));
            let Some(session) = largest else { return };
            session.ring.keep_last(session.ring.len() / 2);
        }
    }

    fn write_session(&mut self, key: u32) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.write_input();
        }
    }

    /// Brings a session's viewers and what it waits for up to date.
    pub(super) fn pump(&mut self, key: u32) {
        if let Some(session) = self.sessions.get_mut(&key) {
            let attached = session.viewers.len();
            session.pump(&mut self.conns, &self.poll, self.now);
            self.status_changed |= attached != session.viewers.len();
        }
    }

    /// The program of a session was reaped.
    pub(super) fn session_ended(&mut self, key: u32, code: i32, signal: &str) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let status = &mut self.status;
        let is_main = session.kind == SessionKind::Main;
        session.ended(code, signal, &mut self.scratch, self.now, |ring, bytes| {
            if is_main {
                let _ = status.log(ring, bytes);
            }
        });
        self.status_changed = true;
        if is_main {
            self.main_ended(key);
        }
        self.pump(key);
    }

    fn read_conn(&mut self, id: u32) {
        for _ in 0..READS_PER_WAKE {
            let Some(conn) = self.conns.get_mut(&id) else { return };
            let got = conn.read(&mut self.scratch);
            self.take_frames(id);
            match got {
                Ok(0) => return self.lost(id),
                Ok(count) if count == SCRATCH => {}
                Ok(_) if self.conns.get(&id).is_some_and(Conn::is_new) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// Takes every whole frame of a connection; the first bad one ends it.
    fn take_frames(&mut self, id: u32) {
        let mut viewed = None;
        while let Some(conn) = self.conns.get_mut(&id) {
            let role = conn.role;
            let frame = match role {
                Role::Closing { .. } | Role::Gone => break,
                Role::First { .. } | Role::Viewer { .. } | Role::Watch => conn.frame(),
            };
            let done = match frame {
                Ok(None) => break,
                Err(error) => Err(error.to_string()),
                Ok(Some(frame)) => match role {
                    Role::First { .. } => self.first_frame(id, &frame),
                    Role::Viewer { session } => {
                        viewed = Some(session);
                        self.viewer_frame(id, session, &frame)
                    }
                    _ => self.watch_frame(&frame),
                },
            };
            if let Err(detail) = done {
                self.refuse(id, "protocol_error", &detail);
            }
        }
        // Once for all frames that came together.
        if let Some(key) = viewed {
            self.pump(key);
        }
    }

    fn write_conn(&mut self, id: u32) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.flush(&self.poll);
        conn.end_if_flushed();
        if let Role::Viewer { session } = conn.role {
            self.pump(session);
        }
    }

    /// Ends a connection with a reason; its session lives on.
    pub(super) fn refuse(&mut self, id: u32, code: &str, detail: &str) {
        self.detach(id);
        if let Some(conn) = self.conns.get_mut(&id) {
            if conn.role != Role::Watch {
                let error = SessionError { code: code.to_owned(), detail: detail.to_owned() };
                conn.queue(Kind::SessionError, &error);
            }
            conn.finish(&self.poll, self.now);
        }
    }

    /// The peer of a connection is gone.
    fn lost(&mut self, id: u32) {
        self.detach(id);
        self.conns.remove(&id);
    }

    /// Takes a viewer from its session, which ends if it belongs to its viewer.
    pub(super) fn detach(&mut self, id: u32) {
        let Some(Role::Viewer { session: key }) = self.conns.get(&id).map(|conn| conn.role) else { return };
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let before = session.viewers.len();
        let typed = session.viewers.iter().any(|viewer| viewer.conn == id && !viewer.read_only);
        session.viewers.retain(|viewer| viewer.conn != id);
        self.status_changed |= before != session.viewers.len();
        if typed && session.end_on_detach {
            session.stop(self.now);
        }
        self.pump(key);
    }

    fn forget_gone(&mut self) {
        while let Some(id) = self.conns.iter().find(|(_, conn)| conn.role == Role::Gone).map(|(id, _)| *id) {
            self.lost(id);
        }
    }

    /// When something is due.
    fn deadline(&self) -> Option<Instant> {
        let conns = self.conns.values().filter_map(Conn::deadline);
        let sessions = self.sessions.values().filter_map(Session::deadline);
        let ending = self.ending.as_ref().map(Ending::deadline);
        conns.chain(sessions).chain(self.main_until).chain(ending).chain(self.idle_at).min()
    }

    /// Does what is due.
    fn tick(&mut self) {
        let now = self.now;
        if self.idle_at.is_some_and(|at| at <= now) {
            self.idle_at = None;
            trim::code();
        }
        let late = |conn: &Conn| conn.deadline().is_some_and(|at| at <= now);
        let late: Vec<u32> = self.conns.iter().filter(|(_, conn)| late(conn)).map(|(id, _)| *id).collect();
        for id in late {
            self.lost(id);
        }
        let mut stalled = Vec::new();
        for session in self.sessions.values_mut() {
            session.tick(now);
            let stalls = session.viewers.iter().filter(|viewer| viewer.stalls_at().is_some_and(|at| at <= now));
            stalled.extend(stalls.map(|viewer| viewer.conn));
        }
        for id in stalled {
            self.refuse(id, "stalled", "its output was not taken for too long; the session lives on");
        }
        self.sessions.retain(|_, session| !session.is_forgotten(now));
        let due = |session: &Session| session.deadline().is_some_and(|at| at <= now);
        let due: Vec<u32> = self.sessions.iter().filter(|(_, session)| due(session)).map(|(key, _)| *key).collect();
        for key in due {
            self.pump(key);
        }
        if self.main_until.is_some_and(|at| at <= now) {
            self.stop_main();
        }
    }
}
