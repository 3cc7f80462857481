//! Where a person is signed in: one file a profile, the console and the operator door side by side.
//!
//! The folder is `MUSTER_CONFIG_DIR`, else `$XDG_CONFIG_HOME/muster`, else `~/.config/muster`. The file holds
//! tokens, so it is made with mode 0600 and replaced atomically; a lock file beside it orders refreshes,
//! because a refresh token works once and its replay ends the whole sign-in.

use crate::error::{Error, Result};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// One of the coordinator's two origins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// For users and tenants.
    Console,
    /// For staff.
    Operator,
}

/// One sign-in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Origin of the door, without a slash at its end.
    pub url: String,
    /// PEM file of the only roots to trust; absent: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Who.
    pub username: String,
    /// Bearer.
    pub access_token: String,
    /// Works once.
    pub refresh_token: String,
    /// When the bearer ends, ms since 1970 by this machine's clock.
    pub expires_at_ms: i64,
}

/// What the file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logins {
    /// At the console door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<Login>,
    /// At the operator door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<Login>,
}

impl Logins {
    /// The sign-in at one door.
    #[must_use]
    pub fn at(&self, door: Door) -> Option<&Login> {
        match door {
            Door::Console => self.console.as_ref(),
            Door::Operator => self.operator.as_ref(),
        }
    }

    /// Its place in the file.
    pub fn at_mut(&mut self, door: Door) -> &mut Option<Login> {
        match door {
            Door::Console => &mut self.console,
            Door::Operator => &mut self.operator,
        }
    }
}

/// The folder of a profile.
#[derive(Debug, Clone)]
pub struct Profile {
    dir: PathBuf,
}

impl Profile {
    /// The profile that the environment names.
    ///
    /// # Errors
    /// If neither `MUSTER_CONFIG_DIR` nor a home is set.
    pub fn from_env() -> Result<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let dir = set("MUSTER_CONFIG_DIR")
            .or_else(|| set("XDG_CONFIG_HOME").map(|dir| dir.join("muster")))
            .or_else(|| set("HOME").map(|home| home.join(".config/muster")))
            .ok_or_else(|| Error::client("no place for the configuration: set MUSTER_CONFIG_DIR"))?;
        Ok(Self { dir })
    }

    /// The profile in a folder.
    #[must_use]
    pub fn in_dir(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn file(&self) -> PathBuf {
        self.dir.join("logins.toml")
    }

    /// What is stored; nothing if there is no file.
    ///
    /// # Errors
    /// If the file cannot be read or is not ours.
    pub fn load(&self) -> Result<Logins> {
        let path = self.file();
        match fs::read_to_string(&path) {
            // What toml says of the place would quote it, and with it a token.
            Ok(text) => toml::from_str(&text).map_err(|error| {
                let (path, why) = (path.display(), error.message());
                Error::client(format!("{path} is damaged ({why}): move it away and sign in again"))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Logins::default()),
            Err(error) => Err(Error::client(format!("{}: {error}", path.display()))),
        }
    }

    /// Waits for the lock, so that one process at a time reads, refreshes and writes.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn lock(&self) -> Result<Locked<'_>> {
        let said = |error: &dyn std::fmt::Display| Error::client(format!("{}: {error}", self.dir.display()));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(|error| said(&error))?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.dir.join("lock"))
            .map_err(|error| said(&error))?;
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| said(&error))?;
        Ok(Locked { profile: self, _lock: lock })
    }
}

/// The right to write the profile.
#[derive(Debug)]
pub struct Locked<'a> {
    profile: &'a Profile,
    _lock: Flock<File>,
}

impl Locked<'_> {
    /// What is stored now.
    ///
    /// # Errors
    /// As [`Profile::load`].
    pub fn load(&self) -> Result<Logins> {
        self.profile.load()
    }

    /// Replaces what is stored: after a crash either the old or the new file stands.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn save(&self, logins: &Logins) -> Result<()> {
        let text = toml::to_string(logins).map_err(Error::client)?;
        let new = self.profile.dir.join("logins.toml.new");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.profile.file())?;
        Ok(())
    }
}

/// Milliseconds since 1970 by this machine's clock.
#[must_use]
pub fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn both_doors_live_in_one_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let profile = Profile::in_dir(&dir.path().join("muster"));
        assert_eq!(profile.load().unwrap(), Logins::default());
        let login = Login { url: "http://127.0.0.1:1".into(), access_token: "a".into(), ..Login::default() };
        let locked = profile.lock().unwrap();
        let mut logins = Logins { console: Some(login.clone()), operator: None };
        locked.save(&logins).unwrap();
        *logins.at_mut(Door::Operator) = Some(Login { username: "op".into(), ..login });
        locked.save(&logins).unwrap();
        assert_eq!(profile.load().unwrap(), logins);
        let mode = fs::metadata(profile.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_named_and_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let profile = Profile::in_dir(dir.path());
        fs::write(profile.file(), "[console]\naccess_token = \"at_secret\" x").unwrap();
        let said = profile.load().unwrap_err().to_string();
        assert!(said.contains("logins.toml is damaged") && said.contains("sign in again"), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}
