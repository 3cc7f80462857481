//! Where a simulation keeps its files, and how a process finds them.
//!
//! `DIR/share` is what cells get to see (scenario, state, library, programs); `DIR/dev` holds the node's device files
//! and stays outside but for the leased ones.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Names the folder of a simulation, or its `share`.
pub const DIR_VARIABLE: &str = "MUSTER_NVML_SIM_DIR";
/// Names the folder of device files.
pub const DEV_VARIABLE: &str = "MUSTER_NVML_SIM_DEV";
/// The name under which programs load the library.
pub const LIBRARY: &str = "libnvidia-ml.so.1";
/// The name under which cargo builds it.
pub const BUILT_LIBRARY: &str = "libnvidia_ml_sim.so";

/// The two folders of a simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Scenario, state, library, programs.
    pub share: PathBuf,
    /// Device files.
    pub dev: PathBuf,
}

impl Place {
    /// The place below a folder.
    #[must_use]
    pub fn below(dir: &Path) -> Self {
        Self { share: dir.join("share"), dev: dir.join("dev") }
    }

    /// The place of this process: named in the environment, else beside the library or program itself, so that a
    /// process with an empty environment finds it as well.
    #[must_use]
    pub fn locate() -> Option<Self> {
        let share = match std::env::var_os(DIR_VARIABLE) {
            Some(dir) => {
                let dir = PathBuf::from(dir);
                [dir.join("share"), dir].into_iter().find(|dir| dir.join("scenario.json").exists())
            }
            None => beside().into_iter().find(|dir| dir.join("scenario.json").exists()),
        }?;
        let own_dev = share.parent().map(|dir| dir.join("dev")).filter(|dev| dev.join("nvidiactl").exists());
        let dev = std::env::var_os(DEV_VARIABLE).map(PathBuf::from).or(own_dev).unwrap_or_else(|| "/dev".into());
        Some(Self { share, dev })
    }

    /// Which GPUs there are.
    #[must_use]
    pub fn scenario(&self) -> PathBuf {
        self.share.join("scenario.json")
    }

    /// What changed since the simulation began.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.share.join("state.json")
    }

    /// Held by whoever changes the state.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.share.join("lock")
    }

    /// The library.
    #[must_use]
    pub fn library(&self) -> PathBuf {
        self.share.join(LIBRARY)
    }

    /// The programs.
    #[must_use]
    pub fn programs(&self) -> PathBuf {
        self.share.join("bin")
    }
}

/// Folders beside the code that runs: of the library as it was named, of the file it is, and of the program.
fn beside() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut add = |file: &Path| {
        for dir in file.ancestors().skip(1).take(2) {
            found.push(dir.to_path_buf());
        }
    };
    if let Some(module) = module_file() {
        add(&module);
        if let Ok(real) = module.canonicalize() {
            add(&real);
        }
    }
    if let Ok(program) = std::env::current_exe() {
        add(&program);
    }
    found
}

/// The file that this code was loaded from.
fn module_file() -> Option<PathBuf> {
    let here = module_file as fn() -> Option<PathBuf> as *const libc::c_void;
    // SAFETY: all-zero is a valid Dl_info (null pointers).
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: `here` is an address of this module, `info` is writable.
    let known = unsafe { libc::dladdr(here, &raw mut info) };
    if known == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the loader keeps this NUL-terminated name as long as the module is loaded, and it is this one.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}
