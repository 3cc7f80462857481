//! All SQL of SKUs.

use super::model::{Sku, State};
use crate::base::http::Problem;
use crate::base::store::{Row, Tx};
use crate::values;
use muster_protocol::desired::Size;
use muster_protocol::ids::SkuId;

/// `SELECT` of all columns with a tail, as one static text.
macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT id, name, state, kind, gpu_model, profile, gpus, cpu_milli, memory_bytes, disk_bytes, pids, \
             labels, version, created_ms FROM skus ",
            $tail
        )
    };
}

fn read(row: &Row) -> Result<Sku, Problem> {
    Ok(Sku {
        id: row.get(0)?,
        name: row.get(1)?,
        state: row.parse(2)?,
        kind: row.parse(3)?,
        gpu_model: row.get(4)?,
        profile: row.get(5)?,
        gpus: row.get(6)?,
        size: Size { cpu_milli: row.get(7)?, memory_bytes: row.get(8)?, disk_bytes: row.get(9)?, pids: row.get(10)? },
        labels: row.json(11)?,
        version: row.get(12)?,
        created_ms: row.get(13)?,
    })
}

/// Writes a new SKU. False if the name is taken.
pub(super) fn insert(tx: &mut Tx, sku: &Sku) -> Result<bool, Problem> {
    let labels = serde_json::to_string(&sku.labels).map_err(Problem::internal)?;
    let made = tx.exec(
        "INSERT INTO skus(id, name, state, kind, gpu_model, profile, gpus, cpu_milli, memory_bytes, disk_bytes, pids, \
         labels, version, created_ms, updated_ms) \
         VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, $13, $13) ON CONFLICT DO NOTHING",
        &values![
            sku.id,
            &sku.name,
            sku.state.word(),
            sku.kind.word(),
            sku.gpu_model.clone(),
            sku.profile.clone(),
            sku.gpus,
            sku.size.cpu_milli,
            sku.size.memory_bytes,
            sku.size.disk_bytes,
            sku.size.pids,
            labels,
            sku.created_ms,
        ],
    )?;
    Ok(made == 1)
}

/// Rewrites a draft, if it still is at the version the caller read. False if it is not, or the name is taken.
pub(super) fn save(tx: &mut Tx, sku: &Sku, now_ms: i64) -> Result<bool, Problem> {
    let labels = serde_json::to_string(&sku.labels).map_err(Problem::internal)?;
    let saved = tx.exec(
        "UPDATE skus SET name = $3, gpu_model = CAST($4 AS TEXT), profile = CAST($5 AS TEXT), gpus = $6, \
         cpu_milli = $7, memory_bytes = $8, disk_bytes = $9, pids = $10, labels = $11, version = version + 1, \
         updated_ms = $12 WHERE id = $1 AND version = $2 \
         AND NOT EXISTS (SELECT 1 FROM skus o WHERE o.name = $3 AND o.id <> $1)",
        &values![
            sku.id,
            sku.version,
            &sku.name,
            sku.gpu_model.clone(),
            sku.profile.clone(),
            sku.gpus,
            sku.size.cpu_milli,
            sku.size.memory_bytes,
            sku.size.disk_bytes,
            sku.size.pids,
            labels,
            now_ms,
        ],
    )?;
    Ok(saved == 1)
}

/// Sets the state; a version on.
pub(super) fn save_state(tx: &mut Tx, id: SkuId, state: State, now_ms: i64) -> Result<(), Problem> {
    tx.exec(
        "UPDATE skus SET state = $2, version = version + 1, updated_ms = $3 WHERE id = $1",
        &values![id, state.word(), now_ms],
    )?;
    Ok(())
}

/// One SKU by its id; 404 if there is none.
pub fn find_in(tx: &mut Tx, id: SkuId) -> Result<Sku, Problem> {
    tx.opt(select!("WHERE id = $1"), &values![id], read)?.ok_or_else(|| Problem::not_found("SKU"))
}

/// One SKU by its id or name.
pub fn named_in(tx: &mut Tx, text: &str) -> Result<Option<Sku>, Problem> {
    tx.opt(select!("WHERE id = $1 OR name = $1"), &values![text], read)
}

/// A page of SKUs, oldest first; only active ones unless `all`.
pub(super) fn list(tx: &mut Tx, all: bool, (at, after, limit): (i64, String, i64)) -> Result<Vec<Sku>, Problem> {
    tx.all(
        select!("WHERE (created_ms, id) > ($1, $2) AND (state = 'active' OR $4 = 1) ORDER BY created_ms, id LIMIT $3"),
        &values![at, after, limit, all],
        read,
    )
}

/// Active SKUs: what is expected to be asked for. At most a thousand.
pub fn active_in(tx: &mut Tx) -> Result<Vec<Sku>, Problem> {
    tx.all(select!("WHERE state = 'active' ORDER BY created_ms, id LIMIT 1000"), &[], read)
}
