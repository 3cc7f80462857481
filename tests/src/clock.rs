//! A wrong wall clock for one process, by a library that is preloaded into it.

use std::{fs, path::PathBuf, process::Command};

/// A clock that can be set wrong.
#[derive(Debug)]
pub struct WrongClock {
    dir: tempfile::TempDir,
}

impl Default for WrongClock {
    fn default() -> Self {
        Self::new()
    }
}

impl WrongClock {
    /// One that is right so far.
    ///
    /// # Panics
    /// Without a C compiler, which the build needs as well.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("muster-clock-").tempdir().expect("a folder");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/doubles/clock.c");
        let library = dir.path().join("clock.so");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(library).arg(source).status();
        let built = built.expect("cc is installed");
        assert!(built.success(), "cc builds the double");
        let clock = Self { dir };
        clock.set(0);
        clock
    }

    /// Sets it wrong by so many seconds, from now on.
    ///
    /// # Panics
    /// If its file cannot be written.
    pub fn set(&self, seconds: i64) {
        let next = self.dir.path().join("next");
        fs::write(&next, seconds.to_string()).expect("a file");
        fs::rename(next, self.file()).expect("a file");
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("wrong-by")
    }

    /// What a process needs in its environment to go by it.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let library = self.dir.path().join("clock.so");
        vec![
            ("LD_PRELOAD".to_owned(), library.display().to_string()),
            ("WRONG_CLOCK_FILE".to_owned(), self.file().display().to_string()),
        ]
    }
}
