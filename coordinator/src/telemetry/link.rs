//! XID events from the log of facts.

use super::store::{self, XidRow};
use crate::audit::{self, Event};
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::nodes::facts::text;
use muster_protocol::facts::Xid;
use muster_protocol::ids::NodeId;

/// Keeps one event. The time is that of its arrival: an agent's clock proves nothing.
///
/// # Errors
/// Only what the store says.
pub fn xid_in(tx: &mut Tx, cx: &Cx, node: NodeId, epoch: &str, number: u64, xid: &Xid) -> Result<(), Problem> {
    let row = XidRow {
        journal_epoch: epoch.to_owned(),
        number: i64::try_from(number).unwrap_or(i64::MAX),
        gpu_uuid: text(&xid.gpu_uuid),
        xid: i64::try_from(xid.xid).unwrap_or(i64::MAX),
        source: text(&xid.source),
        at_ms: cx.now_ms,
    };
    store::insert_in(tx, node, &row)?;
    let what = serde_json::json!({"gpu_uuid": row.gpu_uuid, "xid": row.xid, "source": row.source});
    audit::note(tx, cx, Event::new("gpus.xid", node).after(&what))
}
