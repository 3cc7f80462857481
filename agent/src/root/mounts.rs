//! The cell's file tree, built by PID 1 before it becomes `muster-agent cell`.
//!
//! A private tmpfs is the root; chosen directories of the node (or of an image) stand in it read-only, without
//! setuid and devices; everything else is the cell's own. What is not named is not there.

use super::dev;
use super::etc_files::{self, HOME, SECRET, USER_ID};
use super::fault::{Doing, Fault};
use super::home;
use crate::gpu::{CellMount, DevicePath};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::path::{Component, Path, PathBuf};

/// Where the own files of a cell lie below its root; nobody inside may enter it.
const OWN: &str = ".muster";
/// Parts of `/proc` that are covered.
const PROC_HIDDEN: [&str; 9] = [
    "kcore",
    "keys",
    "key-users",
    "timer_list",
    "sched_debug",
    "latency_stats",
    "kpagecount",
    "kpageflags",
    "config.gz",
];
/// Parts of `/proc` that only root may write to and nobody shall.
const PROC_READ_ONLY: [&str; 6] = ["sys", "sysrq-trigger", "irq", "bus", "fs", "acpi"];

/// What the tree is made from.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// Empty directory of the node on which the tree is mounted while it is built.
    pub(super) point: PathBuf,
    /// Unpacked image; none: the node's own directories.
    pub(super) image: Option<PathBuf>,
    /// Directories of the node's root that stand in the cell.
    pub(super) host_dirs: Vec<PathBuf>,
    /// The agent's own directories, never to be seen.
    pub(super) hide: Vec<PathBuf>,
    /// Owner of the tree, and of the home, as this process counts ids.
    pub(super) root_id: u32,
    pub(super) user_id: u32,
    /// Image file of home and /tmp.
    pub(super) home_image: Option<PathBuf>,
    /// Else their folder.
    pub(super) home_folder: Option<PathBuf>,
    /// Limit of `/dev/shm` in bytes.
    pub(super) shm_bytes: u64,
    pub(super) devices: Vec<DevicePath>,
    pub(super) driver_mounts: Vec<CellMount>,
    pub(super) host_name: String,
    pub(super) way_out: bool,
    /// Directory with host key and `authorized_keys`, to stand in `/run/muster/ssh`.
    pub(super) ssh_dir: Option<PathBuf>,
}

/// Builds the tree and makes it the root of this process's mount namespace.
pub(super) fn build(shape: &Shape) -> Result<(), Fault> {
    let root = &shape.point;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .doing("keep the mounts private")?;
    tmpfs(root, &format!("mode=0755,size=8m,nr_inodes=16k,uid={0},gid={0}", shape.root_id))?;
    system_dirs(shape)?;
    for dir in
        ["home", "run", "dev", "proc", "sys", "tmp", "mnt", "var/log", "var/lib", "var/cache", "var/spool", "var/tmp"]
    {
        directory(shape, dir, 0o755)?;
    }
    directory(shape, "root", 0o700)?;
    directory(shape, OWN, 0o700)?;
    for (link, to) in [("var/run", "/run"), ("var/lock", "/run/lock")] {
        symlink(to, root.join(link)).doing(format!("link {link}"))?;
    }
    run_dirs(shape)?;
    cover_secrets(shape)?;
    own_files(shape)?;
    home_and_tmp(shape)?;
    dev::fill(shape)?;
    for extra in shape.driver_mounts.iter().filter(|_| !shape.devices.is_empty()) {
        driver_mount(root, extra)?;
    }
    kernel_files(shape)?;
    enter(root)
}

