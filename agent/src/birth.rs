//! Children that are born in a control group of version 2. To move there takes a lock over all forks of the machine
//! and an RCU grace period, some ten milliseconds; to be born there takes nothing.

use nix::{
    errno::Errno,
    fcntl::{OFlag, openat},
    libc,
    sys::stat::Mode,
    unistd::{ForkResult, Pid, fork},
};
use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::{AsRawFd as _, OwnedFd},
};

/// By number: it does not fit the type that the C library's other flags have.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks, and says whether the child is in the group already. It is not where the kernel refuses that: the group is
/// full, say, which does not keep a process from moving there.
///
/// # Safety
/// As [`fork`]: with other threads the child may only call what is async-signal-safe.
///
/// # Errors
/// There can be no child.
pub(crate) unsafe fn fork_into(group: Option<&OwnedFd>) -> Result<(ForkResult, bool), Errno> {
    if let Some(Ok(forked)) = group.map(clone_into) {
        return Ok((forked, true));
    }
    // SAFETY: the caller's.
    unsafe { fork() }.map(|forked| (forked, false))
}

fn clone_into(group: &OwnedFd) -> Result<ForkResult, Errno> {
    // SAFETY: all zero is a valid request, that of `fork`.
    let mut how: libc::clone_args = unsafe { std::mem::zeroed() };
    how.flags = CLONE_INTO_CGROUP;
    how.exit_signal = libc::SIGCHLD as u64;
    how.cgroup = group.as_raw_fd() as u64;
    // SAFETY: `how` outlives the call, and without CLONE_VM the child has its own copy of everything, as after `fork`.
    let pid = Errno::result(unsafe { libc::syscall(libc::SYS_clone3, &raw const how, size_of::<libc::clone_args>()) })?;
    match i32::try_from(pid) {
        Ok(0) => Ok(ForkResult::Child),
        Ok(pid) => Ok(ForkResult::Parent { child: Pid::from_raw(pid) }),
        Err(_) => Err(Errno::ERANGE),
    }
}

/// Moves this process into the group whose directory this is.
///
/// # Errors
/// As the kernel says.
pub(crate) fn move_to(group: &OwnedFd) -> io::Result<()> {
    let procs = openat(group, "cgroup.procs", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    File::from(procs).write_all(b"0")
}
