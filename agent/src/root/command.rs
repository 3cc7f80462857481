//! `muster-agent root`: how it is started, by `run` or by itself.

use super::config::{Door, RootConfig};
use super::detect::best_level;
use super::server::serve;
use super::words::Level;
use super::{detect, seqpacket};
use crate::args::Root;
use crate::config::Config;
use crate::privileges;
use anyhow::{Context, bail};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What the configuration says to the root half.
///
/// # Errors
/// No level of isolation can be had; the text says why and what helps.
pub fn root_config(config: &Config, state_dir: &Path, owner: (u32, u32)) -> anyhow::Result<RootConfig> {
    let wanted = config.isolation.as_deref().and_then(Level::from_word);
    // Where there is none, the weakest with walls says what stands in its way.
    let level = wanted.or_else(best_level).unwrap_or(Level::Userns);
    let absolute = |path: &Path| std::path::absolute(path).with_context(|| path.display().to_string());
    let config = RootConfig {
        state_dir: absolute(state_dir)?,
        run_dir: absolute(&config.run_dir(state_dir))?,
        level,
        owner,
        device_root: absolute(&config.gpu.dev_root)?,
        driver_mounts: config.gpu.cell_mounts.clone(),
        settings: config.cell.clone(),
    };
    match detect(&config).obstacle {
        Some(why) => bail!("isolation {}: {why}", level.word()),
        None => Ok(config),
    }
}

/// Runs the root half until its door closes.
///
/// # Errors
/// The configuration or the door is unusable.
pub fn run(arguments: &Root) -> anyhow::Result<()> {
    if arguments.end_cells {
        return super::end_cells::run(&arguments.common);
    }
    let state_dir = &arguments.common.state_dir;
    let config = Config::load(arguments.common.config.as_deref(), state_dir)?;
    let owner = match &arguments.owner {
        Some(text) => parse_owner(text).with_context(|| format!("--owner {text} is not UID:GID"))?,
        None => match privileges::target(config.user.as_deref())? {
            Some(user) => (user.uid, user.gid),
            None => privileges::own_ids(),
        },
    };
    let door = match (arguments.socket_fd, &arguments.listen) {
        (Some(fd), None) => Door::Inherited(inherited(fd)?),
        (None, Some(path)) => Door::Listen(path.clone()),
        (None, None) => Door::Listen(config.run_dir(state_dir).join("root.sock")),
        (Some(_), Some(_)) => bail!("--socket-fd and --listen exclude one another"),
    };
    let config = root_config(&config, state_dir, owner)?;
    tracing::info!(level = config.level.word(), state_dir = %config.state_dir.display(), "the root half is up");
    if config.level == Level::None {
        tracing::warn!("isolation none: cells have no walls. Never let strangers in");
    }
    Ok(serve(config, door)?)
}

fn parse_owner(text: &str) -> Option<(u32, u32)> {
    let (uid, gid) = text.split_once(':')?;
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

fn inherited(fd: RawFd) -> anyhow::Result<OwnedFd> {
    if fd < 3 {
        bail!("--socket-fd {fd} is one of the standard descriptors");
    }
    // SAFETY: only looked at; a number that is not open is refused by the kernel.
    fcntl(unsafe { BorrowedFd::borrow_raw(fd) }, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).context("--socket-fd")?;
    // SAFETY: it is open, and was handed over to us for this alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Starts a root half as a child, in a process group of its own so that Ctrl-C does not hit it, and connects.
/// It ends by itself when the returned socket is closed; its cells do not.
///
/// # Errors
/// The process could not be started.
pub fn start_half(
    exe: &Path,
    state_dir: &Path,
    config: Option<&Path>,
    owner: (u32, u32),
) -> io::Result<(Child, OwnedFd)> {
    let (ours, theirs) = seqpacket::pair()?;
    let number = theirs.as_raw_fd();
    let mut command = Command::new(exe);
    command.arg("root").arg("--state-dir").arg(state_dir).arg("--socket-fd").arg(number.to_string());
    command.arg("--owner").arg(format!("{}:{}", owner.0, owner.1));
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    command.stdin(Stdio::null()).process_group(0);
    // SAFETY: between fork and exec only fcntl is called, which is allowed there.
    unsafe {
        command.pre_exec(move || {
            fcntl(BorrowedFd::borrow_raw(number), FcntlArg::F_SETFD(FdFlag::empty()))?;
            Ok(())
        });
    }
    let child = command.spawn()?;
    Ok((child, ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_two_numbers() {
        assert_eq!(parse_owner("5:6"), Some((5, 6)));
        for bad in ["", "5", "a:b", "5:6:7", "-1:0"] {
            assert_eq!(parse_owner(bad), None, "{bad}");
        }
    }

    #[test]
    fn standard_descriptors_are_no_socket() {
        assert!(inherited(0).is_err());
        assert!(inherited(9999).is_err());
    }
}
