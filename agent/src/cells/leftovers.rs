//! What an ended cell left on its GPUs: processes in the driver's table, and memory over what was used before.

use super::Tools;
use crate::gpu::{GpuProcess, Gpus};
use muster_protocol::{
    desired::{Slot, SlotKind},
    report::{Receipt, ReceiptStep},
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep};

/// Memory that a dead process held may take so long to come back.
const SETTLE: Duration = Duration::from_secs(5);
/// Period of the looks at it.
const LOOK: Duration = Duration::from_millis(250);
/// The driver's own use goes up and down by less than this, bytes.
const SLACK: u64 = 64 << 20;

/// What is on the GPUs of some slots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct OnGpus {
    /// In use, bytes by UUID; none: the driver does not say.
    memory: BTreeMap<String, Option<u64>>,
    /// In words.
    processes: Vec<String>,
}

fn look(gpus: &Gpus, slots: &[Slot]) -> OnGpus {
    let mut found = OnGpus::default();
    for slot in slots {
        let (Some(uuid), false) = (&slot.gpu_uuid, slot.kind == SlotKind::Cpu) else { continue };
        // An instance that is gone has no processes; its GPU may still tell of them.
        let uuid = gpus.uuid_of(slot).ok().flatten().unwrap_or_else(|| uuid.clone());
        match gpus.processes(&uuid) {
            Ok(processes) => {
                let text = |process: &GpuProcess| format!("process {} on {uuid}", process.pid);
                found.processes.extend(processes.iter().map(text));
            }
            Err(error) => found.processes.push(format!("processes of {uuid} are not known: {error}")),
        }
        found.memory.insert(uuid.clone(), gpus.memory_used(&uuid).ok());
    }
    found
}

async fn look_aside(tools: &Tools, slots: &[Slot]) -> OnGpus {
    let (gpus, slots) = (tools.gpus.clone(), slots.to_vec());
    tools.aside.run("gpu-look", move || look(&gpus, &slots)).await.unwrap_or_default()
}

fn without_gpus(slots: &[Slot]) -> bool {
    slots.iter().all(|slot| slot.kind == SlotKind::Cpu)
}

/// Before a cell: what its GPUs use while nobody uses them.
pub(super) async fn note_baseline(tools: &Tools, slots: &[Slot]) {
    if without_gpus(slots) {
        return;
    }
    let found = look_aside(tools, slots).await;
    if !found.processes.is_empty() {
        return tracing::warn!(processes = found.processes.join(", "), "leased GPUs are in use already");
    }
    for (uuid, bytes) in found.memory {
        if let Some(bytes) = bytes
            && let Err(error) = tools.journal.keep_baseline(uuid, bytes).await
        {
            tracing::warn!(%error, "a GPU's baseline is not in the journal");
        }
    }
}

/// After a cell: adds to its receipt what is left, once it had time to go.
pub(super) async fn check(tools: &Tools, slots: &[Slot], receipt: &mut Receipt) {
    if without_gpus(slots) {
        return;
    }
    let until = Instant::now() + SETTLE;
    let (found, left) = loop {
        let found = look_aside(tools, slots).await;
        let mut baselines = BTreeMap::new();
        for uuid in found.memory.keys() {
            if let Ok(Some(bytes)) = tools.journal.baseline(uuid.clone()).await {
                baselines.insert(uuid.clone(), bytes);
            }
        }
        let left = left(&found, &baselines);
        if left.is_empty() || Instant::now() >= until {
            break (found, left);
        }
        sleep(LOOK).await;
    };
    let clean = left.is_empty();
    let detail = if clean { "no process, and memory as before".to_owned() } else { left.join(", ") };
    receipt.steps.push(ReceiptStep { name: "gpu_memory".into(), detail, clean });
    receipt.gpu_memory_bytes = found.memory;
    receipt.clean &= clean;
    receipt.leftovers.extend(left);
}

/// What is too much, in words.
fn left(found: &OnGpus, baselines: &BTreeMap<String, u64>) -> Vec<String> {
    let mut left = found.processes.clone();
    for (uuid, used) in &found.memory {
        if let (Some(used), Some(before)) = (used, baselines.get(uuid))
            && *used > before + SLACK
        {
            left.push(format!("{} MiB more on {uuid} than before the lease", (used - before) >> 20));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_over_the_baseline_is_left_over_even_without_a_process() {
        let found = |used| OnGpus { memory: BTreeMap::from([("GPU-1".to_owned(), used)]), processes: Vec::new() };
        let before = BTreeMap::from([("GPU-1".to_owned(), 1000)]);
        assert!(left(&found(Some(1000 + SLACK)), &before).is_empty());
        assert_eq!(left(&found(Some(1001 + SLACK)), &before).len(), 1);
        assert!(left(&found(None), &before).is_empty(), "what is not measured is no evidence");
        assert!(left(&found(Some(u64::MAX)), &BTreeMap::new()).is_empty());
        let process = OnGpus { processes: vec!["process 1 on GPU-1".into()], ..OnGpus::default() };
        assert_eq!(left(&process, &before), process.processes);
    }
}
