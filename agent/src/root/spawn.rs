//! From a prepared cell to its PID 1: namespaces, file tree, limits, and `muster-agent cell` in them.
//!
//! The caller is a worker process that does nothing else: it may leave its namespaces for good. Until it
//! hands over the configuration, PID 1 waits; if the worker dies before, PID 1 ends by itself.

use super::fault::{Doing, Fault};
use super::mounts::{self, Shape};
use super::net;
use super::words::Level;
use crate::birth;
use muster_protocol::ids::AllocationId;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::unistd::{ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, pipe2, setsid};
use std::ffi::{CString, c_char};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// Open files a cell may have.
pub(super) const NOFILE: u64 = 1_048_576;

/// What PID 1 is given, all of it open already.
#[derive(Debug)]
pub(super) struct Start {
    /// Whose cell.
    pub(super) allocation: AllocationId,
    /// Absent: no walls, level `none`.
    pub(super) shape: Option<Shape>,
    pub(super) level: Level,
    /// What is written to enter `init`, one per hierarchy of version 1.
    pub(super) enter: Vec<File>,
    /// The directory of `init` in version 2.
    pub(super) group: Option<OwnedFd>,
    /// Descriptors that `muster-agent cell` inherits under their numbers.
    pub(super) inherit: Vec<OwnedFd>,
    /// Its stdout and stderr.
    pub(super) log: File,
}

/// PID 1, waiting for its configuration.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) pid: i32,
    /// The configuration goes here; closing it unwritten ends PID 1.
    pub(super) config: File,
}

/// Leaves the caller's user namespace for a new one in which it is root; level `userns`.
pub(super) fn become_own_root() -> Result<(), Fault> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    unshare(CloneFlags::CLONE_NEWUSER).doing("make a user namespace")?;
    fs::write("/proc/self/setgroups", "deny").doing("give up to change groups")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1")).doing("map the user")?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).doing("map the group")
}

/// Starts PID 1. The network namespace is the caller's present one if `own_network` is false.
pub(super) fn start(start: Start, own_network: bool) -> Result<Started, Fault> {
    let exe = File::open("/proc/self/exe").doing("open the agent's own binary")?;
    let (config_read, config_write) = pipe2(OFlag::O_CLOEXEC).doing("make a pipe")?;
    let (failure_read, failure_write) = pipe2(OFlag::O_CLOEXEC).doing("make a pipe")?;
    if start.level != Level::None {
        let mut spaces = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
        spaces.set(CloneFlags::CLONE_NEWNET, own_network);
        unshare(spaces).doing("make namespaces")?;
    }
    // SAFETY: a worker has one thread, so the child may call whatever it likes.
    let (forked, in_group) = unsafe { birth::fork_into(start.group.as_ref()) }.doing("start PID 1")?;
    match forked {
        ForkResult::Child => {
            drop((config_write, failure_read));
            let fault = match become_cell(&start, in_group, &exe, &config_read) {
                Err(fault) => fault,
                Ok(never) => match never {},
            };
            // Nobody left to tell if the worker is gone.
            let _ = File::from(failure_write).write_all(fault.to_string().as_bytes());
            // SAFETY: ends the child without running what belongs to the parent.
            unsafe { libc::_exit(1) }
        }
        ForkResult::Parent { child } => {
            drop((config_read, failure_write, start));
            let mut words = String::new();
            // Ends with the exec, which closes the other end, or with a reason.
            File::from(failure_read).read_to_string(&mut words).doing("hear from PID 1")?;
            if words.is_empty() {
                Ok(Started { pid: child.as_raw(), config: File::from(config_write) })
            } else {
                Err(Fault::new("create_failed", "PID 1", words))
            }
        }
    }
}

fn become_cell(start: &Start, in_group: bool, exe: &File, config: &OwnedFd) -> Result<std::convert::Infallible, Fault> {
    if let Some(group) = start.group.as_ref().filter(|_| !in_group) {
        birth::move_to(group).doing("enter the control group")?;
    }
    for mut group in &start.enter {
        group.write_all(b"0").doing("enter the control group")?;
    }
    setsid().doing("leave the agent's session")?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    if let Some(shape) = &start.shape {
        unshare(CloneFlags::CLONE_NEWNS).doing("make namespaces")?;
        nix::unistd::sethostname(&shape.host_name).doing("set the host name")?;
        net::loopback_up().doing("bring the loopback up")?;
    }
    new_keyring();
    limits();
    let null = File::open("/dev/null").doing("open /dev/null")?;
    dup2_stdin(&null).doing("close stdin")?;
    dup2_stdout(&start.log).doing("redirect stdout")?;
    dup2_stderr(&start.log).doing("redirect stderr")?;
    if let Some(shape) = &start.shape {
        mounts::build(shape)?;
    }
    for fd in start.inherit.iter().map(AsFd::as_fd).chain([config.as_fd()]) {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).doing("hand a descriptor over")?;
    }
    if let Some(shape) = &start.shape {
        // The tree belongs to id 0 only in a user namespace that an ordinary user made.
        keep_few_rights(shape.root_id == 0).doing("give up rights")?;
    }
    execute(exe, config.as_raw_fd(), start.allocation)
}

/// What PID 1 starts with: to own terminals, signal payloads and map their ids (chown, fowner, kill, setgid,
/// setuid), to make their user namespace where that takes root (`sys_admin`), and to give the last two up then
/// (setpcap). As the maker of that namespace it has every right over it.
const RIGHTS: [libc::c_ulong; 7] = [0, 3, 5, 6, 7, 8, 21];
/// Setfcap, without which the root of a user namespace may not appear in one below it.
const TO_MAP_ROOT: libc::c_ulong = 31;

fn keep_few_rights(by_user: bool) -> nix::Result<()> {
    for right in 0..64 {
        if RIGHTS.contains(&right) || (by_user && right == TO_MAP_ROOT) {
            continue;
        }
        // SAFETY: plain numbers.
        match nix::errno::Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, right, 0, 0, 0) }) {
            // Past the last right that this kernel knows.
            Err(nix::errno::Errno::EINVAL) => break,
            done => drop(done?),
        }
    }
    Ok(())
}

/// A keyring of its own, so that the node's session keys are not the cell's.
fn new_keyring() {
    const JOIN_SESSION: libc::c_long = 1;
    // SAFETY: a number and no name. Kernels without keyrings refuse, and have nothing to keep apart.
    unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION, std::ptr::null::<c_char>()) };
}

/// As far as they may be set: an ordinary user keeps what it has.
fn limits() {
    for (resource, wanted) in [(Resource::RLIMIT_NOFILE, NOFILE), (Resource::RLIMIT_MEMLOCK, RLIM_INFINITY)] {
        let set = setrlimit(resource, wanted, wanted);
        if set.is_err()
            && let Ok((_, hard)) = getrlimit(resource)
        {
            let _ = setrlimit(resource, hard, hard);
        }
    }
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, RLIM_INFINITY);
}

/// By descriptor, since the binary's path is not in the cell. The allocation is for people who look at `ps`.
fn execute(exe: &File, config: RawFd, allocation: AllocationId) -> Result<std::convert::Infallible, Fault> {
    let text = |text: &str| CString::new(text).doing("exec");
    let words = ["muster-agent", "cell", "--config-fd", &config.to_string(), "--allocation", &allocation.to_string()];
    let arguments = words.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let environment =
        [text("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")?, text("LANG=C.UTF-8")?];
    nix::unistd::fexecve(exe, &arguments, &environment).doing("start muster-agent cell in the tree")
}
