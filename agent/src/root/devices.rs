//! Which device files a cell may open: the ordinary harmless ones and those it leases.

use super::fault::{Doing, Fault};
use crate::gpu::DevicePath;
use nix::libc;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path};

/// One allowed device, as the kernel counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    /// A block device; else a character device.
    pub(super) block: bool,
    pub(super) major: u32,
    /// None: all of them.
    pub(super) minor: Option<u32>,
}

impl Rule {
    const fn char(major: u32, minor: Option<u32>) -> Self {
        Self { block: false, major, minor }
    }

    /// As a line of `devices.allow`.
    pub(super) fn v1(&self) -> String {
        let kind = if self.block { 'b' } else { 'c' };
        match self.minor {
            Some(minor) => format!("{kind} {}:{minor} rw", self.major),
            None => format!("{kind} {}:* rw", self.major),
        }
    }
}

/// Device files of every cell, with their names in `/dev`.
pub(super) const ORDINARY: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// null, zero, full, random, urandom, tty, ptmx, and pts, which all have one major.
const ORDINARY_RULES: [Rule; 8] = [
    Rule::char(1, Some(3)),
    Rule::char(1, Some(5)),
    Rule::char(1, Some(7)),
    Rule::char(1, Some(8)),
    Rule::char(1, Some(9)),
    Rule::char(5, Some(0)),
    Rule::char(5, Some(2)),
    Rule::char(136, None),
];

/// Rules for the ordinary devices and the leased ones. Placeholder files of a simulated GPU need no rule.
pub(super) fn rules(devices: &[DevicePath]) -> Result<Vec<Rule>, Fault> {
    let mut rules = ORDINARY_RULES.to_vec();
    for device in devices {
        let meta = fs::metadata(&device.source).doing(format!("look at {}", device.source.display()))?;
        let kind = meta.file_type();
        if kind.is_char_device() || kind.is_block_device() {
            rules.push(Rule {
                block: kind.is_block_device(),
                major: libc::major(meta.rdev()),
                minor: Some(libc::minor(meta.rdev())),
            });
        }
    }
    Ok(rules)
}

/// Refuses everything that is not an NVIDIA device file: a taken-over `run` half shall not lease disks.
pub(super) fn check(devices: &[DevicePath], device_root: &Path) -> Result<(), Fault> {
    for device in devices {
        let refuse = |why: &str| Err(Fault::new("bad_device", device.source.display(), why));
        let Ok(below) = device.source.strip_prefix(device_root) else {
            return refuse("outside of the device directory");
        };
        let Ok(inside) = device.target.strip_prefix("/dev") else { return refuse("does not stand in /dev") };
        for path in [below, inside] {
            let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
            if !plain || !path.to_string_lossy().starts_with("nvidia") || path.components().count() > 2 {
                return refuse("is no NVIDIA device");
            }
        }
        match fs::symlink_metadata(&device.source) {
            Ok(meta) if meta.is_symlink() || meta.is_dir() => return refuse("is no device file"),
            Ok(_) => {}
            Err(error) => return refuse(&error.to_string()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn device(source: PathBuf, target: &str) -> DevicePath {
        DevicePath { source, target: PathBuf::from(target), exclusive: true }
    }

    #[test]
    fn only_nvidia_devices_of_the_device_directory_pass() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir(root.join("nvidia-caps")).unwrap();
        for name in ["nvidia0", "nvidia-caps/nvidia-cap1", "sda"] {
            fs::write(root.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("sda", root.join("nvidia7")).unwrap();
        let ok = |source: &str, target: &str| check(&[device(root.join(source), target)], root).is_ok();
        assert!(ok("nvidia0", "/dev/nvidia0"));
        assert!(ok("nvidia-caps/nvidia-cap1", "/dev/nvidia-caps/nvidia-cap1"));
        for (source, target) in [
            ("sda", "/dev/sda"),
            ("sda", "/dev/nvidia0"),
            ("nvidia7", "/dev/nvidia7"),
            ("nvidia-caps", "/dev/nvidia-caps"),
            ("nvidia9", "/dev/nvidia9"),
            ("nvidia-caps/../sda", "/dev/nvidia0"),
            ("nvidia0", "/dev/null"),
            ("nvidia0", "/etc/nvidia"),
            ("nvidia0", "/dev/nvidia-caps/../../etc/x"),
        ] {
            assert!(!ok(source, target), "{source} {target}");
        }
        assert!(check(&[device(PathBuf::from("/dev/null"), "/dev/nvidia0")], root).is_err());
    }

    #[test]
    fn rules_are_written_for_version_1() {
        assert_eq!(Rule::char(136, None).v1(), "c 136:* rw");
        assert_eq!(Rule { block: true, major: 8, minor: Some(1) }.v1(), "b 8:1 rw");
        assert_eq!(rules(&[device(PathBuf::from("/dev/null"), "/dev/nvidia0")]).unwrap().len(), 9);
    }
}
