//! The GPU side over the simulated driver, loaded as the real one is.

use super::*;
use nvidia_ml_sim::place::{BUILT_LIBRARY, Place};
use nvidia_ml_sim::scenario::{Scenario, write};
use nvidia_ml_sim::state::{GpuState, change};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A folder with simulated GPUs, and the agent's view of it.
struct Node {
    _dir: tempfile::TempDir,
    place: Place,
    uuids: Vec<String>,
    gpus: Gpus,
}

impl Node {
    fn new(lines: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (place, scenario) = simulate(dir.path(), lines);
        let uuids = scenario.gpus.iter().map(|gpu| gpu.uuid.clone()).collect();
        let config = GpuConfig { lib_path: Some(place.library()), dev_root: place.dev.clone(), ..GpuConfig::default() };
        Self { _dir: dir, place, uuids, gpus: Gpus::start(config) }
    }

    fn alter(&self, gpu: usize, with: impl FnOnce(&mut GpuState)) {
        change(&self.place, |state| with(state.gpus.entry(self.uuids[gpu].clone()).or_default())).expect("changed");
    }

    /// How long it takes until something holds.
    fn until(&self, what: &str, holds: impl Fn(&Gpus) -> bool) -> Duration {
        let began = Instant::now();
        let mut watch = self.gpus.watch();
        while !holds(&self.gpus) {
            assert!(began.elapsed() < Duration::from_secs(15), "never: {what}: {:?}", self.gpus.inventory());
            watch.wait(Duration::from_millis(20));
        }
        began.elapsed()
    }

    fn sampled(&self, gpu: usize) -> bool {
        self.gpus.sample().iter().any(|sample| sample.uuid == self.uuids[gpu])
    }
}

/// Makes simulated GPUs with their library.
fn simulate(dir: &Path, lines: &[&str]) -> (Place, Scenario) {
    let scenario = lines.iter().try_fold(Scenario::new("t"), |s, line| s.with_line(line)).expect("good lines");
    let place = write(dir, &scenario).expect("written");
    std::fs::copy(built_library(), place.library()).expect("copied");
    (place, scenario)
}

/// Cargo builds the library beside the test program.
fn built_library() -> PathBuf {
    let program = std::env::current_exe().expect("a program");
    let found = program.ancestors().map(|dir| dir.join(BUILT_LIBRARY)).find(|file| file.is_file());
    found.expect("the library is built with the tests")
}

#[test]
fn the_inventory_equals_the_scenario() {
    let node = Node::new(&["h100*2", "a100-80:3g.40gb@0,1g.10gb+me@4", "l40s"]);
    let inventory = node.gpus.inventory();
    assert_eq!((inventory.gpu_state.as_str(), inventory.gpu_detail.as_str()), ("ok", ""));
    assert_eq!((inventory.driver_version.as_str(), inventory.cuda_version.as_str()), ("580.95.05", "13.0"));
    let uuids: Vec<_> = inventory.gpus.iter().map(|gpu| gpu.uuid.clone()).collect();
    assert_eq!(uuids, node.uuids);
    let h100 = &inventory.gpus[0];
    assert_eq!(h100.model, "NVIDIA H100 80GB HBM3");
    assert_eq!((h100.memory_total_bytes, h100.power_limit_mw), (Some(81_559 << 20), Some(700_000)));
    assert_eq!((h100.mig_enabled, h100.nvlinks, h100.ecc_enabled), (Some(false), Some(18), Some(true)));
    assert_eq!((h100.minor, h100.pci_bus_id.as_str()), (Some(0), "00000000:18:00.0"));
    let l40s = &inventory.gpus[3];
    assert_eq!((l40s.mig_enabled, l40s.nvlinks), (None, None), "what a card cannot is absent, not false or 0");
    let mig: Vec<_> = inventory.gpus[2].mig.iter().map(|m| (m.profile.as_str(), m.start, m.size)).collect();
    assert_eq!(mig, [("3g.40gb", 0, 4), ("1g.10gb+me", 4, 1)]);
    let slots: Vec<_> =
        inventory.slots.iter().map(|s| (s.kind.as_str(), s.profile.as_str(), s.start, s.gpu_slices)).collect();
    assert_eq!(
        slots,
        [
            ("gpu", "", 0, 8),
            ("gpu", "", 0, 8),
            ("mig", "3g.40gb", 0, 8),
            ("mig", "1g.10gb+me", 4, 8),
            ("gpu", "", 0, 1)
        ]
    );
}

