//! All SQL about events.

use super::Event;
use super::model::{Chain, Entry, GENESIS};
use crate::base::http::{PageQuery, Problem};
use crate::base::store::{Row, Tx};
use crate::cx::Cx;
use crate::values;
use muster_protocol::ids::EventId;

fn read(row: &Row) -> Result<Entry, Problem> {
    Ok(Entry {
        id: row.get(0)?,
        at_ms: row.get(1)?,
        actor_kind: row.get(2)?,
        actor_id: row.get(3)?,
        actor_name: row.get(4)?,
        action: row.get(5)?,
        target: row.get(6)?,
        tenant_id: row.get(7)?,
        project_id: row.get(8)?,
        outcome: row.get(9)?,
        reason: row.get(10)?,
        correlation_id: row.get(11)?,
        source_ip: row.get(12)?,
        before_json: row.get(13)?,
        after_json: row.get(14)?,
        seq: row.get(15)?,
        hash: row.get(16)?,
    })
}

/// Keeps an event; it waits for its place in the chain.
pub(super) fn insert(tx: &mut Tx, cx: &Cx, actor_name: &str, event: &Event) -> Result<(), Problem> {
    let id: EventId = cx.new_id();
    tx.exec(
        "INSERT INTO audit_events(id, at_ms, actor_kind, actor_id, actor_name, action, target, tenant_id, project_id, \
         outcome, reason, correlation_id, source_ip, before_json, after_json) \
         VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        &values![
            id,
            cx.now_ms,
            cx.actor.kind(),
            cx.actor.id(),
            actor_name,
            event.action,
            &event.target,
            event.tenant_id,
            event.project_id,
            event.outcome.as_str(),
            event.reason.clone(),
            cx.correlation_id,
            cx.source_ip.map(|ip| ip.to_string()),
            event.before.clone(),
            event.after.clone(),
        ],
    )?;
    Ok(())
}

/// What a list of events is narrowed to.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub(super) actor: Option<String>,
    pub(super) action: Option<String>,
    pub(super) target: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) outcome: Option<String>,
    pub(super) correlation_id: Option<String>,
    pub(super) from_ms: Option<i64>,
    pub(super) to_ms: Option<i64>,
    /// A part of any text of the event, in lower case.
    pub(super) text: Option<String>,
}

/// What a text is looked for in.
macro_rules! words {
    () => {
        "LOWER(action || ' ' || target || ' ' || actor_name || ' ' || actor_id || ' ' || correlation_id || ' ' || \
         COALESCE(tenant_id, '') || ' ' || COALESCE(project_id, '') || ' ' || COALESCE(reason, '') || ' ' || \
         COALESCE(source_ip, '') || ' ' || COALESCE(before_json, '') || ' ' || COALESCE(after_json, ''))"
    };
}

/// A page of events, newest first, with one row more than asked for. `actor` is an id or a name; an action
/// that ends in a dot stands for all of a room.
pub(super) fn page(tx: &mut Tx, filter: &Filter, page: &PageQuery) -> Result<Vec<Entry>, Problem> {
    let (at, id, limit) = page.newest_first()?;
    let sql = concat!(
        "SELECT id, at_ms, actor_kind, actor_id, actor_name, action, target, tenant_id, project_id, outcome, reason, \
         correlation_id, source_ip, before_json, after_json, seq, hash FROM audit_events \
         WHERE (at_ms, id) < ($1, $2) \
         AND (CAST($4 AS TEXT) IS NULL OR actor_id = $4 OR actor_name = $4) \
         AND (CAST($5 AS TEXT) IS NULL OR action = $5 OR (SUBSTR(action, 1, LENGTH(CAST($5 AS TEXT))) = $5 \
              AND SUBSTR(CAST($5 AS TEXT), LENGTH(CAST($5 AS TEXT)), 1) = '.')) \
         AND (CAST($6 AS TEXT) IS NULL OR target = $6) \
         AND (CAST($7 AS TEXT) IS NULL OR tenant_id = $7) \
         AND (CAST($8 AS TEXT) IS NULL OR outcome = $8) \
         AND (CAST($9 AS TEXT) IS NULL OR correlation_id = $9) \
         AND (CAST($10 AS BIGINT) IS NULL OR at_ms >= $10) \
         AND (CAST($11 AS BIGINT) IS NULL OR at_ms < $11) \
         AND (CAST($12 AS TEXT) IS NULL OR REPLACE(",
        words!(),
        ", $12, '') <> ",
        words!(),
        ") ORDER BY at_ms DESC, id DESC LIMIT $3"
    );
    tx.all(
        sql,
        &values![
            at,
            id,
            limit,
            filter.actor.clone(),
            filter.action.clone(),
            filter.target.clone(),
            filter.tenant.clone(),
            filter.outcome.clone(),
            filter.correlation_id.clone(),
            filter.from_ms,
            filter.to_ms,
            filter.text.clone(),
        ],
        read,
    )
}

