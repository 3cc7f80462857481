//! All SQL of node tasks.

use super::super::model::TaskState;
use super::{NodeTask, TaskEnd};
use crate::base::http::Problem;
use crate::base::store::{Row, Tx};
use crate::values;
use muster_protocol::ids::{NodeId, NodeTaskId, OperationId};

/// `SELECT` of all columns with a tail, as one static text.
macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT id, operation_id, step, node_id, kind, arguments, state, attempt, run_ms, not_after_ms, \
             progress, result_code, result_detail, result, created_ms, started_ms, ended_ms, cancel_ms, \
             (SELECT o.correlation_id FROM operations o WHERE o.id = node_tasks.operation_id) FROM node_tasks ",
            $tail
        )
    };
}

fn read(row: &Row) -> Result<NodeTask, Problem> {
    Ok(NodeTask {
        id: row.get(0)?,
        operation_id: row.get(1)?,
        step: row.get(2)?,
        node_id: row.get(3)?,
        kind: row.get(4)?,
        arguments: row.get(5)?,
        state: row.parse(6)?,
        attempt: row.get(7)?,
        run_ms: row.get(8)?,
        not_after_ms: row.get(9)?,
        progress: row.get(10)?,
        result_code: row.get(11)?,
        result_detail: row.get(12)?,
        result: row.get(13)?,
        created_ms: row.get(14)?,
        started_ms: row.get(15)?,
        ended_ms: row.get(16)?,
        cancel_ms: row.get(17)?,
        correlation_id: row.get(18)?,
    })
}

/// Writes a new task.
pub(super) fn insert(tx: &mut Tx, task: &NodeTask) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO node_tasks(id, operation_id, step, node_id, kind, arguments, state, attempt, run_ms, \
         not_after_ms, progress, created_ms) VALUES($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, '', $10)",
        &values![
            task.id,
            task.operation_id,
            &task.step,
            task.node_id,
            &task.kind,
            &task.arguments,
            task.state,
            task.run_ms,
            task.not_after_ms,
            task.created_ms,
        ],
    )?;
    Ok(())
}

/// One task.
pub(super) fn find(tx: &mut Tx, id: NodeTaskId) -> Result<Option<NodeTask>, Problem> {
    tx.opt(select!("WHERE id = $1"), &values![id], read)
}

/// Tasks of an operation, oldest first.
pub(super) fn of_operation(tx: &mut Tx, operation: OperationId) -> Result<Vec<NodeTask>, Problem> {
    tx.all(select!("WHERE operation_id = $1 ORDER BY id LIMIT 1000"), &values![operation], read)
}

/// Tasks of a node, newest first.
pub(super) fn of_node(tx: &mut Tx, node: NodeId, limit: i64) -> Result<Vec<NodeTask>, Problem> {
    tx.all(select!("WHERE node_id = $1 ORDER BY created_ms DESC, id DESC LIMIT $2"), &values![node, limit], read)
}

/// Tasks that have not ended, oldest first, those that are unknown last; at most two thousand.
pub(in crate::operations) fn open(tx: &mut Tx) -> Result<Vec<NodeTask>, Problem> {
    // What nobody knows the end of waits for days, and must not hide the rest.
    tx.all(
        select!("WHERE ended_ms IS NULL ORDER BY CASE WHEN state = 'unknown' THEN 1 ELSE 0 END, id LIMIT 2000"),
        &[],
        read,
    )
}

/// Moves a task that has no result yet; an offer counts.
pub(super) fn save(tx: &mut Tx, task: &NodeTask, next: TaskState, now_ms: i64) -> Result<(), Problem> {
    let offered = i64::from(next == TaskState::Leased || (next == TaskState::Running && task.state == next));
    let started = task.started_ms.or((next == TaskState::Running).then_some(now_ms));
    tx.exec(
        "UPDATE node_tasks SET state = $2, attempt = attempt + $3, started_ms = CAST($4 AS BIGINT) \
         WHERE id = $1 AND result_code IS NULL",
        &values![task.id, next, offered, started],
    )?;
    Ok(())
}

/// Stores the last words about a task.
pub(super) fn progress(tx: &mut Tx, id: NodeTaskId, words: &str) -> Result<(), Problem> {
    tx.exec("UPDATE node_tasks SET progress = $2 WHERE id = $1", &values![id, words])?;
    Ok(())
}

/// Puts a task back to its beginning, to be started until `not_after_ms`.
pub(super) fn requeue(tx: &mut Tx, id: NodeTaskId, not_after_ms: i64) -> Result<(), Problem> {
    tx.exec(
        "UPDATE node_tasks SET state = $2, not_after_ms = $3, started_ms = NULL, cancel_ms = NULL, progress = '' \
         WHERE id = $1",
        &values![id, TaskState::Queued, not_after_ms],
    )?;
    Ok(())
}

/// Notes that an operator wants a task to end.
pub(super) fn ask_cancel(tx: &mut Tx, id: NodeTaskId, now_ms: i64) -> Result<(), Problem> {
    tx.exec("UPDATE node_tasks SET cancel_ms = $2 WHERE id = $1 AND cancel_ms IS NULL", &values![id, now_ms])?;
    Ok(())
}

/// Tasks of a node that have not ended, by state: how many, and when the oldest was made.
pub(super) fn backlog(tx: &mut Tx, node: NodeId) -> Result<Vec<(TaskState, i64, i64)>, Problem> {
    tx.all(
        "SELECT state, count(*), min(created_ms) FROM node_tasks WHERE node_id = $1 AND ended_ms IS NULL \
         GROUP BY state ORDER BY state",
        &values![node],
        |row| Ok((row.parse(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// Ends a task.
pub(super) fn end(tx: &mut Tx, task: &NodeTask, next: TaskState, end: &TaskEnd, now_ms: i64) -> Result<(), Problem> {
    tx.exec(
        "UPDATE node_tasks SET state = $2, result_code = $3, result_detail = $4, result = $5, ended_ms = $6 \
         WHERE id = $1",
        &values![task.id, next, &end.code, &end.detail, &end.result, now_ms],
    )?;
    Ok(())
}

/// An agent that does not know a task by its id must not begin it.
pub(in crate::operations) fn outdate(tx: &mut Tx) -> Result<(), Problem> {
    tx.exec("UPDATE node_tasks SET not_after_ms = 0 WHERE ended_ms IS NULL", &[])?;
    Ok(())
}
