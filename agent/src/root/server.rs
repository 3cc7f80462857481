//! The root half's loop: connections, workers, and the ends of cells.
//!
//! One thread and poll. Creating and ending fork a worker each, which is safe because there is one thread; a
//! worker may leave its namespaces, crash or be killed without anybody else noticing.

use super::config::{Door, RootConfig};
use super::create::Half;
use super::detect::detect;
use super::fault::{Doing, Fault};
use super::ids::Claims;
use super::process::{pidfd, pidfd_of, reap};
use super::release;
use super::seqpacket::{self, MAX_MESSAGE};
use super::state::{Phase, Places, Record};
use super::words::{Answer, Ask, Event, Reply, Request};
use super::worker;
use muster_protocol::ids::{AllocationId, NodeId};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{ForkResult, fork};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;

/// Workers at a time; further requests wait their turn.
const WORKERS: usize = 32;
/// Requests that may wait; further ones are refused `busy`.
const WAITING: usize = 1024;
/// Claims of ids, in one place for all agents of a machine whatever their run directories are.
const IDS_DIR: &str = "/run/muster/ids";
/// Connections at a time.
const CONNECTIONS: usize = 8;

struct Connection {
    socket: Rc<OwnedFd>,
    node: Option<NodeId>,
}

struct Worker {
    process: OwnedFd,
    pid: i32,
    allocation: AllocationId,
    /// Who waits for its answer, and to what; none: it was begun unasked.
    asker: Option<(u64, Rc<OwnedFd>)>,
}

struct Watched {
    process: OwnedFd,
    pid: i32,
}

struct Waiting {
    ask: Ask,
    node: NodeId,
    connection: Rc<OwnedFd>,
}

struct Server {
    half: Half,
    listener: Option<OwnedFd>,
    connections: Vec<Connection>,
    workers: Vec<Worker>,
    waiting: VecDeque<Waiting>,
    watched: BTreeMap<AllocationId, Watched>,
    statuses: BTreeMap<i32, i32>,
}

/// Serves requests: until the one inherited connection ends, or for ever at a listening socket. Cells go on
/// after it. The process must have no other thread.
///
/// # Errors
/// The directories or the socket cannot be used.
pub fn serve(config: RootConfig, door: Door) -> std::io::Result<()> {
    if std::fs::read_dir("/proc/self/task")?.count() > 1 {
        return Err(std::io::Error::other("the root half must be alone in its process"));
    }
    let server = Server::new(config, door).map_err(|fault| std::io::Error::other(fault.to_string()))?;
    crate::notify::ready();
    server.run()
}

