//! The `muster` command with a profile of its own.

use crate::binary;
use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

/// One profile.
#[derive(Debug)]
pub struct Cli {
    profile: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug)]
pub struct Output {
    /// Exit code; -1 for a signal.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Output {
    /// Standard output of a success.
    ///
    /// # Panics
    /// If it failed.
    #[must_use]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "out: {}\nerr: {}", self.out, self.err);
        self.out
    }
}

impl Default for Cli {
    fn default() -> Self {
        Self { profile: tempfile::tempdir().expect("a folder") }
    }
}

impl Cli {
    /// A profile that is signed in.
    ///
    /// # Panics
    /// If the door refuses.
    #[must_use]
    pub fn login(url: &str, username: &str, password: &str, operator: bool) -> Self {
        let cli = Self::default();
        let mut args = vec!["login", "--url", url, "--username", username, "--password-stdin"];
        if operator {
            args.push("--operator");
        }
        let _ = cli.run_with(&args, password.as_bytes()).ok();
        cli
    }

    /// The command, ready for more.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary("muster"));
        let path = format!("{}:{}", bin_dir().display(), std::env::var("PATH").unwrap_or_default());
        command.args(args).env("MUSTER_CONFIG_DIR", self.profile.path()).env("PATH", path);
        command
    }

    /// Runs to the end without input.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Output {
        self.run_with(args, b"")
    }

    /// Runs to the end with input.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn run_with(&self, args: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("muster starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // A command that does not read its input closes the pipe: that is its right.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().expect("muster ends");
        writer.join().expect("the writer ends");
        Output {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The answer of a `--json` command.
    ///
    /// # Panics
    /// If it failed or is no JSON.
    #[must_use]
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let mut args = args.to_vec();
        args.push("--json");
        serde_json::from_str(&self.run(&args).ok()).expect("--json prints JSON")
    }
}

fn bin_dir() -> PathBuf {
    binary("muster").parent().expect("a folder").to_path_buf()
}
