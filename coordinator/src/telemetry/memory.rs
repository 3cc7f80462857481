//! The latest values and the rings of every node, in memory alone. Nothing here outlives the process, and
//! nothing a node sends reaches the values of another.

use super::ring::{Ring, STEP_MS};
use muster_protocol::{
    ids::{AllocationId, NodeId},
    limits::{CELLS_PER_NODE, GPUS_PER_NODE},
    telemetry::{CellSample, GpuSample, HostSample, Sample},
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Age after which a value is withdrawn, ms.
pub const FRESH_MS: i64 = 5_000;
/// Age after which the rings of a GPU or a cell that is no longer sampled are dropped, ms.
const FORGET_MS: i64 = 15 * 60_000;
/// Longest stretch of a mean, ms.
const SPAN_MAX_MS: i64 = 60_000;
/// Longest GPU name that is kept, in bytes.
const UUID_MAX: usize = 96;

/// What a series measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Name as shown.
    pub name: &'static str,
    /// Unit as shown.
    pub unit: &'static str,
    /// What a stored number is worth in that unit.
    pub scale: f64,
}

const fn metric(name: &'static str, unit: &'static str, scale: f64) -> Metric {
    Metric { name, unit, scale }
}

/// Series of a GPU, in the order of its ring.
pub const GPU_METRICS: [Metric; 6] = [
    metric("utilization_percent", "percent", 1.0),
    metric("memory_used_bytes", "bytes", 1024.0),
    metric("temperature_c", "celsius", 1.0),
    metric("power_mw", "milliwatt", 1.0),
    metric("sm_clock_mhz", "megahertz", 1.0),
    metric("memory_utilization_percent", "percent", 1.0),
];
/// Series of a machine, in the order of its ring.
pub const HOST_METRICS: [Metric; 3] = [
    metric("cpu_milli", "millicpu", 1.0),
    metric("memory_used_bytes", "bytes", 1024.0),
    metric("load1_milli", "thousandths", 1.0),
];
/// Series of a cell, in the order of its ring.
pub const CELL_METRICS: [Metric; 3] =
    [metric("cpu_milli", "millicpu", 1.0), metric("memory_used_bytes", "bytes", 1024.0), metric("pids", "count", 1.0)];

/// A value and when it was taken, by the coordinator's clock in ms since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken<T> {
    /// When.
    pub at_ms: i64,
    /// What.
    pub value: T,
}

/// The moment of a sample, or the stretch of a mean.
#[derive(Debug, Clone, Copy)]
struct When {
    at_ms: i64,
    span_ms: i64,
}

impl When {
    /// Every second it touches.
    fn each(self, mut push: impl FnMut(i64)) {
        let last = (self.at_ms + self.span_ms.max(1) - 1).div_euclid(STEP_MS);
        (self.at_ms.div_euclid(STEP_MS)..=last).for_each(|second| push(second * STEP_MS));
    }

    /// When its last value was taken.
    fn end_ms(self) -> i64 {
        self.at_ms + (self.span_ms - STEP_MS).max(0)
    }
}

#[derive(Debug)]
pub(super) struct Track<T, const N: usize> {
    latest: Taken<T>,
    pub(super) ring: Ring<N>,
}

impl<T, const N: usize> Track<T, N> {
    fn add(slot: Option<&mut Self>, when: When, value: T, points: [Option<u32>; N]) -> Option<Self> {
        if let Some(track) = slot {
            when.each(|at_ms| track.ring.push(at_ms, points));
            if when.end_ms() >= track.latest.at_ms {
                track.latest = Taken { at_ms: when.end_ms(), value };
            }
            return None;
        }
        let mut ring = Ring::default();
        when.each(|at_ms| ring.push(at_ms, points));
        Some(Self { latest: Taken { at_ms: when.end_ms(), value }, ring })
    }
}

