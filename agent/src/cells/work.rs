//! Building and ending one cell.

use super::{Tools, entry::Entry, leftovers, logs};
use crate::root::{CellInfo, CreateCell, Error, ExitRecord, Reply, Request};
use muster_protocol::{
    desired::{Cell, Slot},
    ids::AllocationId,
    report::Receipt,
};
use std::time::Duration;
use tokio::time::sleep;

/// Time for processes to end by themselves at a release, ms.
const GRACE_MS: u32 = 2_000;
/// A refusal that will pass is tried again after this.
const RETRY: Duration = Duration::from_secs(1);

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
    leftovers::note_baseline(tools, &cell.slots).await;
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
    leftovers::check(tools, slots, &mut receipt).await;
    receipt.checked_ms = tools.clock.wall_ms();
    Ok((receipt, exit))
}

/// Replaces the keys.
pub(super) async fn keys(tools: &Tools, allocation: AllocationId, keys: Vec<String>) -> Outcome {
    let request = Request::CellKeys { allocation, keys: keys.clone() };
    Outcome::Keys(tools.root.ask(request).await.map(|_| keys).map_err(|error| error.to_string()))
}
