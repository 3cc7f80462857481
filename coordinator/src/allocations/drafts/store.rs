//! All SQL about drafts.

use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::values;
use muster_protocol::ids::UserId;

/// A draft and when it was saved.
pub(super) fn find(tx: &mut Tx, user: UserId, id: &str) -> Result<Option<(String, i64)>, Problem> {
    tx.opt("SELECT body, saved_ms FROM launch_drafts WHERE user_id = $1 AND id = $2", &values![user, id], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// How many drafts a person has beside this one.
pub(super) fn others(tx: &mut Tx, user: UserId, id: &str) -> Result<i64, Problem> {
    tx.one("SELECT COUNT(*) FROM launch_drafts WHERE user_id = $1 AND id <> $2", &values![user, id], |row| row.get(0))
}

/// Keeps a draft in place of what it was.
pub(super) fn save(tx: &mut Tx, user: UserId, id: &str, body: &str, now_ms: i64) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO launch_drafts(user_id, id, body, saved_ms) VALUES($1, $2, $3, $4) \
         ON CONFLICT (user_id, id) DO UPDATE SET body = excluded.body, saved_ms = excluded.saved_ms",
        &values![user, id, body, now_ms],
    )?;
    Ok(())
}

/// Forgets a draft, if there is one.
pub(super) fn delete(tx: &mut Tx, user: UserId, id: &str) -> Result<(), Problem> {
    tx.exec("DELETE FROM launch_drafts WHERE user_id = $1 AND id = $2", &values![user, id])?;
    Ok(())
}
