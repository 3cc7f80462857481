//! A root half as a real process with directories of its own, and a small client of cells.

use muster_agent::root::{CellInfo, Client, CreateCell, Error, Event, Reply, Request, start_half};
use muster_protocol::Kind;
use muster_protocol::desired::{Cell, Image, Size};
use muster_protocol::frame::{Frame, FrameDecoder, encode};
use muster_protocol::ids::{AllocationId, NodeId};
use muster_protocol::report::Receipt;
use muster_protocol::session::{SessionAck, SessionAttach, SessionError, SessionExit};
use nix::libc;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};

/// Longest time for anything in these tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const MIB: u64 = 1 << 20;
/// What the tests' cells get.
pub(crate) const SIZE: Size = Size { cpu_milli: 1000, memory_bytes: 192 * MIB, disk_bytes: 64 * MIB, pids: 64 };

pub(crate) fn exe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_muster-agent"))
}

fn random() -> [u8; 10] {
    let mut bytes = [0; 10];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A root half with its own state and run directories; everything of it is gone after the test.
pub(crate) struct Node {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) id: NodeId,
    user: Option<u32>,
    /// User of the `run` half that root's half serves.
    owner: u32,
    half: Option<(Child, Client, mpsc::Receiver<Event>)>,
}

impl Node {
    /// Needs root, since it builds real walls.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// With further lines of configuration.
    pub(crate) fn start_with(settings: &str) -> Self {
        Self::make("cell", None, settings)
    }

    /// At another level.
    pub(crate) fn start_with_level(level: &str) -> Self {
        Self::make(level, None, "")
    }

    /// As an ordinary user.
    pub(crate) fn start_as(user: u32, level: &str) -> Self {
        Self::make(level, Some(user), "")
    }

    /// Root's half for a `run` half that is an ordinary user.
    pub(crate) fn start_for(owner: u32) -> Self {
        let mut node = Self::start();
        let (mut child, client, events) = node.half.take().unwrap();
        drop((client, events));
        child.wait().unwrap();
        fs::set_permissions(node.dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        node.owner = owner;
        node.start_half();
        node
    }

    fn make(level: &str, user: Option<u32>, settings: &str) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "these tests build real cells: run them as root");
        let dir = tempfile::Builder::new().prefix("mu").tempdir().unwrap();
        fs::create_dir(dir.path().join("dev")).unwrap();
        for name in ["nvidia0", "nvidia1", "nvidiactl"] {
            fs::write(dir.path().join("dev").join(name), name).unwrap();
        }
        let text = format!(
            "run_dir = {:?}\nisolation = \"{level}\"\n{settings}\n[gpu]\ndev_root = {:?}\n",
            dir.path().join("run"),
            dir.path().join("dev")
        );
        fs::write(dir.path().join("agent.toml"), text).unwrap();
        if let Some(user) = user {
            std::os::unix::fs::chown(dir.path(), Some(user), Some(user)).unwrap();
        }
        let mut node = Self { dir, id: NodeId::new(now_ms(), random()), user, owner: 0, half: None };
        node.start_half();
        node
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn start_half(&mut self) {
        let config = self.dir.path().join("agent.toml");
        let (child, client, events) = match self.user {
            None => {
                let (child, socket) =
                    start_half(exe(), &self.state_dir(), Some(&config), (self.owner, self.owner)).unwrap();
                let (client, events) = Client::new(socket).unwrap();
                (child, client, events)
            }
            Some(user) => self.start_listening(&config, user),
        };
        client.ask_blocking(Request::Hello { version: "test".into(), node: self.id }).unwrap();
        self.half = Some((child, client, events));
    }

    /// As an ordinary user, at a socket of its own.
    fn start_listening(&self, config: &Path, user: u32) -> (Child, Client, mpsc::Receiver<Event>) {
        let socket = self.dir.path().join("root.sock");
        // The checkout may be where only root can go.
        let exe = self.dir.path().join("muster-agent");
        if !exe.exists() {
            fs::copy(self::exe(), &exe).unwrap();
        }
        let child = Command::new(exe)
            .args(["root".as_ref(), "--config".as_ref(), config.as_os_str(), "--state-dir".as_ref()])
            .arg(self.state_dir())
            .arg("--listen")
            .arg(&socket)
            .uid(user)
            .gid(user)
            .spawn()
            .unwrap();
        wait_for("the root half listens", || Client::connect(&socket).is_ok());
        let (client, events) = Client::connect(&socket).unwrap();
        (child, client, events)
    }

