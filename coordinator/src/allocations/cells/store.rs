//! All SQL of cells without an allocation that an operator ends.

use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::values;
use muster_protocol::ids::{AllocationId, NodeId};

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(in crate::allocations) struct Stray {
    /// Where it is.
    pub node_id: NodeId,
    /// What it was made for.
    pub allocation_id: AllocationId,
    /// The lease it said it runs under.
    pub lease_epoch: u64,
}

/// Asks for the end of a stray cell; again, if it came back.
pub(super) fn insert(tx: &mut Tx, stray: &Stray, now_ms: i64) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO stray_cells(node_id, allocation_id, lease_epoch, asked_ms) VALUES($1, $2, $3, $4) \
         ON CONFLICT (node_id, allocation_id) DO UPDATE SET lease_epoch = excluded.lease_epoch, \
         asked_ms = excluded.asked_ms, ended_ms = NULL",
        &values![stray.node_id, stray.allocation_id, stray.lease_epoch, now_ms],
    )?;
    Ok(())
}

/// Those of a node whose receipt has not come.
pub(in crate::allocations) fn of_node(tx: &mut Tx, node: NodeId) -> Result<Vec<Stray>, Problem> {
    tx.all(
        "SELECT node_id, allocation_id, lease_epoch FROM stray_cells WHERE node_id = $1 AND ended_ms IS NULL \
         ORDER BY allocation_id LIMIT 1024",
        &values![node],
        |row| Ok(Stray { node_id: row.get(0)?, allocation_id: row.get(1)?, lease_epoch: row.get(2)? }),
    )
}

/// The receipt of a stray cell has come. False if nobody asked for its end.
pub(super) fn end(tx: &mut Tx, node: NodeId, id: AllocationId, now_ms: i64) -> Result<bool, Problem> {
    let ended = tx.exec(
        "UPDATE stray_cells SET ended_ms = $3 WHERE node_id = $1 AND allocation_id = $2 AND ended_ms IS NULL",
        &values![node, id, now_ms],
    )?;
    Ok(ended == 1)
}
