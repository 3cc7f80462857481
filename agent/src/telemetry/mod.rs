//! What is measured, and the inventory. Cheap by design: files that stay open, nothing kept, nothing made up.

mod backlog;
mod host;
mod mean;

pub use backlog::Backlog;
pub use host::HostSampler;

use crate::{
    cells::Cells,
    clock::Clock,
    config::CPU_SLOTS_DEFAULT,
    gpu::{GpuInventory, Gpus},
    root::{CellUsage, Client, Level, Reply, Request},
};
use muster_protocol::{
    desired::SlotKind,
    ids::AllocationId,
    inventory::{FoundSlot, Host, Inventory},
    limits::SLOTS_PER_NODE,
    telemetry::{CellSample, Sample},
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::time::Instant;

/// Cells measured in one sample; the others take turns.
const CELLS_AT_ONCE: usize = 64;

/// Takes samples.
#[derive(Debug)]
pub struct Sampler {
    /// None: the machine itself is not measured.
    host: Option<HostSampler>,
    clock: Clock,
    gpus: Gpus,
    root: Client,
    cells: Cells,
    last: BTreeMap<AllocationId, (Instant, u64)>,
    turn: usize,
}

impl Sampler {
    /// Without a `host` the machine itself is not measured.
    #[must_use]
    pub fn new(host: Option<HostSampler>, clock: Clock, gpus: Gpus, root: Client, cells: Cells) -> Self {
        Self { host, clock, gpus, root, cells, last: BTreeMap::new(), turn: 0 }
    }

    /// One sample, now.
    pub async fn sample(&mut self) -> Sample {
        Sample {
            sampled_ms: self.clock.wall_ms(),
            host: self.host.as_mut().map(HostSampler::sample),
            gpus: self.gpus.sample(),
            cells: self.cells().await,
            ..Sample::default()
        }
    }

    async fn cells(&mut self) -> Vec<CellSample> {
        let standing = self.cells.standing();
        self.last.retain(|id, _| standing.contains(id));
        if standing.is_empty() {
            return Vec::new();
        }
        let from = self.turn % standing.len();
        self.turn = from + CELLS_AT_ONCE;
        let mut samples = Vec::new();
        for allocation in standing.iter().cycle().skip(from).take(standing.len().min(CELLS_AT_ONCE)) {
            if let Ok(Reply::Usage(usage)) = self.root.ask(Request::CellUsage { allocation: *allocation }).await {
                samples.push(self.cell(*allocation, &usage));
            }
        }
        samples
    }

    fn cell(&mut self, allocation: AllocationId, usage: &CellUsage) -> CellSample {
        let now = Instant::now();
        let before = usage.cpu_usec.and_then(|used| self.last.insert(allocation, (now, used)));
        let cpu_milli = usage.cpu_usec.zip(before).and_then(|(used, (then, before))| {
            let passed = u64::try_from(now.duration_since(then).as_micros()).ok().filter(|passed| *passed > 0)?;
            Some(used.saturating_sub(before).saturating_mul(1000) / passed)
        });
        CellSample {
            allocation: allocation.to_string(),
            cpu_milli,
            memory_used_bytes: usage.memory_bytes,
            pids: usage.pids,
        }
    }
}

/// Takes a sample each period for ever, whether there is a link or not.
pub async fn keep(mut sampler: Sampler, backlog: Arc<Backlog>) {
    let mut next = Instant::now();
    loop {
        tokio::time::sleep_until(next).await;
        backlog.push(sampler.sample().await);
        // A sample that took too long is not made up for.
        next = (next + backlog.period()).max(Instant::now());
    }
}

/// The inventory of this node. `cpu_slots` is the operator's number, if there is one.
#[must_use]
pub fn inventory(
    host: &Host,
    gpus: GpuInventory,
    cpu_slots: Option<u32>,
    level: Level,
    not_enforced: &[String],
) -> Inventory {
    let usable = gpus.gpus.iter().any(|gpu| gpu.error.is_empty());
    let cpu_slots = cpu_slots.unwrap_or(if usable { 0 } else { CPU_SLOTS_DEFAULT });
    let cpu = (0..cpu_slots).map(|number| FoundSlot {
        kind: SlotKind::Cpu.word().to_owned(),
        start: number,
        ..FoundSlot::default()
    });
    Inventory {
        host: host.clone(),
        gpu_state: gpus.gpu_state,
        gpu_detail: gpus.gpu_detail,
        driver_version: gpus.driver_version,
        gpus: gpus.gpus,
        slots: gpus.slots.into_iter().chain(cpu).take(SLOTS_PER_NODE).collect(),
        isolation: level.word().to_owned(),
        not_enforced: not_enforced.to_vec(),
        cuda_version: gpus.cuda_version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::inventory::Gpu;

    #[test]
    fn a_node_without_a_usable_gpu_offers_cpu_slots() {
        let gpus = |error: &str| GpuInventory {
            gpus: vec![Gpu { error: error.to_owned(), ..Gpu::default() }],
            ..GpuInventory::default()
        };
        let slots = |gpus, wanted| inventory(&Host::default(), gpus, wanted, Level::Cell, &[]).slots.len();
        assert_eq!(slots(GpuInventory::default(), None), 4);
        assert_eq!(slots(gpus(""), None), 0);
        assert_eq!(slots(gpus("lost"), None), 4);
        assert_eq!(slots(gpus(""), Some(2)), 2);
    }
}
