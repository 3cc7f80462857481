//! The store: three doors for plain synchronous closures.
//!
//! - [`Store::read`] sees one consistent snapshot and cannot write;
//! - [`Store::write`] changes what people and reconcilers decide, and must return a [`Recorded`] value,
//!   which only `audit::record` makes: a verb cannot commit without its event;
//! - [`Store::ingest`] takes machine facts (telemetry, presence, usage), which need no event.
//!
//! A closure owns its arguments, touches nothing but the [`Tx`], and **may be run twice** (debug builds run
//! every write once for nothing and roll it back). It is never held across an await. It fails with a
//! [`Problem`]; then nothing of it is kept.

pub(super) mod answers;
pub mod dump;
mod inline;
mod job;
mod migrate;
mod postgres;
mod queue;
mod room;
pub mod settings;
mod sqlite;
mod tables;
#[cfg(test)]
mod tests;
mod tx;
mod value;

pub use inline::Disk;
pub use migrate::{MIGRATIONS, StoreError};
pub use queue::Lane;
pub use tx::Tx;
pub use value::{FromValue, Row, Value};

use crate::base::feed::Feed;
use crate::base::{http::Problem, limits};
use inline::Inline;
use job::{BoxedJob, gone};
use postgres::{Crowd, Owner, Place, Role, Seat};
use queue::Queue;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot::{self, error::TryRecvError};

/// A value whose change has its audit event in the same transaction. Made by `audit` only (a test checks).
#[derive(Debug)]
pub struct Recorded<T>(T);

impl<T> Recorded<T> {
    /// For `audit::record` and `audit::unchanged` alone.
    pub(crate) fn by_audit(value: T) -> Self {
        Self(value)
    }

    /// Changes the value that goes back to the caller; the event stays.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Recorded<U> {
        Recorded(change(self.0))
    }

    /// The value, while still inside the transaction.
    pub fn get(&self) -> &T {
        &self.0
    }
}

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
    lane: Option<Lane>,
}

#[derive(Debug)]
struct Inner {
    writes: Arc<Queue<BoxedJob>>,
    reads: Arc<Queue<BoxedJob>>,
    feed: Feed,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Set: there are no threads, and the queues stay empty.
    inline: Option<Inline>,
}