/// Directories of the node or the image, read-only and without setuid and devices, mounts below included.
fn system_dirs(shape: &Shape) -> Result<(), Fault> {
    let (base, dirs): (&Path, Vec<PathBuf>) = match &shape.image {
        None => (Path::new("/"), shape.host_dirs.clone()),
        Some(image) => {
            let own = ["home", "run", "dev", "proc", "sys", "tmp", "mnt", "var", "root", OWN];
            let entries = fs::read_dir(image).doing(format!("list the image {}", image.display()))?;
            let names = entries.flatten().map(|entry| entry.file_name());
            (image, names.filter(|name| !own.iter().any(|own| name == own)).map(PathBuf::from).collect())
        }
    };
    let mut dirs: Vec<PathBuf> = dirs.iter().map(|dir| dir.strip_prefix("/").unwrap_or(dir).to_owned()).collect();
    if shape.image.is_none() {
        dirs.push("var/lib/dpkg".into());
    }
    for dir in dirs {
        let (from, to) = (base.join(&dir), shape.point.join(&dir));
        let Ok(meta) = fs::symlink_metadata(&from) else { continue };
        if meta.is_symlink() {
            let target = fs::read_link(&from).doing(format!("read {}", from.display()))?;
            symlink(target, &to).doing(format!("link {}", to.display()))?;
        } else if meta.is_dir() {
            fs::create_dir_all(&to).doing(format!("make {}", to.display()))?;
            bind(&from, &to)?;
            restrict(&to, libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV)?;
        }
    }
    Ok(())
}

fn cover_secrets(shape: &Shape) -> Result<(), Fault> {
    let (file, dir) = (shape.point.join(OWN).join("nothing"), shape.point.join(OWN).join("nowhere"));
    fs::write(&file, "").doing("make an empty file")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).doing("close the empty file")?;
    fs::DirBuilder::new().mode(0o000).create(&dir).doing("make an empty directory")?;
    let ours = shape.hide.iter().filter_map(|path| path.strip_prefix("/").ok().map(Path::to_path_buf));
    // The cell's /run is its own, and what stands under our name in it is for the cell.
    let ours = ours.filter(|path| !path.starts_with("run"));
    for path in SECRET.iter().map(PathBuf::from).chain(ours) {
        let target = shape.point.join(&path);
        match fs::symlink_metadata(&target) {
            Ok(meta) if meta.is_dir() => bind(&dir, &target)?,
            Ok(meta) if meta.is_file() => bind(&file, &target)?,
            // A link leads into a directory that is either covered as well or harmless.
            _ => {}
        }
    }
    Ok(())
}

fn own_files(shape: &Shape) -> Result<(), Fault> {
    let root = &shape.point;
    for (path, text) in
        etc_files::own(&shape.host_name, shape.image.as_deref().unwrap_or(Path::new("/")), shape.way_out)
    {
        let source = root.join(OWN).join(path.replace('/', "."));
        fs::write(&source, text).doing(format!("write {path}"))?;
        fs::set_permissions(&source, fs::Permissions::from_mode(0o644)).doing(format!("open {path}"))?;
        own(&source, shape.root_id)?;
        let target = root.join(path);
        match fs::symlink_metadata(&target) {
            Ok(meta) if meta.is_symlink() => follow(root, &target, &source)?,
            Ok(_) => bind(&source, &target)?,
            // The node has no such file, and its /etc is not ours to write to.
            Err(_) => tracing::warn!(path, "the node has no such file, so its cells have none"),
        }
    }
    profile(root, shape.root_id)
}

/// Login shells read `/etc/profile`, which sets PATH to its own idea; ours says the cell's again after it.
fn profile(root: &Path, root_id: u32) -> Result<(), Fault> {
    let target = root.join("etc/profile");
    // A link of an image would be followed into the node.
    let plain = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_symlink());
    if !plain(&root.join("etc")) || !plain(&target) {
        return Ok(());
    }
    let Ok(text) = fs::read_to_string(&target) else { return Ok(()) };
    let source = root.join(OWN).join("etc.profile");
    fs::write(&source, text + etc_files::PROFILE_END).doing("write etc/profile")?;
    fs::set_permissions(&source, fs::Permissions::from_mode(0o644)).doing("open etc/profile")?;
    own(&source, root_id)?;
    bind(&source, &target)
}

