//! What the agent remembers across its own death: one SQLite file, written by one thread.
//!
//! Async code hands closures to that thread and awaits them, so that a slow disk never holds up a terminal. A
//! simulation has no other thread: there a closure runs where it is asked for, when its disk lets it.

mod cells;
mod desired;
mod facts;
mod tasks;
mod usage;

pub use cells::KeptCell;
pub use desired::Held;
pub use facts::KeptFact;
pub use tasks::{KeptResult, KeptTask};
pub use usage::Leased;

use crate::clock::Word;
use rusqlite::{Connection, OptionalExtension, params};
use std::{fmt, path::Path, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::sleep,
};

/// Closures that may wait for the thread.
const WAITING_MAX: usize = 256;
/// Version of the tables; a newer file is refused.
const VERSION: i64 = 1;

/// Why the journal did not do it.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// SQLite said no.
    #[error("journal: {0}")]
    Sql(#[from] rusqlite::Error),
    /// The file was written by a newer agent.
    #[error("journal: written by a newer agent (version {0}, this one knows {VERSION})")]
    Newer(i64),
    /// A row does not decode.
    #[error("journal: {0} does not decode")]
    Damaged(&'static str),
    /// The thread is gone.
    #[error("journal: its thread has ended")]
    Gone,
    /// The file system said no.
    #[error("journal: {0}")]
    File(#[from] std::io::Error),
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle; cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    engine: Engine,
    identity: Arc<Identity>,
}

#[derive(Debug, Clone)]
enum Engine {
    /// The thread that owns the connection.
    Thread(mpsc::Sender<Job>),
    /// The connection, and how long its disk takes; in the order in which it is asked.
    Inline(Arc<Mutex<Connection>>, Disk),
}

/// How long a simulated disk takes for a piece of work: before it is done, and before its end is known.
#[derive(Clone)]
pub struct Disk(pub Arc<dyn Fn() -> (Duration, Duration) + Send + Sync>);

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

/// What never changes while the agent runs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    epoch: String,
    join_sequence: u64,
    word: Option<Word>,
}

impl Journal {
    /// Opens the file, makes it if need be, and counts this start.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let mut connection = Connection::open(path)?;
        let identity = prepare(&mut connection)?;
        let (jobs, mut queue) = mpsc::channel::<Job>(WAITING_MAX);
        std::thread::Builder::new().name("journal".into()).stack_size(512 << 10).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                job(&mut connection);
            }
        })?;
        Ok(Self { engine: Engine::Thread(jobs), identity: Arc::new(identity) })
    }

    /// The same without a thread, on a simulated disk.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open_inline(path: &Path, disk: Disk) -> Result<Self, JournalError> {
        let mut connection = Connection::open(path)?;
        let identity = prepare(&mut connection)?;
        Ok(Self { engine: Engine::Inline(Arc::new(Mutex::new(connection)), disk), identity: Arc::new(identity) })
    }

    /// Random at the creation of the file.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.identity.epoch
    }

    /// Starts of the agent on this file, this one included.
    #[must_use]
    pub fn join_sequence(&self) -> u64 {
        self.identity.join_sequence
    }

    /// The coordinator's last word about the time, as it was when the file was opened.
    #[must_use]
    pub fn word(&self) -> Option<Word> {
        self.identity.word.clone()
    }

    /// Keeps the coordinator's word about the time.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn keep_word(&self, word: Word) -> Result<(), JournalError> {
        self.call(move |connection| {
            let text = format!("{} {} {}", word.coordinator_ms, word.boot_ms, word.boot_id);
            set(connection, "clock", &text)
        })
        .await
    }

    /// Keeps what a GPU uses while nobody uses it, in bytes.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn keep_baseline(&self, uuid: String, bytes: u64) -> Result<(), JournalError> {
        self.call(move |connection| set(connection, &format!("baseline {uuid}"), &bytes.to_string())).await
    }

    /// What a GPU used when nobody used it, in bytes, if that was seen.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn baseline(&self, uuid: String) -> Result<Option<u64>, JournalError> {
        self.call(move |connection| {
            Ok(get(connection, &format!("baseline {uuid}"))?.and_then(|bytes| bytes.parse().ok()))
        })
        .await
    }

    /// Runs a closure on the connection.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let jobs = match &self.engine {
            Engine::Thread(jobs) => jobs,
            Engine::Inline(connection, disk) => {
                let mut connection = connection.lock().await;
                let (before, after) = (disk.0)();
                sleep(before).await;
                let done = work(&mut connection);
                sleep(after).await;
                return done;
            }
        };
        let (done, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // The asker may be gone; what was written stays written.
            let _ = done.send(work(connection));
        });
        jobs.send(job).await.map_err(|_| JournalError::Gone)?;
        answer.await.map_err(|_| JournalError::Gone)?
    }
}