#[test]
fn what_the_driver_does_not_support_is_absent_and_never_zero() {
    let node = Node::new(&["t4", "h100"]);
    node.alter(0, |gpu| gpu.faults.not_supported = vec!["nvmlDeviceGetPowerUsage".into()]);
    node.until("power is absent", |gpus| gpus.sample().iter().any(|s| s.uuid == node.uuids[0] && s.power_mw.is_none()));
    let sample = node.gpus.sample();
    assert_eq!((sample[0].temperature_c, sample[0].fan_percent), (Some(34), None));
    assert_eq!((sample[1].power_mw, sample[1].utilization_percent), (Some(71_000), Some(0)));
    assert_eq!((sample[1].ecc_uncorrected, sample[1].processes), (Some(0), Some(0)));
}

#[test]
fn a_hung_gpu_is_flagged_within_two_seconds_and_costs_the_other_nothing() {
    let node = Node::new(&["h100*2"]);
    node.until("both are sampled", |_| node.sampled(0) && node.sampled(1));
    node.alter(0, |gpu| gpu.faults.hang = true);
    let took = node.until("it is flagged", |gpus| gpus.inventory().gpu_state == "degraded");
    assert!(took <= Duration::from_secs(2), "{took:?}");
    assert!(!node.sampled(0) && node.sampled(1));
    let inventory = node.gpus.inventory();
    assert_eq!((inventory.gpus[0].error.as_str(), inventory.gpus[1].error.as_str()), ("does not answer", ""));
    assert_eq!(inventory.slots.len(), 2, "it is still there");
    assert!(matches!(node.gpus.memory_used(&node.uuids[0]), Err(GpuError::Hung { .. })));
    assert_eq!(node.gpus.memory_used(&node.uuids[1]), Ok(0));
    node.alter(0, |gpu| gpu.faults.hang = false);
    node.until("it is well again", |gpus| gpus.inventory().gpu_state == "ok" && node.sampled(0));
}

#[test]
fn a_lost_gpu_is_degraded_and_comes_back() {
    let node = Node::new(&["a100-40*2"]);
    node.alter(1, |gpu| gpu.faults.lost = true);
    node.until("it is lost", |gpus| gpus.inventory().gpu_state == "degraded");
    assert!(node.gpus.inventory().gpu_detail.contains("GPU 1"), "{}", node.gpus.inventory().gpu_detail);
    assert!(!node.sampled(1));
    node.alter(1, |gpu| gpu.faults.lost = false);
    node.until("it is back", |gpus| gpus.inventory().gpu_state == "ok" && node.sampled(1));
}

#[test]
fn xids_are_numbered_events() {
    let node = Node::new(&["h100*2"]);
    let mut watch = node.gpus.watch();
    // The event set hears of what happens after it was made; the first one that arrives proves that it is there.
    let first = Instant::now();
    let mut seen = Vec::new();
    while seen.is_empty() {
        assert!(first.elapsed() < Duration::from_secs(10), "no XID arrived");
        change(&node.place, |state| state.raise(&node.uuids[0], 13, None)).expect("raised");
        seen = watch.wait(Duration::from_millis(300)).map(|change| change.xids).unwrap_or_default();
    }
    change(&node.place, |state| {
        state.raise(&node.uuids[1], 79, None);
        state.raise(&node.uuids[1], 79, Some(3));
    })
    .expect("raised");
    node.until("all have arrived", |gpus| gpus.xids_after(0).0.iter().filter(|event| event.xid == 79).count() == 2);
    let (all, lost) = node.gpus.xids_after(0);
    assert_eq!(lost, 0);
    assert!(all.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
    let last = &all[all.len() - 2..];
    assert_eq!((last[0].gpu_uuid.as_str(), last[0].xid, last[0].source), (node.uuids[1].as_str(), 79, "nvml"));
    assert_eq!((last[0].gpu_instance, last[1].gpu_instance), (None, Some(3)));
}

#[test]
fn a_driver_that_is_not_there_is_said() {
    let config = GpuConfig { lib_path: Some("/nonexistent/libnvidia-ml.so.1".into()), ..GpuConfig::default() };
    let gpus = Gpus::start(config);
    let inventory = gpus.inventory();
    assert_eq!(inventory.gpu_state, "driver_missing");
    assert!(inventory.gpus.is_empty() && inventory.slots.is_empty() && gpus.sample().is_empty());
    assert!(matches!(gpus.memory_used("GPU-a"), Err(GpuError::NoDriver(_))));
}

#[test]
fn a_library_without_its_kernel_module_misses_the_driver() {
    let dir = tempfile::tempdir().expect("a folder");
    let (place, _) = simulate(dir.path(), &["t4"]);
    std::fs::remove_file(place.dev.join("nvidiactl")).expect("removed");
    let inventory = Gpus::start(GpuConfig { lib_path: Some(place.library()), ..GpuConfig::default() }).inventory();
    assert_eq!(inventory.gpu_state, "driver_missing");
    assert!(inventory.gpu_detail.contains("kernel module"), "{}", inventory.gpu_detail);
}
