//! What the root half is told at its start. None of it comes over the socket.

use super::words::Level;
use crate::gpu::CellMount;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Where requests come from.
#[derive(Debug)]
pub enum Door {
    /// A connected socket from the `run` half that started us; we end with it.
    Inherited(OwnedFd),
    /// A socket to listen at, for a root half that was started by itself.
    Listen(PathBuf),
}

/// All that the root half needs to know.
#[derive(Debug, Clone)]
pub struct RootConfig {
    /// Directory of the agent's state; the root half keeps `root/` and `homes/` in it.
    pub state_dir: PathBuf,
    /// Directory of what does not outlive a boot, `/run/muster`; one for all agents of a machine.
    pub run_dir: PathBuf,
    /// Level of the cells to build.
    pub level: Level,
    /// User and group that may use the cells' sockets: those of the `run` half.
    pub owner: (u32, u32),
    /// Directory whose device files may be leased, `/dev` or the agent's `gpu.dev_root`.
    pub device_root: PathBuf,
    /// Shown to cells with a leased device (the table `[gpu]`, `cell_mounts`).
    pub driver_mounts: Vec<CellMount>,
    /// The operator's settings.
    pub settings: CellSettings,
}

/// The table `[cell]` of the agent's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CellSettings {
    /// Directories of the node's root that cells of the image kind `host` see, read-only.
    pub host_dirs: Vec<PathBuf>,
    /// Environment of every cell; the allocation's own wins.
    pub env: BTreeMap<String, String>,
    /// Directories before the usual ones in PATH.
    pub path: Vec<PathBuf>,
    /// Group below each cgroup hierarchy's root that holds the cells.
    pub cgroup: String,
    /// A way out to the network through NAT, where it can be made.
    pub network: bool,
    /// Directory with unpacked images for the image kind `rootfs`.
    pub image_dir: Option<PathBuf>,
}

impl Default for CellSettings {
    fn default() -> Self {
        let host_dirs =
            ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/snap"];
        Self {
            host_dirs: host_dirs.iter().map(PathBuf::from).collect(),
            env: BTreeMap::new(),
            path: Vec::new(),
            cgroup: "muster".into(),
            network: true,
            image_dir: None,
        }
    }
}
