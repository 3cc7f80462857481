//! All SQL about bootstrap tokens and certificates.

use super::model::Token;
use crate::base::http::{PageQuery, Problem};
use crate::base::store::{Row, Tx};
use crate::values;
use muster_protocol::ids::{BootstrapTokenId, CertificateId, NodeId};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, secret_sha256, created_by, created_ms, expires_ms, max_uses, uses, labels, auto_approve, \
             revoked_ms FROM bootstrap_tokens ",
            $rest
        )
    };
}

fn token(row: &Row) -> Result<Token, Problem> {
    Ok(Token {
        id: row.get(0)?,
        secret_sha256: row.get(1)?,
        created_by: row.get(2)?,
        created_ms: row.get(3)?,
        expires_ms: row.get(4)?,
        max_uses: row.get(5)?,
        uses: row.get(6)?,
        labels: row.json(7)?,
        auto_approve: row.get(8)?,
        revoked_ms: row.get(9)?,
    })
}

/// Adds a token.
pub(super) fn insert_token_in(tx: &mut Tx, token: &Token) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO bootstrap_tokens(id, secret_sha256, created_by, created_ms, expires_ms, max_uses, uses, labels, \
         auto_approve, revoked_ms) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &values![
            token.id,
            token.secret_sha256,
            &token.created_by,
            token.created_ms,
            token.expires_ms,
            token.max_uses,
            token.uses,
            serde_json::to_string(&token.labels).map_err(Problem::internal)?,
            token.auto_approve,
            token.revoked_ms,
        ],
    )?;
    Ok(())
}

/// A token, if there is one with this id.
pub(super) fn find_token_in(tx: &mut Tx, id: BootstrapTokenId) -> Result<Option<Token>, Problem> {
    tx.opt(select!("WHERE id = $1"), &values![id], token)
}

/// A page of tokens, newest first.
pub(super) fn tokens_in(tx: &mut Tx, query: &PageQuery) -> Result<Vec<Token>, Problem> {
    let (at, id, most) = query.newest_first()?;
    tx.all(
        select!("WHERE (created_ms, id) < ($1, $2) ORDER BY created_ms DESC, id DESC LIMIT $3"),
        &values![at, id, most],
        token,
    )
}

/// Takes one use. False if another machine was faster.
pub(super) fn spend_in(tx: &mut Tx, id: BootstrapTokenId) -> Result<bool, Problem> {
    let rows =
        tx.exec("UPDATE bootstrap_tokens SET uses = uses + 1 WHERE id = $1 AND uses < max_uses", &values![id])?;
    Ok(rows == 1)
}

/// Revokes a token. False if it was revoked before.
pub(super) fn revoke_token_in(tx: &mut Tx, id: BootstrapTokenId, now_ms: i64) -> Result<bool, Problem> {
    let rows = tx.exec(
        "UPDATE bootstrap_tokens SET revoked_ms = $2 WHERE id = $1 AND revoked_ms IS NULL",
        &values![id, now_ms],
    )?;
    Ok(rows == 1)
}

/// A certificate as stored.
#[derive(Debug, Clone)]
pub(super) struct CertificateRow {
    /// Also its serial number.
    pub id: CertificateId,
    /// Whom it speaks for.
    pub node_id: NodeId,
    /// SHA-256 of its public key, hex.
    pub key_sha256: String,
    /// When it was issued, ms since 1970.
    pub issued_ms: i64,
    /// Its end, ms since 1970.
    pub expires_ms: i64,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
    /// `first`, `renewal`, `recovery`, or `early`: it was replaced before its time had come.
    pub reason: String,
}

/// How long a certificate is remembered after its end, ms; one that was revoked is never forgotten.
const REMEMBERED_MS: i64 = 90 * 24 * 60 * 60 * 1000;

/// Adds a certificate, and forgets those of the node that ended long ago: there is a new one every day.
pub(super) fn insert_certificate_in(tx: &mut Tx, row: &CertificateRow) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO certificates(id, node_id, key_sha256, issued_ms, expires_ms, revoked_ms, reason) \
         VALUES($1, $2, $3, $4, $5, $6, $7)",
        &values![row.id, row.node_id, &row.key_sha256, row.issued_ms, row.expires_ms, row.revoked_ms, &row.reason],
    )?;
    tx.exec(
        "DELETE FROM certificates WHERE node_id = $1 AND revoked_ms IS NULL AND expires_ms < $2",
        &values![row.node_id, row.issued_ms - REMEMBERED_MS],
    )?;
    Ok(())
}

/// The newest certificates of a node, newest first.
pub(super) fn certificates_in(tx: &mut Tx, node: NodeId) -> Result<Vec<CertificateRow>, Problem> {
    tx.all(
        "SELECT id, node_id, key_sha256, issued_ms, expires_ms, revoked_ms, reason FROM certificates \
         WHERE node_id = $1 ORDER BY issued_ms DESC, id DESC LIMIT 200",
        &values![node],
        |row| {
            Ok(CertificateRow {
                id: row.get(0)?,
                node_id: row.get(1)?,
                key_sha256: row.get(2)?,
                issued_ms: row.get(3)?,
                expires_ms: row.get(4)?,
                revoked_ms: row.get(5)?,
                reason: row.get(6)?,
            })
        },
    )
}

/// Whether a node was ever given a certificate.
pub(super) fn has_certificate_in(tx: &mut Tx, node: NodeId) -> Result<bool, Problem> {
    let found =
        tx.opt("SELECT 1 FROM certificates WHERE node_id = $1 LIMIT 1", &values![node], |row| row.get::<i64>(0))?;
    Ok(found.is_some())
}

/// Marks a node's certificates of a time to come as `early`, so that each of them is replaced free of charge once.
/// False if there was none.
pub(super) fn take_early_in(tx: &mut Tx, node: NodeId, after_ms: i64) -> Result<bool, Problem> {
    let rows = tx.exec(
        "UPDATE certificates SET reason = 'early' WHERE node_id = $1 AND issued_ms > $2 AND reason <> 'early'",
        &values![node, after_ms],
    )?;
    Ok(rows > 0)
}

/// Revokes every certificate of a node.
pub(super) fn revoke_certificates_in(tx: &mut Tx, node: NodeId, now_ms: i64) -> Result<u64, Problem> {
    tx.exec("UPDATE certificates SET revoked_ms = $2 WHERE node_id = $1 AND revoked_ms IS NULL", &values![node, now_ms])
}

/// Revoked certificates that would still be valid.
pub(super) fn revoked_certificates_in(tx: &mut Tx, now_ms: i64) -> Result<Vec<CertificateId>, Problem> {
    tx.all(
        "SELECT id FROM certificates WHERE revoked_ms IS NOT NULL AND expires_ms > $1 ORDER BY id LIMIT 1000000",
        &values![now_ms],
        |row| row.get(0),
    )
}

/// Revokes every token; for a restore, which cannot know what became of them since.
pub(super) fn revoke_all_tokens_in(tx: &mut Tx, now_ms: i64) -> Result<u64, Problem> {
    tx.exec("UPDATE bootstrap_tokens SET revoked_ms = $1 WHERE revoked_ms IS NULL", &values![now_ms])
}
