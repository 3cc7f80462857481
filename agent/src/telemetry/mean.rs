//! The mean of several samples: of what was measured in each, never of what was not.

use muster_protocol::telemetry::{CellSample, GpuSample, HostSample, Sample};

/// One sample for many, oldest first. Rates and levels become means, counters keep their last value, sets of
/// reasons are united.
#[must_use]
pub(super) fn mean(samples: &[Sample]) -> Sample {
    let hosts: Vec<&HostSample> = samples.iter().filter_map(|sample| sample.host.as_ref()).collect();
    Sample {
        sampled_ms: samples.first().map_or(0, |sample| sample.sampled_ms),
        host: (!hosts.is_empty()).then(|| host(&hosts)),
        gpus: by_name(samples.iter().map(|sample| &sample.gpus[..]), |gpu| &gpu.uuid, gpu),
        shed: samples.iter().map(|sample| sample.shed).sum(),
        cells: by_name(samples.iter().map(|sample| &sample.cells[..]), |cell| &cell.allocation, cell),
        span_ms: 0,
    }
}

/// All of one name together, names in the order in which they came.
fn by_name<'a, T: 'a>(
    lists: impl Iterator<Item = &'a [T]>,
    name: impl Fn(&T) -> &String,
    one: impl Fn(&[&T]) -> T,
) -> Vec<T> {
    let mut groups: Vec<Vec<&T>> = Vec::new();
    for item in lists.flatten() {
        match groups.iter_mut().find(|group| name(group[0]) == name(item)) {
            Some(group) => group.push(item),
            None => groups.push(vec![item]),
        }
    }
    groups.iter().map(|group| one(group)).collect()
}

fn average<T, N: Copy + Into<u64> + TryFrom<u64>>(all: &[&T], get: impl Fn(&T) -> Option<N>) -> Option<N> {
    let (mut sum, mut count) = (0_u128, 0_u128);
    for value in all.iter().filter_map(|item| get(item)) {
        sum += u128::from(value.into());
        count += 1;
    }
    let mean = (sum + count / 2).checked_div(count)?;
    N::try_from(u64::try_from(mean).ok()?).ok()
}

fn last<T, N>(all: &[&T], get: impl Fn(&T) -> Option<N>) -> Option<N> {
    all.iter().rev().find_map(|item| get(item))
}

fn host(all: &[&HostSample]) -> HostSample {
    HostSample {
        cpu_milli: average(all, |host| host.cpu_milli),
        memory_used_bytes: average(all, |host| host.memory_used_bytes),
        load1_milli: average(all, |host| host.load1_milli),
        disk_free_bytes: last(all, |host| host.disk_free_bytes),
    }
}

fn gpu(all: &[&GpuSample]) -> GpuSample {
    let reasons = all.iter().filter_map(|gpu| gpu.throttle_reasons).reduce(|all, more| all | more);
    GpuSample {
        uuid: all[0].uuid.clone(),
        utilization_percent: average(all, |gpu| gpu.utilization_percent),
        memory_used_bytes: average(all, |gpu| gpu.memory_used_bytes),
        memory_total_bytes: last(all, |gpu| gpu.memory_total_bytes),
        temperature_c: average(all, |gpu| gpu.temperature_c),
        power_mw: average(all, |gpu| gpu.power_mw),
        sm_clock_mhz: average(all, |gpu| gpu.sm_clock_mhz),
        memory_clock_mhz: average(all, |gpu| gpu.memory_clock_mhz),
        throttle_reasons: reasons,
        ecc_uncorrected: last(all, |gpu| gpu.ecc_uncorrected),
        ecc_corrected: last(all, |gpu| gpu.ecc_corrected),
        memory_utilization_percent: average(all, |gpu| gpu.memory_utilization_percent),
        processes: last(all, |gpu| gpu.processes),
        fan_percent: average(all, |gpu| gpu.fan_percent),
    }
}

fn cell(all: &[&CellSample]) -> CellSample {
    CellSample {
        allocation: all[0].allocation.clone(),
        cpu_milli: average(all, |cell| cell.cpu_milli),
        memory_used_bytes: average(all, |cell| cell.memory_used_bytes),
        pids: average(all, |cell| cell.pids),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_counts_for_nothing() {
        let gpu = |uuid: &str, percent, ecc| GpuSample {
            uuid: uuid.into(),
            utilization_percent: percent,
            ecc_corrected: ecc,
            throttle_reasons: percent.map(u64::from),
            ..GpuSample::default()
        };
        let sample = |gpus| Sample { gpus, ..Sample::default() };
        let all = [
            sample(vec![gpu("a", Some(1), Some(7)), gpu("b", None, None)]),
            sample(vec![gpu("a", None, Some(9))]),
            sample(vec![gpu("a", Some(4), None)]),
        ];
        let mean = mean(&all);
        assert_eq!(mean.gpus.len(), 2);
        assert_eq!((mean.gpus[0].utilization_percent, mean.gpus[0].ecc_corrected), (Some(3), Some(9)));
        assert_eq!(mean.gpus[0].throttle_reasons, Some(5));
        assert_eq!((mean.gpus[1].utilization_percent, mean.gpus[1].throttle_reasons), (None, None));
        assert_eq!(mean.host, None);
    }
}