#[derive(Debug, Default)]
pub(super) struct NodeTracks {
    pub(super) host: Option<Track<HostSample, 3>>,
    pub(super) gpus: HashMap<String, Track<GpuSample, 6>>,
    pub(super) cells: HashMap<AllocationId, Track<CellSample, 3>>,
    shed: u64,
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it measures.
    pub metric: Metric,
    /// The GPU, if it is one's.
    pub gpu_uuid: Option<String>,
    /// A value a step, null where nothing was measured.
    pub points: Vec<Option<f64>>,
}

/// A stretch of time cut into steps, ms since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Begin, included.
    pub from_ms: i64,
    /// End, excluded.
    pub to_ms: i64,
    /// Width of a point, a multiple of a second.
    pub step_ms: i64,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Telemetry {
    nodes: Mutex<HashMap<NodeId, NodeTracks>>,
}

impl Telemetry {
    /// Takes in a sample taken at `at_ms` by the coordinator's clock, or a mean that begins there.
    pub fn ingest(&self, node: NodeId, at_ms: i64, sample: Sample) {
        let when = When { at_ms, span_ms: i64::from(sample.span_ms).min(SPAN_MAX_MS) };
        let mut nodes = self.lock();
        let tracks = nodes.entry(node).or_default();
        tracks.shed = tracks.shed.saturating_add(sample.shed.into());
        if let Some(host) = sample.host {
            let points = [small(host.cpu_milli), kib(host.memory_used_bytes), small(host.load1_milli)];
            if let Some(fresh) = Track::add(tracks.host.as_mut(), when, host, points) {
                tracks.host = Some(fresh);
            }
        }
        for gpu in sample.gpus.into_iter().take(GPUS_PER_NODE) {
            tracks.add_gpu(when, gpu);
        }
        for cell in sample.cells.into_iter().take(CELLS_PER_NODE) {
            tracks.add_cell(when, cell);
        }
        tracks.gpus.retain(|_, track| at_ms - track.latest.at_ms < FORGET_MS);
        tracks.cells.retain(|_, track| at_ms - track.latest.at_ms < FORGET_MS);
    }

    /// Latest values of the node's GPUs that are not withdrawn, by UUID.
    #[must_use]
    pub fn gpus(&self, node: NodeId, now_ms: i64) -> HashMap<String, Taken<GpuSample>> {
        let nodes = self.lock();
        let Some(tracks) = nodes.get(&node) else { return HashMap::new() };
        let fresh = tracks.gpus.iter().filter(|(_, track)| now_ms - track.latest.at_ms <= FRESH_MS);
        fresh.map(|(uuid, track)| (uuid.clone(), track.latest.clone())).collect()
    }

    /// Latest values of the machine, unless withdrawn.
    #[must_use]
    pub fn host(&self, node: NodeId, now_ms: i64) -> Option<Taken<HostSample>> {
        let nodes = self.lock();
        let track = nodes.get(&node)?.host.as_ref()?;
        (now_ms - track.latest.at_ms <= FRESH_MS).then(|| track.latest.clone())
    }

    /// Latest values of a cell, unless withdrawn.
    #[must_use]
    pub fn cell(&self, node: NodeId, allocation: AllocationId, now_ms: i64) -> Option<Taken<CellSample>> {
        let nodes = self.lock();
        let track = nodes.get(&node)?.cells.get(&allocation)?;
        (now_ms - track.latest.at_ms <= FRESH_MS).then(|| track.latest.clone())
    }

    /// Series of the machine and its GPUs, GPUs in the order of their UUIDs.
    #[must_use]
    pub fn node_series(&self, node: NodeId, span: Span) -> Vec<Series> {
        let nodes = self.lock();
        let Some(tracks) = nodes.get(&node) else { return Vec::new() };
        let mut out = Vec::new();
        if let Some(host) = &tracks.host {
            out.extend(series(&HOST_METRICS, &host.ring, span, None));
        }
        let mut uuids: Vec<_> = tracks.gpus.keys().collect();
        uuids.sort_unstable();
        for uuid in uuids {
            out.extend(series(&GPU_METRICS, &tracks.gpus[uuid].ring, span, Some(uuid)));
        }
        out
    }

