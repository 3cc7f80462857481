//! All SQL about what was seen.

use crate::base::http::Problem;
use crate::base::store::{Row, Tx};
use crate::values;
use std::collections::HashMap;

/// Rows that are older are forgotten, ms.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// Most rows that are read: more items than the queue ever shows.
const MOST: i64 = 10_000;

/// Who has seen an item, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// `us_…`
    pub user_id: String,
    /// Their name at that time.
    pub user_name: String,
    /// In their words; may be empty.
    pub note: String,
    /// When, ms since 1970.
    pub at_ms: i64,
}

fn read(row: &Row) -> Result<(String, Ack), Problem> {
    let ack = Ack { user_id: row.get(1)?, user_name: row.get(2)?, note: row.get(3)?, at_ms: row.get(4)? };
    Ok((row.get(0)?, ack))
}

pub(super) fn all(tx: &mut Tx) -> Result<HashMap<String, Ack>, Problem> {
    let rows = tx.all(
        "SELECT item_id, user_id, user_name, note, at_ms FROM attention_acks ORDER BY at_ms DESC LIMIT $1",
        &values![MOST],
        read,
    )?;
    Ok(rows.into_iter().collect())
}

/// Notes who has seen an item, in place of who had seen it; forgets what is long over.
pub(super) fn save(tx: &mut Tx, item: &str, ack: &Ack) -> Result<(), Problem> {
    tx.exec("DELETE FROM attention_acks WHERE at_ms < $1", &values![ack.at_ms - KEPT_MS])?;
    tx.exec(
        "INSERT INTO attention_acks(item_id, user_id, user_name, note, at_ms) VALUES($1, $2, $3, $4, $5) \
         ON CONFLICT (item_id) DO UPDATE SET user_id = excluded.user_id, user_name = excluded.user_name, \
         note = excluded.note, at_ms = excluded.at_ms",
        &values![item, &ack.user_id, &ack.user_name, &ack.note, ack.at_ms],
    )?;
    Ok(())
}

/// Takes an acknowledgement back. False if there was none.
pub(super) fn delete(tx: &mut Tx, item: &str) -> Result<bool, Problem> {
    Ok(tx.exec("DELETE FROM attention_acks WHERE item_id = $1", &values![item])? == 1)
}