/// A link of the node into /run (resolv.conf mostly) gets its target made there.
fn follow(root: &Path, link: &Path, source: &Path) -> Result<(), Fault> {
    let to = fs::read_link(link).doing(format!("read {}", link.display()))?;
    let absolute = from_etc(&to);
    let target = root.join(absolute.strip_prefix("/").unwrap_or(&absolute));
    if absolute.starts_with("/run") {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).doing(format!("make {}", parent.display()))?;
        }
        fs::copy(source, &target).doing(format!("write {}", target.display()))?;
        Ok(())
    } else if target.is_file() {
        bind(source, &target)
    } else {
        Ok(())
    }
}

/// Where a link in `/etc` leads, without looking at any file.
fn from_etc(to: &Path) -> PathBuf {
    Path::new("/etc").join(to).components().fold(PathBuf::from("/"), |mut path, part| {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
        path
    })
}

fn run_dirs(shape: &Shape) -> Result<(), Fault> {
    let run = shape.point.join("run");
    tmpfs(&run, &format!("mode=0755,size=16m,nr_inodes=4k,uid={0},gid={0}", shape.root_id))?;
    for (dir, mode) in [("run/lock", 0o1777), ("run/sshd", 0o755), ("run/user", 0o755), ("run/muster", 0o755)] {
        directory(shape, dir, mode)?;
    }
    let user = format!("run/user/{USER_ID}");
    directory(shape, &user, 0o700)?;
    own(&shape.point.join(&user), shape.user_id)?;
    if let Some(from) = &shape.ssh_dir {
        directory(shape, "run/muster/ssh", 0o755)?;
        let to = shape.point.join("run/muster/ssh");
        bind(from, &to)?;
        restrict(&to, libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV)?;
    }
    Ok(())
}

fn home_and_tmp(shape: &Shape) -> Result<(), Fault> {
    let disk = shape.point.join(OWN).join("disk");
    fs::create_dir(&disk).doing("make the mount point of the home")?;
    match (&shape.home_image, &shape.home_folder) {
        (Some(image), _) => home::mount_image(image, &disk, false)?,
        (None, Some(folder)) => bind(folder, &disk)?,
        (None, None) => return Err(Fault::new("failed", "mount the home", "there is none")),
    }
    let (home, tmp) = (disk.join("home"), disk.join("tmp"));
    for (dir, mode) in [(&home, 0o700), (&tmp, 0o1777)] {
        fs::create_dir_all(dir).doing(format!("make {}", dir.display()))?;
        fs::set_permissions(dir, fs::Permissions::from_mode(mode)).doing(format!("open {}", dir.display()))?;
    }
    own(&home, shape.user_id)?;
    own(&tmp, shape.root_id)?;
    home::fill(&home, shape.user_id, shape.user_id).doing("fill the home")?;
    let inside = shape.point.join(HOME.trim_start_matches('/'));
    fs::create_dir(&inside).doing("make the home")?;
    for (from, to) in [(&home, inside), (&tmp, shape.point.join("tmp")), (&tmp, shape.point.join("var/tmp"))] {
        bind(from, &to)?;
        restrict(&to, libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV)?;
    }
    umount2(&disk, MntFlags::MNT_DETACH).doing("hide the home's disk")
}

fn driver_mount(root: &Path, extra: &CellMount) -> Result<(), Fault> {
    let target = root.join(extra.target.strip_prefix("/").unwrap_or(&extra.target));
    let meta = fs::metadata(&extra.source).doing(format!("look at {}", extra.source.display()))?;
    if !target.exists() {
        if !extra.target.starts_with("/run") {
            let what = format!("show {} in the cell", extra.target.display());
            return Err(Fault::new("failed", what, "there is no such path, and only below /run one can be made"));
        }
        let made = if meta.is_dir() {
            fs::create_dir_all(&target)
        } else {
            fs::create_dir_all(target.parent().unwrap_or(root)).and_then(|()| fs::write(&target, ""))
        };
        made.doing(format!("make {} in the cell", extra.target.display()))?;
    }
    bind(&extra.source, &target)?;
    restrict(&target, libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV)
}

