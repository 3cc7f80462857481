//! What this machine is, from /proc, /sys and /etc. What cannot be read is empty, never made up.

use crate::clock;
use muster_protocol::inventory::Host;
use sha2::{Digest, Sha256};
use std::path::Path;

fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// Facts of the machine. `name` is what operators call it; homes lie on the file system of `homes`.
#[must_use]
pub fn facts(name: Option<&str>, homes: &Path) -> Host {
    let hostname = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    Host {
        name: name.map_or_else(|| hostname.clone(), str::to_owned),
        hostname,
        machine_id: text("/etc/machine-id"),
        board_serial: text("/sys/class/dmi/id/board_serial"),
        boot_id: clock::boot_id(),
        os: os_name(&text("/etc/os-release")),
        kernel: text("/proc/sys/kernel/osrelease"),
        arch: std::env::consts::ARCH.to_owned(),
        cpus: std::thread::available_parallelism().map_or(0, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX)),
        memory_bytes: meminfo(&text("/proc/meminfo"), "MemTotal").unwrap_or(0),
        disk_bytes: disk(homes).map(|disk| disk.total),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The coordinator's clone check: SHA-256 of the machine id. Of nothing that root alone can read, as the serial number
/// of the board: an agent that gave up root's rights would be another machine than it was before.
#[must_use]
pub fn machine_sha256(host: &Host) -> Vec<u8> {
    Sha256::digest(format!("{}\n", host.machine_id)).to_vec()
}

fn os_name(release: &str) -> String {
    release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|name| name.trim_matches('"').to_owned())
        .unwrap_or_default()
}

/// A line of /proc/meminfo in bytes.
#[must_use]
pub fn meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// A file system's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// All of it, bytes.
    pub total: u64,
    /// What an ordinary user may still write, bytes.
    pub free: u64,
}

/// The file system of a path, or of its nearest parent that exists.
#[must_use]
pub fn disk(path: &Path) -> Option<Disk> {
    let exists = path.ancestors().find(|path| path.exists())?;
    let found = nix::sys::statvfs::statvfs(exists).ok()?;
    let unit = found.fragment_size();
    Some(Disk { total: found.blocks() * unit, free: found.blocks_available() * unit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_the_same_to_root_and_to_others() {
        let host = |serial: &str, id: &str| Host {
            board_serial: serial.to_owned(),
            machine_id: id.to_owned(),
            ..Host::default()
        };
        assert_eq!(machine_sha256(&host("PF3K1", "a")), machine_sha256(&host("", "a")));
        assert_ne!(machine_sha256(&host("", "a")), machine_sha256(&host("", "b")));
    }

    #[test]
    fn files_of_the_kernel_are_understood() {
        assert_eq!(meminfo("MemTotal:       16 kB\nMemAvailable: 8 kB", "MemAvailable"), Some(8192));
        assert_eq!(meminfo("MemTotalX: 16 kB", "MemTotal"), None);
        assert_eq!(os_name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\""), "Debian GNU/Linux 12");
        let host = facts(Some("a"), Path::new("/nowhere/at/all"));
        assert_eq!(host.name, "a");
        assert!(host.memory_bytes > 0 && host.cpus > 0 && host.disk_bytes.is_some());
    }
}
