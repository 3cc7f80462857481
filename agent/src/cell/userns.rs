//! The payloads' user namespace: below PID 1's own, so that nothing they do with rights inside it reaches the
//! cell's mounts, its network or PID 1 itself.

use super::config::IdMap;
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::OwnedFd;

/// Makes a user namespace with these maps. It lives as long as the returned descriptor.
///
/// The maps are written from outside by a process with rights over the parent namespace, here us; so
/// unprivileged they can name only the one id that our own namespace has.
pub(super) fn create(uid_map: &[IdMap], gid_map: &[IdMap]) -> io::Result<OwnedFd> {
    let (mut inside_is_ready, tell_ready) = pipe_files()?;
    let (wait_for_end, tell_end) = pipe_files()?;
    // SAFETY: this process has one thread; the child calls nothing that needs another's locks.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop((inside_is_ready, tell_end));
            // Otherwise its files in /proc would belong to an id that we may not have.
            // SAFETY: a plain call without pointers.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) };
            let made = unshare(CloneFlags::CLONE_NEWUSER);
            let code = made.map_or_else(|errno| errno as i32, |()| 0);
            let _ = (&tell_ready).write_all(&code.to_ne_bytes());
            let _ = (&wait_for_end).read(&mut [0]);
            // SAFETY: ends the child without running what belongs to the parent.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop((tell_ready, wait_for_end));
            let made = finish(child, &mut inside_is_ready, uid_map, gid_map);
            drop(tell_end);
            let _ = waitpid(child, None);
            made
        }
    }
}

fn finish(child: Pid, ready: &mut File, uid_map: &[IdMap], gid_map: &[IdMap]) -> io::Result<OwnedFd> {
    let mut code = [0; 4];
    ready.read_exact(&mut code)?;
    match i32::from_ne_bytes(code) {
        0 => {}
        errno => return Err(io::Error::from_raw_os_error(errno)),
    }
    let proc = format!("/proc/{child}");
    std::fs::write(format!("{proc}/uid_map"), lines(uid_map))?;
    if let Err(error) = std::fs::write(format!("{proc}/gid_map"), lines(gid_map)) {
        // A namespace without rights over groups may map one only after it gave up to change the others.
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Err(error);
        }
        std::fs::write(format!("{proc}/setgroups"), "deny")?;
        std::fs::write(format!("{proc}/gid_map"), lines(gid_map))?;
    }
    Ok(File::open(format!("{proc}/ns/user"))?.into())
}

fn lines(maps: &[IdMap]) -> String {
    let mut text = String::new();
    for map in maps {
        let _ = writeln!(text, "{} {} {}", map.inside, map.outside, map.count);
    }
    text
}

fn pipe_files() -> io::Result<(File, File)> {
    let (read, write) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    Ok((read.into(), write.into()))
}