fn prepare(connection: &mut Connection) -> Result<Identity, JournalError> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "busy_timeout", 2000)?;
    // The journal is small: a small cache keeps the agent small.
    connection.pragma_update(None, "cache_size", -256)?;
    let transaction = connection.transaction()?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > VERSION {
        return Err(JournalError::Newer(version));
    }
    if version == 0 {
        transaction.execute_batch(include_str!("schema.sql"))?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        set(&transaction, "epoch", &hex::encode(crate::chance::bytes::<16>()))?;
    }
    let epoch = get(&transaction, "epoch")?.ok_or(JournalError::Damaged("epoch"))?;
    let starts = get(&transaction, "join_sequence")?.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) + 1;
    set(&transaction, "join_sequence", &starts.to_string())?;
    let word = get(&transaction, "clock")?.and_then(|text| parse_word(&text));
    transaction.commit()?;
    tasks::interrupt_running(connection)?;
    if let Err(error) = make_room(connection) {
        tracing::warn!(%error, "no room could be set aside for a full disk");
    }
    Ok(Identity { epoch, join_sequence: starts, word })
}

/// Free pages that are kept in the file for a day when the disk is full, in bytes.
const ROOM: i64 = 1 << 20;

/// Makes room, in the file and in its log: what has to be written on a full disk overwrites it. Free pages that are
/// there already are used again.
fn make_room(connection: &Connection) -> Result<(), JournalError> {
    connection.execute_batch("DROP TABLE IF EXISTS room")?;
    // In two transactions: pages that are made and freed in one are never written, and so belong to nobody.
    let made = connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; CREATE TABLE room (filler BLOB); INSERT INTO room VALUES (zeroblob({ROOM})); COMMIT;
         DROP TABLE room; PRAGMA wal_checkpoint(RESTART);"
    ));
    if made.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    Ok(made?)
}

fn parse_word(text: &str) -> Option<Word> {
    let mut parts = text.splitn(3, ' ');
    Some(Word {
        coordinator_ms: parts.next()?.parse().ok()?,
        boot_ms: parts.next()?.parse().ok()?,
        boot_id: parts.next()?.to_owned(),
    })
}

fn set(connection: &Connection, key: &str, value: &str) -> Result<(), JournalError> {
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        params![key, value],
    )?;
    Ok(())
}

fn get(connection: &Connection, key: &str) -> Result<Option<String>, JournalError> {
    Ok(connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_start_is_counted_and_the_epoch_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let first = Journal::open(&path).unwrap();
        let word = Word { coordinator_ms: 5, boot_ms: 6, boot_id: "b".into() };
        first.keep_word(word.clone()).await.unwrap();
        first.keep_baseline("GPU-1".into(), 7).await.unwrap();
        assert_eq!(first.baseline("GPU-1".into()).await.unwrap(), Some(7));
        assert_eq!(first.baseline("GPU-2".into()).await.unwrap(), None);
        let second = Journal::open(&path).unwrap();
        assert_eq!((first.epoch(), first.join_sequence() + 1), (second.epoch(), second.join_sequence()));
        assert_eq!(second.word(), Some(word));
    }

    #[test]
    fn a_newer_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", VERSION + 1).unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::Newer(_))));
    }
}