    /// Sends without waiting for the answer.
    pub(crate) fn send(&self, request: Request) -> oneshot::Receiver<Reply> {
        self.half.as_ref().unwrap().1.send(request).unwrap()
    }

    /// A session as the node's user, since a cell hears nobody else.
    pub(crate) fn session(&self, cell: &CellInfo, script: &str) -> Session {
        self.session_as(self.user.unwrap_or(self.owner), cell, script).expect("the socket lets us in")
    }

    /// A session as any user; none if the socket does not let it in.
    pub(crate) fn session_as(&self, user: u32, cell: &CellInfo, script: &str) -> Option<Session> {
        self.connect_as(user, cell).map(|stream| Session::over(stream, cell, script))
    }

    /// A connection to a cell as any user; none if the socket does not let it in.
    pub(crate) fn connect_as(&self, user: u32, cell: &CellInfo) -> Option<UnixStream> {
        let socket = cell.socket.clone();
        let connect = move || {
            // SAFETY: plain numbers; they change this thread only, which ends after it.
            unsafe {
                libc::syscall(libc::SYS_setgroups, 0, 0);
                libc::syscall(libc::SYS_setresgid, -1, user, -1);
                libc::syscall(libc::SYS_setresuid, -1, user, -1);
            }
            UnixStream::connect(socket).ok()
        };
        std::thread::spawn(connect).join().unwrap()
    }

    pub(crate) fn run(&self, cell: &CellInfo, script: &str) -> Ran {
        self.session(cell, script).finish()
    }

    /// `kill -9` of the root half.
    pub(crate) fn kill_half(&mut self) {
        let (mut child, client, _) = self.half.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        wait_for("the client sees the root half go", || client.is_down());
    }

    pub(crate) fn half_pid(&self) -> u32 {
        self.half.as_ref().unwrap().0.id()
    }

    pub(crate) fn ask(&self, request: Request) -> Result<Reply, Error> {
        self.half.as_ref().unwrap().1.ask_blocking(request)
    }

