//! Giving up root's rights: `run` needs the network and nothing else.

use anyhow::{Context, bail};
use nix::unistd::{Gid, Uid, User, chown, getegid, geteuid, setgroups, setresgid, setresuid};
use std::{
    ffi::CString,
    fs,
    os::unix::fs::{PermissionsExt, lchown},
    path::Path,
};

/// The user that `run` becomes if it exists.
pub const USER: &str = "muster";
/// Files of `run` in the state directory; everything else there is the root half's.
const OURS: [&str; 9] = [
    "identity.json",
    "node.key",
    "node.pem",
    "roots.pem",
    "journal.db",
    "journal.db-wal",
    "journal.db-shm",
    "run.lock",
    "status.json",
];

/// Whom to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    name: String,
}

/// Our own ids.
#[must_use]
pub fn own_ids() -> (u32, u32) {
    (geteuid().as_raw(), getegid().as_raw())
}

/// Whom `run` becomes: nobody else if it is not root, if it is told to stay root, or without a user [`USER`].
///
/// # Errors
/// The configured user does not exist.
pub fn target(configured: Option<&str>) -> anyhow::Result<Option<Target>> {
    if !geteuid().is_root() || configured == Some("root") {
        return Ok(None);
    }
    match (User::from_name(configured.unwrap_or(USER))?, configured) {
        (Some(user), _) if user.uid.is_root() => Ok(None),
        (Some(user), _) => Ok(Some(Target { uid: user.uid.as_raw(), gid: user.gid.as_raw(), name: user.name })),
        (None, None) => Ok(None),
        (None, Some(name)) => bail!("the user `{name}` of the configuration does not exist"),
    }
}

/// Makes the state directory root's, in which the group may keep files but not replace those of others.
///
/// # Errors
/// The file system said no.
pub fn share(state_dir: &Path, gid: u32) -> anyhow::Result<()> {
    chown(state_dir, Some(Uid::from_raw(0)), Some(Gid::from_raw(gid)))
        .with_context(|| state_dir.display().to_string())?;
    fs::set_permissions(state_dir, fs::Permissions::from_mode(0o1771)).with_context(|| state_dir.display().to_string())
}

/// Gives that user its part of the state directory.
///
/// # Errors
/// The file system said no.
pub fn hand_over(state_dir: &Path, user: &Target) -> anyhow::Result<()> {
    let give = |path: &Path| {
        // Of the name and not of what it leads to: the group may exchange a file for a link at any moment.
        lchown(path, Some(user.uid), Some(user.gid)).with_context(|| path.display().to_string())
    };
    share(state_dir, user.gid)?;
    for name in OURS {
        let path = state_dir.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
            give(&path)?;
        }
    }
    Ok(())
}

/// Becomes that user for good.
///
/// # Errors
/// The kernel said no; nothing may go on then.
pub fn become_user(user: &Target) -> anyhow::Result<()> {
    let name = CString::new(user.name.as_str()).context("the user's name")?;
    let gid = Gid::from_raw(user.gid);
    // With its other groups: `video` or `render` may be what opens the GPUs.
    let groups = nix::unistd::getgrouplist(&name, gid).unwrap_or_else(|_| vec![gid]);
    setgroups(&groups).context("setgroups")?;
    setresgid(gid, gid, gid).context("setresgid")?;
    let uid = Uid::from_raw(user.uid);
    setresuid(uid, uid, uid).context("setresuid")?;
    if geteuid().is_root() || setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok() {
        bail!("root's rights are not gone");
    }
    tracing::info!(user = user.name, "gave up root's rights");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_stay_root_is_a_choice_and_an_unknown_user_an_error() {
        assert_eq!(target(Some("root")).unwrap(), None);
        if geteuid().is_root() {
            assert!(target(Some("no-such-user-here")).is_err());
        }
    }
}
