//! What a restore does not take as it was. A backup is old: what it remembers as good may have been revoked,
//! released, spent or signed out since, and nothing in it can say so.

use crate::base::http::Problem;
use crate::base::store::{Tx, settings};
use crate::cx::Cx;
use crate::{allocations, enrolment, links, nodes, operations, users};
use muster_protocol::ids::NodeId;
use serde::Serialize;

/// What is known of the nodes since the backup.
#[derive(Debug, Clone)]
pub enum Nodes {
    /// Nothing: each waits until an operator approves it again. What runs on it runs on.
    Hold,
    /// All that were revoked or removed since are these; the others are let in as they were.
    Trust {
        /// To be revoked again.
        revoked: Vec<NodeId>,
    },
}

/// What was done, for the audit trail.
#[derive(Debug, Serialize)]
pub(super) struct Fenced {
    fleet_epoch: u64,
    nodes_held: u64,
    nodes_revoked: u64,
    allocations_to_prove: u64,
    sign_ins_ended: u64,
    tokens_revoked: u64,
}

/// Brings a database as it was at the time of a backup to what may be believed now.
pub(super) fn restored_in(tx: &mut Tx, cx: &Cx, asked: &Nodes) -> Result<Fenced, Problem> {
    let fleet_epoch = raise_epoch_in(tx, cx.now_ms)?;
    let (mut nodes_held, mut nodes_revoked) = (0, 0);
    match asked {
        Nodes::Hold => nodes_held = nodes::store::hold_all_in(tx)?,
        Nodes::Trust { revoked } => {
            for node in revoked {
                nodes::store::get_in(tx, *node)?;
                nodes_revoked += u64::from(enrolment::verbs::revoke_in(tx, cx, *node)?);
            }
        }
    }
    links::forget_documents_in(tx)?;
    operations::restored_in(tx)?;
    Ok(Fenced {
        fleet_epoch,
        nodes_held,
        nodes_revoked,
        allocations_to_prove: allocations::restored_in(tx)?,
        sign_ins_ended: users::end_all_in(tx, cx.now_ms, "restored")?,
        tokens_revoked: enrolment::verbs::revoke_all_tokens_in(tx, cx.now_ms)?,
    })
}

/// Every document made from now on is newer than all that agents hold. The time keeps two restores of one backup
/// apart, whose epochs would otherwise be the same.
fn raise_epoch_in(tx: &mut Tx, now_ms: i64) -> Result<u64, Problem> {
    let old = settings::get_in(tx, "fleet_epoch")?.and_then(|text| text.parse::<u64>().ok());
    let old = old.ok_or_else(|| Problem::internal("the backup has no fleet epoch"))?;
    let epoch = old.saturating_add(1).max(u64::try_from(now_ms).unwrap_or_default());
    settings::set_in(tx, "fleet_epoch", &epoch.to_string())?;
    Ok(epoch)
}
