//! Child processes by name: started, watched, started again with a growing pause, stopped.

use anyhow::{Context, Result, bail};
use nix::{
    sys::{prctl, signal::Signal},
    unistd::Pid,
};
use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const LOOK_EVERY: Duration = Duration::from_millis(200);
const STOP_WITHIN: Duration = Duration::from_secs(10);
const RESTART_PAUSE_MIN: Duration = Duration::from_millis(200);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How much of a log is looked through for its last words, bytes.
const LAST_WORDS_MAX: u64 = 1 << 20;
/// A process that lived this long died for a new reason: its pause starts over.
const STEADY_AFTER: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Named {
    name: String,
    command: Command,
    log: PathBuf,
    /// Where its own words begin in the log, which earlier runs have written to as well.
    log_from: u64,
    child: Option<Child>,
    started: Instant,
    pause: Duration,
    restart_at: Option<Instant>,
}

/// All children of the demo.
#[derive(Debug)]
pub(super) struct Children {
    logs: PathBuf,
    supervise: bool,
    all: Vec<Named>,
}

impl Children {
    pub(super) fn new(logs: PathBuf, supervise: bool) -> Self {
        Self { logs, supervise, all: Vec::new() }
    }

    /// Starts a process that logs into its own file, ends with us and hears no Ctrl-C of the terminal.
    pub(super) fn start(&mut self, name: &str, mut command: Command) -> Result<()> {
        let log = self.logs.join(format!("{name}.log"));
        let file = fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let log_from = file.metadata()?.len();
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        // SAFETY: prctl is async-signal-safe and touches no memory of ours.
        unsafe {
            command.pre_exec(|| prctl::set_pdeathsig(Signal::SIGTERM).map_err(std::io::Error::from));
        }
        let child = command.spawn().with_context(|| format!("{} does not start", command.get_program().display()))?;
        let started = Instant::now();
        self.all.push(Named {
            name: name.to_owned(),
            command,
            log,
            log_from,
            child: Some(child),
            started,
            pause: RESTART_PAUSE_MIN,
            restart_at: None,
        });
        Ok(())
    }

    /// Process id of a child that runs.
    pub(super) fn pid(&self, name: &str) -> Option<u32> {
        self.all.iter().find(|named| named.name == name)?.child.as_ref().map(Child::id)
    }

    /// Looks once, after a short pause: restarts what died and is due.
    ///
    /// # Errors
    /// If a child died and nothing shall be restarted and none is left.
    pub(super) async fn watch(&mut self) -> Result<()> {
        tokio::time::sleep(LOOK_EVERY).await;
        for named in &mut self.all {
            named.look(self.supervise)?;
        }
        Ok(())
    }

    /// Fails with its last words if a child is dead, for the time before everything is up.
    pub(super) fn check(&mut self) -> Result<()> {
        for named in &mut self.all {
            if let Some(status) = named.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                let words = named.last_words().unwrap_or_else(|| status.to_string());
                bail!("{} ended before all was ready: {words}", named.name);
            }
        }
        Ok(())
    }

    /// Stops every child whose name begins so: TERM, then KILL.
    pub(super) async fn stop(&mut self, prefix: &str) {
        let mut going: Vec<Child> = Vec::new();
        for named in self.all.iter_mut().filter(|named| named.name.starts_with(prefix)) {
            named.restart_at = None;
            going.extend(named.child.take());
        }
        for child in &going {
            let _ = nix::sys::signal::kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        }
        let began = Instant::now();
        for mut child in going {
            while matches!(child.try_wait(), Ok(None)) {
                if began.elapsed() > STOP_WITHIN {
                    let _ = child.kill();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

impl Named {
    /// Why it ended, in its own words: the line that begins with its program's name, or the last one.
    fn last_words(&self) -> Option<String> {
        let mut text = Vec::new();
        let mut file = fs::File::open(&self.log).ok()?;
        file.seek(SeekFrom::Start(self.log_from)).ok()?;
        file.take(LAST_WORDS_MAX).read_to_end(&mut text).ok()?;
        let text = String::from_utf8_lossy(&text);
        let program = format!("{}: ", Path::new(self.command.get_program()).file_name()?.to_string_lossy());
        let lines = || text.lines().rev().map(str::trim).filter(|line| !line.is_empty());
        lines().find_map(|line| line.strip_prefix(program.as_str())).or_else(|| lines().next()).map(str::to_owned)
    }

    fn look(&mut self, supervise: bool) -> Result<()> {
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait()?
        {
            super::say(&format!("{} ended: {status}", self.name));
            self.child = None;
            if self.started.elapsed() > STEADY_AFTER {
                self.pause = RESTART_PAUSE_MIN;
            }
            self.restart_at = supervise.then(|| Instant::now() + self.pause);
            self.pause = (self.pause * 2).min(RESTART_PAUSE_MAX);
        }
        if self.restart_at.is_some_and(|at| at <= Instant::now()) {
            self.restart_at = None;
            self.started = Instant::now();
            self.child = Some(self.command.spawn()?);
            super::say(&format!("{} started again", self.name));
        }
        Ok(())
    }
}

/// Runs a command to its end with the given input; its output is shown only if it fails.
pub(super) fn run_with_input(mut command: Command, input: &[u8]) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| command.get_program().display().to_string())?;
    child.stdin.take().context("a pipe")?.write_all(input)?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
