//! Starts real cells without a root half (isolation `none`) and talks to them as an agent does.

use muster_agent::cell::config::{CellConfig, CellUser, Isolation, Payload, STALL_MS};
use muster_protocol::cell::{CellEnd, CellStatus, CellWatch};
use muster_protocol::session::{SessionAck, SessionAttach, SessionAttached, SessionError, SessionExit, SessionSkipped};
use muster_protocol::{Frame, FrameDecoder, Kind, frame};
use prost::Message;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

/// Nothing here takes so long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const ALLOCATION: &str = "al_test";

/// A running cell.
pub(crate) struct TestCell {
    child: Child,
    dir: tempfile::TempDir,
    socket: PathBuf,
}

impl TestCell {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut CellConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("cell.sock");
        let listener = OwnedFd::from(UnixListener::bind(&socket).unwrap());
        let status = OwnedFd::from(File::open(dir.path()).unwrap());
        let (mut ready, ready_there) = std::io::pipe().unwrap();
        let ready_there = OwnedFd::from(ready_there);
        let ids = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        let mut config = CellConfig {
            allocation: ALLOCATION.into(),
            lease_epoch: 1,
            isolation: Isolation::None,
            listener_fd: listener.as_raw_fd(),
            status_fd: status.as_raw_fd(),
            ready_fd: Some(ready_there.as_raw_fd()),
            peer_uids: vec![ids.0],
            user: CellUser {
                uid: ids.0,
                gid: ids.1,
                name: "muster".into(),
                home: dir.path().into(),
                shell: "/bin/bash".into(),
            },
            env: BTreeMap::from([("CUDA_VISIBLE_DEVICES".into(), "GPU-1".into()), ("PS1".into(), "$ ".into())]),
            command: None,
            max_runtime_s: None,
            ssh: None,
            stall_ms: STALL_MS,
            payload: Payload { seccomp: true, ..Payload::default() },
        };
        change(&mut config);
        // Output then follows its line's end, without control sequences between them.
        std::fs::write(dir.path().join(".inputrc"), "set enable-bracketed-paste off\n").unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
        let document = OwnedFd::from(File::open(&path).unwrap());
        let inherited = [listener, status, ready_there, document];
        let numbers = inherited.each_ref().map(AsRawFd::as_raw_fd);
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster-agent"));
        command.args(["cell", "--config-fd", &numbers[3].to_string()]);
        // SAFETY: only fcntl on descriptors that stay open until after the spawn.
        unsafe {
            command.pre_exec(move || {
                for fd in numbers {
                    if libc::fcntl(fd, libc::F_SETFD, 0) < 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop(inherited);
        let mut said = String::new();
        ready.read_to_string(&mut said).unwrap();
        assert_eq!(said, "ok\n");
        Self { child, dir, socket }
    }

    pub(crate) fn status_dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn connect(&self) -> Peer {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Peer { stream, decoder: FrameDecoder::default() }
    }

    /// Attaches; panics if it is refused.
    pub(crate) fn attach(&self, attach: &SessionAttach) -> Viewer {
        self.try_attach(attach).unwrap_or_else(|error| panic!("refused: {error:?}"))
    }

    pub(crate) fn try_attach(&self, attach: &SessionAttach) -> Result<Viewer, SessionError> {
        let mut peer = self.connect();
        peer.send(Kind::SessionAttach, attach);
        let frame = peer.frame().expect("an answer");
        match frame.kind {
            Kind::SessionAttached => {
                let attached: SessionAttached = frame.decode().unwrap();
                let (at, typed) = (attached.offset, attached.input_offset);
                Ok(Viewer {
                    peer,
                    attached,
                    at,
                    typed,
                    output: Vec::new(),
                    errors: Vec::new(),
                    skipped: Vec::new(),
                    acks: true,
                    input_acked: typed,
                })
            }
            Kind::SessionError => Err(frame.decode().unwrap()),
            other => panic!("unexpected {other:?}"),
        }
    }

    pub(crate) fn watch(&self) -> Peer {
        let mut peer = self.connect();
        peer.send(Kind::CellWatch, &CellWatch { level: 1 });
        peer
    }

    pub(crate) fn end(&self, reason: &str, grace_ms: u32) {
        self.connect().send(Kind::CellEnd, &CellEnd { reason: reason.into(), grace_ms });
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for TestCell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection.
pub(crate) struct Peer {
    pub(crate) stream: UnixStream,
    decoder: FrameDecoder,
}

impl Peer {
    pub(crate) fn send<M: Message>(&mut self, kind: Kind, message: &M) {
        self.stream.write_all(&frame::encode(kind, message)).unwrap();
    }

    /// The next frame; none at the end of the stream.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        self.try_frame().unwrap_or_else(|error| panic!("nothing came: {error}"))
    }

    fn try_frame(&mut self) -> std::io::Result<Option<Frame>> {
        let mut buffer = [0; 16 << 10];
        loop {
            if let Some(frame) = self.decoder.next().unwrap() {
                return Ok(Some(frame));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => self.decoder.push(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next status of a watch.
    pub(crate) fn status(&mut self) -> CellStatus {
        let frame = self.frame().expect("a status");
        assert_eq!(frame.kind, Kind::CellStatus);
        frame.decode().unwrap()
    }

    /// Statuses until one is as wanted.
    pub(crate) fn status_until(&mut self, wanted: impl Fn(&CellStatus) -> bool) -> CellStatus {
        loop {
            let status = self.status();
            if wanted(&status) {
                return status;
            }
        }
    }
}

/// How a view of a session ended.
#[derive(Debug, PartialEq)]
pub(crate) enum Last {
    Exit(SessionExit),
    Error(SessionError),
    Cut,
}

/// A viewer that checks the numbering as it reads.
pub(crate) struct Viewer {
    pub(crate) peer: Peer,
    pub(crate) attached: SessionAttached,
    /// Offset of the next byte of output.
    pub(crate) at: u64,
    /// Offset of the next byte of input.
    pub(crate) typed: u64,
    pub(crate) output: Vec<u8>,
    pub(crate) errors: Vec<u8>,
    pub(crate) skipped: Vec<SessionSkipped>,
    pub(crate) input_acked: u64,
    /// It acknowledges output.
    pub(crate) acks: bool,
}

impl Viewer {
    pub(crate) fn kind_and_send<M: Message>(&mut self, kind: Kind, message: &M) {
        self.peer.send(kind, message);
    }

    pub(crate) fn type_(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(16 << 10) {
            let frame = frame::encode_numbered(Kind::SessionInput, self.typed, piece);
            self.peer.stream.write_all(&frame).unwrap();
            self.typed += piece.len() as u64;
        }
    }

    /// Takes one frame; some if it was the last.
    pub(crate) fn step(&mut self) -> Option<Last> {
        let frame = match self.peer.try_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Some(Last::Cut),
            Err(error) => panic!("nothing came ({error}) after {:?}", self.text()),
        };
        match frame.kind {
            Kind::SessionOutput | Kind::SessionErrOutput => {
                let (offset, bytes) = frame.numbered().unwrap();
                assert_eq!(offset, self.at, "output is numbered without gaps");
                self.at += bytes.len() as u64;
                let into = if frame.kind == Kind::SessionOutput { &mut self.output } else { &mut self.errors };
                into.extend_from_slice(&bytes);
                if self.acks {
                    let ack = frame::encode(Kind::SessionAck, &SessionAck { offset: self.at });
                    // It may be gone after its last words.
                    let _ = self.peer.stream.write_all(&ack);
                }
            }
            Kind::SessionSkipped => {
                let skipped: SessionSkipped = frame.decode().unwrap();
                assert_eq!(skipped.from, self.at);
                self.at = skipped.to;
                self.skipped.push(skipped);
            }
            Kind::SessionAck => self.input_acked = frame.decode::<SessionAck>().unwrap().offset,
            Kind::SessionExit => return Some(Last::Exit(frame.decode().unwrap())),
            Kind::SessionError => return Some(Last::Error(frame.decode().unwrap())),
            other => panic!("unexpected {other:?}"),
        }
        None
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// Reads until the output has `wanted`.
    pub(crate) fn expect(&mut self, wanted: &str) {
        while !self.text().contains(wanted) {
            if let Some(last) = self.step() {
                panic!("{last:?} before {wanted:?} in {:?}", self.text());
            }
        }
    }

    pub(crate) fn until_input_acked(&mut self, offset: u64) {
        while self.input_acked < offset {
            assert_eq!(self.step(), None);
        }
    }

    pub(crate) fn until_last(&mut self) -> Last {
        loop {
            if let Some(last) = self.step() {
                return last;
            }
        }
    }

    pub(crate) fn until_exit(&mut self) -> SessionExit {
        match self.until_last() {
            Last::Exit(exit) => exit,
            other => panic!(
                "{other:?} instead of an exit; output {:?}, errors {:?}",
                self.text(),
                String::from_utf8_lossy(&self.errors)
            ),
        }
    }
}

/// Asks for a new terminal with the login shell.
pub(crate) fn terminal(session: &str) -> SessionAttach {
    SessionAttach {
        allocation: ALLOCATION.into(),
        session: session.into(),
        create: true,
        terminal: true,
        ..SessionAttach::default()
    }
}

/// Asks for a command, on a terminal or on pipes.
pub(crate) fn command(session: &str, on_terminal: bool, command: &[&str]) -> SessionAttach {
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    SessionAttach { command, terminal: on_terminal, ..terminal(session) }
}

/// Asks to come back.
pub(crate) fn again(session: &str, after: Option<u64>) -> SessionAttach {
    SessionAttach { create: false, after, ..terminal(session) }
}
