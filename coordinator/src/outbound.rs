//! The gate towards agents: composes a node's desired document from the rooms.

use crate::base::http::Problem;
use crate::base::store::Tx;
use muster_protocol::desired::Document;
use muster_protocol::ids::NodeId;

/// What should be on a node.
///
/// # Errors
/// Only what the store says.
pub fn compose(_tx: &mut Tx, _node: NodeId) -> Result<Document, Problem> {
    Ok(Document::default())
}
