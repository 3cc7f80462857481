//! All SQL of what operators look at: counts and lists over the tables of several rooms. Writes nothing.

use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::values;
use muster_protocol::ids::NodeId;

/// How many rows have each word.
pub(super) type Counts = Vec<(String, i64)>;

/// Slots by their state; those on hold that nothing stands behind are `held`.
pub(super) fn slots_in(tx: &mut Tx) -> Result<Counts, Problem> {
    tx.all(
        "SELECT CASE WHEN holds <> '[]' AND state IN ('free', 'discovered') THEN 'held' ELSE state END AS word, \
         CAST(COUNT(*) AS BIGINT) FROM slots WHERE state <> 'retired' GROUP BY 1 ORDER BY 1 LIMIT 20",
        &[],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Allocations that are not over, by their state.
pub(super) fn allocations_in(tx: &mut Tx) -> Result<Counts, Problem> {
    tx.all(
        "SELECT state, CAST(COUNT(*) AS BIGINT) FROM allocations WHERE state NOT IN ('released', 'failed') \
         GROUP BY state ORDER BY state LIMIT 20",
        &[],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// People who may sign in.
pub(super) fn users_in(tx: &mut Tx) -> Result<i64, Problem> {
    tx.one("SELECT CAST(COUNT(*) AS BIGINT) FROM users WHERE state = 'active'", &[], |row| row.get(0))
}

/// GPUs of nodes in service.
pub(super) fn gpus_in(tx: &mut Tx) -> Result<i64, Problem> {
    tx.one(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM gpus g JOIN nodes n ON n.id = g.node_id \
         WHERE n.lifecycle = 'in_service'",
        &[],
        |row| row.get(0),
    )
}

/// Operations that have not ended, and those that failed since a time.
pub(super) fn operations_in(tx: &mut Tx, since_ms: i64) -> Result<(i64, i64), Problem> {
    tx.one(
        "SELECT (SELECT CAST(COUNT(*) AS BIGINT) FROM operations WHERE ended_ms IS NULL), \
         (SELECT CAST(COUNT(*) AS BIGINT) FROM operations WHERE state = 'failed' AND created_ms > $1)",
        &values![since_ms],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Slots of one node that an operator should look at.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) node: NodeId,
    pub(super) held: i64,
    pub(super) discovered: i64,
}

/// Slots on hold and slots that nobody has decided on, by node.
pub(super) fn waiting_slots_in(tx: &mut Tx) -> Result<Vec<Waiting>, Problem> {
    tx.all(
        "SELECT node_id, CAST(SUM(CASE WHEN holds <> '[]' THEN 1 ELSE 0 END) AS BIGINT), \
         CAST(SUM(CASE WHEN state = 'discovered' AND present = 1 THEN 1 ELSE 0 END) AS BIGINT) FROM slots \
         WHERE state <> 'retired' AND (holds <> '[]' OR (state = 'discovered' AND present = 1)) \
         GROUP BY node_id ORDER BY node_id LIMIT 1000",
        &[],
        |row| Ok(Waiting { node: row.get(0)?, held: row.get(1)?, discovered: row.get(2)? }),
    )
}

/// Nodes whose newest certificate has come into the last sixth of its life, or ended within the last day, with
/// its end. A node renews after two thirds, so that something keeps these from it.
pub(super) fn ending_certificates_in(tx: &mut Tx, now_ms: i64) -> Result<Vec<(NodeId, i64)>, Problem> {
    const DAY_MS: i64 = 86_400_000;
    tx.all(
        "SELECT c.node_id, c.expires_ms FROM certificates c JOIN nodes n ON n.id = c.node_id \
         WHERE n.lifecycle = 'in_service' AND n.revoked_ms IS NULL AND c.revoked_ms IS NULL AND c.expires_ms > $2 \
         AND (c.expires_ms - $1) * 6 < c.expires_ms - c.issued_ms AND NOT EXISTS(SELECT 1 FROM certificates l \
         WHERE l.node_id = c.node_id AND l.revoked_ms IS NULL AND l.expires_ms > c.expires_ms) \
         ORDER BY c.expires_ms, c.node_id LIMIT 1000",
        &values![now_ms, now_ms - DAY_MS],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// An operation that failed, or an allocation whose end is not proved.
#[derive(Debug)]
pub(super) struct Broken {
    /// Its id.
    pub(super) id: String,
    /// What it is called: the kind of operation, or the name of the allocation.
    pub(super) name: String,
    /// What it is about: a node.
    pub(super) node: String,
    /// What is known of the failure.
    pub(super) detail: String,
    pub(super) correlation_id: String,
    pub(super) at_ms: i64,
}

/// The newest operations on nodes that failed since a time and were not done again since.
pub(super) fn failed_on_nodes_in(tx: &mut Tx, since_ms: i64) -> Result<Vec<Broken>, Problem> {
    tx.all(
        "SELECT id, kind, subject_id, COALESCE(failure_detail, ''), correlation_id, ended_ms FROM operations o \
         WHERE subject_kind = 'node' AND state = 'failed' AND created_ms > $1 AND NOT EXISTS(SELECT 1 FROM \
         operations l WHERE l.subject_id = o.subject_id AND l.kind = o.kind AND l.created_ms > o.created_ms) \
         ORDER BY created_ms DESC, id DESC LIMIT 200",
        &values![since_ms],
        |row| {
            Ok(Broken {
                id: row.get(0)?,
                name: row.get(1)?,
                node: row.get(2)?,
                detail: row.get(3)?,
                correlation_id: row.get(4)?,
                at_ms: row.get::<Option<i64>>(5)?.unwrap_or_default(),
            })
        },
    )
}

/// Allocations whose end no node has proved in time.
pub(super) fn unproved_in(tx: &mut Tx) -> Result<Vec<Broken>, Problem> {
    tx.all(
        "SELECT a.id, a.name, a.node_id, n.name, COALESCE(o.correlation_id, ''), COALESCE(a.release_ms, a.created_ms) \
         FROM allocations a JOIN nodes n ON n.id = a.node_id LEFT JOIN operations o ON o.id = a.release_operation_id \
         WHERE a.state = 'release_failed' ORDER BY a.created_ms, a.id LIMIT 200",
        &[],
        |row| {
            let on: String = row.get(3)?;
            Ok(Broken {
                id: row.get(0)?,
                name: row.get(1)?,
                node: row.get(2)?,
                detail: format!("{on} has not proved that its cell is gone."),
                correlation_id: row.get(4)?,
                at_ms: row.get(5)?,
            })
        },
    )
}

/// Something that was done to a node or on it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) at_ms: i64,
    pub(super) id: String,
    /// `event`, `task` or `operation`.
    pub(super) kind: String,
    pub(super) title: String,
    pub(super) detail: String,
    pub(super) actor: String,
    pub(super) outcome: String,
    pub(super) correlation_id: String,
    /// The operation it belongs to; empty if none.
    pub(super) operation_id: String,
    /// What the event is about; empty if it is no event.
    pub(super) target: String,
}

/// What was done to a node, its slots and its allocations, newest first.
pub(super) fn activity_in(
    tx: &mut Tx,
    node: NodeId,
    (at, before, limit): (i64, String, i64),
) -> Result<Vec<Done>, Problem> {
    tx.all(
        "SELECT at_ms, id, kind, title, detail, actor, outcome, correlation_id, operation_id, target FROM ( \
         SELECT at_ms, id, 'event' AS kind, action AS title, COALESCE(reason, '') AS detail, actor_name AS actor, \
         outcome, correlation_id, '' AS operation_id, target FROM audit_events WHERE target = $1 \
         OR target IN (SELECT id FROM slots WHERE node_id = $1) \
         OR target IN (SELECT id FROM allocations WHERE node_id = $1) \
         UNION ALL SELECT t.created_ms, t.id, 'task', t.kind, COALESCE(t.result_detail, t.progress), \
         o.initiator_name, t.state, o.correlation_id, t.operation_id, '' FROM node_tasks t \
         JOIN operations o ON o.id = t.operation_id WHERE t.node_id = $1 \
         UNION ALL SELECT created_ms, id, 'operation', kind, COALESCE(failure_detail, ''), initiator_name, \
         COALESCE(outcome, state), correlation_id, id, '' FROM operations WHERE subject_id = $1) done \
         WHERE (at_ms, id) < ($2, $3) ORDER BY at_ms DESC, id DESC LIMIT $4",
        &values![node, at, before, limit],
        |row| {
            Ok(Done {
                at_ms: row.get(0)?,
                id: row.get(1)?,
                kind: row.get(2)?,
                title: row.get(3)?,
                detail: row.get(4)?,
                actor: row.get(5)?,
                outcome: row.get(6)?,
                correlation_id: row.get(7)?,
                operation_id: row.get(8)?,
                target: row.get(9)?,
            })
        },
    )
}
