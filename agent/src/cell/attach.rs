//! Opening sessions, coming back to them, and what a viewer may send.

use super::conn::Role;
use super::daemon::Cell;
use super::pty;
use super::session::{Session, SessionKind};
use super::viewer::Viewer;
use muster_protocol::limits::CELL_SESSIONS_MAX;
use muster_protocol::session::{
    MAIN_SESSION, SessionAck, SessionAttach, SessionAttached, SessionError, SessionResize, SessionSignal,
};
use muster_protocol::{Frame, Kind};
use nix::sys::signal::Signal;
use std::time::Duration;

/// Longest name of a session.
const NAME_MAX: usize = 64;
/// Ended sessions that are kept for their viewers to come back.
const ENDED_MAX: usize = 64;
/// Output of ended sessions that is kept, in bytes.
const ENDED_BYTES_MAX: usize = 32 << 20;

/// Why an attach is refused: a code of `SessionError`, and words for people.
type Refusal = (&'static str, String);

impl Cell {
    /// A connection asks for a session.
    pub(super) fn attach(&mut self, conn: u32, attach: &SessionAttach) {
        match self.find_or_open(attach) {
            Err((code, detail)) => self.refuse(conn, code, &detail),
            Ok((key, resumed)) => {
                self.view(conn, key, resumed, attach);
                self.status_changed = true;
                self.pump(key);
            }
        }
    }

    fn find_or_open(&mut self, attach: &SessionAttach) -> Result<(u32, bool), Refusal> {
        if attach.allocation != self.config.allocation {
            return Err(("cell_gone", "this is the cell of another allocation".into()));
        }
        let name = if attach.main { MAIN_SESSION } else { attach.session.as_str() };
        if let Some((key, _)) = self.sessions.iter().find(|(_, session)| session.id == name) {
            return Ok((*key, true));
        }
        if !attach.create || attach.main {
            return Err(("session_gone", "there is no such session".into()));
        }
        if self.ending.is_some() {
            return Err(("cell_gone", "the cell is ending".into()));
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(is_name) || name == MAIN_SESSION {
            return Err(("protocol_error", "not a name of a session".into()));
        }
        if self.open_count() >= CELL_SESSIONS_MAX {
            return Err(("session_limit", format!("{CELL_SESSIONS_MAX} sessions are open in this cell")));
        }
        let opened = self.open(attach).map_err(|error| ("spawn_failed", error.to_string()))?;
        Ok((opened, false))
    }

    /// Sessions and tunnels that run.
    pub(super) fn open_count(&self) -> usize {
        self.sessions.values().filter(|session| session.end.is_none()).count() + self.tunnels.len()
    }

    fn open(&mut self, attach: &SessionAttach) -> std::io::Result<u32> {
        self.make_room();
        let key = self.next_id();
        let program = self.spawner.program(&attach.command)?;
        let id = attach.session.clone();
        let mut session = if attach.terminal {
            let (master, stdio) = pty::open_terminal(attach.cols, attach.rows, self.spawner.terminal_owner())?;
            Session::on_terminal(key, id, self.spawner.spawn(&program, stdio)?, master)
        } else {
            let (ends, stdio) = pty::open_pipes(true)?;
            Session::on_pipes(key, id, SessionKind::Command, self.spawner.spawn(&program, stdio)?, ends)
        };
        session.end_on_detach = attach.end_on_detach;
        self.sessions.insert(key, session);
        Ok(key)
    }

    /// Runs the batch command.
    pub(super) fn open_main(&mut self, command: &[String]) -> std::io::Result<()> {
        let key = self.next_id();
        let program = self.spawner.program(command)?;
        let (ends, stdio) = pty::open_pipes(false)?;
        let pid = self.spawner.spawn(&program, stdio)?;
        let session = Session::on_pipes(key, MAIN_SESSION.to_owned(), SessionKind::Main, pid, ends);
        self.sessions.insert(key, session);
        self.pump(key);
        Ok(())
    }

    /// Forgets the oldest ended sessions that nobody looks at while they are too many or too large.
    fn make_room(&mut self) {
        loop {
            let ended = self.sessions.iter().filter(|(_, session)| session.end.is_some());
            let (count, bytes) = ended.fold((0, 0), |(count, bytes), (_, s)| (count + 1, bytes + s.ring.len()));
            if count <= ENDED_MAX && bytes <= ENDED_BYTES_MAX {
                return;
            }
            let idle = |session: &Session| {
                session.end.is_some() && session.viewers.is_empty() && session.kind != SessionKind::Main
            };
            let Some(key) = self.sessions.iter().find(|(_, session)| idle(session)).map(|(key, _)| *key) else {
                return;
            };
            self.sessions.remove(&key);
        }
    }

    /// Makes a connection a viewer of a session.
    fn view(&mut self, id: u32, key: u32, resumed: bool, attach: &SessionAttach) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let read_only = attach.read_only || session.kind == SessionKind::Main;
        if !read_only {
            for old in session.viewers.extract_if(.., |viewer| !viewer.read_only) {
                if let Some(conn) = self.conns.get_mut(&old.conn) {
                    let detail = "the session was opened somewhere else".to_owned();
                    conn.queue(Kind::SessionError, &SessionError { code: "superseded".into(), detail });
                    conn.finish(&self.poll, self.now);
                }
            }
            session.input.restart();
            if resumed && (attach.cols, attach.rows) != (0, 0) {
                session.resize(attach.cols, attach.rows);
            }
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let (start, end) = (session.ring.start(), session.ring.end());
        let offset = attach.after.unwrap_or(start).clamp(start, end);
        let attached = SessionAttached {
            session: session.id.clone(),
            resumed,
            offset,
            input_offset: session.input.taken(),
            skipped_from: attach.after.filter(|after| *after < start),
            end,
        };
        conn.role = Role::Viewer { session: key };
        conn.send(&self.poll, Kind::SessionAttached, &attached);
        let stall = Duration::from_millis(self.config.stall_ms);
        session.viewers.push(Viewer::new(id, read_only, offset, session.input.taken(), stall));
    }

    /// A frame of a viewer; the error is why it may not go on.
    pub(super) fn viewer_frame(&mut self, id: u32, key: u32, frame: &Frame) -> Result<(), String> {
        let Some(session) = self.sessions.get_mut(&key) else { return Ok(()) };
        let Some(viewer) = session.viewers.iter_mut().find(|viewer| viewer.conn == id) else { return Ok(()) };
        let refused = || "this viewer only looks on".to_owned();
        match frame.kind {
            Kind::SessionInput => {
                let (offset, bytes) = frame.numbered().map_err(|error| error.to_string())?;
                if viewer.read_only {
                    return Err(refused());
                }
                session.offer_input(offset, &bytes).map_err(|error| error.to_string())
            }
            Kind::SessionAck => {
                let ack: SessionAck = frame.decode().map_err(|error| error.to_string())?;
                let known = viewer.ack(ack.offset);
                if known { Ok(()) } else { Err(format!("offset {} was never sent", ack.offset)) }
            }
            Kind::SessionResize => {
                let size: SessionResize = frame.decode().map_err(|error| error.to_string())?;
                if !viewer.read_only {
                    session.resize(size.cols, size.rows);
                }
                Ok(())
            }
            Kind::SessionSignal => {
                let signal: SessionSignal = frame.decode().map_err(|error| error.to_string())?;
                if viewer.read_only {
                    return Err(refused());
                }
                match signal_of(&signal.name).ok_or_else(|| format!("no signal {:?}", signal.name))? {
                    Signal::SIGHUP => session.hang_up(self.now),
                    signal => session.signal(signal),
                }
                Ok(())
            }
            Kind::SessionEof => {
                if !viewer.read_only && session.kind == SessionKind::Command {
                    session.input.end();
                    session.write_input();
                }
                Ok(())
            }
            Kind::Unknown(_) => Ok(()),
            other => Err(format!("{other:?} is out of place here")),
        }
    }
}

/// A signal by the name that `SessionSignal` lists.
fn signal_of(name: &str) -> Option<Signal> {
    Some(match name {
        "INT" => Signal::SIGINT,
        "TERM" => Signal::SIGTERM,
        "HUP" => Signal::SIGHUP,
        "QUIT" => Signal::SIGQUIT,
        "KILL" => Signal::SIGKILL,
        "USR1" => Signal::SIGUSR1,
        "USR2" => Signal::SIGUSR2,
        "TSTP" => Signal::SIGTSTP,
        "CONT" => Signal::SIGCONT,
        _ => return None,
    })
}
