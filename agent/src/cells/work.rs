//! Building and ending one cell.

use super::{Tools, entry::Entry, logs};
use crate::{
    clock,
    gpu::{GpuProcess, Gpus},
    root::{CellInfo, CreateCell, Error, ExitRecord, Reply, Request},
};
use muster_protocol::{
    desired::{Cell, Slot, SlotKind},
    ids::AllocationId,
    report::{Receipt, ReceiptStep},
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep};

/// Time for processes to end by themselves at a release, ms.
const GRACE_MS: u32 = 2_000;
/// A refusal that will pass is tried again after this.
const RETRY: Duration = Duration::from_secs(1);
/// GPU memory that a dead process held may take so long to come back.
const GPU_SETTLE: Duration = Duration::from_secs(5);
/// Period of the looks at it.
const GPU_LOOK: Duration = Duration::from_millis(250);

/// How a piece of work ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It stands.
    Created(Box<CellInfo>),
    /// It could not be built; what was begun is to be ended.
    CreateFailed { code: String, detail: String },
    /// It is gone, with its receipt.
    Ended { receipt: Box<Receipt>, exit: Option<ExitRecord>, log_sent: u64 },
    /// It could not be ended; to be tried again.
    EndFailed { detail: String },
    /// Keys are written, or not.
    Keys(Result<Vec<String>, String>),
}

/// Builds a cell.
pub(super) async fn create(tools: &Tools, cell: Cell) -> Outcome {
    let devices = match tools.gpus.devices_for_all(&cell.slots) {
        Ok(devices) => devices,
        Err(error) => return Outcome::CreateFailed { code: "device_missing".into(), detail: error.to_string() },
    };
    let ask = CreateCell { cell, devices: devices.paths, env: devices.env };
    loop {
        match tools.root.cell(Request::CellCreate(Box::new(ask.clone()))).await {
            Ok(info) => return Outcome::Created(Box::new(info)),
            Err(Error::Refused { code, .. }) if code == "busy" => sleep(RETRY).await,
            Err(Error::Refused { code, detail }) => return Outcome::CreateFailed { code, detail },
            Err(error) => return Outcome::CreateFailed { code: "create_failed".into(), detail: error.to_string() },
        }
    }
}

/// Ends a cell, waits for its GPUs to be free, and puts the rest of its output into the outbox.
pub(super) async fn end(tools: &Tools, entry: Entry, reason: String) -> Outcome {
    let slots = entry.spec.as_ref().map_or(&[][..], |spec| &spec.slots);
    let (receipt, exit) = match remove(tools, entry.allocation, slots, reason).await {
        Ok(ended) => ended,
        Err(detail) => return Outcome::EndFailed { detail },
    };
    let log_sent = if entry.is_batch() && entry.report.exit_code.is_none() {
        logs::ship(tools, entry.allocation, entry.log_sent).await.unwrap_or(entry.log_sent)
    } else {
        entry.log_sent
    };
    Outcome::Ended { receipt, exit, log_sent }
}

/// Looks again at what is left of a cell that has ended.
///
/// # Errors
/// In words: the root half could not do it.
pub async fn again(tools: &Tools, allocation: AllocationId, slots: &[Slot]) -> Result<Receipt, String> {
    remove(tools, allocation, slots, "released".to_owned()).await.map(|(receipt, _)| *receipt)
}

async fn remove(
    tools: &Tools,
    allocation: AllocationId,
    slots: &[Slot],
    reason: String,
) -> Result<(Box<Receipt>, Option<ExitRecord>), String> {
    let request = Request::CellEnd { allocation, reason, grace_ms: GRACE_MS };
    let (mut receipt, exit) = loop {
        match tools.root.ask(request.clone()).await {
            Ok(Reply::Ended { receipt, exit }) => break (receipt, exit),
            Ok(_) => return Err(Error::OutOfTurn.to_string()),
            Err(Error::Refused { code, .. }) if code == "busy" => sleep(RETRY).await,
            Err(error) => return Err(error.to_string()),
        }
    };
    check_gpus(tools, slots, &mut receipt).await;
    receipt.checked_ms = clock::wall_ms();
    Ok((receipt, exit))
}

/// Replaces the keys.
pub(super) async fn keys(tools: &Tools, allocation: AllocationId, keys: Vec<String>) -> Outcome {
    let request = Request::CellKeys { allocation, keys: keys.clone() };
    Outcome::Keys(tools.root.ask(request).await.map(|_| keys).map_err(|error| error.to_string()))
}

/// What is still on the GPUs of ended slots.
#[derive(Debug, Default)]
struct OnGpus {
    memory: BTreeMap<String, Option<u64>>,
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

async fn check_gpus(tools: &Tools, slots: &[Slot], receipt: &mut Receipt) {
    if slots.iter().all(|slot| slot.kind == SlotKind::Cpu) {
        return;
    }
    let until = Instant::now() + GPU_SETTLE;
    let found = loop {
        let (gpus, slots) = (tools.gpus.clone(), slots.to_vec());
        let found = crate::supervise::blocking("gpu-check", move || look(&gpus, &slots)).await.unwrap_or_default();
        if found.processes.is_empty() || Instant::now() >= until {
            break found;
        }
        sleep(GPU_LOOK).await;
    };
    let clean = found.processes.is_empty();
    let detail = if clean { "no process is left on the leased GPUs".to_owned() } else { found.processes.join(", ") };
    receipt.steps.push(ReceiptStep { name: "gpu_memory".into(), detail, clean });
    receipt.gpu_memory_bytes = found.memory;
    receipt.clean &= clean;
    receipt.leftovers.extend(found.processes);
}
