//! XIDs in the kernel's log, which says all of them where NVML says only the critical ones.

use super::limits::EVENTS_WAIT;
use super::shared::Shared;
use super::watch::spawn_thread;
use super::xids::{KERNEL, Seen};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

/// Largest record of the kernel's log.
const RECORD_MAX: usize = 8192;

/// Starts to read, if this user may.
pub(super) fn spawn(shared: &Arc<Shared>) {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open("/dev/kmsg");
    let mut log = match opened {
        Ok(log) => log,
        Err(error) => {
            tracing::info!(%error, "the kernel's log is not readable: XIDs come from the driver only");
            return;
        }
    };
    if log.seek(SeekFrom::End(0)).is_err() {
        return;
    }
    let shared = Arc::clone(shared);
    spawn_thread("gpu-kernel-log", move || follow(&shared, &mut log));
}

fn follow(shared: &Shared, log: &mut File) {
    let timeout = PollTimeout::try_from(EVENTS_WAIT).unwrap_or(PollTimeout::ZERO);
    let mut record = vec![0; RECORD_MAX];
    while !shared.is_stopped() {
        let mut descriptors = [PollFd::new(log.as_fd(), PollFlags::POLLIN)];
        if poll(&mut descriptors, timeout).is_err() {
            continue;
        }
        loop {
            match log.read(&mut record) {
                Ok(0) => return,
                Ok(length) => take(shared, &String::from_utf8_lossy(&record[..length])),
                // Records were overwritten before they were read; the next read continues after them.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                Err(_) => break,
            }
        }
    }
}

fn take(shared: &Shared, record: &str) {
    let Some((bus, xid)) = parse(record) else { return };
    let gpus = shared.inventory().gpus;
    let gpu = gpus.iter().find(|gpu| short_bus(&gpu.pci_bus_id) == short_bus(bus));
    shared.saw_xid(Seen {
        at_ms: super::driver::now_ms(),
        gpu_uuid: gpu.map(|gpu| gpu.uuid.clone()).unwrap_or_default(),
        pci_bus_id: gpu.map_or_else(|| bus.to_owned(), |gpu| gpu.pci_bus_id.clone()),
        xid,
        gpu_instance: None,
        source: KERNEL,
    });
}

/// PCI address and code in a record such as `…;NVRM: Xid (PCI:0000:18:00): 79, pid=17, GPU has fallen off the bus.`
fn parse(record: &str) -> Option<(&str, u64)> {
    let (_, rest) = record.split_once("NVRM: Xid (")?;
    let (address, rest) = rest.split_once("): ")?;
    let address = address.strip_prefix("PCI:").unwrap_or(address);
    let code = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((address, code.parse().ok()?))
}

/// `18:00` of `0000:18:00`, `00000000:18:00.0`, with the domain if it is not 0.
fn short_bus(address: &str) -> String {
    let address = address.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let mut parts: Vec<&str> = address.split(':').collect();
    if parts.len() == 3 && parts[0].bytes().all(|byte| byte == b'0') {
        parts.remove(0);
    }
    parts.iter().map(|part| part.trim_start_matches('0')).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_several_drivers_are_understood() {
        for (record, bus, xid) in [
            (
                "4,812,5,-;NVRM: Xid (PCI:0000:18:00): 79, pid=17, name=python, GPU has fallen off the bus.\n",
                "0000:18:00",
                79,
            ),
            ("3,1,2,-;NVRM: Xid (PCI:0000:3b:00): 31, pid='<unknown>', name=<unknown>, Ch 00000010", "0000:3b:00", 31),
            ("3,1,2,-;NVRM: Xid (0000:02:00): 13, Graphics Exception", "0000:02:00", 13),
        ] {
            assert_eq!(parse(record), Some((bus, xid)), "{record}");
        }
    }

    #[test]
    fn other_records_are_passed_over() {
        for record in
            ["", "6,1,2,-;usb 1-1: new device", "NVRM: Xid (PCI:0000:18:00): ", "NVRM: Xid (", "NVRM: Xid (a): x"]
        {
            assert_eq!(parse(record), None, "{record}");
        }
    }

    #[test]
    fn one_address_has_many_spellings() {
        assert_eq!(short_bus("0000:18:00"), short_bus("00000000:18:00.0"));
        assert_eq!(short_bus("0000:3B:00"), short_bus("00000000:3b:00.0"));
        assert_ne!(short_bus("0001:18:00"), short_bus("00000000:18:00.0"));
        assert_eq!(short_bus("0001:18:00"), short_bus("00000001:18:00.0"));
    }
}
