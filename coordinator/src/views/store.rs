//! What pages ask of several rooms at once. Reads their tables and writes none.

use crate::base::http::Problem;
use crate::base::store::{Row, Tx};
use crate::catalog::{Price, price_at};
use crate::values;
use muster_protocol::ids::{AllocationId, OperationId, ProjectId, TenantId, UserId};

/// Which part of a tenant's workloads a list shows.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    /// Whose.
    pub tenant_id: TenantId,
    /// `active`, `attention`, `history`, `all`.
    pub view: String,
    /// In one state.
    pub status: Option<String>,
    /// Of one project.
    pub project_id: Option<ProjectId>,
    /// In the name, in lower case.
    pub text: Option<String>,
    /// With a label: `name`, or `name=value`.
    pub label: Option<String>,
    /// Failures before this time no longer ask for attention, ms since 1970.
    pub failed_since_ms: i64,
}

/// How many workloads stand in each part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub active: i64,
    pub attention: i64,
    pub history: i64,
    pub all: i64,
}

/// Which allocations ask for attention: those that somebody has to do something about, and failures after `$since` that
/// nobody has seen to. A command that ended badly is such a failure until its allocation is released by hand.
macro_rules! asks_for_attention {
    ($since:literal) => {
        concat!(
            "(state IN ('degraded', 'release_failed') OR (COALESCE(ended_ms, created_ms) > ",
            $since,
            " AND (state = 'failed' OR (COALESCE(exit_code, 0) <> 0 AND (release_on_exit <> 0 OR end_reason = '')))))"
        )
    };
}

/// Ids of a page, newest first.
pub(super) fn page(
    tx: &mut Tx,
    filter: &Filter,
    (at, before, limit): (i64, String, i64),
) -> Result<Vec<(i64, AllocationId)>, Problem> {
    tx.all(
        concat!(
            "SELECT created_ms, id FROM allocations WHERE tenant_id = $1 AND (created_ms, id) < ($2, $3) \
             AND (CAST($5 AS TEXT) IS NULL OR project_id = $5) \
             AND (CAST($6 AS TEXT) IS NULL OR REPLACE(LOWER(name), $6, '') <> LOWER(name) OR id = $6) \
             AND (CAST($7 AS TEXT) = 'all' OR ($7 = 'active' AND state NOT IN ('released', 'failed')) \
             OR ($7 = 'history' AND state IN ('released', 'failed')) \
             OR ($7 = 'attention' AND ",
            asks_for_attention!("$8"),
            ")) \
             AND (CAST($9 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM allocation_labels l \
             WHERE l.allocation_id = allocations.id AND (l.name = $9 OR l.name || '=' || l.value = $9))) \
             AND (CAST($10 AS TEXT) IS NULL OR state = $10) ORDER BY created_ms DESC, id DESC LIMIT $4"
        ),
        &values![
            filter.tenant_id,
            at,
            before,
            limit,
            filter.project_id,
            filter.text.clone(),
            &filter.view,
            filter.failed_since_ms,
            filter.label.clone(),
            filter.status.clone(),
        ],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// How many stand in each part, whatever `view` and `text` say.
pub(super) fn counts(tx: &mut Tx, filter: &Filter) -> Result<Counts, Problem> {
    tx.one(
        concat!(
            "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN state NOT IN ('released', 'failed') THEN 1 ELSE 0 END), 0) \
             AS BIGINT), CAST(COALESCE(SUM(CASE WHEN ",
            asks_for_attention!("$3"),
            " THEN 1 ELSE 0 END), 0) AS BIGINT) FROM allocations \
             WHERE tenant_id = $1 AND (CAST($2 AS TEXT) IS NULL OR project_id = $2)"
        ),
        &values![filter.tenant_id, filter.project_id, filter.failed_since_ms],
        |row| {
            let (all, active): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(Counts { active, attention: row.get(2)?, history: all - active, all })
        },
    )
}

/// What the running allocations of a tenant cost an hour together, by currency; without those that have no price, and
/// those whose node is lost.
pub(super) fn running_prices(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Price>, Problem> {
    let sums = tx.all(
        "SELECT price_currency, CAST(SUM(price_minor_per_hour) AS BIGINT) FROM allocations \
         WHERE tenant_id = $1 AND state = 'active' AND price_currency IS NOT NULL \
         GROUP BY price_currency ORDER BY price_currency LIMIT 100",
        &values![tenant],
        |row| price_at(row, 0),
    )?;
    Ok(sums.into_iter().flatten().collect())
}

/// Whether the person has an SSH key, and whether the tenant ever launched anything.
pub(super) fn begun(tx: &mut Tx, user: UserId, tenant: TenantId) -> Result<(bool, bool), Problem> {
    let keys: i64 = tx.one("SELECT COUNT(*) FROM ssh_keys WHERE user_id = $1", &values![user], |row| row.get(0))?;
    let first = tx
        .opt("SELECT id FROM allocations WHERE tenant_id = $1 LIMIT 1", &values![tenant], |row| row.get::<String>(0))?;
    Ok((keys > 0, first.is_some()))
}

/// A line of an allocation's life.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    pub at_ms: i64,
    /// Unique and in order within a time.
    pub key: String,
    /// `task` or `audit`.
    pub source: String,
    /// The kind of line of a task, the action of an event.
    pub word: String,
    pub detail: String,
    /// Who acted.
    pub by: String,
    /// The task it belongs to.
    pub operation_id: Option<String>,
    pub correlation_id: String,
}

fn happening(row: &Row) -> Result<Happening, Problem> {
    Ok(Happening {
        at_ms: row.get(0)?,
        key: row.get(1)?,
        source: row.get(2)?,
        word: row.get(3)?,
        detail: row.get(4)?,
        by: row.get(5)?,
        operation_id: row.get(6)?,
        correlation_id: row.get(7)?,
    })
}

/// Lines of the tasks of an allocation and of its audit trail, newest first.
pub(super) fn activity(
    tx: &mut Tx,
    id: AllocationId,
    launch: OperationId,
    (at, before, limit): (i64, String, i64),
) -> Result<Vec<Happening>, Problem> {
    tx.all(
        "SELECT at_ms, line, source, word, detail, who, operation_id, correlation_id FROM (\
         SELECT e.at_ms AS at_ms, e.operation_id || '.' || CAST(1000000 + e.seq AS TEXT) AS line, \
         'task' AS source, o.kind || '.' || e.kind AS word, e.detail AS detail, o.initiator_name AS who, \
         o.id AS operation_id, o.correlation_id AS correlation_id \
         FROM operation_events e JOIN operations o ON o.id = e.operation_id WHERE o.id = $2 OR o.subject_id = $1 \
         UNION ALL \
         SELECT at_ms, id, 'audit', action, COALESCE(reason, ''), actor_name, NULL, correlation_id \
         FROM audit_events WHERE target = $1) AS lines \
         WHERE (at_ms, line) < ($3, $4) ORDER BY at_ms DESC, line DESC LIMIT $5",
        &values![id, launch, at, before, limit],
        happening,
    )
}
