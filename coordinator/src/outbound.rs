//! The gate to agents: composes what should be on a node from the rooms, and carries node tasks.

mod tasks;

pub use tasks::start;

use crate::allocations;
use crate::base::http::Problem;
use crate::base::store::Tx;
use muster_protocol::desired::Document;
use muster_protocol::ids::NodeId;

/// The desired document of a node. The same rows give the same document.
///
/// # Errors
/// Only what the store says.
pub fn compose(tx: &mut Tx, node: NodeId) -> Result<Document, Problem> {
    let (cells, tombstones) = allocations::desired_in(tx, node)?;
    Ok(Document { cells, tombstones })
}