/// `/proc` and `/sys` of the cell's own namespaces.
fn kernel_files(shape: &Shape) -> Result<(), Fault> {
    let (proc, sys) = (shape.point.join("proc"), shape.point.join("sys"));
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &proc, Some("proc"), quiet, None::<&str>)
        .doing("mount /proc (refused to an ordinary user where parts of the node's own /proc are covered)")?;
    for name in PROC_READ_ONLY.iter().map(|name| proc.join(name)).filter(|path| path.exists()) {
        bind(&name, &name)?;
        restrict(&name, libc::MOUNT_ATTR_RDONLY)?;
    }
    let null = shape.point.join("dev/null");
    for name in PROC_HIDDEN.iter().map(|name| proc.join(name)).filter(|path| path.is_file()) {
        bind(&null, &name)?;
    }
    let fresh = mount(Some("sysfs"), &sys, Some("sysfs"), quiet | MsFlags::MS_RDONLY, None::<&str>);
    if fresh.is_err() {
        // Refused to an ordinary user where parts of the node's own /sys are covered.
        bind(Path::new("/sys"), &sys)?;
        restrict(&sys, libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV)?;
    }
    let nowhere = shape.point.join(OWN).join("nowhere");
    for name in ["firmware", "kernel/debug", "kernel/tracing", "fs/cgroup", "fs/bpf"].map(|name| sys.join(name)) {
        if name.is_dir() {
            bind(&nowhere, &name)?;
        }
    }
    Ok(())
}

/// Makes the tree the root and lets go of the node's.
fn enter(root: &Path) -> Result<(), Fault> {
    std::env::set_current_dir(root).doing("enter the tree")?;
    // The old root is stacked on the new one and then taken off again: no directory for it is needed.
    nix::unistd::pivot_root(".", ".").doing("change the root")?;
    umount2(".", MntFlags::MNT_DETACH).doing("let go of the node's root")?;
    std::env::set_current_dir("/").doing("enter the root")?;
    for path in ["/", "/dev"] {
        restrict_one(Path::new(path), libc::MOUNT_ATTR_RDONLY).doing(format!("close {path}"))?;
    }
    Ok(())
}

/// Stacks `from`, with the mounts below it, on `to`.
pub(super) fn bind(from: &Path, to: &Path) -> Result<(), Fault> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>).doing(format!(
        "show {} as {}",
        from.display(),
        to.display()
    ))
}

/// A fresh memory file system without setuid and devices.
pub(super) fn tmpfs(target: &Path, options: &str) -> Result<(), Fault> {
    mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options))
        .doing(format!("a memory file system at {}", target.display()))
}

/// Sets attributes of a mount and of those below it.
pub(super) fn restrict(path: &Path, attributes: u64) -> Result<(), Fault> {
    set_attributes(path, attributes, libc::AT_RECURSIVE).doing(format!("restrict {}", path.display()))
}

fn restrict_one(path: &Path, attributes: u64) -> io::Result<()> {
    set_attributes(path, attributes, 0)
}

fn set_attributes(path: &Path, attributes: u64, flags: libc::c_int) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)?;
    let change = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: a path that ends in NUL and a structure of the size that is given, both alive through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            std::ptr::from_ref(&change),
            size_of::<libc::mount_attr>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A directory below the cell's root, owned by the cell's own root.
pub(super) fn directory(shape: &Shape, path: &str, mode: u32) -> Result<(), Fault> {
    let dir = shape.point.join(path);
    fs::create_dir_all(&dir).doing(format!("make {path}"))?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).doing(format!("open {path}"))?;
    own(&dir, shape.root_id)
}

fn own(path: &Path, id: u32) -> Result<(), Fault> {
    chown(path, Some(id), Some(id)).doing(format!("own {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_etc_are_followed_by_name_only() {
        let stub = Path::new("/run/systemd/resolve/stub-resolv.conf");
        assert_eq!(from_etc(Path::new("../run/systemd/resolve/stub-resolv.conf")), stub);
        assert_eq!(from_etc(stub), stub);
        assert_eq!(from_etc(Path::new("resolvconf/x")), Path::new("/etc/resolvconf/x"));
        assert_eq!(from_etc(Path::new("../../../x")), Path::new("/x"));
    }
}
