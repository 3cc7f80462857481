//! Control groups of version 1, one hierarchy per controller or a few together.

use super::{CPU_PERIOD_US, Groups, Limit, make_groups, number};
use crate::root::devices::Rule;
use crate::root::words::CellUsage;
use muster_protocol::desired::Size;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes `init` and `work` for one controller and sets its limit, unless version 2 has it.
pub(super) fn make(cell: &Path, controller: &str, size: &Size, rules: &[Rule], groups: &mut Groups) -> io::Result<()> {
    make_groups(cell)?;
    let limit = match controller {
        "cpu" => Limit::Cpu,
        "memory" => Limit::Memory,
        "pids" => Limit::Pids,
        "devices" => Limit::Devices,
        _ => return Ok(()),
    };
    set(&cell.join("work"), limit, size, rules)?;
    if !groups.enforced.contains(&limit) {
        groups.enforced.push(limit);
    }
    Ok(())
}

/// Opens what a process of one thread writes to enter: `tasks` moves that thread at once, while `cgroup.procs`
/// waits for every processor of the machine, some milliseconds.
pub(super) fn enter_later(cell: &Path, groups: &mut Groups) -> io::Result<()> {
    let tasks = |group: &str| File::options().write(true).open(cell.join(group).join("tasks"));
    groups.init.push(tasks("init")?);
    groups.work.push(tasks("work")?);
    Ok(())
}

fn set(work: &Path, limit: Limit, size: &Size, rules: &[Rule]) -> io::Result<()> {
    match limit {
        Limit::Cpu => {
            fs::write(work.join("cpu.cfs_period_us"), CPU_PERIOD_US.to_string())?;
            let quota = (size.cpu_milli * CPU_PERIOD_US / 1000).max(1000);
            fs::write(work.join("cpu.cfs_quota_us"), quota.to_string())
        }
        Limit::Memory => {
            let bytes = size.memory_bytes.to_string();
            fs::write(work.join("memory.limit_in_bytes"), &bytes)?;
            let with_swap = work.join("memory.memsw.limit_in_bytes");
            if with_swap.exists() { fs::write(with_swap, bytes) } else { Ok(()) }
        }
        Limit::Pids => fs::write(work.join("pids.max"), size.pids.to_string()),
        Limit::Devices => {
            fs::write(work.join("devices.deny"), "a")?;
            rules.iter().try_for_each(|rule| fs::write(work.join("devices.allow"), rule.v1()))
        }
    }
}

/// Reads what is used, as far as version 2 has not told it.
pub(super) fn usage(work: &Path, controller: &str, usage: &mut CellUsage) {
    match controller {
        "cpuacct" => usage.cpu_usec = number(&work.join("cpuacct.usage")).map(|ns| ns / 1000).or(usage.cpu_usec),
        "memory" => {
            usage.memory_bytes = number(&work.join("memory.usage_in_bytes")).or(usage.memory_bytes);
            usage.memory_peak_bytes = number(&work.join("memory.max_usage_in_bytes")).or(usage.memory_peak_bytes);
        }
        "pids" => usage.pids = number(&work.join("pids.current")).or(usage.pids),
        _ => {}
    }
}
