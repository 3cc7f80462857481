//! Counts that tests look at.

use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::values;
use muster_protocol::ids::{AllocationId, NodeId};

/// How many rows there are of something.
pub(super) enum Count {
    Allocations,
    Operations,
    HeldSlots,
    Receipts,
    Retries,
}

pub(super) fn count(tx: &mut Tx, what: &Count) -> Result<i64, Problem> {
    let sql = match what {
        Count::Allocations => "SELECT COUNT(*) FROM allocations",
        Count::Operations => "SELECT COUNT(*) FROM operations",
        Count::HeldSlots => "SELECT COUNT(DISTINCT slot_id) FROM allocation_slots",
        Count::Receipts => "SELECT COUNT(*) FROM audit_events WHERE action = 'allocation.cleanup_receipt'",
        Count::Retries => "SELECT COUNT(*) FROM operations WHERE retry_of IS NOT NULL",
    };
    tx.one(sql, &[], |row| row.get(0))
}

pub(super) fn cordon(tx: &mut Tx, node: NodeId) -> Result<u64, Problem> {
    tx.exec("UPDATE nodes SET scheduling = 'cordoned' WHERE id = $1", &values![node])
}

pub(super) fn degraded_long_ago(tx: &mut Tx, id: AllocationId) -> Result<u64, Problem> {
    tx.exec("UPDATE allocations SET degraded_ms = 1 WHERE id = $1", &values![id])
}

pub(super) fn blow(tx: &mut Tx) -> Result<u64, Problem> {
    tx.exec("INSERT INTO node_fuse(name, since_ms, nodes) VALUES('mass_failure', 1, '[]')", &[])
}