/// The last event of an action on a target, if there is one.
///
/// # Errors
/// Only what the store says.
pub fn last_in(tx: &mut Tx, action: &str, target: &str) -> Result<Option<Entry>, Problem> {
    // By its target's own index: lists ask this for each of their rows.
    tx.opt(
        "SELECT id, at_ms, actor_kind, actor_id, actor_name, action, target, tenant_id, project_id, outcome, reason, \
         correlation_id, source_ip, before_json, after_json, seq, hash FROM audit_events \
         WHERE target = $1 AND action = $2 ORDER BY at_ms DESC, id DESC LIMIT 1",
        &values![target, action],
        read,
    )
}

/// One event.
pub(super) fn find(tx: &mut Tx, id: &str) -> Result<Entry, Problem> {
    tx.opt(
        "SELECT id, at_ms, actor_kind, actor_id, actor_name, action, target, tenant_id, project_id, outcome, reason, \
         correlation_id, source_ip, before_json, after_json, seq, hash FROM audit_events WHERE id = $1",
        &values![id],
        read,
    )?
    .ok_or_else(|| Problem::not_found("event"))
}

/// Gives up to `limit` waiting events their places. Returns how many.
pub(super) fn seal(tx: &mut Tx, limit: i64) -> Result<usize, Problem> {
    let head =
        tx.opt("SELECT seq, hash FROM audit_events WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1", &[], |row| {
            Ok((row.get::<i64>(0)?, row.get::<[u8; 32]>(1)?))
        })?;
    let (mut seq, mut prev) = head.unwrap_or((0, GENESIS));
    let waiting = tx.all(
        "SELECT id, at_ms, actor_kind, actor_id, actor_name, action, target, tenant_id, project_id, outcome, reason, \
         correlation_id, source_ip, before_json, after_json, seq, hash FROM audit_events \
         WHERE seq IS NULL ORDER BY at_ms, id LIMIT $1",
        &values![limit],
        read,
    )?;
    for entry in &waiting {
        seq += 1;
        let hash = entry.link(seq, &prev);
        tx.exec(
            "UPDATE audit_events SET seq = $2, prev_hash = $3, hash = $4 WHERE id = $1 AND seq IS NULL",
            &values![&entry.id, seq, prev, hash],
        )?;
        prev = hash;
    }
    Ok(waiting.len())
}

/// Events that wait for their place.
pub(super) fn unsealed(tx: &mut Tx) -> Result<i64, Problem> {
    tx.one("SELECT COUNT(*) FROM audit_events WHERE seq IS NULL", &[], |row| row.get(0))
}

/// Checks up to `limit` further events of the chain. True when there may be more.
pub(super) fn verify(tx: &mut Tx, chain: &mut Chain, limit: i64) -> Result<bool, Problem> {
    let after = i64::try_from(chain.checked).unwrap_or(i64::MAX);
    let entries = tx.all(
        "SELECT id, at_ms, actor_kind, actor_id, actor_name, action, target, tenant_id, project_id, outcome, reason, \
         correlation_id, source_ip, before_json, after_json, seq, hash FROM audit_events \
         WHERE seq > $1 ORDER BY seq LIMIT $2",
        &values![after, limit],
        read,
    )?;
    let whole = entries.iter().all(|entry| chain.take(entry));
    Ok(whole && i64::try_from(entries.len()).is_ok_and(|count| count == limit))
}
