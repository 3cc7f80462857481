//! Placeholder device files: plain, read-only, empty. Plain files can be bind-mounted by any user, on any file
//! system; nobody can keep anything in them but locks, which are the process table.

use crate::mig::Instance;
use crate::place::Place;
use crate::scenario::Scenario;
use crate::state::open_to_all;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Makes what the driver makes when it is loaded: one file per GPU and the shared ones.
///
/// # Errors
/// The folder cannot be written.
pub fn make_node(place: &Place, scenario: &Scenario) -> io::Result<()> {
    let caps = place.dev.join("nvidia-caps");
    std::fs::create_dir_all(&caps)?;
    open_to_all(&caps, 0o777)?;
    for name in ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps/nvidia-cap1", "nvidia-caps/nvidia-cap2"] {
        make(&place.dev.join(name))?;
    }
    for entry in std::fs::read_dir(&place.dev)? {
        let entry = entry?;
        let minor = entry.file_name().to_str().and_then(|name| name.strip_prefix("nvidia")?.parse::<u32>().ok());
        if minor.is_some_and(|minor| !scenario.gpus.iter().any(|gpu| gpu.minor == minor)) {
            std::fs::remove_file(entry.path())?;
        }
    }
    for gpu in &scenario.gpus {
        make(&gpu_file(&place.dev, gpu.minor))?;
    }
    Ok(())
}

/// Makes the capability files of a GPU instance and its compute instances.
///
/// # Errors
/// The folder cannot be written.
pub fn make_instance(dev: &Path, minor: u32, instance: &Instance) -> io::Result<()> {
    make(&capability_file(dev, minor, instance.id, None))?;
    instance.compute.iter().try_for_each(|ci| make(&capability_file(dev, minor, instance.id, Some(ci.id))))
}

/// The file of a GPU.
#[must_use]
pub fn gpu_file(dev: &Path, minor: u32) -> PathBuf {
    dev.join(format!("nvidia{minor}"))
}

/// The capability file of a GPU instance or of a compute instance in it. The kernel module's table is fixed: 2
/// for all, then per GPU 15 GPU instances of 1 + 8 each.
#[must_use]
pub fn capability_file(dev: &Path, minor: u32, gpu_instance: u32, compute: Option<u32>) -> PathBuf {
    let number = 3 + minor * 135 + gpu_instance * 9 + compute.map_or(0, |id| 1 + id);
    dev.join("nvidia-caps").join(format!("nvidia-cap{number}"))
}

/// Whether this process can open a device file. It is not tried: closing it again would drop the locks that the
/// process has on it.
#[must_use]
pub fn opens(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: `path` ends in NUL and lives over the call.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::R_OK, libc::AT_EACCESS) == 0 }
}

fn make(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    File::create(path)?;
    open_to_all(path, 0o444)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capability_numbers_are_those_of_the_kernel_module() {
        let dev = Path::new("/dev");
        let number = |gpu, gi, ci| capability_file(dev, gpu, gi, ci).file_name().map(|name| name.to_owned());
        assert_eq!(number(0, 0, None), Some("nvidia-cap3".into()));
        assert_eq!(number(0, 0, Some(0)), Some("nvidia-cap4".into()));
        assert_eq!(number(0, 1, None), Some("nvidia-cap12".into()));
        assert_eq!(number(1, 0, None), Some("nvidia-cap138".into()));
    }
}
