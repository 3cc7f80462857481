//! From PID 1 to a payload: fork, cgroup, user namespace, account, no rights, no new ones, exec.
//!
//! Nothing waits for the child: a tenant who throttles the cgroup `work` must not be able to hold up PID 1.
//! What fails on the way is said on the child's own stderr, as a shell would, and ends it with 125 (walls),
//! 126 (not executable) or 127 (not found).

use super::config::{CellConfig, IdMap, Isolation, Payload};
use super::{CellError, rights, seccomp, userns};
use crate::birth;
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{ForkResult, Gid, Pid, Uid, dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use seccompiler::BpfProgram;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Exit code when the walls could not be put up.
const WALLS_FAILED: i32 = 125;
/// Exit code when the program exists and cannot be run.
const NOT_EXECUTABLE: i32 = 126;
/// Exit code when there is no such program.
const NOT_FOUND: i32 = 127;
/// Login shell where the image lacks the one of the account.
const FALLBACK_SHELL: &CStr = c"/bin/sh";
/// Looked through for programs unless the allocation's environment says otherwise.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Stdin, stdout and stderr of a child.
#[derive(Debug)]
pub(super) enum ChildStdio {
    /// A terminal, which becomes its controlling one.
    Terminal(OwnedFd),
    Three {
        stdin: OwnedFd,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
}

/// A program to start.
#[derive(Debug)]
pub(super) struct Program {
    /// A path, or a name looked up in PATH.
    file: CString,
    argv: Vec<CString>,
    envp: Vec<CString>,
}

/// Starts payloads.
#[derive(Debug)]
pub(super) struct Spawner {
    ids: (u32, u32),
    outside_ids: (u32, u32),
    user_ns: Option<OwnedFd>,
    cgroups: Vec<File>,
    /// Directory of `work` in version 2.
    cgroup_v2: Option<OwnedFd>,
    seccomp: Option<BpfProgram>,
    /// Without a PID namespace the kernel must be asked to end children with us.
    die_with_us: bool,
    env: BTreeMap<String, String>,
    home: CString,
    shell: CString,
}

impl Spawner {
    /// Makes the user namespace and whatever else all payloads share.
    pub(super) fn new(config: &CellConfig) -> Result<Self, CellError> {
        let Payload { uid_map, gid_map, cgroup_fds, cgroup_v2_fd, nofile, memlock_unlimited, seccomp } =
            &config.payload;
        let user_ns = if uid_map.is_empty() {
            None
        } else {
            let made = userns::create(uid_map, gid_map);
            Some(made.map_err(|source| CellError::io("make the payloads' user namespace", source))?)
        };
        if let Some(nofile) = nofile {
            raise(Resource::RLIMIT_NOFILE, *nofile);
        }
        if *memlock_unlimited {
            raise(Resource::RLIMIT_MEMLOCK, libc::RLIM_INFINITY);
        }
        let user = &config.user;
        let outside = |maps: &[IdMap], id| IdMap::outside(maps, id).unwrap_or(id);
        Ok(Self {
            ids: (user.uid, user.gid),
            outside_ids: (outside(uid_map, user.uid), outside(gid_map, user.gid)),
            user_ns,
            // SAFETY: the root half opened these for this process, and nothing else here knows them.
            cgroups: cgroup_fds.iter().map(|fd| unsafe { File::from_raw_fd(*fd) }).collect(),
            // SAFETY: as above.
            cgroup_v2: cgroup_v2_fd.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
            seccomp: if *seccomp { seccomp::program() } else { None },
            die_with_us: config.isolation == Isolation::None,
            env: environment(config),
            home: c_string(user.home.as_os_str())?,
            shell: c_string(user.shell.as_os_str())?,
        })
    }

    /// Owner of a terminal, as PID 1 sees it.
    pub(super) fn terminal_owner(&self) -> (u32, u32) {
        self.outside_ids
    }

    /// The command, or the login shell if it is empty.
    pub(super) fn program(&self, command: &[String]) -> io::Result<Program> {
        let (file, argv) = match command {
            [] => {
                let shell = if is_file(&self.shell) { &self.shell } else { FALLBACK_SHELL };
                let name = shell.to_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
                (shell.to_owned(), vec![CString::new([b"-", name].concat())?])
            }
            [file, ..] => {
                let argv = command.iter().map(|arg| CString::new(arg.as_str())).collect::<Result<_, _>>()?;
                (CString::new(file.as_str())?, argv)
            }
        };
        let envp = self.env.iter().map(|(name, value)| CString::new(format!("{name}={value}")));
        Ok(Program { file, argv, envp: envp.collect::<Result<_, _>>()? })
    }

    /// Starts `program` as leader of a session of its own.
    pub(super) fn spawn(&self, program: &Program, stdio: ChildStdio) -> io::Result<Pid> {
        // SAFETY: this process has one thread, so the child may use anything the parent could.
        let (forked, in_group) = unsafe { birth::fork_into(self.cgroup_v2.as_ref()) }?;
        match forked {
            ForkResult::Parent { child } => Ok(child),
            ForkResult::Child => {
                let code = match self.enter(stdio, in_group) {
                    Ok(()) => exec(program),
                    Err((what, error)) => complain(&format!("cannot {what}: {error}"), WALLS_FAILED),
                };
                // SAFETY: ends the child without running what belongs to the parent.
                unsafe { libc::_exit(code) }
            }
        }
    }

    /// In the child: everything up to exec.
    fn enter(&self, stdio: ChildStdio, in_group: bool) -> Result<(), (&'static str, io::Error)> {
        let at = |what| move |error: Errno| (what, io::Error::from(error));
        setsid().map_err(at("begin a session"))?;
        take_stdio(stdio).map_err(at("take its stdio"))?;
        for cgroup in &self.cgroups {
            (&*cgroup).write_all(b"0\n").map_err(|error| ("join its cgroup", error))?;
        }
        if let Some(group) = self.cgroup_v2.as_ref().filter(|_| !in_group) {
            birth::move_to(group).map_err(|error| ("join its cgroup", error))?;
        }
        if let Some(user_ns) = &self.user_ns {
            setns(user_ns, CloneFlags::CLONE_NEWUSER).map_err(at("enter its user namespace"))?;
            // Here and not for PID 1: from a namespace of its own it could not put a child into `work`.
            unshare(CloneFlags::CLONE_NEWCGROUP).map_err(at("hide the groups above its own"))?;
        }
        // Running as this account already, without rights to change it (isolation `none`), is as good.
        let is_already = (Uid::effective().as_raw(), Gid::effective().as_raw()) == self.ids;
        if self.user_ns.is_some() || !is_already {
            drop_bounding_set();
            set_account(self.ids).map_err(at("become the cell's user"))?;
            rights::keep_none().map_err(at("drop its rights"))?;
        }
        // SAFETY: plain calls without pointers.
        let kept = unsafe {
            if self.die_with_us {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            }
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        };
        Errno::result(kept).map_err(at("refuse new rights"))?;
        reset_signals();
        // SAFETY: umask cannot fail, and the strings outlive the calls.
        unsafe {
            libc::umask(0o022);
            if libc::chdir(self.home.as_ptr()) < 0 {
                libc::chdir(c"/".as_ptr());
            }
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
        }
        if let Some(filter) = &self.seccomp {
            seccompiler::apply_filter(filter).map_err(|error| ("refuse system calls", io::Error::other(error)))?;
        }
        Ok(())
    }
}

fn take_stdio(stdio: ChildStdio) -> Result<(), Errno> {
    match stdio {
        ChildStdio::Terminal(slave) => {
            // SAFETY: a plain call on a descriptor that is open here.
            Errno::result(unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
            dup2_stdin(&slave)?;
            dup2_stdout(&slave)?;
            dup2_stderr(&slave)
        }
        ChildStdio::Three { stdin, stdout, stderr } => {
            dup2_stdin(&stdin)?;
            dup2_stdout(&stdout)?;
            dup2_stderr(&stderr)
        }
    }
}

/// Empties the bounding set as far as we may; without the right to, there is nothing in it to fear either.
fn drop_bounding_set() {
    for capability in 0..64 {
        // SAFETY: a plain call without pointers.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            break;
        }
    }
}

fn set_account((uid, gid): (u32, u32)) -> Result<(), Errno> {
    // SAFETY: an empty list needs no memory.
    let groups = Errno::result(unsafe { libc::setgroups(0, std::ptr::null()) });
    // Where groups may not be changed at all, an unprivileged namespace, there are none to lose.
    if let Err(error) = groups
        && error != Errno::EPERM
    {
        return Err(error);
    }
    nix::unistd::setresgid(Gid::from_raw(gid), Gid::from_raw(gid), Gid::from_raw(gid))?;
    nix::unistd::setresuid(Uid::from_raw(uid), Uid::from_raw(uid), Uid::from_raw(uid))
}

/// By the bare system call: the C library keeps some signals from being set, even back to their default.
fn reset_signals() {
    /// Signals of the kernel, and bytes of its set of them.
    const SIGNALS: i32 = 64;
    const SET_BYTES: usize = 8;
    let default = [0u64; 4];
    for signal in 1..=SIGNALS {
        // SAFETY: all zero is a valid `struct sigaction` with the default action, which installs no handler.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), SET_BYTES) };
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Replaces the child by the program. Returns the exit code if that cannot be done.
fn exec(program: &Program) -> i32 {
    let name = program.file.to_string_lossy();
    let mut failure = Errno::ENOENT;
    for file in candidates(program) {
        match execve(&file, &program.argv, &program.envp) {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::ENOEXEC => {
                let mut argv = vec![c"sh".to_owned(), file];
                argv.extend(program.argv.iter().skip(1).cloned());
                failure = execve(c"/bin/sh", &argv, &program.envp);
                break;
            }
            error => failure = error,
        }
    }
    let code = if failure == Errno::ENOENT { NOT_FOUND } else { NOT_EXECUTABLE };
    complain(&format!("{name}: {}", failure.desc()), code)
}

fn execve(file: &CStr, argv: &[CString], envp: &[CString]) -> Errno {
    match nix::unistd::execve(file, argv, envp) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

/// Paths to try, in order.
fn candidates(program: &Program) -> Vec<CString> {
    let name = program.file.as_bytes();
    if name.contains(&b'/') || name.is_empty() {
        return vec![program.file.clone()];
    }
    let path = program.envp.iter().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH=")).unwrap_or_default();
    let dirs = path.split(|byte| *byte == b':').filter(|dir| !dir.is_empty());
    dirs.filter_map(|dir| CString::new([dir, b"/", name].concat()).ok()).collect()
}

fn is_file(path: &CStr) -> bool {
    std::path::Path::new(OsStr::from_bytes(path.to_bytes())).is_file()
}

fn complain(what: &str, code: i32) -> i32 {
    let _ = io::stderr().write_all(format!("muster: {what}\n").as_bytes());
    code
}

/// Raises a limit of this process, and so of its children, as far as it may be.
fn raise(resource: Resource, wanted: rlim_t) {
    if setrlimit(resource, wanted, wanted).is_ok() {
        return;
    }
    if let Ok((_, hard)) = getrlimit(resource) {
        let _ = setrlimit(resource, hard.min(wanted), hard);
    }
}

fn environment(config: &CellConfig) -> BTreeMap<String, String> {
    let user = &config.user;
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let mut env: BTreeMap<String, String> = [
        ("HOME", path(&user.home)),
        ("USER", user.name.clone()),
        ("LOGNAME", user.name.clone()),
        ("SHELL", path(&user.shell)),
        ("PATH", DEFAULT_PATH.to_owned()),
        ("TERM", "xterm-256color".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let usable =
        |(name, value): &(&String, &String)| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
    env.extend(config.env.iter().filter(usable).map(|(name, value)| (name.clone(), value.clone())));
    env
}

fn c_string(text: &OsStr) -> Result<CString, CellError> {
    CString::new(text.as_bytes()).map_err(|_| CellError::Config("a path has a zero byte".into()))
}
