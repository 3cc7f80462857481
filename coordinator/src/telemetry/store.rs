//! All SQL about XID events and stored means.

use super::means::{HOURS, Level, MINUTES};
use super::tracks::{Kind, TrackId};
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

/// A row of means, as its bytes.
pub(super) fn mean_in(tx: &mut Tx, track: &TrackId, step_ms: i64, from_ms: i64) -> Result<Option<Vec<u8>>, Problem> {
    tx.opt(
        "SELECT points FROM telemetry_means \
         WHERE node_id = $1 AND kind = $2 AND part = $3 AND step_ms = $4 AND from_ms = $5",
        &values![track.node, track.kind.word(), &track.part, step_ms, from_ms],
        |row| row.get(0),
    )
}

/// Writes a row of means in place of what it was.
pub(super) fn save_mean_in(
    tx: &mut Tx,
    track: &TrackId,
    step_ms: i64,
    from_ms: i64,
    points: &[u8],
) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO telemetry_means(node_id, kind, part, step_ms, from_ms, points) VALUES($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (node_id, kind, part, step_ms, from_ms) DO UPDATE SET points = excluded.points",
        &values![track.node, track.kind.word(), &track.part, step_ms, from_ms, points],
    )?;
    Ok(())
}

/// Rows of means of a node's parts of one kind that touch a stretch of time, or of one part: part, begin, bytes.
pub(super) fn means_in(
    tx: &mut Tx,
    node: NodeId,
    kind: Kind,
    part: Option<&str>,
    level: Level,
    (from_ms, to_ms): (i64, i64),
) -> Result<Vec<(String, i64, Vec<u8>)>, Problem> {
    tx.all(
        "SELECT part, from_ms, points FROM telemetry_means WHERE node_id = $1 AND kind = $2 \
         AND (CAST($3 AS TEXT) IS NULL OR part = $3) AND step_ms = $4 AND from_ms > $5 AND from_ms < $6 \
         ORDER BY part, from_ms LIMIT 10000",
        &values![node, kind.word(), part.map(str::to_owned), level.step_ms, from_ms - level.row_ms(), to_ms],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// Forgets rows that are older than their level keeps them. Returns how many.
pub(super) fn forget_means_in(tx: &mut Tx, now_ms: i64) -> Result<u64, Problem> {
    let mut forgotten = 0;
    for level in [MINUTES, HOURS] {
        forgotten += tx.exec(
            "DELETE FROM telemetry_means WHERE step_ms = $1 AND from_ms < $2",
            &values![level.step_ms, now_ms - level.kept_ms - level.row_ms()],
        )?;
    }
    Ok(forgotten)
}
