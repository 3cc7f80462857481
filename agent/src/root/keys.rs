//! SSH of a cell: its own host key, and the complete set of keys that may enter.

use super::fault::{Doing, Fault};
use super::state::replace;
use super::tools;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

const HOST_KEY: &str = "host_key";
const AUTHORIZED: &str = "authorized_keys";

/// A cell can have SSH on this node.
pub(super) fn possible() -> bool {
    tools::find("ssh-keygen").is_some() && tools::find("sshd").is_some()
}

/// Makes the directory with a fresh host key and the keys; the answer is the public half, `type base64`.
pub(super) fn make(dir: &Path, keys: &[String], owner: u32) -> Result<String, Fault> {
    fs::create_dir_all(dir).doing("make the directory of the SSH keys")?;
    fs::set_permissions(dir, Permissions::from_mode(0o755)).doing("open the directory of the SSH keys")?;
    let key = dir.join(HOST_KEY);
    if !key.exists() {
        let path = key.to_str().ok_or_else(|| Fault::new("failed", "make a host key", "its path is not UTF-8"))?;
        tools::run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], "")?;
    }
    chown(&key, Some(owner), Some(owner)).doing("own the host key")?;
    let public = fs::read_to_string(dir.join("host_key.pub")).doing("read the host key")?;
    set(dir, keys, owner)?;
    let words: Vec<&str> = public.split_whitespace().take(2).collect();
    Ok(words.join(" "))
}

/// Replaces the complete set at once.
pub(super) fn set(dir: &Path, keys: &[String], owner: u32) -> Result<(), Fault> {
    let mut text = String::new();
    for key in keys {
        if key.chars().any(char::is_control) {
            return Err(Fault::new("bad_key", "set the SSH keys", "a key must be one line"));
        }
        text.push_str(key);
        text.push('\n');
    }
    let path = dir.join(AUTHORIZED);
    replace(&path, text.as_bytes(), 0o600).doing("write the SSH keys")?;
    // Between the rename and here sshd refuses everybody, for less than a millisecond.
    chown(&path, Some(owner), Some(owner)).doing("own the SSH keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_is_whole_and_a_key_is_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let me = nix::unistd::getuid().as_raw();
        set(dir.path(), &["ssh-ed25519 A".into(), "ssh-ed25519 B".into()], me).unwrap();
        let read = || fs::read_to_string(dir.path().join(AUTHORIZED)).unwrap();
        assert_eq!(read(), "ssh-ed25519 A\nssh-ed25519 B\n");
        assert!(set(dir.path(), &["a\nb".into()], me).is_err());
        assert_eq!(read(), "ssh-ed25519 A\nssh-ed25519 B\n");
        set(dir.path(), &[], me).unwrap();
        assert_eq!(read(), "");
    }
}