    /// Series of a cell and of the GPUs it leases.
    #[must_use]
    pub fn cell_series(&self, node: NodeId, allocation: AllocationId, gpu_uuids: &[String], span: Span) -> Vec<Series> {
        let nodes = self.lock();
        let Some(tracks) = nodes.get(&node) else { return Vec::new() };
        let mut out = Vec::new();
        if let Some(cell) = tracks.cells.get(&allocation) {
            out.extend(series(&CELL_METRICS, &cell.ring, span, None));
        }
        for uuid in gpu_uuids {
            if let Some(gpu) = tracks.gpus.get(uuid) {
                out.extend(series(&GPU_METRICS, &gpu.ring, span, Some(uuid)));
            }
        }
        out
    }

    /// When the newest sample was taken: of a cell, or of the machine and its GPUs.
    #[must_use]
    pub fn newest_ms(&self, node: NodeId, cell: Option<AllocationId>) -> Option<i64> {
        let nodes = self.lock();
        let tracks = nodes.get(&node)?;
        match cell {
            Some(cell) => tracks.cells.get(&cell)?.ring.newest_ms(),
            None => {
                let gpus = tracks.gpus.values().filter_map(|track| track.ring.newest_ms());
                gpus.chain(tracks.host.as_ref().and_then(|track| track.ring.newest_ms())).max()
            }
        }
    }

    /// Samples that the node shed since the coordinator's start.
    #[must_use]
    pub fn shed(&self, node: NodeId) -> u64 {
        self.lock().get(&node).map_or(0, |tracks| tracks.shed)
    }