impl Store {
    /// Opens (and makes, where it does not exist) the SQLite database at `path`, brings it to this build's
    /// version, and starts one writing and a few reading threads.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let open_error = |error: rusqlite::Error| StoreError::open(path, &error);
        let mut writer = sqlite::open_writer(path).map_err(open_error)?;
        migrate::run(&mut writer, &path.display().to_string())?;
        let store = Self::without_threads();
        let queue = store.inner.writes.clone();
        store.spawn("store-write", move || sqlite::write_loop(writer, &queue))?;
        for _ in 0..limits::STORE_READERS {
            let reader = sqlite::open_reader(path).map_err(open_error)?;
            let queue = store.inner.reads.clone();
            store.spawn("store-read", move || sqlite::read_loop(reader, &queue))?;
        }
        Ok(store)
    }

    /// Opens the PostgreSQL database at `url` (`postgres://user@host:5432/name`), brings it to this build's
    /// version, and starts a few writing and reading threads, each with a connection of its own. Blocks; not
    /// from a thread with a runtime.
    ///
    /// # Errors
    /// It cannot be reached, does not sort byte by byte, or another coordinator serves it.
    pub fn open_postgres(url: &str) -> Result<Self, StoreError> {
        Self::open_postgres_within(url, limits::STORE_TAKEOVER)
    }

    /// The same, waiting so long for the connections of the last coordinator to end.
    fn open_postgres_within(url: &str, patience: Duration) -> Result<Self, StoreError> {
        let (owner, first) = Owner::begin(Place::parse(url)?, patience)?;
        let (owner, crowd) = (Arc::new(owner), Arc::new(Crowd::default()));
        let store = Self::without_threads();
        let mut first = Some(first);
        for number in 0..limits::STORE_WRITERS {
            let seat = match first.take() {
                Some(tx) => Seat::with(tx, &owner, Role::Writer, number),
                None => Seat::take(&owner, Role::Writer, number)?,
            };
            let (queue, crowd) = (store.inner.writes.clone(), crowd.clone());
            store.spawn("store-write", move || seat.serve(&queue, &crowd))?;
        }
        for number in 0..limits::STORE_READERS_APART {
            let seat = Seat::take(&owner, Role::Reader, number)?;
            let (queue, crowd) = (store.inner.reads.clone(), crowd.clone());
            store.spawn("store-read", move || seat.serve(&queue, &crowd))?;
        }
        Ok(store)
    }

    fn without_threads() -> Self {
        Self::with(None)
    }

    fn with(inline: Option<Inline>) -> Self {
        let (writes, reads) = (Arc::new(Queue::new()), Arc::new(Queue::new()));
        let (feed, threads) = (Feed::default(), Mutex::default());
        Self { inner: Arc::new(Inner { writes, reads, feed, threads, inline }), lane: None }
    }

    fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        let thread = thread.map_err(|error| StoreError::Thread { detail: error.to_string() })?;
        self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Opens a SQLite database for a simulation: without threads, on a simulated disk.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_inline(path: &Path, disk: Disk) -> Result<Self, StoreError> {
        let open_error = |error: rusqlite::Error| StoreError::open(path, &error);
        let mut writer = sqlite::open_writer(path).map_err(open_error)?;
        migrate::run(&mut writer, &path.display().to_string())?;
        let reader = sqlite::open_reader(path).map_err(open_error)?;
        Ok(Self::with(Some(Inline::new(writer, reader, disk))))
    }

    /// The same store with its writes in another lane; reconcilers use [`Lane::Upkeep`], links
    /// [`Lane::Agents`]. Without it `write` goes with people and `ingest` with agents.
    #[must_use]
    pub fn on(&self, lane: Lane) -> Self {
        Self { inner: self.inner.clone(), lane: Some(lane) }
    }

    /// What was committed through this store, for followers.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.inner.feed
    }

    /// Reads one consistent snapshot.
    pub async fn read<T, F>(&self, closure: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Fn(&mut Tx) -> Result<T, Problem> + Send + 'static,
    {
        let (job, answer) = self.job(closure);
        self.inner.to_readers(job).await?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Changes something that a person or a reconciler decided; committed and on disk when this returns.
    pub async fn write<T, F>(&self, closure: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Fn(&mut Tx) -> Result<Recorded<T>, Problem> + Send + 'static,
    {
        let (job, answer) = self.job(move |tx| closure(tx).map(|recorded| recorded.0));
        self.inner.to_writer(self.lane.unwrap_or(Lane::People), job).await?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Stores machine facts. For `link.rs`, `ingest.rs` and `tick.rs` of rooms only.
    pub async fn ingest<T, F>(&self, closure: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Fn(&mut Tx) -> Result<T, Problem> + Send + 'static,
    {
        let (job, answer) = self.job(closure);
        self.inner.to_writer(self.lane.unwrap_or(Lane::Agents), job).await?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// `write` from a thread without a runtime (`init`).
    pub fn write_blocking<T, F>(&self, closure: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Fn(&mut Tx) -> Result<Recorded<T>, Problem> + Send + 'static,
    {
        let (job, answer) = self.job(move |tx| closure(tx).map(|recorded| recorded.0));
        match &self.inner.inline {
            Some(inline) => inline.write_now(job),
            None => self.inner.writes.put_blocking(Lane::People, job)?,
        }
        settled(answer)
    }

    /// `read` from a thread without a runtime (start).
    pub fn read_blocking<T, F>(&self, closure: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Fn(&mut Tx) -> Result<T, Problem> + Send + 'static,
    {
        let (job, answer) = self.job(closure);
        match &self.inner.inline {
            Some(inline) => inline.read(job),
            None => self.inner.reads.put_blocking(Lane::People, job)?,
        }
        settled(answer)
    }

    fn job<T, F>(&self, closure: F) -> (BoxedJob, oneshot::Receiver<Result<T, Problem>>)
    where
        T: Send + 'static,
        F: Fn(&mut Tx) -> Result<T, Problem> + Send + 'static,
    {
        job::boxed(closure, self.inner.feed.clone())
    }

    /// Finishes what is queued, folds the log into the database file and ends the threads. Blocks.
    pub fn close(&self) {
        self.inner.writes.close();
        self.inner.reads.close();
        let threads = std::mem::take(&mut *self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has nothing left to fold in; its askers have had their answer.
            let _ = thread.join();
        }
    }
}

impl Inner {
    async fn to_writer(&self, lane: Lane, job: BoxedJob) -> Result<(), Problem> {
        match &self.inline {
            Some(inline) => inline.write(job).await,
            None => self.writes.put(lane, job).await?,
        }
        Ok(())
    }

    async fn to_readers(&self, job: BoxedJob) -> Result<(), Problem> {
        match &self.inline {
            Some(inline) => inline.read(job),
            None => self.reads.put(Lane::People, job).await?,
        }
        Ok(())
    }
}

/// Waits for an answer on a thread without a runtime; one that is there already is taken on any thread.
fn settled<T>(mut answer: oneshot::Receiver<Result<T, Problem>>) -> Result<T, Problem> {
    match answer.try_recv() {
        Ok(answer) => answer,
        Err(TryRecvError::Empty) => answer.blocking_recv().unwrap_or_else(|_| Err(gone())),
        Err(TryRecvError::Closed) => Err(gone()),
    }
}
