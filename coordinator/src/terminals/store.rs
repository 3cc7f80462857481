//! All SQL about sessions.

use crate::base::http::{PageQuery, Problem};
use crate::base::store::{Row, Tx};
use crate::values;
use muster_protocol::ids::{AllocationId, SessionId, TenantId, UserId};

/// A session as its row.
#[derive(Debug, Clone)]
pub(super) struct SessionRow {
    pub(super) id: SessionId,
    pub(super) allocation: AllocationId,
    pub(super) tenant: TenantId,
    pub(super) user: UserId,
    pub(super) kind: String,
    pub(super) program: Option<String>,
    pub(super) source_ip: Option<String>,
    pub(super) opened_ms: i64,
    pub(super) attached_ms: i64,
    pub(super) detached_ms: Option<i64>,
    pub(super) ended_ms: Option<i64>,
    pub(super) end_reason: Option<String>,
    pub(super) exit_code: Option<i64>,
    pub(super) bytes_in: i64,
    pub(super) bytes_out: i64,
}

fn read(row: &Row) -> Result<SessionRow, Problem> {
    Ok(SessionRow {
        id: row.get(0)?,
        allocation: row.get(1)?,
        tenant: row.get(2)?,
        user: row.get(3)?,
        kind: row.get(4)?,
        program: row.get(5)?,
        source_ip: row.get(6)?,
        opened_ms: row.get(7)?,
        attached_ms: row.get(8)?,
        detached_ms: row.get(9)?,
        ended_ms: row.get(10)?,
        end_reason: row.get(11)?,
        exit_code: row.get(12)?,
        bytes_in: row.get(13)?,
        bytes_out: row.get(14)?,
    })
}

/// Keeps a new session.
pub(super) fn insert(tx: &mut Tx, row: &SessionRow) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO sessions(id, allocation_id, tenant_id, user_id, kind, program, source_ip, opened_ms, attached_ms, \
         detached_ms, ended_ms, end_reason, exit_code, bytes_in, bytes_out) \
         VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, NULL, NULL, NULL, 0, 0)",
        &values![
            row.id,
            row.allocation,
            row.tenant,
            row.user,
            &row.kind,
            row.program.clone(),
            row.source_ip.clone(),
            row.opened_ms,
            row.attached_ms,
        ],
    )?;
    Ok(())
}

/// A session of an allocation; 404 without.
pub(super) fn find(tx: &mut Tx, allocation: AllocationId, id: SessionId) -> Result<SessionRow, Problem> {
    tx.opt(
        "SELECT id, allocation_id, tenant_id, user_id, kind, program, source_ip, opened_ms, attached_ms, detached_ms, \
         ended_ms, end_reason, exit_code, bytes_in, bytes_out FROM sessions WHERE id = $1 AND allocation_id = $2",
        &values![id, allocation],
        read,
    )?
    .ok_or_else(|| Problem::not_found("session"))
}

/// A page of an allocation's sessions, newest first, with one row more than asked for.
pub(super) fn page(tx: &mut Tx, allocation: AllocationId, page: &PageQuery) -> Result<Vec<SessionRow>, Problem> {
    let (at, id, limit) = page.newest_first()?;
    tx.all(
        "SELECT id, allocation_id, tenant_id, user_id, kind, program, source_ip, opened_ms, attached_ms, detached_ms, \
         ended_ms, end_reason, exit_code, bytes_in, bytes_out FROM sessions \
         WHERE allocation_id = $1 AND (opened_ms, id) < ($2, $3) ORDER BY opened_ms DESC, id DESC LIMIT $4",
        &values![allocation, at, id, limit],
        read,
    )
}

/// Notes that somebody came back.
pub(super) fn attached(tx: &mut Tx, id: SessionId, now_ms: i64) -> Result<(), Problem> {
    tx.exec("UPDATE sessions SET attached_ms = $2, detached_ms = NULL WHERE id = $1", &values![id, now_ms])?;
    Ok(())
}

/// Notes the end of an attach.
pub(super) fn detached(tx: &mut Tx, id: SessionId, now_ms: i64, bytes_in: u64, bytes_out: u64) -> Result<(), Problem> {
    tx.exec(
        "UPDATE sessions SET detached_ms = $2, bytes_in = bytes_in + $3, bytes_out = bytes_out + $4 WHERE id = $1",
        &values![id, now_ms, bytes_in, bytes_out],
    )?;
    Ok(())
}

/// Notes the end of a session.
pub(super) fn ended(tx: &mut Tx, id: SessionId, now_ms: i64, reason: &str, code: Option<i64>) -> Result<(), Problem> {
    tx.exec(
        "UPDATE sessions SET ended_ms = $2, end_reason = $3, exit_code = $4 WHERE id = $1 AND ended_ms IS NULL",
        &values![id, now_ms, reason, code],
    )?;
    Ok(())
}

/// Notes the end of all sessions of an allocation that is over.
pub(super) fn ended_with_allocation(tx: &mut Tx, allocation: AllocationId, now_ms: i64) -> Result<(), Problem> {
    tx.exec(
        "UPDATE sessions SET ended_ms = $2, end_reason = 'released' WHERE allocation_id = $1 AND ended_ms IS NULL",
        &values![allocation, now_ms],
    )?;
    Ok(())
}
