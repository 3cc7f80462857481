//! What a cell leaves behind in its status directory: how it ended, and the batch command's last output.
//!
//! PID 1 writes both; whoever reads them treats them as untrusted, since PID 1 outlives agent versions.

use super::config::{EXIT_RECORD, MAIN_LOG};
use super::ring::Ring;
use muster_protocol::limits::CELL_LOG_MAX;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Cap of the exit record, in bytes.
const RECORD_MAX: u64 = 64 << 10;

/// How a cell, and the batch command in it, ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The allocation's id.
    pub allocation: String,
    /// The lease's epoch.
    pub lease_epoch: u64,
    /// When PID 1 began, ms since 1970 by the node's clock.
    pub started_at_ms: i64,
    /// The batch command's end; absent while it runs or if there is none.
    #[serde(default)]
    pub main: Option<MainExit>,
    /// Why PID 1 ended (`released`, …, `signal` if it was told to by one); absent if it was killed.
    #[serde(default)]
    pub ended: Option<String>,
    /// When it ended.
    #[serde(default)]
    pub ended_at_ms: Option<i64>,
}

/// End of the batch command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainExit {
    /// Exit code, or 128 + signal.
    pub code: i32,
    /// The signal's name; empty if it exited.
    pub signal: String,
    /// Why the cell ended it, `max_runtime` or the cell's own end; empty if it ended by itself.
    pub reason: String,
    /// When, ms since 1970 by the node's clock.
    pub at_ms: i64,
    /// All it ever wrote, bytes.
    pub output_bytes: u64,
}

impl ExitRecord {
    /// Reads the record from a cell's status directory; none if there is none or it makes no sense.
    #[must_use]
    pub fn read(status_dir: &Path) -> Option<Self> {
        let mut text = Vec::new();
        File::open(status_dir.join(EXIT_RECORD)).ok()?.take(RECORD_MAX).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// The last [`CELL_LOG_MAX`] bytes that the batch command wrote; empty if it wrote nothing.
///
/// # Errors
/// If the file is there and cannot be read.
pub fn read_main_log(status_dir: &Path) -> io::Result<Vec<u8>> {
    let mut file = match File::open(status_dir.join(MAIN_LOG)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(CELL_LOG_MAX as u64)))?;
    let mut bytes = Vec::new();
    file.take(CELL_LOG_MAX as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Milliseconds since 1970 by the node's clock.
pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Where a cell writes what it leaves behind.
#[derive(Debug)]
pub(super) struct StatusDir {
    dir: OwnedFd,
    log: Option<File>,
    log_len: u64,
}

impl StatusDir {
    pub(super) fn new(dir: OwnedFd) -> Self {
        Self { dir, log: None, log_len: 0 }
    }

    /// Replaces the exit record.
    pub(super) fn write_record(&self, record: &ExitRecord) -> io::Result<()> {
        self.replace(EXIT_RECORD, &[&serde_json::to_vec(record)?]).map(drop)
    }

    /// Appends output of the batch command that `ring` holds already. The file stays under twice
    /// [`CELL_LOG_MAX`].
    pub(super) fn log(&mut self, ring: &Ring, bytes: &[u8]) -> io::Result<()> {
        if self.log_len + bytes.len() as u64 > 2 * CELL_LOG_MAX as u64 {
            return self.settle_log(ring);
        }
        let mut log = match self.log.take() {
            Some(log) => log,
            None => self.open(MAIN_LOG)?,
        };
        log.write_all(bytes)?;
        self.log_len += bytes.len() as u64;
        self.log = Some(log);
        Ok(())
    }

    /// Makes the file the last [`CELL_LOG_MAX`] bytes of `ring`.
    pub(super) fn settle_log(&mut self, ring: &Ring) -> io::Result<()> {
        let (head, tail) = ring.last(CELL_LOG_MAX);
        self.log = Some(self.replace(MAIN_LOG, &[head, tail])?);
        self.log_len = (head.len() + tail.len()) as u64;
        Ok(())
    }

    fn replace(&self, name: &str, parts: &[&[u8]]) -> io::Result<File> {
        let new = format!("{name}.new");
        let mut file = self.open(&new)?;
        for part in parts {
            file.write_all(part)?;
        }
        renameat(&self.dir, new.as_str(), &self.dir, name)?;
        Ok(file)
    }

    fn open(&self, name: &str) -> io::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        Ok(openat(&self.dir, name, flags, Mode::from_bits_truncate(0o600))?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::Source;
    use super::*;

    #[test]
    fn the_log_keeps_the_last_bytes_and_stays_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let mut status = StatusDir::new(File::open(dir.path()).unwrap().into());
        let mut ring = Ring::new(4 * CELL_LOG_MAX);
        assert_eq!(read_main_log(dir.path()).unwrap(), b"");
        let mut all = Vec::new();
        for i in 0..40u32 {
            let piece = vec![i as u8; 100_000];
            ring.push(Source::Out, &piece);
            status.log(&ring, &piece).unwrap();
            all.extend(piece);
            let on_disk = std::fs::metadata(dir.path().join(MAIN_LOG)).unwrap().len();
            assert!(on_disk <= 2 * CELL_LOG_MAX as u64);
            assert_eq!(read_main_log(dir.path()).unwrap(), all[all.len().saturating_sub(CELL_LOG_MAX)..]);
        }
        status.settle_log(&ring).unwrap();
        assert_eq!(read_main_log(dir.path()).unwrap(), all[all.len() - CELL_LOG_MAX..]);
    }

    #[test]
    fn the_record_reads_back_and_garbage_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(ExitRecord::read(dir.path()), None);
        let status = StatusDir::new(File::open(dir.path()).unwrap().into());
        let record = ExitRecord { allocation: "al_x".into(), ended: Some("released".into()), ..ExitRecord::default() };
        status.write_record(&record).unwrap();
        assert_eq!(ExitRecord::read(dir.path()), Some(record));
        std::fs::write(dir.path().join(EXIT_RECORD), b"{").unwrap();
        assert_eq!(ExitRecord::read(dir.path()), None);
    }
}
