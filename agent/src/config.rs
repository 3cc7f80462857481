//! Settings of the agent: one TOML file, then `MUSTER_*` variables, then flags; later ones win.

use crate::{gpu::GpuConfig, root::CellSettings};
use anyhow::{Context, bail};
use nix::libc;
use serde::Deserialize;
use std::{
    fs::File,
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// CPU slots of a node without a usable GPU.
pub const CPU_SLOTS_DEFAULT: u32 = 4;
/// Most CPU slots of a node.
pub const CPU_SLOTS_MAX: u32 = 256;
/// Largest configuration file, in bytes.
const FILE_MAX: u64 = 256 << 10;

/// What the file may hold; every line may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `host:port` of the coordinator; without it the one that the node enrolled with.
    pub coordinator: Option<String>,
    /// What operators call the node; without it the host name.
    pub name: Option<String>,
    /// Directory of what does not outlive a boot.
    pub run_dir: Option<PathBuf>,
    /// `cell`, `userns` or `none`; without it the strongest that this user can give. Never `none` by itself.
    pub isolation: Option<String>,
    /// CPU slots to offer; without it 4 on a node without a usable GPU, else none.
    pub cpu_slots: Option<u32>,
    /// User that `run` becomes when it is started as root; `root` to stay.
    pub user: Option<String>,
    /// Socket of a root half that was started by itself (by systemd); without it `run` starts one.
    pub root_socket: Option<PathBuf>,
    /// GPUs.
    pub gpu: GpuConfig,
    /// Cells.
    pub cell: CellSettings,
}

/// The agent's directory: as root the machine's, else the user's own.
#[must_use]
pub fn default_state_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/muster");
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    home.join(".local/state/muster")
}

fn default_run_dir(state_dir: &Path) -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/run/muster");
    }
    std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| state_dir.join("run"), |dir| PathBuf::from(dir).join("muster"))
}

impl Config {
    /// Reads the file: the named one, else `agent.toml` in the state directory or `/etc/muster`, if there is one.
    ///
    /// # Errors
    /// A named file that cannot be read; any file with a line that makes no sense; as root any file that others can
    /// write.
    pub fn load(file: Option<&Path>, state_dir: &Path) -> anyhow::Result<Self> {
        let found = match file {
            Some(named) => Some(named.to_owned()),
            None => [state_dir.join("agent.toml"), PathBuf::from("/etc/muster/agent.toml")]
                .into_iter()
                .find(|path| path.symlink_metadata().is_ok()),
        };
        let mut config = match found {
            None => Self::default(),
            Some(path) => {
                let text = read(&path, nix::unistd::geteuid().is_root())?;
                toml::from_str(&text).with_context(|| path.display().to_string())?
            }
        };
        config.environment(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))?;
        config.check()?;
        Ok(config)
    }

    fn environment(&mut self, get: impl Fn(&str) -> Option<String>) -> anyhow::Result<()> {
        let text = |slot: &mut Option<String>, name: &str| {
            if let Some(value) = get(name) {
                *slot = Some(value);
            }
        };
        text(&mut self.coordinator, "MUSTER_COORDINATOR");
        text(&mut self.name, "MUSTER_NAME");
        text(&mut self.isolation, "MUSTER_ISOLATION");
        text(&mut self.user, "MUSTER_USER");
        let path = |name: &str| get(name).map(PathBuf::from);
        self.run_dir = path("MUSTER_RUN_DIR").or(self.run_dir.take());
        self.gpu.lib_path = path("MUSTER_NVML_LIBRARY").or(self.gpu.lib_path.take());
        if let Some(root) = path("MUSTER_DEV_ROOT") {
            self.gpu.dev_root = root;
        }
        if let Some(slots) = get("MUSTER_CPU_SLOTS") {
            self.cpu_slots = Some(slots.parse().context("MUSTER_CPU_SLOTS is no number")?);
        }
        Ok(())
    }

    fn check(&self) -> anyhow::Result<()> {
        if let Some(level) = &self.isolation
            && crate::root::Level::from_word(level).is_none()
        {
            bail!("isolation is `{level}`, but must be `cell`, `userns` or `none`");
        }
        if self.cpu_slots.is_some_and(|slots| slots > CPU_SLOTS_MAX) {
            bail!("cpu_slots is more than {CPU_SLOTS_MAX}");
        }
        if let Some(name) = &self.name
            && (name.is_empty() || name.len() > 64 || name.chars().any(char::is_control))
        {
            bail!("name must have 1 to 64 printable characters");
        }
        Ok(())
    }

    /// Directory of sockets and what else does not outlive a boot.
    #[must_use]
    pub fn run_dir(&self, state_dir: &Path) -> PathBuf {
        self.run_dir.clone().unwrap_or_else(|| default_run_dir(state_dir))
    }
}

/// Reads a file of settings. Root obeys only what root alone can have written: the state directory is shared with the
/// `run` half, which is not to say how cells are walled and what they see.
fn read(path: &Path, as_root: bool) -> anyhow::Result<String> {
    let shown = path.display();
    // Without waiting: it may be a pipe.
    let flags = libc::O_NONBLOCK | if as_root { libc::O_NOFOLLOW } else { 0 };
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            bail!("{shown} is a symbolic link, which root's half does not follow: put the file itself there")
        }
        opened => opened.with_context(|| shown.to_string())?,
    };
    // Of what was opened: the name may stand for another file by now.
    let found = file.metadata().with_context(|| shown.to_string())?;
    if !found.is_file() {
        bail!("{shown} is no file");
    }
    if as_root && (found.uid() != 0 || found.mode() & 0o022 != 0) {
        bail!(
            "{shown} can be written by others than root, so root does not obey it: look at what it says, then \
             `chown root {shown} && chmod go-w {shown}`, or remove it"
        );
    }
    if found.len() > FILE_MAX {
        bail!("{shown}: larger than {FILE_MAX} bytes");
    }
    let mut text = String::new();
    let _ = file.take(FILE_MAX).read_to_string(&mut text).with_context(|| shown.to_string())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_no_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read(&path, false).unwrap_err().to_string().contains("no file"));
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let mut config: Config = toml::from_str("name = \"file\"\n[gpu]\ndev_root = \"/x\"").unwrap();
        config.environment(|name| (name == "MUSTER_NAME").then(|| "env".to_owned())).unwrap();
        assert_eq!(config.name.as_deref(), Some("env"));
        assert_eq!(config.gpu.dev_root, PathBuf::from("/x"));
        assert!(config.environment(|name| (name == "MUSTER_CPU_SLOTS").then(|| "many".to_owned())).is_err());
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        assert!(toml::from_str::<Config>("cpu_slot = 3").unwrap_err().to_string().contains("cpu_slot"));
        for bad in ["isolation = \"wall\"", "cpu_slots = 1000", "name = \"\""] {
            assert!(toml::from_str::<Config>(bad).unwrap().check().is_err(), "{bad}");
        }
    }
}
