//! All SQL about SSH keys.

use super::{PublicKey, SshKey};
use crate::base::http::{PageQuery, Problem};
use crate::base::limits;
use crate::base::store::{Row, Tx};
use crate::values;
use muster_protocol::ids::{SshKeyId, UserId};

fn read(row: &Row) -> Result<SshKey, Problem> {
    Ok(SshKey {
        id: row.get(0)?,
        user_id: row.get(1)?,
        name: row.get(2)?,
        key: PublicKey {
            kind: row.parse(3)?,
            bits: row.get(4)?,
            base64: row.get(5)?,
            comment: row.get(6)?,
            fingerprint: row.get(7)?,
        },
        created_ms: row.get(8)?,
    })
}

/// Keeps a key. False when the person has it already.
pub(super) fn insert(tx: &mut Tx, key: &SshKey) -> Result<bool, Problem> {
    let rows = tx.exec(
        "INSERT INTO ssh_keys(id, user_id, name, kind, bits, public_key, comment, fingerprint, created_ms) \
         VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        &values![
            key.id,
            key.user_id,
            &key.name,
            key.key.kind.as_str(),
            key.key.bits,
            &key.key.base64,
            &key.key.comment,
            &key.key.fingerprint,
            key.created_ms,
        ],
    )?;
    Ok(rows == 1)
}

/// How many keys a person has.
pub(super) fn count(tx: &mut Tx, user: UserId) -> Result<i64, Problem> {
    tx.one("SELECT COUNT(*) FROM ssh_keys WHERE user_id = $1", &values![user], |row| row.get(0))
}

/// A page of a person's keys, newest first, with one row more than asked for.
pub(super) fn page(tx: &mut Tx, user: UserId, page: &PageQuery) -> Result<Vec<SshKey>, Problem> {
    let (at, id, limit) = page.newest_first()?;
    tx.all(
        "SELECT id, user_id, name, kind, bits, public_key, comment, fingerprint, created_ms FROM ssh_keys \
         WHERE user_id = $1 AND (created_ms, id) < ($2, $3) ORDER BY created_ms DESC, id DESC LIMIT $4",
        &values![user, at, id, limit],
        read,
    )
}

/// Forgets a key. False when there was none.
pub(super) fn delete(tx: &mut Tx, user: UserId, id: SshKeyId) -> Result<bool, Problem> {
    Ok(tx.exec("DELETE FROM ssh_keys WHERE id = $1 AND user_id = $2", &values![id, user])? == 1)
}

/// Every key of a person, oldest first.
pub fn of_user_in(tx: &mut Tx, user: UserId) -> Result<Vec<SshKey>, Problem> {
    tx.all(
        "SELECT id, user_id, name, kind, bits, public_key, comment, fingerprint, created_ms FROM ssh_keys \
         WHERE user_id = $1 ORDER BY created_ms, id LIMIT $2",
        &values![user, limits::SSH_KEYS],
        read,
    )
}

/// A key of a person; 404 when it is another's or none.
pub fn find_in(tx: &mut Tx, user: UserId, id: SshKeyId) -> Result<SshKey, Problem> {
    tx.opt(
        "SELECT id, user_id, name, kind, bits, public_key, comment, fingerprint, created_ms FROM ssh_keys \
         WHERE id = $1 AND user_id = $2",
        &values![id, user],
        read,
    )?
    .ok_or_else(|| Problem::not_found("SSH key"))
}
