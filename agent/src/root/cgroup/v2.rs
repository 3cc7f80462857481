//! Control groups of version 2.

use super::{CPU_PERIOD_US, Groups, Limit, make_groups, number};
use crate::root::bpf;
use crate::root::devices::Rule;
use crate::root::words::CellUsage;
use muster_protocol::desired::Size;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes `init` and `work` below `cell`, with every limit whose controller can be had here.
pub(super) fn make(cell: &Path, size: &Size, rules: &[Rule], groups: &mut Groups) -> io::Result<()> {
    make_groups(cell)?;
    delegate(cell);
    let work = cell.join("work");
    let available = fs::read_to_string(work.join("cgroup.controllers")).unwrap_or_default();
    for (controller, limit) in [("cpu", Limit::Cpu), ("memory", Limit::Memory), ("pids", Limit::Pids)] {
        if available.split_whitespace().any(|have| have == controller) {
            set(&work, limit, size)?;
            groups.enforced.push(limit);
        }
    }
    match bpf::attach_device_filter(&work, rules) {
        Ok(()) => groups.enforced.push(Limit::Devices),
        Err(error) => tracing::warn!(%error, "no device filter on the version 2 group"),
    }
    groups.init_v2 = Some(File::open(cell.join("init"))?.into());
    groups.work_v2 = Some(File::open(work)?.into());
    Ok(())
}

/// Hands the controllers down to the cell from every group above it, as far as they are there.
fn delegate(cell: &Path) {
    let groups: Vec<&Path> =
        cell.ancestors().take_while(|group| group.join("cgroup.subtree_control").exists()).collect();
    for group in groups.into_iter().rev() {
        for controller in ["+cpu", "+memory", "+pids"] {
            // A controller that cannot be had is seen by its absence from `work`.
            let _ = fs::write(group.join("cgroup.subtree_control"), controller);
        }
    }
}

fn set(work: &Path, limit: Limit, size: &Size) -> io::Result<()> {
    match limit {
        Limit::Cpu => {
            let quota = (size.cpu_milli * CPU_PERIOD_US / 1000).max(1000);
            fs::write(work.join("cpu.max"), format!("{quota} {CPU_PERIOD_US}"))
        }
        Limit::Memory => {
            fs::write(work.join("memory.max"), size.memory_bytes.to_string())?;
            match fs::write(work.join("memory.swap.max"), "0") {
                // Kernels without swap accounting have no such file, and then no swap to limit.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                done => done,
            }
        }
        Limit::Pids => fs::write(work.join("pids.max"), size.pids.to_string()),
        Limit::Devices => Ok(()),
    }
}

/// Reads what is used, as far as the controllers are there.
pub(super) fn usage(work: &Path, usage: &mut CellUsage) {
    if let Some(cpu) = fs::read_to_string(work.join("cpu.stat")).ok().and_then(|text| cpu_usec(&text)) {
        usage.cpu_usec = Some(cpu);
    }
    usage.memory_bytes = number(&work.join("memory.current")).or(usage.memory_bytes);
    usage.memory_peak_bytes = number(&work.join("memory.peak")).or(usage.memory_peak_bytes);
    usage.pids = number(&work.join("pids.current")).or(usage.pids);
}

fn cpu_usec(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("usage_usec ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { cpu_milli: 1500, memory_bytes: 1 << 30, disk_bytes: 1 << 30, pids: 512 };

    #[test]
    fn limits_are_written_as_the_kernel_reads_them() {
        let work = tempfile::tempdir().unwrap();
        for limit in [Limit::Cpu, Limit::Memory, Limit::Pids] {
            set(work.path(), limit, &SIZE).unwrap();
        }
        let read = |name: &str| fs::read_to_string(work.path().join(name)).unwrap();
        assert_eq!(read("cpu.max"), "150000 100000");
        assert_eq!(read("memory.max"), "1073741824");
        assert_eq!(read("memory.swap.max"), "0");
        assert_eq!(read("pids.max"), "512");
    }

    #[test]
    fn usage_is_read_as_the_kernel_writes_it() {
        let work = tempfile::tempdir().unwrap();
        fs::write(work.path().join("cpu.stat"), "usage_usec 1234\nuser_usec 1000\n").unwrap();
        fs::write(work.path().join("memory.current"), "99\n").unwrap();
        fs::write(work.path().join("pids.current"), "3\n").unwrap();
        let mut found = CellUsage::default();
        usage(work.path(), &mut found);
        let wanted = CellUsage { cpu_usec: Some(1234), memory_bytes: Some(99), pids: Some(3), ..CellUsage::default() };
        assert_eq!(found, wanted);
    }
}
