//! Who may come in, and the doors beside sessions: tunnels and the watch.

use super::conn::{Conn, Role};
use super::daemon::{Cell, Tunnel};
use super::session::SessionKind;
use super::spawn::ChildStdio;
use super::ssh;
use muster_protocol::cell::{CellEnd, CellSession, CellStatus, CellWatch};
use muster_protocol::limits::CELL_SESSIONS_MAX;
use muster_protocol::tunnel::{TunnelOpen, TunnelReady, TunnelRefused};
use muster_protocol::{Frame, Kind, level};
use nix::sys::socket::{getsockopt, sockopt};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Connections at once; more are closed unheard.
const CONNS_MAX: usize = 256;

impl Cell {
    /// Takes every connection that waits.
    pub(super) fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let fd = OwnedFd::from(stream);
            if self.conns.len() < CONNS_MAX && self.may_enter(&fd) {
                let id = self.next_id();
                let conn = Conn::new(id, fd, &self.poll, self.now);
                self.conns.insert(id, conn);
            }
        }
    }

    /// The agent, from outside. What runs in the cell has a number in our PID namespace, the agent has none.
    fn may_enter(&self, fd: &OwnedFd) -> bool {
        let Ok(peer) = getsockopt(fd, sockopt::PeerCredentials) else { return false };
        let from_inside = self.is_init && peer.pid() != 0;
        !from_inside && self.config.peer_uids.contains(&peer.uid())
    }

    /// A connection says what it is; the error is why it may not go on.
    pub(super) fn first_frame(&mut self, id: u32, frame: &Frame) -> Result<(), String> {
        let wrong = |error: muster_protocol::FrameError| error.to_string();
        match frame.kind {
            Kind::SessionAttach => self.attach(id, &frame.decode().map_err(wrong)?),
            Kind::TunnelOpen => self.open_tunnel(id, &frame.decode().map_err(wrong)?),
            Kind::CellWatch => {
                let watch: CellWatch = frame.decode().map_err(wrong)?;
                if level::negotiate(level::LOWEST, watch.level).is_none() {
                    return Err(format!("level {} is not spoken here", watch.level));
                }
                let status = self.status_now();
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.role = Role::Watch;
                    conn.send(&self.poll, Kind::CellStatus, &status);
                }
            }
            Kind::CellEnd => {
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.role = Role::Watch;
                }
                return self.watch_frame(frame);
            }
            other => return Err(format!("{other:?} does not begin a conversation")),
        }
        Ok(())
    }

    /// A frame of one who watches.
    pub(super) fn watch_frame(&mut self, frame: &Frame) -> Result<(), String> {
        match frame.kind {
            Kind::CellEnd => {
                let end: CellEnd = frame.decode().map_err(|error| error.to_string())?;
                self.begin_end(&end.reason, Duration::from_millis(end.grace_ms.into()));
                Ok(())
            }
            Kind::Unknown(_) => Ok(()),
            other => Err(format!("{other:?} is out of place here")),
        }
    }

    fn open_tunnel(&mut self, id: u32, open: &TunnelOpen) {
        let Err((code, detail)) = self.start_sshd(id, open) else { return };
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.queue(Kind::TunnelRefused, &TunnelRefused { code: code.to_owned(), detail });
            conn.finish(&self.poll, self.now);
        }
    }

    fn start_sshd(&mut self, id: u32, open: &TunnelOpen) -> Result<(), (&'static str, String)> {
        if open.allocation != self.config.allocation || self.ending.is_some() {
            return Err(("cell_gone", "the cell of this allocation is not here".into()));
        }
        if open.target != "ssh" {
            return Err(("unsupported", format!("no tunnel to {:?}", open.target)));
        }
        let Some(entry) = &self.config.ssh else {
            return Err(("no_ssh", "this allocation was made without SSH keys".into()));
        };
        if !entry.sshd.exists() {
            return Err(("no_ssh", format!("{} is not installed", entry.sshd.display())));
        }
        if self.open_count() >= CELL_SESSIONS_MAX {
            return Err(("session_limit", format!("{CELL_SESSIONS_MAX} sessions are open in this cell")));
        }
        ssh::make_empty_dir();
        let command = ssh::command(&self.config, entry);
        let Some(mut conn) = self.conns.remove(&id) else { return Ok(()) };
        conn.send(&self.poll, Kind::TunnelReady, &TunnelReady {});
        if conn.is_blocked() {
            // Nothing was ever sent to it before, so only a peer that is gone does not take this.
            return Ok(());
        }
        let socket = conn.into_fd(&self.poll);
        let started = self.spawn_sshd(&command, socket);
        if let Ok(pid) = started {
            self.tunnels.push(Tunnel { id: open.session.clone(), pid });
            self.status_changed = true;
        }
        Ok(())
    }

    /// The socket becomes sshd's stdin and stdout; it is closed if that cannot be started.
    fn spawn_sshd(&self, command: &[String], socket: OwnedFd) -> io::Result<nix::unistd::Pid> {
        let program = self.spawner.program(command)?;
        let stderr = File::options().write(true).open("/dev/null")?.into();
        let stdio = ChildStdio::Three { stdin: socket.try_clone()?, stdout: socket, stderr };
        self.spawner.spawn(&program, stdio)
    }

    /// Tells everyone who watches.
    pub(super) fn tell_watchers(&mut self) {
        self.status_changed = false;
        if !self.conns.values().any(|conn| conn.role == Role::Watch) {
            return;
        }
        let status = self.status_now();
        for conn in self.conns.values_mut().filter(|conn| conn.role == Role::Watch) {
            if conn.is_blocked() {
                // It does not read; it may come back and be told everything.
                conn.role = Role::Gone;
            } else {
                conn.send(&self.poll, Kind::CellStatus, &status);
            }
        }
    }

    fn status_now(&self) -> CellStatus {
        let sessions = self.sessions.values().filter(|session| session.end.is_none());
        let sessions = sessions.map(|session| CellSession {
            session: session.id.clone(),
            kind: session.kind.word().to_owned(),
            attached: !session.viewers.is_empty(),
            output_bytes: session.ring.end(),
            input_bytes: session.input.taken(),
        });
        let tunnels = self.tunnels.iter().map(|tunnel| CellSession {
            session: tunnel.id.clone(),
            kind: "ssh".to_owned(),
            attached: true,
            ..CellSession::default()
        });
        let main = self.record.main.as_ref();
        CellStatus {
            level: level::HIGHEST,
            allocation: self.config.allocation.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sessions: sessions.chain(tunnels).collect(),
            main_exit_code: main.map(|main| main.code),
            main_exit_reason: main.map(|main| main.reason.clone()).unwrap_or_default(),
        }
    }

    /// The batch command of the cell has been reaped and its output read.
    pub(super) fn main_ended(&mut self, key: u32) {
        self.main_until = None;
        let Some(session) = self.sessions.get(&key).filter(|session| session.kind == SessionKind::Main) else { return };
        let Some(end) = &session.end else { return };
        self.record.main = Some(super::record::MainExit {
            code: end.code,
            signal: end.signal.clone(),
            reason: session.reason.clone(),
            at_ms: super::record::now_ms(),
            output_bytes: session.ring.end(),
        });
        // A full disk costs the record; the status connection still tells.
        let _ = self.status.settle_log(&session.ring);
        let _ = self.status.write_record(&self.record);
    }
}
