//! What is done to a world's coordinator and its database from the command line, whatever the engine.

use crate::{World, binary, signal, wait::eventually_within};
use nix::sys::signal::Signal;
use std::{fs, path::PathBuf, process::Command, process::Output, time::Duration};

const GONE_WITHIN: Duration = Duration::from_secs(30);
/// The files of a SQLite database.
const FILES: [&str; 3] = ["muster.db", "muster.db-wal", "muster.db-shm"];

impl World {
    /// Runs `muster-coordinator` with the world's database, as an operator at the machine would.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn coordinator(&self, args: &[&str]) -> Output {
        let mut command = Command::new(binary("muster-coordinator"));
        command.args(args).env_remove("MUSTER_DATABASE").env_remove("MUSTER_DATA_DIR");
        command.envs(self.database().map(|database| ("MUSTER_DATABASE", database.url())));
        command.output().expect("muster-coordinator starts")
    }

    /// `kill -9` of the coordinator, something done meanwhile, and the next coordinator. The nodes know nothing.
    pub async fn without_coordinator(&self, act: impl FnOnce(&Self)) {
        // A demo that stands still starts nothing again.
        signal(self.pid(), Signal::SIGSTOP);
        let killed = self.kill_coordinator();
        eventually_within(GONE_WITHIN, "the coordinator is gone", async || {
            let stat = fs::read_to_string(format!("/proc/{killed}/stat")).unwrap_or_default();
            stat.rsplit(')').next().is_none_or(|rest| rest.is_empty() || rest.starts_with(" Z")).then_some(())
        })
        .await;
        act(self);
        signal(self.pid(), Signal::SIGCONT);
        self.coordinator_is_back(killed).await;
    }

    /// Runs a script in the database of a coordinator that does not run.
    ///
    /// # Panics
    /// If it fails.
    pub fn sql(&self, script: &str) {
        match self.database() {
            Some(database) => database.run(script),
            None => {
                let db = rusqlite::Connection::open(self.data_dir().join(FILES[0])).expect("the database");
                db.execute_batch(script).expect("a script");
            }
        }
    }

    /// Keeps the database of a coordinator that does not run.
    ///
    /// # Panics
    /// If it cannot.
    pub fn keep_database(&self) {
        match self.database() {
            Some(database) => database.keep(),
            None => {
                let kept = self.dir().join("kept");
                fs::create_dir_all(&kept).expect("a folder");
                for name in FILES.iter().filter(|name| self.data_dir().join(name).exists()) {
                    let _ = fs::copy(self.data_dir().join(name), kept.join(name)).expect("a copy");
                }
            }
        }
    }

    /// Makes the database what it was when it was kept.
    ///
    /// # Panics
    /// If it cannot.
    pub fn put_back_database(&self) {
        match self.database() {
            Some(database) => database.put_back(),
            None => {
                for name in FILES {
                    let _ = fs::remove_file(self.data_dir().join(name));
                    let kept = self.dir().join("kept").join(name);
                    if kept.exists() {
                        let _ = fs::copy(kept, self.data_dir().join(name)).expect("a copy");
                    }
                }
            }
        }
    }

    /// Loses everything that the coordinator has.
    ///
    /// # Panics
    /// If it cannot.
    pub fn lose_coordinator(&self) {
        fs::remove_dir_all(self.data_dir()).expect("the data directory");
        if let Some(database) = self.database() {
            database.clear();
        }
    }

    /// The coordinator's data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir().join("demo/coordinator")
    }
}
