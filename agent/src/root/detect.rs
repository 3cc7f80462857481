//! What this machine lets us build, and why not more: for `doctor`, the inventory and the choice of a level.

use super::cgroup::Hierarchies;
use super::config::RootConfig;
use super::words::Level;
use super::{home, keys, net};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use serde::Serialize;
use std::fs;
use std::path::Path;

/// What is left to do where nothing of this can be changed.
const WITHOUT_WALLS: &str =
    "; for development without walls: isolation = \"none\" in agent.toml (muster demo --isolation none)";

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Detected {
    /// Walls and limits that cannot be held at the wanted level, each a word.
    pub not_enforced: Vec<String>,
    /// One line for each thing worth knowing, for people.
    pub notes: Vec<String>,
    /// Why the wanted level cannot be had at all; none: it can.
    pub obstacle: Option<String>,
}

/// Looks at the machine for the wanted level. Changes nothing.
#[must_use]
pub fn detect(config: &RootConfig) -> Detected {
    let mut found = Detected::default();
    match config.level {
        Level::Cell => cell(config, &mut found),
        Level::Userns => userns(&mut found),
        Level::None => {
            let words = ["cpu", "memory", "pids", "disk", "devices", "filesystem", "network", "processes"];
            found.not_enforced.extend(words.map(str::to_owned));
            found.notes.push("isolation none: cells are ordinary processes of this user, without any wall".into());
        }
    }
    if !keys::possible() {
        found.not_enforced.push("ssh".into());
        found.notes.push("no SSH into cells: install openssh-server (it need not run) and openssh-client".into());
    }
    found
}

/// The strongest level that this process can give: `cell` as root, else `userns` where that works.
#[must_use]
pub fn best_level() -> Option<Level> {
    if nix::unistd::geteuid().is_root() {
        return Some(Level::Cell);
    }
    user_namespaces_forbidden().is_none().then_some(Level::Userns)
}

fn cell(config: &RootConfig, found: &mut Detected) {
    if !nix::unistd::geteuid().is_root() {
        found.obstacle = Some("it needs root: run as root, or leave `isolation` out".into());
    }
    if let Some(why) = user_namespaces_limit() {
        found.obstacle.get_or_insert(why + WITHOUT_WALLS);
    }
    let hierarchies = Hierarchies::find();
    let v2 =
        hierarchies.v2.as_ref().map(|point| fs::read_to_string(point.join("cgroup.controllers")).unwrap_or_default());
    for controller in ["cpu", "memory", "pids"] {
        let in_v2 = v2.as_ref().is_some_and(|have| have.split_whitespace().any(|name| name == controller));
        let in_v1 = hierarchies.v1.iter().any(|(name, _)| name == controller);
        if !in_v2 && !in_v1 {
            found.not_enforced.push(controller.into());
            found.notes.push(format!("no control group offers {controller}: cells are not limited in it"));
        } else if !in_v2 {
            found.notes.push(format!("{controller} is limited through control groups version 1"));
        }
    }
    if !home::can_loop() {
        found.not_enforced.push("disk".into());
        found.notes.push("homes are folders without a limit: needs /dev/loop-control and mkfs.ext4".into());
    }
    if let Some(why) = net::missing() {
        found.not_enforced.push("network_out".into());
        found.notes.push(format!("cells have their loopback only: {why}"));
    } else if !config.settings.network {
        found.not_enforced.push("network_out".into());
        found.notes.push("cells have their loopback only: cell.network is off".into());
    }
}

fn userns(found: &mut Detected) {
    found.obstacle = user_namespaces_forbidden().map(|why| why + WITHOUT_WALLS);
    found.not_enforced.extend(["cpu", "memory", "pids", "disk", "network_out"].map(str::to_owned));
    found.notes.push("isolation userns: no limits on CPU, memory, processes and disk; loopback only".into());
}

fn user_namespaces_limit() -> Option<String> {
    let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    (read("/proc/sys/user/max_user_namespaces").as_deref() == Some("0")).then(|| {
        "user namespaces are switched off: sysctl user.max_user_namespaces is 0; set it to 10000 or more".into()
    })
}

/// Tries a user namespace with everything a cell needs in it; the answer names the setting that forbids it.
#[must_use]
pub fn user_namespaces_forbidden() -> Option<String> {
    if let Some(why) = user_namespaces_limit() {
        return Some(why);
    }
    let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    if read("/proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        return Some(
            "ordinary users may not make user namespaces: sysctl kernel.unprivileged_userns_clone is 0; set it to 1"
                .into(),
        );
    }
    let failed = trial()?;
    if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        return Some(
            "AppArmor restricts user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns is 1; set it \
             to 0, or give muster-agent an AppArmor profile with `userns,`"
                .into(),
        );
    }
    let container = Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists();
    let hint = if container { " (inside a container: its seccomp profile or masked /proc forbids it)" } else { "" };
    Some(format!("user namespaces do not work here: {failed}{hint}"))
}

/// Unshares in a child that does nothing else; safe in a process with threads.
fn trial() -> Option<String> {
    // SAFETY: the child makes plain system calls only, none of which takes a lock.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            // One after the other, and then used: AppArmor may let the first pass and empty it of its rights.
            let tried = unshare(CloneFlags::CLONE_NEWUSER)
                .and_then(|()| unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET))
                .and_then(|()| {
                    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
                    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
                });
            let code = tried.map_or_else(|errno| errno as i32, |()| 0);
            // SAFETY: ends the child without running what belongs to the parent.
            unsafe { libc::_exit(code) }
        }
        Ok(ForkResult::Parent { child }) => match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, 0)) => None,
            Ok(WaitStatus::Exited(_, code)) => Some(nix::errno::Errno::from_raw(code).to_string()),
            other => Some(format!("the trial ended with {other:?}")),
        },
        Err(error) => Some(error.to_string()),
    }
}
