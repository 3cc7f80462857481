//! All SQL about XID events.

use crate::base::http::{PageQuery, Problem};
use crate::base::store::Tx;
use crate::values;
use muster_protocol::ids::NodeId;

/// An XID event as stored.
#[derive(Debug, Clone)]
pub(super) struct XidRow {
    pub(super) journal_epoch: String,
    pub(super) number: i64,
    pub(super) gpu_uuid: String,
    pub(super) xid: i64,
    pub(super) source: String,
    pub(super) at_ms: i64,
}

pub(super) fn insert_in(tx: &mut Tx, node: NodeId, row: &XidRow) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO gpu_xids(node_id, journal_epoch, number, gpu_uuid, xid, source, at_ms) \
         VALUES($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        &values![node, &row.journal_epoch, row.number, &row.gpu_uuid, row.xid, &row.source, row.at_ms],
    )?;
    Ok(())
}

pub(super) fn page_in(tx: &mut Tx, node: NodeId, query: &PageQuery) -> Result<Vec<XidRow>, Problem> {
    let (at, number, most) = query.newest_first()?;
    tx.all(
        "SELECT journal_epoch, number, gpu_uuid, xid, source, at_ms FROM gpu_xids WHERE node_id = $1 \
         AND (at_ms, number) < ($2, $3) ORDER BY at_ms DESC, number DESC LIMIT $4",
        &values![node, at, number.parse::<i64>().unwrap_or(i64::MAX), most],
        |row| {
            Ok(XidRow {
                journal_epoch: row.get(0)?,
                number: row.get(1)?,
                gpu_uuid: row.get(2)?,
                xid: row.get(3)?,
                source: row.get(4)?,
                at_ms: row.get(5)?,
            })
        },
    )
}
