//! All SQL about the fuse: one row while it is blown.

use super::Blown;
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::values;

/// The fuse, if it is blown.
///
/// # Errors
/// Only what the store says.
pub fn blown_in(tx: &mut Tx) -> Result<Option<Blown>, Problem> {
    tx.opt("SELECT since_ms, nodes FROM node_fuse WHERE name = 'mass_failure'", &[], |row| {
        Ok(Blown { since_ms: row.get(0)?, nodes: row.json(1)? })
    })
}

/// Stores that it is blown, and by which nodes.
pub(super) fn save_in(tx: &mut Tx, blown: &Blown) -> Result<(), Problem> {
    let nodes = serde_json::to_string(&blown.nodes).map_err(Problem::internal)?;
    tx.exec(
        "INSERT INTO node_fuse(name, since_ms, nodes) VALUES('mass_failure', $1, $2) \
         ON CONFLICT (name) DO UPDATE SET since_ms = excluded.since_ms, nodes = excluded.nodes",
        &values![blown.since_ms, nodes],
    )?;
    Ok(())
}

/// Resets it. False if it was not blown.
pub(super) fn reset_in(tx: &mut Tx) -> Result<bool, Problem> {
    Ok(tx.exec("DELETE FROM node_fuse WHERE name = 'mass_failure'", &[])? == 1)
}
