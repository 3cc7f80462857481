//! Processes of the node: signals that never hit a reused pid, and waiting for ends.

use super::state::start_time;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// A descriptor that stands for the process and becomes readable when it has ended.
pub(super) fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers and returns a descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The process with this pid, if it is still the one that started then.
pub(super) fn pidfd_of(pid: i32, started: u64) -> Option<OwnedFd> {
    let fd = pidfd(pid).ok()?;
    // Looked at after opening: from here on the descriptor cannot stand for another one.
    (start_time(pid) == Some(started)).then_some(fd)
}

/// Kills the process behind a descriptor; one that has ended is as good.
pub(super) fn kill_fd(process: &OwnedFd) {
    // SAFETY: an owned descriptor, a signal number, no information, no flags.
    unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), libc::SIGKILL, std::ptr::null::<u8>(), 0);
    }
}

/// Kills a process by pid, for pids just read from a group of ours.
pub(super) fn kill(pid: i32) {
    if let Ok(process) = pidfd(pid) {
        kill_fd(&process);
    }
}

/// Waits for the end of a process.
pub(super) fn wait_end(process: &OwnedFd, patience: Duration) -> bool {
    readable(process, patience)
}

/// Waits until there is something to read, or the other end is gone.
pub(super) fn readable(fd: &impl AsFd, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(0) if Instant::now() >= end => return false,
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
}

/// A pause between two looks at something that cannot be waited for.
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Collects children that have ended, so that none stays a zombie; (pid, exit code or 128 + signal).
pub(super) fn reap() -> Vec<(i32, i32)> {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    let mut ended = Vec::new();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => ended.push((pid.as_raw(), code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => ended.push((pid.as_raw(), 128 + signal as i32)),
            Ok(WaitStatus::StillAlive) | Err(_) => return ended,
            Ok(_) => {}
        }
    }
}

/// Runs something in a child process, which may leave its namespaces for it, and brings the answer back.
///
/// For processes with one thread only, as workers are.
pub(super) fn in_child<T, F>(work: F) -> Result<T, String>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
    F: FnOnce() -> Result<T, String>,
{
    use nix::unistd::{ForkResult, fork, pipe2};
    use std::io::{Read, Write};
    let (read, write) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|error| error.to_string())?;
    // SAFETY: the caller has one thread, so the child may call whatever it likes.
    match unsafe { fork() }.map_err(|error| error.to_string())? {
        ForkResult::Child => {
            drop(read);
            let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
                .unwrap_or_else(|_| Err("the child process panicked".into()));
            // Nobody to tell if the parent is gone.
            let _ = std::fs::File::from(write).write_all(&serde_json::to_vec(&answer).unwrap_or_default());
            // SAFETY: ends the child without running what belongs to the parent.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop(write);
            let mut text = Vec::new();
            let read = std::fs::File::from(read).read_to_end(&mut text);
            // Its answer counts, not its status.
            let _ = nix::sys::wait::waitpid(child, None);
            read.map_err(|error| error.to_string())?;
            serde_json::from_slice(&text).map_err(|_| "the child process ended without an answer".to_owned())?
        }
    }
}