impl Server {
    fn new(config: RootConfig, door: Door) -> Result<Self, Fault> {
        // SAFETY: plain numbers. PID 1s whose worker has ended become ours, so that their status is known.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        if !config.run_dir.exists() {
            std::fs::create_dir_all(&config.run_dir).doing("make the run directory")?;
            let passable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&config.run_dir, passable).doing("open the run directory")?;
        }
        let places = Places::open(&config.state_dir, config.owner.1)?;
        let by_root = nix::unistd::geteuid().is_root();
        let ids_dir = if by_root { Path::new(IDS_DIR).to_owned() } else { config.run_dir.join("ids") };
        let claims = Claims::open(&ids_dir, &config.state_dir)?;
        let half = Half { config, places, claims };
        let (listener, connections) = match door {
            Door::Inherited(socket) => (None, vec![Connection { socket: Rc::new(socket), node: None }]),
            Door::Listen(path) => {
                let socket = seqpacket::listen_at(&path).doing(format!("listen at {}", path.display()))?;
                let (uid, gid) = half.config.owner;
                let only_them = std::fs::Permissions::from_mode(0o600);
                std::fs::set_permissions(&path, only_them).doing("close the socket")?;
                std::os::unix::fs::chown(&path, Some(uid), Some(gid)).doing("own the socket")?;
                (Some(socket), Vec::new())
            }
        };
        let mut server = Self {
            half,
            listener,
            connections,
            workers: Vec::new(),
            waiting: VecDeque::new(),
            watched: BTreeMap::new(),
            statuses: BTreeMap::new(),
        };
        server.recover()?;
        Ok(server)
    }

    /// After a start: watches what lives, and has taken down what was never finished. What takes its time holds up
    /// neither the start nor the other cells.
    fn recover(&mut self) -> Result<(), Fault> {
        let records = self.half.places.all()?;
        self.half.claims.sweep(|allocation| records.iter().all(|record| record.allocation != allocation));
        for record in &records {
            if let Some(ids) = record.ids.filter(|_| !record.is_clean())
                && !self.half.claims.hold(ids, record.allocation)?
            {
                tracing::warn!(allocation = %record.allocation, "the ids of a dead cell are another agent's now");
            }
        }
        for record in records {
            let allocation = record.allocation;
            // A worker of the root half before us may still be at it, and will finish.
            if record.phase != Phase::Building || self.half.places.is_busy(allocation) {
                self.watch(&record);
            } else if let Err(error) = self.start_worker(allocation, None, |half| take_down(half, allocation)) {
                tracing::error!(%allocation, error, "a broken-off build is left as it is");
            }
        }
        Ok(())
    }

    fn watch(&mut self, record: &Record) {
        if record.phase == Phase::Running
            && !self.watched.contains_key(&record.allocation)
            && let Some(process) = pidfd_of(record.pid, record.start_time)
        {
            self.watched.insert(record.allocation, Watched { process, pid: record.pid });
        }
    }

    fn run(mut self) -> std::io::Result<()> {
        let mut buffer = vec![0; MAX_MESSAGE + 1];
        loop {
            if self.listener.is_none() && self.connections.is_empty() && self.workers.is_empty() {
                return Ok(());
            }
            let ready = self.wait()?;
            self.statuses.extend(reap());
            for fd in ready {
                match fd {
                    Ready::Listener => self.accept(),
                    Ready::Connection(socket) => self.read(&socket, &mut buffer),
                    Ready::Worker(pid) => self.worker_ended(pid),
                    Ready::Cell(allocation) => self.cell_ended(allocation),
                }
            }
            while self.workers.len() < WORKERS
                && let Some(next) = self.waiting.pop_front()
            {
                self.begin(next);
            }
        }
    }

    fn wait(&self) -> std::io::Result<Vec<Ready>> {
        let mut what = Vec::new();
        let mut fds = Vec::new();
        let mut add = |fd, ready| {
            fds.push(PollFd::new(fd, PollFlags::POLLIN));
            what.push(ready);
        };
        if let Some(listener) = self.listener.as_ref().filter(|_| self.connections.len() < CONNECTIONS) {
            add(listener.as_fd(), Ready::Listener);
        }
        for connection in &self.connections {
            add(connection.socket.as_fd(), Ready::Connection(Rc::clone(&connection.socket)));
        }
        for worker in &self.workers {
            add(worker.process.as_fd(), Ready::Worker(worker.pid));
        }
        for (allocation, watched) in &self.watched {
            add(watched.process.as_fd(), Ready::Cell(*allocation));
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => return Ok(Vec::new()),
            other => other?,
        };
        let hot = fds.iter().map(|fd| fd.any().unwrap_or(true));
        Ok(hot.zip(what).filter_map(|(hot, ready)| hot.then_some(ready)).collect())
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        match seqpacket::accept(listener) {
            Ok((socket, uid)) if uid == 0 || uid == self.half.config.owner.0 => {
                self.connections.push(Connection { socket: Rc::new(socket), node: None });
            }
            Ok((_, uid)) => tracing::warn!(uid, "a stranger at the root half's socket was turned away"),
            Err(error) => tracing::warn!(%error, "accept"),
        }
    }

    fn read(&mut self, socket: &Rc<OwnedFd>, buffer: &mut [u8]) {
        let message = match seqpacket::receive(socket, buffer) {
            Ok(Some(message)) => message,
            ended => {
                if let Err(error) = ended {
                    tracing::warn!(%error, "a connection is closed");
                }
                self.connections.retain(|connection| !Rc::ptr_eq(&connection.socket, socket));
                self.waiting.retain(|waiting| !Rc::ptr_eq(&waiting.connection, socket));
                return;
            }
        };
        match serde_json::from_slice::<Ask>(message) {
            Ok(ask) => self.take(socket, ask),
            Err(error) => {
                tracing::warn!(%error, "a word that is not in the list");
                self.connections.retain(|connection| !Rc::ptr_eq(&connection.socket, socket));
            }
        }
    }

    fn take(&mut self, socket: &Rc<OwnedFd>, ask: Ask) {
        let Some(connection) = self.connections.iter_mut().find(|c| Rc::ptr_eq(&c.socket, socket)) else { return };
        if let Request::Hello { node, version } = &ask.request {
            tracing::info!(%node, version, "the run half is here");
            connection.node = Some(*node);
            let found = detect(&self.half.config);
            let level = self.half.config.level;
            let version = env!("CARGO_PKG_VERSION").to_owned();
            return reply(socket, ask.id, Reply::Hello { version, level, not_enforced: found.not_enforced });
        }
        let Some(node) = connection.node else {
            return refuse(socket, ask.id, "hello_first", "no hello yet");
        };
        if worker::slow(&ask.request).is_none() {
            let answer = worker::answer(&self.half, ask.request).unwrap_or_else(|fault| fault.reply());
            return reply(socket, ask.id, answer);
        }
        if self.waiting.len() >= WAITING {
            return refuse(socket, ask.id, "busy", "too many requests wait");
        }
        self.waiting.push_back(Waiting { ask, node, connection: Rc::clone(socket) });
    }

    fn begin(&mut self, next: Waiting) {
        let Waiting { ask: Ask { id, request }, node, connection } = next;
        let Some(allocation) = worker::slow(&request) else { return };
        let asker = Some((id, Rc::clone(&connection)));
        let started = self.start_worker(allocation, asker, |half| {
            let reply = worker::work(half, node, request, &connection);
            worker::say(&connection, id, reply);
        });
        if let Err(error) = started {
            refuse(&connection, id, "failed", &error);
        }
    }

    /// Does something in a process of its own.
    fn start_worker(
        &mut self,
        allocation: AllocationId,
        asker: Option<(u64, Rc<OwnedFd>)>,
        work: impl FnOnce(&Half),
    ) -> Result<(), String> {
        // SAFETY: this process has one thread, so the child may call whatever it likes.
        match unsafe { fork() }.map_err(|error| format!("start a worker: {error}"))? {
            ForkResult::Child => {
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&self.half)));
                // SAFETY: ends the child without running what belongs to the parent.
                unsafe { libc::_exit(i32::from(done.is_err())) }
            }
            ForkResult::Parent { child } => {
                let process = pidfd(child.as_raw()).map_err(|error| format!("watch the worker: {error}"))?;
                self.workers.push(Worker { process, pid: child.as_raw(), allocation, asker });
                Ok(())
            }
        }
    }

    fn worker_ended(&mut self, pid: i32) {
        let Some(at) = self.workers.iter().position(|worker| worker.pid == pid) else { return };
        let worker = self.workers.swap_remove(at);
        let status = self.statuses.remove(&pid).unwrap_or_default();
        if let Some((id, connection)) = worker.asker.filter(|_| status != 0) {
            refuse(&connection, id, "failed", &format!("the worker ended with {status}"));
        }
        match self.half.places.load(worker.allocation) {
            Ok(Some(record)) if record.phase == Phase::Running => {
                self.watch(&record);
                if !self.watched.contains_key(&record.allocation) {
                    // It ended between the worker's answer and now: nothing else would ever say so.
                    self.tell_gone(record.allocation, self.statuses.get(&record.pid).copied());
                }
            }
            Ok(_) => drop(self.watched.remove(&worker.allocation)),
            Err(fault) => tracing::error!(%fault, "a cell's record is unreadable"),
        }
    }

    fn cell_ended(&mut self, allocation: AllocationId) {
        let Some(watched) = self.watched.remove(&allocation) else { return };
        let status = self.statuses.remove(&watched.pid);
        let asked = self.half.places.load(allocation).ok().flatten().is_none_or(|r| r.phase != Phase::Running);
        if asked {
            return;
        }
        self.tell_gone(allocation, status);
    }

    fn tell_gone(&self, allocation: AllocationId, status: Option<i32>) {
        tracing::warn!(%allocation, ?status, "PID 1 is gone unasked");
        let event = Answer::Event(Event::Gone { allocation, status });
        for connection in self.connections.iter().filter(|connection| connection.node.is_some()) {
            let sent = serde_json::to_vec(&event).map(|text| seqpacket::send_now(&connection.socket, &text));
            if !matches!(sent, Ok(Ok(()))) {
                tracing::warn!(%allocation, "the end of a cell was not told; who misses it asks");
            }
        }
    }
}

