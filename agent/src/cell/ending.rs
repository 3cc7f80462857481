//! Children and the end: reaping, signals to PID 1, and ending everything inside.

use super::daemon::Cell;
use super::session::SessionKind;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// Grace when a signal and not the agent ends the cell.
const SIGNAL_GRACE: Duration = Duration::from_secs(1);
/// Longest grace, whatever was asked.
const GRACE_MAX: Duration = Duration::from_secs(60);
/// Between two looks whether everything is gone, after it was killed.
const SWEEP: Duration = Duration::from_millis(50);
/// Time for what was killed to go; a process in an uninterruptible call may stay longer, and goes with PID 1.
const SWEEP_MAX: Duration = Duration::from_secs(2);
/// Time for viewers to take their last bytes.
const FAREWELL: Duration = Duration::from_millis(300);

/// The end of the cell, while it goes on.
#[derive(Debug)]
pub(super) struct Ending {
    reason: String,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Everyone was asked, and has until then.
    Asked(Instant),
    /// Everyone was killed; look again at the first, give up at the second.
    Killed(Instant, Instant),
    /// All are gone; viewers take their last bytes until then.
    Farewell(Instant),
    Over,
}

impl Ending {
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    pub(super) fn deadline(&self) -> Instant {
        match self.phase {
            Phase::Asked(at) | Phase::Killed(at, _) | Phase::Farewell(at) => at,
            Phase::Over => Instant::now(),
        }
    }
}

impl Cell {
    /// Takes the signals that wait for PID 1.
    pub(super) fn take_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            let from_outside = !self.is_init || signal.ssi_pid == 0;
            if signal.ssi_signo != Signal::SIGCHLD as u32 && from_outside {
                self.begin_end("signal", SIGNAL_GRACE);
            }
        }
        self.reap();
    }

    fn reap(&mut self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => self.child_ended(pid, code, ""),
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    let name = signal.as_str().trim_start_matches("SIG");
                    self.child_ended(pid, 128 + signal as i32, name);
                }
                Ok(WaitStatus::StillAlive) => break,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => {
                    self.all_gone();
                    break;
                }
            }
        }
    }

    fn child_ended(&mut self, pid: Pid, code: i32, signal: &str) {
        let running = |session: &super::session::Session| session.end.is_none() && session.pid == pid;
        if let Some(key) = self.sessions.iter().find(|(_, session)| running(session)).map(|(key, _)| *key) {
            self.session_ended(key, code, signal);
        } else if let Some(at) = self.tunnels.iter().position(|tunnel| tunnel.pid == pid) {
            self.tunnels.swap_remove(at);
            self.status_changed = true;
        }
    }

    /// The batch command has had its time.
    pub(super) fn stop_main(&mut self) {
        self.main_until = None;
        for session in self.sessions.values_mut().filter(|session| session.kind == SessionKind::Main) {
            session.reason = "max_runtime".to_owned();
            session.stop(self.now);
        }
    }

    /// Ends the cell. A second call can only shorten the grace.
    pub(super) fn begin_end(&mut self, reason: &str, grace: Duration) {
        let kill_at = self.now + grace.min(GRACE_MAX);
        match &mut self.ending {
            Some(Ending { phase: Phase::Asked(at), .. }) => *at = kill_at.min(*at),
            Some(_) => {}
            None => {
                for session in self.sessions.values_mut().filter(|session| session.end.is_none()) {
                    session.reason = reason.to_owned();
                }
                self.ending = Some(Ending { reason: reason.to_owned(), phase: Phase::Asked(kill_at) });
                for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCONT] {
                    self.signal_everyone(signal);
                }
                self.reap();
            }
        }
        if kill_at <= self.now {
            self.advance_end();
        }
    }

    /// Nobody is left below us.
    fn all_gone(&mut self) {
        if let Some(Ending { phase, .. }) = &mut self.ending
            && matches!(phase, Phase::Asked(_) | Phase::Killed(..))
        {
            *phase = Phase::Farewell(self.now + FAREWELL);
            self.advance_end();
        }
    }

    /// Goes on with the end as far as time allows.
    pub(super) fn advance_end(&mut self) {
        let now = self.now;
        let no_one_listens = !self.conns.values().any(super::conn::Conn::is_owed);
        let Some(ending) = &mut self.ending else { return };
        match ending.phase {
            Phase::Asked(at) if at <= now => {
                ending.phase = Phase::Killed(now + SWEEP, now + SWEEP_MAX);
                self.signal_everyone(Signal::SIGKILL);
                self.reap();
            }
            Phase::Killed(at, give_up) if at <= now => {
                if give_up <= now {
                    ending.phase = Phase::Farewell(now + FAREWELL);
                } else {
                    ending.phase = Phase::Killed(now + SWEEP, give_up);
                    self.signal_everyone(Signal::SIGKILL);
                    self.reap();
                }
            }
            Phase::Farewell(at) if at <= now || no_one_listens => {
                ending.phase = Phase::Over;
                self.record.ended = Some(ending.reason.clone());
                self.record.ended_at_ms = Some(super::record::now_ms());
                let _ = self.status.write_record(&self.record);
            }
            _ => {}
        }
    }

    /// Signals all processes of the cell but this one.
    fn signal_everyone(&self, signal: Signal) {
        if self.is_init {
            let _ = kill(Pid::from_raw(-1), signal);
        } else {
            let mut pids = Vec::new();
            descendants(nix::unistd::getpid().as_raw(), &mut pids);
            for pid in pids {
                let _ = kill(Pid::from_raw(pid), signal);
            }
        }
    }
}

/// All processes below `pid`. Without a PID namespace this is how they are found; orphans come to us.
fn descendants(pid: i32, found: &mut Vec<i32>) {
    let Ok(children) = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) else { return };
    for child in children.split_ascii_whitespace().filter_map(|text| text.parse().ok()) {
        if !found.contains(&child) {
            found.push(child);
            descendants(child, found);
        }
    }
}