    /// Drops all of a node that was removed.
    pub fn forget(&self, node: NodeId) {
        self.lock().remove(&node);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, NodeTracks>> {
        // A panic while holding the lock leaves at worst one sample half taken.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodeTracks {
    fn add_gpu(&mut self, when: When, gpu: GpuSample) {
        let known = self.gpus.get_mut(&gpu.uuid);
        if gpu.uuid.len() > UUID_MAX || (known.is_none() && self.gpus.len() >= GPUS_PER_NODE) {
            return;
        }
        let points = [
            gpu.utilization_percent,
            kib(gpu.memory_used_bytes),
            gpu.temperature_c,
            gpu.power_mw,
            gpu.sm_clock_mhz,
            gpu.memory_utilization_percent,
        ];
        let uuid = gpu.uuid.clone();
        if let Some(fresh) = Track::add(self.gpus.get_mut(&uuid), when, gpu, points) {
            self.gpus.insert(uuid, fresh);
        }
    }

    fn add_cell(&mut self, when: When, cell: CellSample) {
        let Ok(allocation) = cell.allocation.parse::<AllocationId>() else { return };
        if !self.cells.contains_key(&allocation) && self.cells.len() >= CELLS_PER_NODE {
            return;
        }
        let points = [small(cell.cpu_milli), kib(cell.memory_used_bytes), small(cell.pids)];
        if let Some(fresh) = Track::add(self.cells.get_mut(&allocation), when, cell, points) {
            self.cells.insert(allocation, fresh);
        }
    }
}

fn series<const N: usize>(metrics: &[Metric; N], ring: &Ring<N>, span: Span, gpu: Option<&String>) -> Vec<Series> {
    let scaled = |(index, metric): (usize, &Metric)| {
        let points = ring.series(index, span.from_ms, span.to_ms, span.step_ms);
        Series {
            metric: *metric,
            gpu_uuid: gpu.cloned(),
            points: points.into_iter().map(|point| point.map(|value| value * metric.scale)).collect(),
        }
    };
    metrics.iter().enumerate().map(scaled).collect()
}

fn small(value: Option<u64>) -> Option<u32> {
    value.map(|value| u32::try_from(value).unwrap_or(u32::MAX))
}

fn kib(bytes: Option<u64>) -> Option<u32> {
    small(bytes.map(|bytes| bytes >> 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u64) -> NodeId {
        NodeId::new(number, [7; 10])
    }

    fn sample(uuid: &str, utilization: Option<u32>) -> Sample {
        Sample {
            sampled_ms: 0,
            host: Some(HostSample { cpu_milli: Some(250), memory_used_bytes: Some(1 << 30), ..HostSample::default() }),
            gpus: vec![GpuSample { uuid: uuid.into(), utilization_percent: utilization, ..GpuSample::default() }],
            shed: 1,
            span_ms: 0,
            cells: vec![CellSample { allocation: "not an id".into(), ..CellSample::default() }],
        }
    }

    #[test]
    fn latest_values_are_withdrawn_when_they_are_old() {
        let telemetry = Telemetry::default();
        telemetry.ingest(node(1), 10_000, sample("GPU-1", Some(40)));
        assert_eq!(telemetry.gpus(node(1), 15_000)["GPU-1"].value.utilization_percent, Some(40));
        assert!(telemetry.gpus(node(1), 15_001).is_empty());
        assert!(telemetry.host(node(1), 15_001).is_none());
        assert!(telemetry.gpus(node(2), 10_000).is_empty(), "another node's values stay its own");
    }

    #[test]
    fn series_have_gaps_and_units() {
        let telemetry = Telemetry::default();
        telemetry.ingest(node(1), 10_000, sample("GPU-1", Some(40)));
        telemetry.ingest(node(1), 12_000, sample("GPU-1", None));
        let span = Span { from_ms: 10_000, to_ms: 13_000, step_ms: 1_000 };
        let all = telemetry.node_series(node(1), span);
        let find = |name: &str| &all.iter().find(|series| series.metric.name == name).unwrap().points;
        assert_eq!(find("utilization_percent"), &[Some(40.0), None, None]);
        assert_eq!(find("cpu_milli"), &[Some(250.0), None, Some(250.0)]);
        assert_eq!(all.len(), HOST_METRICS.len() + GPU_METRICS.len());
        assert_eq!(telemetry.shed(node(1)), 2);
    }

    #[test]
    fn means_fill_every_second_and_withdraw_nothing_newer() {
        let telemetry = Telemetry::default();
        telemetry.ingest(node(1), 10_500, sample("GPU-1", Some(40)));
        // A minute later the link is back: a mean that overlaps, two more, and the present.
        for (at_ms, span_ms, percent) in
            [(10_600, 9_400, 50), (20_010, 9_990, 60), (30_020, 10_000, 70), (40_030, 0, 80)]
        {
            telemetry.ingest(node(1), at_ms, Sample { span_ms, ..sample("GPU-1", Some(percent)) });
        }
        let span = Span { from_ms: 10_000, to_ms: 41_000, step_ms: 1_000 };
        let all = telemetry.node_series(node(1), span);
        let points = &all.iter().find(|series| series.metric.name == "utilization_percent").unwrap().points;
        assert!(points.iter().all(Option::is_some), "{points:?}");
        assert_eq!(telemetry.gpus(node(1), 40_100)["GPU-1"].value.utilization_percent, Some(80));
        telemetry.ingest(node(1), 12_000, Sample { span_ms: 10_000, ..sample("GPU-1", Some(1)) });
        assert_eq!(telemetry.gpus(node(1), 40_100)["GPU-1"].value.utilization_percent, Some(80));
    }

    #[test]
    fn an_agent_that_invents_gpus_is_bounded() {
        let telemetry = Telemetry::default();
        for number in 0..500 {
            telemetry.ingest(node(1), 10_000, sample(&format!("GPU-{number}"), Some(1)));
        }
        assert_eq!(telemetry.gpus(node(1), 10_000).len(), GPUS_PER_NODE);
    }
}