/// Removes what a build that was broken off has made.
fn take_down(half: &Half, allocation: AllocationId) {
    let done = half.places.lock(allocation).and_then(|_lock| {
        // Somebody may have asked for it, built or ended, while the lock was taken.
        let found = half.places.load(allocation)?;
        let Some(mut record) = found.filter(|record| record.phase == Phase::Building) else { return Ok(()) };
        let receipt = release::sweep(half, &mut record, None, "never finished", &|_| {});
        if receipt.clean {
            return half.places.forget(allocation);
        }
        tracing::error!(%allocation, leftovers = ?receipt.leftovers, "a broken-off build left something");
        Ok(())
    });
    if let Err(fault) = done {
        tracing::error!(%allocation, %fault, "a broken-off build is left as it is");
    }
}

enum Ready {
    Listener,
    Connection(Rc<OwnedFd>),
    Worker(i32),
    Cell(AllocationId),
}

fn refuse(socket: &OwnedFd, id: u64, code: &str, detail: &str) {
    reply(socket, id, Reply::Refused { code: code.into(), detail: detail.into() });
}

/// Never waits: a caller that does not read its answers loses them.
fn reply(socket: &OwnedFd, id: u64, reply: Reply) {
    let sent = serde_json::to_vec(&Answer::Reply { id, reply })
        .map_err(std::io::Error::from)
        .and_then(|text| seqpacket::send_now(socket, &text));
    if let Err(error) = sent {
        tracing::warn!(%error, "an answer was not taken");
    }
}
