//! What a node's desired document says of its allocations.

use super::cells;
use super::model::Wish;
use super::store::{self, Allocation};
use crate::base::http::Problem;
use crate::base::store::Tx;
use muster_protocol::desired::{Cell, Image, Slot, Tombstone};
use muster_protocol::ids::{AllocationId, NodeId};
use muster_protocol::limits::{CELLS_PER_NODE, DESIRED_MAX};

/// Most bytes of what people chose for one allocation: environment, command, keys, as JSON.
const EACH_MAX: i64 = 128 << 10;
/// Most of it on one node: a document that does not fit its frame would reach nobody on that node any more,
/// whoever made it so large.
const NODE_MAX: i64 = 1 << 20;
/// Room in a document for what is the same in every cell, bytes.
const AROUND: usize = 1 << 10;

// A document is refused above half a frame.
const _: () = assert!(NODE_MAX as usize + CELLS_PER_NODE * AROUND <= DESIRED_MAX as usize / 2);

/// Refuses what makes an allocation, or its node's document with it, too large. After the row is written.
///
/// # Errors
/// 409 `workload_too_large`.
pub(super) fn require_fits_in(tx: &mut Tx, node: NodeId, id: AllocationId) -> Result<(), Problem> {
    let (own, all) = store::chosen_bytes(tx, node, id)?;
    if own > EACH_MAX || all > NODE_MAX {
        let detail = "Its environment, command and SSH keys are too large together: make them smaller.";
        return Err(Problem::conflict("workload_too_large", detail));
    }
    Ok(())
}

/// Cells that shall exist on a node and cells that shall end, in id order. A tombstone stays until the
/// receipt is stored.
///
/// # Errors
/// Only what the store says.
pub fn desired_in(tx: &mut Tx, node: NodeId) -> Result<(Vec<Cell>, Vec<Tombstone>), Problem> {
    let (mut cells, mut tombstones) = (Vec::new(), Vec::new());
    for row in store::on_node(tx, node)? {
        match row.lease.wish {
            // What a backup says of a cell is old: the cell is not asked for until its node has shown it.
            Wish::Wanted if row.proof_wanted => {}
            Wish::Wanted => {
                let slots = store::slots_of(tx, row.id)?;
                cells.push(cell(row, slots));
            }
            Wish::Ending => {
                tombstones.push(Tombstone { allocation: row.id, lease_epoch: epoch(&row), reason: row.end_reason })
            }
            Wish::Gone => {}
        }
    }
    for stray in cells::store::of_node(tx, node)? {
        tombstones.push(Tombstone {
            allocation: stray.allocation_id,
            lease_epoch: stray.lease_epoch,
            reason: "unclaimed".to_owned(),
        });
    }
    tombstones.sort_by_key(|stone| stone.allocation);
    tombstones.dedup_by_key(|stone| stone.allocation);
    Ok((cells, tombstones))
}

fn epoch(row: &Allocation) -> u64 {
    u64::try_from(row.lease_epoch).unwrap_or_default()
}

fn cell(row: Allocation, slots: Vec<Slot>) -> Cell {
    Cell {
        allocation: row.id,
        lease_epoch: epoch(&row),
        name: row.name,
        slots,
        size: row.spec.size,
        image: Image::Host,
        env: row.spec.env,
        command: row.spec.command,
        max_runtime_s: row.spec.max_runtime_s,
        not_after_ms: None,
        ssh_keys: row.keys.map(|keys| keys.lines),
        correlation_id: row.spec.correlation_id,
    }
}
