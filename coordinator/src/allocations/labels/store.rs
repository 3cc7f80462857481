//! All SQL about labels of allocations.

use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::values;
use muster_protocol::ids::AllocationId;
use std::collections::BTreeMap;

/// The labels of an allocation.
pub(in crate::allocations) fn of(tx: &mut Tx, id: AllocationId) -> Result<BTreeMap<String, String>, Problem> {
    let rows = tx.all(
        "SELECT name, value FROM allocation_labels WHERE allocation_id = $1 ORDER BY name LIMIT 1000",
        &values![id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(rows.into_iter().collect())
}

/// Counts the edits of its labels; 404 when there is no such allocation.
pub(in crate::allocations) fn version(tx: &mut Tx, id: AllocationId) -> Result<i64, Problem> {
    let found = tx.opt("SELECT labels_version FROM allocations WHERE id = $1", &values![id], |row| row.get(0))?;
    found.ok_or_else(|| Problem::not_found("allocation"))
}

/// Writes the first labels of an allocation.
pub(in crate::allocations) fn insert(
    tx: &mut Tx,
    id: AllocationId,
    labels: &BTreeMap<String, String>,
) -> Result<(), Problem> {
    for (name, value) in labels {
        tx.exec(
            "INSERT INTO allocation_labels(allocation_id, name, value) VALUES($1, $2, $3)",
            &values![id, name, value],
        )?;
    }
    Ok(())
}

/// Writes labels in place of those that were there.
pub(super) fn save(tx: &mut Tx, id: AllocationId, labels: &BTreeMap<String, String>) -> Result<(), Problem> {
    tx.exec("DELETE FROM allocation_labels WHERE allocation_id = $1", &values![id])?;
    insert(tx, id, labels)?;
    tx.exec("UPDATE allocations SET labels_version = labels_version + 1 WHERE id = $1", &values![id])?;
    Ok(())
}
