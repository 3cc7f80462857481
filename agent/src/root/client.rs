//! The `run` half's end of the words: one reader thread, answers by oneshot, events on a bounded channel.

use super::seqpacket::{self, MAX_MESSAGE};
use super::words::{Answer, Ask, CellInfo, Event, Reply, Request};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

/// Events that may wait to be read; further ones hold the reader thread back, never the cells.
const EVENTS_WAITING: usize = 1024;
/// Requests without an answer yet.
const REQUESTS_WAITING: usize = 1024;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The root half is gone or closed the connection; cells live on.
    #[error("the root half is gone")]
    Down,
    /// It was asked and said no.
    #[error("{code}: {detail}")]
    Refused {
        /// A word, see [`Reply::Refused`].
        code: String,
        /// For people.
        detail: String,
    },
    /// It answered something else than was asked for.
    #[error("the root half answered out of turn")]
    OutOfTurn,
    /// The request could not be sent: too large, or too many are waiting.
    #[error("not sent: {0}")]
    NotSent(String),
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Reply>>>>;

/// A handle on the root half; cheap to clone, usable from threads and from async code.
#[derive(Debug, Clone)]
pub struct Client {
    end: End,
}

#[derive(Debug, Clone)]
enum End {
    /// The root half is another process.
    Socket(Arc<Shared>),
    /// It is played within this process.
    Channel(mpsc::Sender<Asked>),
}

/// A request, and where its answer goes.
pub type Asked = (Request, oneshot::Sender<Reply>);

#[derive(Debug)]
struct Shared {
    socket: Arc<OwnedFd>,
    waiting: Waiting,
    next: AtomicU64,
    down: Arc<AtomicBool>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Wakes the reader thread, which holds the other reference to the socket.
        seqpacket::shut_down(&self.socket);
    }
}

impl Client {
    /// Speaks over a connected SOCK_SEQPACKET socket. The receiver ends when the root half is gone.
    ///
    /// # Errors
    /// The reader thread could not be started.
    pub fn new(socket: OwnedFd) -> io::Result<(Self, mpsc::Receiver<Event>)> {
        let socket = Arc::new(socket);
        let waiting: Waiting = Arc::default();
        let down = Arc::new(AtomicBool::new(false));
        let (events, receiver) = mpsc::channel(EVENTS_WAITING);
        let reader = (Arc::clone(&socket), Arc::clone(&waiting), Arc::clone(&down));
        std::thread::Builder::new().name("root-client".into()).stack_size(256 << 10).spawn(move || {
            let (socket, waiting, down) = reader;
            read_all(&socket, &waiting, &events);
            down.store(true, Ordering::Release);
            lock(&waiting).clear();
        })?;
        let shared = Shared { socket, waiting, next: AtomicU64::new(1), down };
        Ok((Self { end: End::Socket(Arc::new(shared)) }, receiver))
    }

    /// A client of a root half that is played within this process: it takes what is asked from the receiver.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Asked>) {
        let (asks, asked) = mpsc::channel(REQUESTS_WAITING);
        (Self { end: End::Channel(asks) }, asked)
    }

    /// Connects to a root half that listens at `path` (one that was started by itself, by systemd say).
    ///
    /// # Errors
    /// Nobody listens there, or not for us.
    pub fn connect(path: &Path) -> io::Result<(Self, mpsc::Receiver<Event>)> {
        Self::new(seqpacket::connect(path)?)
    }

    /// Sends a request; the receiver gets the answer, or an error if the root half goes.
    ///
    /// # Errors
    /// [`Error::Down`] or [`Error::NotSent`].
    pub fn send(&self, request: Request) -> Result<oneshot::Receiver<Reply>, Error> {
        let (answer, receiver) = oneshot::channel();
        match &self.end {
            End::Socket(shared) => shared.send(request, answer)?,
            End::Channel(asks) => asks.try_send((request, answer)).map_err(|error| match error {
                TrySendError::Closed(_) => Error::Down,
                TrySendError::Full(_) => Error::NotSent("too many requests wait".into()),
            })?,
        }
        Ok(receiver)
    }

    /// Asks and waits, in async code. A refusal is an error.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ask(&self, request: Request) -> Result<Reply, Error> {
        settle(self.send(request)?.await.map_err(|_| Error::Down)?)
    }

    /// Asks and blocks the thread; never in async code. A refusal is an error.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn ask_blocking(&self, request: Request) -> Result<Reply, Error> {
        settle(self.send(request)?.blocking_recv().map_err(|_| Error::Down)?)
    }

    /// Asks for one cell: [`Request::CellCreate`] or [`Request::CellAdopt`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cell(&self, request: Request) -> Result<CellInfo, Error> {
        match self.ask(request).await? {
            Reply::Cell(info) => Ok(*info),
            _ => Err(Error::OutOfTurn),
        }
    }

    /// Every cell the root half knows.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cells(&self) -> Result<Vec<CellInfo>, Error> {
        match self.ask(Request::CellList).await? {
            Reply::Cells { cells } => Ok(cells),
            _ => Err(Error::OutOfTurn),
        }
    }

    /// The root half is gone.
    #[must_use]
    pub fn is_down(&self) -> bool {
        match &self.end {
            End::Socket(shared) => shared.down.load(Ordering::Acquire),
            End::Channel(asks) => asks.is_closed(),
        }
    }
}

impl Shared {
    fn send(&self, request: Request, answer: oneshot::Sender<Reply>) -> Result<(), Error> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let text = serde_json::to_vec(&Ask { id, request }).map_err(|e| Error::NotSent(e.to_string()))?;
        if text.len() > MAX_MESSAGE {
            return Err(Error::NotSent(format!("{} bytes are more than {MAX_MESSAGE}", text.len())));
        }
        {
            let mut waiting = lock(&self.waiting);
            // Looked at under the lock: the reader sets it before it clears the map.
            if self.down.load(Ordering::Acquire) {
                return Err(Error::Down);
            }
            if waiting.len() >= REQUESTS_WAITING {
                return Err(Error::NotSent("too many requests wait".into()));
            }
            waiting.insert(id, answer);
        }
        if let Err(error) = seqpacket::send_now(&self.socket, &text) {
            lock(&self.waiting).remove(&id);
            return match error.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected => {
                    Err(Error::Down)
                }
                _ => Err(Error::NotSent(error.to_string())),
            };
        }
        Ok(())
    }
}

fn settle(reply: Reply) -> Result<Reply, Error> {
    match reply {
        Reply::Refused { code, detail } => Err(Error::Refused { code, detail }),
        reply => Ok(reply),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_all(socket: &OwnedFd, waiting: &Waiting, events: &mpsc::Sender<Event>) {
    let mut buffer = vec![0; MAX_MESSAGE + 1];
    loop {
        let text = match seqpacket::receive(socket, &mut buffer) {
            Ok(Some(text)) => text,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "reading from the root half");
                return;
            }
        };
        match serde_json::from_slice(text) {
            Ok(Answer::Reply { id, reply }) => {
                let answer = lock(waiting).remove(&id);
                if let Some(answer) = answer {
                    // Nobody waits any more: the caller gave up, which is its right.
                    let _ = answer.send(reply);
                }
            }
            // A full queue holds this thread back; a reader that is gone costs the events only.
            Ok(Answer::Event(event)) => drop(events.blocking_send(event)),
            Err(error) => tracing::warn!(%error, "a word of the root half is not understood"),
        }
    }
}
