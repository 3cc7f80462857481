//! Terminals and pipes.

use super::spawn::ChildStdio;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::pty::Winsize;
use nix::unistd::{Gid, Uid, fchown, pipe2};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

nix::ioctl_write_ptr_bad!(tiocswinsz, libc::TIOCSWINSZ, Winsize);
nix::ioctl_write_ptr_bad!(tiocsptlck, libc::TIOCSPTLCK, libc::c_int);
nix::ioctl_read_bad!(tiocgpgrp, libc::TIOCGPGRP, libc::pid_t);

/// Size of a terminal that nobody gave a size.
const DEFAULT_SIZE: (u16, u16) = (80, 24);

/// Opens a terminal of the cell's own `/dev/pts` for the account `owner`: the master, not blocking, and what
/// the child gets.
pub(super) fn open_terminal(cols: u32, rows: u32, owner: (u32, u32)) -> io::Result<(OwnedFd, ChildStdio)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let master = nix::fcntl::open("/dev/ptmx", flags, nix::sys::stat::Mode::empty())?;
    // SAFETY: unlocks the slave of a master that was opened just now.
    unsafe { tiocsptlck(master.as_raw_fd(), &0) }?;
    // By descriptor and not by name, so that no path of the cell has to be trusted.
    // SAFETY: TIOCGPTPEER takes open flags and returns a new descriptor.
    let slave =
        unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
    if slave < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that the kernel has just made for us.
    let slave = unsafe { OwnedFd::from_raw_fd(slave) };
    let slave = File::from(slave);
    let stat = nix::sys::stat::fstat(&slave)?;
    if (stat.st_uid, stat.st_gid) != owner {
        fchown(&slave, Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)))?;
    }
    nix::sys::stat::fchmod(&slave, nix::sys::stat::Mode::from_bits_truncate(0o600))?;
    resize(&master, cols, rows)?;
    Ok((master, ChildStdio::Terminal(slave.into())))
}

/// Sets the size; zero means the default. The kernel tells the foreground programs.
pub(super) fn resize(master: &impl AsRawFd, cols: u32, rows: u32) -> io::Result<()> {
    let size = |given: u32, default: u16| match u16::try_from(given) {
        Ok(0) => default,
        Ok(given) => given,
        Err(_) => u16::MAX,
    };
    let size =
        Winsize { ws_col: size(cols, DEFAULT_SIZE.0), ws_row: size(rows, DEFAULT_SIZE.1), ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: `size` outlives the call.
    unsafe { tiocswinsz(master.as_raw_fd(), &size) }?;
    Ok(())
}

/// The process group that the terminal's keys go to.
pub(super) fn foreground(master: &impl AsRawFd) -> Option<nix::unistd::Pid> {
    let mut group: libc::pid_t = 0;
    // SAFETY: `group` outlives the call.
    unsafe { tiocgpgrp(master.as_raw_fd(), &mut group) }.ok()?;
    (group > 1).then(|| nix::unistd::Pid::from_raw(group))
}

/// Our ends of a command's pipes, not blocking.
#[derive(Debug)]
pub(super) struct PipeEnds {
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// Pipes for a command; without `stdin` it reads from `/dev/null`.
pub(super) fn open_pipes(stdin: bool) -> io::Result<(PipeEnds, ChildStdio)> {
    let (child_in, our_in) = if stdin {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        set_nonblocking(&write)?;
        (read, Some(write))
    } else {
        (File::open("/dev/null")?.into(), None)
    };
    let (stdout, child_out) = pipe2(OFlag::O_CLOEXEC)?;
    let (stderr, child_err) = pipe2(OFlag::O_CLOEXEC)?;
    set_nonblocking(&stdout)?;
    set_nonblocking(&stderr)?;
    let ours = PipeEnds { stdin: our_in, stdout, stderr };
    Ok((ours, ChildStdio::Three { stdin: child_in, stdout: child_out, stderr: child_err }))
}

/// Makes reads and writes return instead of wait.
pub(super) fn set_nonblocking(fd: &impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
