//! What a node's desired document says of its allocations.

use super::model::Wish;
use super::store::{self, Allocation};
use crate::base::http::Problem;
use crate::base::store::Tx;
use muster_protocol::desired::{Cell, Image, Slot, Tombstone};
use muster_protocol::ids::NodeId;

/// Cells that shall exist on a node and cells that shall end, in id order. A tombstone stays until the
/// receipt is stored.
///
/// # Errors
/// Only what the store says.
pub fn desired_in(tx: &mut Tx, node: NodeId) -> Result<(Vec<Cell>, Vec<Tombstone>), Problem> {
    let (mut cells, mut tombstones) = (Vec::new(), Vec::new());
    for row in store::on_node(tx, node)? {
        match row.lease.wish {
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
    for stray in store::strays(tx, node)? {
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
    }
}
