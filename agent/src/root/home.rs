//! Homes: a loop file system of the SKU's size as root, else a folder.

use super::fault::{Doing, Fault};
use super::tools;
use nix::errno::Errno;
use nix::libc;
use nix::mount::{MsFlags, mount};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const LOOP_CONFIGURE: libc::c_ulong = 0x4C0A;
const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
/// The device lets go of the file when its last user is gone.
const LO_FLAGS_AUTOCLEAR: u32 = 4;
/// Times that another process may take the free device before us.
const ATTEMPTS: usize = 64;
/// Smallest home that a file system fits in.
const SMALLEST: u64 = 8 << 20;

/// `struct loop_info64`
#[repr(C)]
struct LoopInfo {
    numbers: [u64; 5],
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// Loop devices can be had.
pub(super) fn can_loop() -> bool {
    Path::new("/dev/loop-control").exists() && tools::find("mkfs.ext4").is_some()
}

/// Makes a sparse image with an empty file system.
pub(super) fn make_image(image: &Path, bytes: u64) -> Result<(), Fault> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(image)
        .doing(format!("make {}", image.display()))?;
    file.set_len(bytes.max(SMALLEST)).doing(format!("size {}", image.display()))?;
    let path = image.to_str().ok_or_else(|| Fault::new("failed", "make a home", "its path is not UTF-8"))?;
    let options = "lazy_itable_init=1,lazy_journal_init=1,nodiscard";
    tools::run("mkfs.ext4", &["-q", "-F", "-m", "0", "-E", options, path], "").map(drop)
}

/// Mounts an image through a free loop device that goes with its last mount.
pub(super) fn mount_image(image: &Path, target: &Path, read_only: bool) -> Result<(), Fault> {
    let (device, held) = attach(image, read_only).doing(format!("a loop device for {}", image.display()))?;
    let (mut flags, mut options) = (MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "discard,noinit_itable");
    if read_only {
        (flags, options) = (flags | MsFlags::MS_RDONLY, "noload");
    }
    let done = mount(Some(&device), target, Some("ext4"), flags, Some(options));
    drop(held);
    done.doing(format!("mount {}", image.display()))
}

fn attach(image: &Path, read_only: bool) -> io::Result<(PathBuf, File)> {
    let backing = File::options().read(true).write(!read_only).open(image)?;
    let control = File::options().read(true).write(true).open("/dev/loop-control")?;
    for _ in 0..ATTEMPTS {
        // SAFETY: this request takes no argument.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = File::options().read(true).write(!read_only).open(&path)?;
        let config = LoopConfig {
            fd: backing.as_raw_fd().cast_unsigned(),
            block_size: 0,
            info: LoopInfo {
                numbers: [0; 5],
                number: 0,
                encryption: [0; 2],
                flags: LO_FLAGS_AUTOCLEAR,
                file_name: file_name(image),
                crypt_name: [0; 64],
                key: [0; 32],
                init: [0; 2],
            },
            reserved: [0; 8],
        };
        // SAFETY: `LoopConfig` is the kernel's layout and lives through the call.
        if unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, std::ptr::from_ref(&config)) } == 0 {
            return Ok((path, device));
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(Errno::EBUSY as i32) {
            return Err(error);
        }
    }
    Err(io::Error::other("every loop device was taken before us"))
}

fn file_name(image: &Path) -> [u8; 64] {
    let mut name = [0; 64];
    let text = image.file_name().unwrap_or_default().as_encoded_bytes();
    let length = text.len().min(63);
    name[..length].copy_from_slice(&text[..length]);
    name
}

/// Loop devices that still hold an image.
pub(super) fn holders(image: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let backing = fs::read_to_string(entry.path().join("loop/backing_file")).unwrap_or_default();
        let backing = backing.trim_end();
        if Path::new(backing.strip_suffix(" (deleted)").unwrap_or(backing)) == image {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

/// Copies the files that the node gives every new account, `/etc/skel`.
pub(super) fn fill(home: &Path, uid: u32, gid: u32) -> io::Result<()> {
    for entry in fs::read_dir("/etc/skel").into_iter().flatten().flatten() {
        if entry.file_type()?.is_file() {
            let to = home.join(entry.file_name());
            fs::copy(entry.path(), &to)?;
            std::os::unix::fs::chown(&to, Some(uid), Some(gid))?;
        }
    }
    Ok(())
}