    pub(crate) fn create(&self, wanted: CreateCell) -> CellInfo {
        match self.ask(Request::CellCreate(Box::new(wanted))) {
            Ok(Reply::Cell(info)) => *info,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn end(&self, allocation: AllocationId, grace_ms: u32) -> Receipt {
        match self.ask(Request::CellEnd { allocation, reason: "released".into(), grace_ms }) {
            Ok(Reply::Ended { receipt, .. }) => *receipt,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn list(&self) -> Vec<CellInfo> {
        match self.ask(Request::CellList) {
            Ok(Reply::Cells { cells }) => cells,
            other => panic!("{other:?}"),
        }
    }

    /// The next event, whatever it is.
    pub(crate) fn event(&mut self) -> Event {
        let (_, _, events) = self.half.as_mut().unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            match events.try_recv() {
                Ok(event) => return event,
                Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Whatever stands on the machine under this node's name.
    pub(crate) fn traces(&self) -> Vec<String> {
        let short = self.id.short();
        let mut found = Vec::new();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let dir = self.dir.path().to_string_lossy().into_owned();
        found.extend(mounts.lines().filter(|line| line.contains(&dir)).map(|line| format!("mount {line}")));
        for entry in fs::read_dir("/sys/class/net").unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.extend(name.contains(&short).then(|| format!("interface {name}")));
        }
        for point in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let group = point.path().join("muster").join(&short);
            found.extend(group.exists().then(|| format!("group {}", group.display())));
        }
        for entry in fs::read_dir("/sys/block").unwrap().flatten() {
            let file = fs::read_to_string(entry.path().join("loop/backing_file")).unwrap_or_default();
            found.extend(file.contains(&dir).then(|| format!("loop {file}")));
        }
        for entry in fs::read_dir(self.state_dir().join("homes")).into_iter().flatten().flatten() {
            found.push(format!("file {}", entry.path().display()));
        }
        for entry in fs::read_dir("/run/muster/ids").into_iter().flatten().flatten() {
            let owner = fs::read_to_string(entry.path()).unwrap_or_default();
            found.extend(owner.contains(&dir).then(|| format!("ids {}", entry.path().display())));
        }
        let tables = Command::new("nft").args(["list", "tables"]).output().unwrap();
        let tables = String::from_utf8_lossy(&tables.stdout).into_owned();
        found.extend(tables.lines().filter(|line| line.contains(&short)).map(str::to_owned));
        found
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.half.is_none() {
            self.start_half();
        }
        if let Ok(Reply::Cells { cells }) = self.ask(Request::CellList) {
            for cell in cells {
                let end = Request::CellEnd { allocation: cell.allocation, reason: "released".into(), grace_ms: 0 };
                let ended = self.ask(end);
                if !std::thread::panicking() {
                    assert!(
                        matches!(ended, Ok(Reply::Ended { receipt, .. }) if receipt.clean),
                        "a cell left something"
                    );
                }
            }
        }
        if let Some((mut child, client, events)) = self.half.take() {
            drop((client, events));
            if self.user.is_some() {
                // This one waits for further callers.
                let _ = child.kill();
            }
            let _ = child.wait();
        }
    }
}

pub(crate) fn allocation() -> AllocationId {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    AllocationId::new(now_ms() + COUNT.fetch_add(1, Ordering::Relaxed), random())
}

/// A small cell with SSH.
pub(crate) fn wanted() -> CreateCell {
    let cell = Cell {
        allocation: allocation(),
        name: "My Cell".into(),
        lease_epoch: 1,
        slots: Vec::new(),
        size: SIZE,
        image: Image::Host,
        env: BTreeMap::from([("GREETING".into(), "hello".into())]),
        command: None,
        max_runtime_s: None,
        not_after_ms: None,
        ssh_keys: Some(vec!["ssh-ed25519 AAAA one".into()]),
        correlation_id: String::new(),
    };
    CreateCell { cell, devices: Vec::new(), env: BTreeMap::from([("CUDA_VISIBLE_DEVICES".into(), "".into())]) }
}

pub(crate) fn wait_for(what: &str, mut seen: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !seen() {
        assert!(Instant::now() < end, "{what}: not seen in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a command in a cell wrote and returned.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// An open session.
pub(crate) struct Session {
    stream: UnixStream,
    decoder: FrameDecoder,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Session {
    /// Runs `sh -c script` on pipes.
    pub(crate) fn open(cell: &CellInfo, script: &str) -> Self {
        Self::over(UnixStream::connect(&cell.socket).unwrap(), cell, script)
    }

    fn over(stream: UnixStream, cell: &CellInfo, script: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let attach = SessionAttach {
            allocation: cell.allocation.to_string(),
            session: format!("se_{}", COUNT.fetch_add(1, Ordering::Relaxed)),
            create: true,
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            ..SessionAttach::default()
        };
        (&stream).write_all(&encode(Kind::SessionAttach, &attach)).unwrap();
        Self { stream, decoder: FrameDecoder::default(), out: Vec::new(), err: Vec::new() }
    }

    fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next().unwrap() {
                return Some(frame);
            }
            let mut buffer = [0; 65536];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.decoder.push(&buffer[..length]),
                Err(error) => panic!("{error}; so far {:?}", String::from_utf8_lossy(&self.out)),
            }
        }
    }

    /// The exit code, or none while it runs and has said something.
    fn step(&mut self) -> Option<i32> {
        let frame = self.frame().expect("the cell hung up");
        match frame.kind {
            Kind::SessionOutput | Kind::SessionErrOutput => {
                let (offset, bytes) = frame.numbered().unwrap();
                let to = if frame.kind == Kind::SessionOutput { &mut self.out } else { &mut self.err };
                to.extend_from_slice(&bytes);
                let ack = SessionAck { offset: offset + bytes.len() as u64 };
                let _ = self.stream.write_all(&encode(Kind::SessionAck, &ack));
                None
            }
            Kind::SessionExit => Some(frame.decode::<SessionExit>().unwrap().code),
            Kind::SessionError => panic!("{:?}", frame.decode::<SessionError>().unwrap()),
            _ => None,
        }
    }

    /// Waits for words in the output.
    pub(crate) fn expect(&mut self, words: &str) {
        while !String::from_utf8_lossy(&self.out).contains(words) {
            if let Some(code) = self.step() {
                panic!("ended with {code}: {:?} {:?}", self.text(), String::from_utf8_lossy(&self.err));
            }
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    pub(crate) fn finish(mut self) -> Ran {
        loop {
            if let Some(code) = self.step() {
                return Ran { code, out: self.text(), err: String::from_utf8_lossy(&self.err).into_owned() };
            }
        }
    }
}

/// Runs `sh -c script` in a cell to its end.
pub(crate) fn run(cell: &CellInfo, script: &str) -> Ran {
    Session::open(cell, script).finish()
}
