//! One request, carried out: the quick ones at once, creating and ending in a process of their own.

use super::create::{Half, create};
use super::fault::{Doing, Fault};
use super::keys;
use super::release;
use super::seqpacket;
use super::state::Phase;
use super::words::{Answer, CellUsage, Event, OUTPUT_PIECE_MAX, Reply, Request};
use crate::cell::record::{ExitRecord, read_main_log};
use base64::Engine;
use muster_protocol::ids::{AllocationId, NodeId};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// An answer may wait so long to be read.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cell that a request needs a process for; none: it is answered at once.
pub(super) fn slow(request: &Request) -> Option<AllocationId> {
    match request {
        Request::CellCreate(wanted) => Some(wanted.cell.allocation),
        Request::CellEnd { allocation, .. } | Request::CellForget { allocation } => Some(*allocation),
        _ => None,
    }
}

/// Carries out a request in a process of its own, with its steps said on the connection.
pub(super) fn work(half: &Half, node: NodeId, request: Request, connection: &OwnedFd) -> Reply {
    let step_of = |allocation| {
        move |step: &str| {
            tracing::debug!(%allocation, step, "step");
            // A step that nobody reads is no reason to stop, nor to wait.
            let event = Answer::Event(Event::Step { allocation, step: step.into() });
            let _ = serde_json::to_vec(&event).map(|text| seqpacket::send_now(connection, &text));
        }
    };
    let done = match request {
        Request::CellCreate(wanted) => {
            create(half, node, &wanted, &step_of(wanted.cell.allocation)).map(|info| Reply::Cell(Box::new(info)))
        }
        Request::CellEnd { allocation, reason, grace_ms } => {
            release::end(half, allocation, &reason, grace_ms, &step_of(allocation))
        }
        Request::CellForget { allocation } => forget(half, allocation),
        quick => answer(half, quick),
    };
    done.unwrap_or_else(|fault| {
        tracing::warn!(%fault, code = fault.code, "a request was not carried out");
        fault.reply()
    })
}

/// Answers what needs no waiting.
pub(super) fn answer(half: &Half, request: Request) -> Result<Reply, Fault> {
    match request {
        Request::CellList => {
            let records = half.places.all()?.into_iter();
            let known = records.filter(|r| r.phase != Phase::Building || !half.places.is_busy(r.allocation));
            Ok(Reply::Cells { cells: known.map(|record| record.info()).collect() })
        }
        Request::CellAdopt { allocation } => known(half, allocation).map(|record| Reply::Cell(Box::new(record.info()))),
        Request::CellKeys { allocation, keys } => {
            let record = known(half, allocation)?;
            if record.ssh_host_key.is_empty() {
                return Err(Fault::new("no_ssh", "set the SSH keys", "the cell was made without SSH"));
            }
            keys::set(&record.run_dir.join("ssh"), &keys, record.outside_user())?;
            Ok(Reply::Done)
        }
        Request::CellOutput { allocation, offset } => output(half, allocation, offset),
        Request::CellUsage { allocation } => {
            let record = known(half, allocation)?;
            let mut usage = record.cgroup.usage();
            usage.disk_bytes = record.disk_bytes();
            Ok(Reply::Usage(CellUsage { ..usage }))
        }
        other => Err(Fault::new("out_of_turn", "answer at once", format!("{other:?}"))),
    }
}

fn known(half: &Half, allocation: AllocationId) -> Result<super::state::Record, Fault> {
    half.places
        .load(allocation)?
        .ok_or_else(|| Fault::new("unknown_cell", allocation, "there is no such cell on this node"))
}

fn forget(half: &Half, allocation: AllocationId) -> Result<Reply, Fault> {
    let _lock = half.places.lock(allocation)?;
    match half.places.load(allocation)? {
        Some(record) if record.phase != Phase::Ended => {
            Err(Fault::new("cell_not_ended", allocation, "only an ended cell can be forgotten"))
        }
        Some(record) if record.receipt.as_ref().is_some_and(|receipt| !receipt.clean) => {
            // What is left is known by this record alone, and its ids stay claimed as long as it names them.
            Ok(Reply::Done)
        }
        _ => half.places.forget(allocation).map(|()| Reply::Done),
    }
}

fn output(half: &Half, allocation: AllocationId, offset: u64) -> Result<Reply, Fault> {
    known(half, allocation)?;
    let status = half.places.status(allocation);
    let log = read_main_log(&status).doing("read the batch log")?;
    let kept = log.len() as u64;
    let main = ExitRecord::read(&status).and_then(|exit| exit.main);
    // The kept bytes are the last ones of all that was written.
    let end = main.map_or(kept, |main| main.output_bytes.max(kept));
    let first = offset.clamp(end - kept, end);
    let from = usize::try_from(first - (end - kept)).unwrap_or(log.len());
    let piece = &log[from..log.len().min(from + OUTPUT_PIECE_MAX)];
    Ok(Reply::Output { offset: first, base64: base64::engine::general_purpose::STANDARD.encode(piece), end })
}

/// Answers, waiting for room. Who does not read for so long is cut off: no cell's lock waits for it, and when it comes
/// again the list says what became of its requests.
pub(super) fn say(connection: &OwnedFd, id: u64, reply: Reply) {
    let said =
        text_of(&Answer::Reply { id, reply }).and_then(|text| seqpacket::send_within(connection, &text, PATIENCE));
    if let Err(error) = said {
        tracing::warn!(%error, "an answer was not taken; the connection is cut");
        seqpacket::shut_down(connection);
    }
}

fn text_of(answer: &Answer) -> std::io::Result<Vec<u8>> {
    let text = serde_json::to_vec(answer)?;
    let Answer::Reply { id, .. } = answer else { return Ok(text) };
    if text.len() <= seqpacket::MAX_MESSAGE {
        return Ok(text);
    }
    let reply = Reply::Refused { code: "too_large".into(), detail: "the answer does not fit a message".into() };
    Ok(serde_json::to_vec(&Answer::Reply { id: *id, reply })?)
}
