//! Answers kept for replay; see `base::http::idempotency`.

use super::Tx;
use crate::base::http::Problem;
use crate::values;

/// An answer as it was given.
#[derive(Debug, Clone)]
pub(in crate::base) struct Kept {
    /// The fingerprint of the request.
    pub(in crate::base) request_sha256: [u8; 32],
    /// The HTTP status.
    pub(in crate::base) status: u16,
    /// JSON text.
    pub(in crate::base) answer: String,
}

/// The answer to an owner's key.
pub(in crate::base) fn find(tx: &mut Tx, owner: &str, key: &str) -> Result<Option<Kept>, Problem> {
    tx.opt(
        "SELECT request_sha256, status, answer FROM idempotency_keys WHERE owner = $1 AND key = $2",
        &values![owner, key],
        |row| Ok(Kept { request_sha256: row.get(0)?, status: row.get(1)?, answer: row.get(2)? }),
    )
}

/// Keeps an answer. False when the key has one already.
pub(in crate::base) fn keep(tx: &mut Tx, owner: &str, key: &str, kept: &Kept, now_ms: i64) -> Result<bool, Problem> {
    let rows = tx.exec(
        "INSERT INTO idempotency_keys(owner, key, request_sha256, status, answer, created_ms) \
         VALUES($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        &values![owner, key, kept.request_sha256, kept.status, &kept.answer, now_ms],
    )?;
    Ok(rows == 1)
}

/// Forgets answers given before a time.
pub(in crate::base) fn forget(tx: &mut Tx, before_ms: i64) -> Result<u64, Problem> {
    tx.exec("DELETE FROM idempotency_keys WHERE created_ms < $1", &values![before_ms])
}
