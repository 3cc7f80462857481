//! From the inherited descriptors to a running loop.

use super::CellError;
use super::config::{CellConfig, Isolation};
use super::daemon::Cell;
use super::record::StatusDir;
use super::rights;
use super::spawn::Spawner;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::time::Duration;

/// `muster-agent cell --config-fd N [--allocation AL] [--state-dir DIR]`, with the arguments after `cell`. Only
/// the descriptor counts: the rest is for people who look at `ps`.
///
/// Does not return before the cell has ended.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Some(fd) = config_fd(arguments) else {
        eprintln!("muster-agent cell: is started by `muster-agent root` with --config-fd N, not by people");
        return ExitCode::from(2);
    };
    match CellConfig::from_fd(fd).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("muster-agent cell: {error}");
            ExitCode::FAILURE
        }
    }
}

fn config_fd(arguments: impl IntoIterator<Item = OsString>) -> Option<RawFd> {
    let mut arguments = arguments.into_iter();
    let mut fd = None;
    while let Some(argument) = arguments.next() {
        match argument.to_str()? {
            "--config-fd" => fd = Some(arguments.next()?.to_str()?.parse().ok().filter(|fd| *fd > 2)?),
            "--state-dir" | "--allocation" => drop(arguments.next()?),
            _ => return None,
        }
    }
    fd
}

fn run(config: CellConfig) -> Result<(), CellError> {
    let mut ready = config.ready_fd.map(|fd| File::from(inherit(fd)));
    let begun = begin(config);
    if let Some(ready) = &mut ready {
        let line = begun.as_ref().map_or_else(|error| format!("{error}\n"), |_| "ok\n".to_owned());
        let _ = ready.write_all(line.as_bytes());
    }
    drop(ready);
    begun?.run().map_err(|source| CellError::io("wait for events", source))
}

fn begin(config: CellConfig) -> Result<Cell, CellError> {
    let listener = UnixListener::from(inherit(config.listener_fd));
    listener.set_nonblocking(true).map_err(|source| CellError::io("use the listening socket", source))?;
    let status = StatusDir::new(inherit(config.status_fd));
    // Before this process hides itself: it reads its own files in /proc to make the namespace.
    let spawner = Spawner::new(&config)?;
    if config.isolation != Isolation::None {
        rights::keep_few().map_err(|source| CellError::io("give up rights", source))?;
    }
    // SAFETY: plain calls; the one string is static.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
        libc::prctl(libc::PR_SET_NAME, c"muster-cell".as_ptr());
        if config.isolation == Isolation::None {
            libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        }
    }
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        mask.add(signal);
    }
    mask.thread_block().map_err(|source| CellError::io("block signals", source))?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(|source| CellError::io("wait for signals", source))?;
    let command = config.command.clone();
    let max_runtime = config.max_runtime_s.map(Duration::from_secs);
    let mut cell = Cell::new(config, listener, signals, spawner, status)
        .map_err(|source| CellError::io("make the epoll", source))?;
    if let Some(command) = command {
        cell.open_main(&command).map_err(|source| CellError::io("start the batch command", source))?;
        cell.main_until = max_runtime.and_then(|time| cell.now.checked_add(time));
    }
    Ok(cell)
}

/// Takes over a descriptor that the root half left for us, and keeps it from payloads.
fn inherit(fd: RawFd) -> OwnedFd {
    // SAFETY: the configuration names each descriptor once, and nothing else here knows them.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: borrowed from `owned`, which lives.
    let _ = fcntl(unsafe { BorrowedFd::borrow_raw(fd) }, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
    owned
}
