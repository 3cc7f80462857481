//! The cell's `/dev`: a private directory with the ordinary devices and the leased ones, nothing else.

use super::devices::ORDINARY;
use super::fault::{Doing, Fault};
use super::mounts::{Shape, bind, directory, restrict, tmpfs};
use nix::libc;
use nix::mount::{MsFlags, mount};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Fills `dev` below the tree's root.
pub(super) fn fill(shape: &Shape) -> Result<(), Fault> {
    let dev = shape.point.join("dev");
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    // Without nodev, unlike every other file system of the cell: the devices stand here.
    mount(
        Some("tmpfs"),
        &dev,
        Some("tmpfs"),
        quiet,
        Some(format!("mode=0755,size=64k,nr_inodes=1k,uid={0},gid={0}", shape.root_id).as_str()),
    )
    .doing("make /dev")?;
    for name in ORDINARY {
        show(&Path::new("/dev").join(name), &dev.join(name))?;
    }
    for device in &shape.devices {
        let below = device.target.strip_prefix("/dev").doing("place a device")?;
        show(&device.source, &dev.join(below))?;
    }
    directory(shape, "dev/pts", 0o755)?;
    mount(Some("devpts"), &dev.join("pts"), Some("devpts"), quiet, Some("newinstance,ptmxmode=0666,mode=0600"))
        .doing("make /dev/pts")?;
    directory(shape, "dev/shm", 0o1777)?;
    tmpfs(&dev.join("shm"), &format!("mode=1777,size={0},uid={1},gid={1}", shape.shm_bytes, shape.root_id))?;
    directory(shape, "dev/mqueue", 0o1777)?;
    // Kernels may be built without POSIX message queues; then there is nothing to keep apart either.
    let _ = mount(Some("mqueue"), &dev.join("mqueue"), Some("mqueue"), quiet | MsFlags::MS_NODEV, None::<&str>);
    for (link, to) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(to, dev.join(link)).doing(format!("link /dev/{link}"))?;
    }
    Ok(())
}

/// A device file of the node at a path of the cell. Devices are written to all the same; the file itself, be it the
/// cell's user's own, is not.
fn show(from: &Path, to: &Path) -> Result<(), Fault> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).doing(format!("make {}", parent.display()))?;
    }
    fs::write(to, "").doing(format!("make {}", to.display()))?;
    bind(from, to)?;
    restrict(to, libc::MOUNT_ATTR_RDONLY)
}
