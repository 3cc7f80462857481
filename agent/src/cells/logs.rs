//! What a batch command printed, from the root half into the outbox of facts.

use super::Tools;
use crate::root::{Reply, Request};
use base64::{Engine, engine::general_purpose::STANDARD};
use muster_protocol::{facts::CellLog, ids::AllocationId, limits::CELL_LOG_PIECE};

/// Puts everything after `from` into the outbox, the last piece marked so; gives the end.
///
/// # Errors
/// In words: the root half or the journal said no. What is in the outbox by then stays there.
pub(super) async fn ship(tools: &Tools, allocation: AllocationId, from: u64) -> Result<u64, String> {
    let mut at = from;
    loop {
        let request = Request::CellOutput { allocation, offset: at };
        let reply = tools.root.ask(request).await.map_err(|error| error.to_string())?;
        let Reply::Output { offset, base64, end } = reply else {
            return Err("the root half answered out of turn".into());
        };
        let bytes = STANDARD.decode(base64).map_err(|error| error.to_string())?;
        let behind = offset + bytes.len() as u64;
        let done = behind >= end || bytes.is_empty();
        let mut pieces = bytes.chunks(CELL_LOG_PIECE).peekable();
        let mut piece_at = offset;
        while let Some(piece) = pieces.next() {
            let last = done && pieces.peek().is_none();
            put(tools, allocation, piece_at, piece, last).await?;
            piece_at += piece.len() as u64;
        }
        if bytes.is_empty() {
            put(tools, allocation, behind, &[], true).await?;
        }
        at = behind;
        if done {
            return Ok(at);
        }
    }
}

async fn put(tools: &Tools, allocation: AllocationId, offset: u64, bytes: &[u8], last: bool) -> Result<(), String> {
    let piece = CellLog { allocation: allocation.to_string(), offset, bytes: bytes.to_vec(), last };
    tools.journal.cell_log(tools.clock.wall_ms(), piece).await.map_err(|error| error.to_string())?;
    tools.facts.notify_one();
    Ok(())
}
