//! All SQL of operations, their steps and their timeline.

use super::model::{Outcome, State, StepState};
use super::row::{Line, Operation, Step};
use crate::base::http::Problem;
use crate::base::limits;
use crate::base::store::{Row, Tx, Value};
use crate::values;
use muster_protocol::ids::{OperationId, TenantId};

/// All columns, in the order of [`read`].
macro_rules! columns {
    () => {
        "id, kind, state, outcome, subject_kind, subject_id, tenant_id, project_id, initiator_kind, initiator_id, \
         initiator_name, correlation_id, context, failure_code, failure_detail, retry_of, deadline_ms, \
         cancel_requested_ms, created_ms, started_ms, ended_ms, attempt, step_due_ms, stalled_ms"
    };
}

/// `SELECT` of all columns with a tail, as one static text.
macro_rules! select {
    ($tail:literal) => {
        concat!("SELECT ", columns!(), " FROM operations ", $tail)
    };
}

fn read(row: &Row) -> Result<Operation, Problem> {
    Ok(Operation {
        id: row.get(0)?,
        kind: row.get(1)?,
        state: row.parse(2)?,
        outcome: row.get(3)?,
        subject_kind: row.get(4)?,
        subject_id: row.get(5)?,
        tenant_id: row.get(6)?,
        project_id: row.get(7)?,
        initiator_kind: row.get(8)?,
        initiator_id: row.get(9)?,
        initiator_name: row.get(10)?,
        correlation_id: row.get(11)?,
        context: row.json(12)?,
        failure_code: row.get(13)?,
        failure_detail: row.get(14)?,
        retry_of: row.get(15)?,
        deadline_ms: row.get(16)?,
        cancel_requested_ms: row.get(17)?,
        created_ms: row.get(18)?,
        started_ms: row.get(19)?,
        ended_ms: row.get(20)?,
        attempt: row.get(21)?,
        step_due_ms: row.get(22)?,
        stalled_ms: row.get(23)?,
        steps: Vec::new(),
    })
}

/// Writes a new operation with its steps, all pending.
pub(super) fn insert(tx: &mut Tx, operation: &Operation) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO operations(id, kind, state, outcome, subject_kind, subject_id, tenant_id, project_id, \
         initiator_kind, initiator_id, initiator_name, correlation_id, context, retry_of, deadline_ms, created_ms, \
         owner, lease_until_ms, attempt, step_due_ms) \
         VALUES($1, $2, $3, NULL, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, '', 0, $16, $17)",
        &values![
            operation.id,
            &operation.kind,
            operation.state,
            &operation.subject_kind,
            &operation.subject_id,
            operation.tenant_id,
            operation.project_id,
            &operation.initiator_kind,
            &operation.initiator_id,
            &operation.initiator_name,
            &operation.correlation_id,
            operation.context.to_string(),
            operation.retry_of,
            operation.deadline_ms,
            operation.created_ms,
            operation.attempt,
            operation.step_due_ms,
        ],
    )?;
    for step in &operation.steps {
        tx.exec(
            "INSERT INTO operation_steps(operation_id, seq, name, state, detail) VALUES($1, $2, $3, $4, '')",
            &values![operation.id, step.seq, &step.name, step.state],
        )?;
    }
    Ok(())
}

/// One operation with its steps.
pub(super) fn find(tx: &mut Tx, id: OperationId) -> Result<Option<Operation>, Problem> {
    let Some(mut operation) = tx.opt(select!("WHERE id = $1"), &values![id], read)? else { return Ok(None) };
    operation.steps = steps(tx, id)?;
    Ok(Some(operation))
}

fn steps(tx: &mut Tx, id: OperationId) -> Result<Vec<Step>, Problem> {
    tx.all(
        "SELECT seq, name, state, detail, started_ms, ended_ms FROM operation_steps WHERE operation_id = $1 \
         ORDER BY seq LIMIT 64",
        &values![id],
        |row| {
            Ok(Step {
                seq: row.get(0)?,
                name: row.get(1)?,
                state: row.parse(2)?,
                detail: row.get(3)?,
                started_ms: row.get(4)?,
                ended_ms: row.get(5)?,
            })
        },
    )
}

/// What a list may be narrowed to; null fields do not narrow.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    /// Of one tenant; none: of all and of the platform.
    pub tenant_id: Option<TenantId>,
    /// Of one kind.
    pub kind: Option<String>,
    /// In one state, or `active`: in one that is no end.
    pub state: Option<String>,
    /// About one thing.
    pub subject: Option<String>,
    /// That ended in one way.
    pub outcome: Option<String>,
    /// Begun by one person.
    pub initiator: Option<String>,
    /// Whose id, kind, subject or initiator contains this, in lower case.
    pub text: Option<String>,
}

/// What a text is looked for in.
macro_rules! words {
    () => {
        "(id || ' ' || kind || ' ' || subject_id || ' ' || LOWER(initiator_name))"
    };
}

/// The conditions of a filter, `$1` to `$7`.
macro_rules! conditions {
    () => {
        concat!(
            "(CAST($1 AS TEXT) IS NULL OR tenant_id = $1) AND (CAST($2 AS TEXT) IS NULL OR kind = $2) \
             AND (CAST($3 AS TEXT) IS NULL OR state = $3 OR ($3 = 'active' AND ended_ms IS NULL)) \
             AND (CAST($4 AS TEXT) IS NULL OR subject_id = $4) AND (CAST($5 AS TEXT) IS NULL OR outcome = $5) \
             AND (CAST($6 AS TEXT) IS NULL OR initiator_id = $6) AND (CAST($7 AS TEXT) IS NULL OR REPLACE(",
            words!(),
            ", $7, '') <> ",
            words!(),
            ")"
        )
    };
}

impl Filter {
    fn values(&self) -> Vec<Value> {
        values![
            self.tenant_id,
            self.kind.clone(),
            self.state.clone(),
            self.subject.clone(),
            self.outcome.clone(),
            self.initiator.clone(),
            self.text.clone(),
        ]
        .to_vec()
    }
}

/// A page of operations, newest first.
pub(super) fn list(
    tx: &mut Tx,
    filter: &Filter,
    (at, before, limit): (i64, String, i64),
) -> Result<Vec<Operation>, Problem> {
    let mut values = filter.values();
    values.extend(values![at, before, limit]);
    let mut found = tx.all(
        concat!(
            "SELECT ",
            columns!(),
            " FROM operations WHERE ",
            conditions!(),
            " AND (created_ms, id) < ($8, $9) ORDER BY created_ms DESC, id DESC LIMIT $10"
        ),
        &values,
        read,
    )?;
    for operation in &mut found {
        operation.steps = steps(tx, operation.id)?;
    }
    Ok(found)
}

/// How many operations a filter leaves.
pub(super) fn count(tx: &mut Tx, filter: &Filter) -> Result<i64, Problem> {
    let sql = concat!("SELECT CAST(COUNT(*) AS BIGINT) FROM operations WHERE ", conditions!());
    tx.one(sql, &filter.values(), |row| row.get(0))
}

/// Operations that try this one again, oldest first.
pub(super) fn retries(tx: &mut Tx, id: OperationId) -> Result<Vec<OperationId>, Problem> {
    tx.all("SELECT id FROM operations WHERE retry_of = $1 ORDER BY id LIMIT 20", &values![id], |row| row.get(0))
}

/// A step has moved: when the next one should have.
pub(super) fn expect_step(tx: &mut Tx, id: OperationId, due_ms: i64) -> Result<(), Problem> {
    tx.exec(
        "UPDATE operations SET step_due_ms = $2, stalled_ms = NULL WHERE id = $1 AND ended_ms IS NULL",
        &values![id, due_ms],
    )?;
    Ok(())
}

/// Operations whose step should have moved and has not, and that are not known for it.
pub(super) fn stalling(tx: &mut Tx, now_ms: i64) -> Result<Vec<OperationId>, Problem> {
    tx.all(
        "SELECT id FROM operations WHERE ended_ms IS NULL AND stalled_ms IS NULL AND step_due_ms < $1 \
         ORDER BY id LIMIT 100",
        &values![now_ms],
        |row| row.get(0),
    )
}

/// Marks an operation as stalled. False if it moved or ended meanwhile.
pub(super) fn stall(tx: &mut Tx, id: OperationId, now_ms: i64) -> Result<bool, Problem> {
    let marked = tx.exec(
        "UPDATE operations SET stalled_ms = $2 WHERE id = $1 AND ended_ms IS NULL AND stalled_ms IS NULL \
         AND step_due_ms < $2",
        &values![id, now_ms],
    )?;
    Ok(marked == 1)
}

/// Operations about a thing that have not ended, oldest first.
pub(super) fn open_of(tx: &mut Tx, subject: &str) -> Result<Vec<Operation>, Problem> {
    tx.all(
        select!("WHERE subject_id = $1 AND ended_ms IS NULL ORDER BY created_ms, id LIMIT 100"),
        &values![subject],
        read,
    )
}

/// Operations whose deadline has passed, oldest first.
pub(super) fn due(tx: &mut Tx, now_ms: i64) -> Result<Vec<OperationId>, Problem> {
    tx.all(
        "SELECT id FROM operations WHERE ended_ms IS NULL AND deadline_ms < $1 ORDER BY id LIMIT 100",
        &values![now_ms],
        |row| row.get(0),
    )
}

/// Takes a passed deadline away, unless it was moved meanwhile.
pub(super) fn undue(tx: &mut Tx, id: OperationId, now_ms: i64) -> Result<(), Problem> {
    tx.exec("UPDATE operations SET deadline_ms = NULL WHERE id = $1 AND deadline_ms < $2", &values![id, now_ms])?;
    Ok(())
}

/// Takes or prolongs the lease of an operation. False if another coordinator holds it.
pub(super) fn lease(tx: &mut Tx, id: OperationId, owner: &str, now_ms: i64, until_ms: i64) -> Result<bool, Problem> {
    let taken = tx.exec(
        "UPDATE operations SET owner = $2, lease_until_ms = $4 WHERE id = $1 AND ended_ms IS NULL \
         AND (owner = $2 OR lease_until_ms < $3)",
        &values![id, owner, now_ms, until_ms],
    )?;
    Ok(taken == 1)
}

/// Moves a step, if it still is where the caller saw it.
pub(super) fn move_step(
    tx: &mut Tx,
    id: OperationId,
    step: &Step,
    next: StepState,
    detail: &str,
    now_ms: i64,
) -> Result<(), Problem> {
    let started = step.started_ms.or((next != StepState::Skipped).then_some(now_ms));
    let ended = next.is_final().then_some(now_ms);
    tx.exec(
        "UPDATE operation_steps SET state = $3, detail = $4, started_ms = CAST($5 AS BIGINT), \
         ended_ms = CAST($6 AS BIGINT) WHERE operation_id = $1 AND seq = $2 AND state = $7",
        &values![id, step.seq, next, detail, started, ended, step.state],
    )?;
    Ok(())
}

/// Says more about a step without moving it.
pub(super) fn describe_step(tx: &mut Tx, id: OperationId, seq: i64, detail: &str) -> Result<(), Problem> {
    tx.exec("UPDATE operation_steps SET detail = $3 WHERE operation_id = $1 AND seq = $2", &values![id, seq, detail])?;
    Ok(())
}

/// From queued to running.
pub(super) fn begin(tx: &mut Tx, id: OperationId, now_ms: i64) -> Result<(), Problem> {
    tx.exec(
        "UPDATE operations SET state = $3, started_ms = $2 WHERE id = $1 AND state = $4",
        &values![id, now_ms, State::Running, State::Queued],
    )?;
    Ok(())
}

/// Ends an operation. False if it had ended already.
pub(super) fn end(tx: &mut Tx, id: OperationId, outcome: &Outcome, now_ms: i64) -> Result<bool, Problem> {
    let (code, detail) = match outcome {
        Outcome::Failed { code, detail } => (Some(code.clone()), Some(detail.clone())),
        Outcome::Partial(detail) => (None, Some(detail.clone())),
        Outcome::Succeeded | Outcome::Cancelled => (None, None),
    };
    let ended = tx.exec(
        "UPDATE operations SET state = $2, outcome = $3, failure_code = CAST($4 AS TEXT), \
         failure_detail = CAST($5 AS TEXT), ended_ms = $6, started_ms = COALESCE(started_ms, $6) \
         WHERE id = $1 AND ended_ms IS NULL",
        &values![id, outcome.state(), outcome.word(), code, detail, now_ms],
    )?;
    Ok(ended == 1)
}

/// Marks that someone asked for its end. False if it has ended or was asked before.
pub(super) fn ask_cancel(tx: &mut Tx, id: OperationId, now_ms: i64) -> Result<bool, Problem> {
    let asked = tx.exec(
        "UPDATE operations SET cancel_requested_ms = $2 \
         WHERE id = $1 AND ended_ms IS NULL AND cancel_requested_ms IS NULL",
        &values![id, now_ms],
    )?;
    Ok(asked == 1)
}

/// Adds a line to the timeline, as long as there is room.
pub(super) fn add_line(tx: &mut Tx, id: OperationId, at_ms: i64, kind: &str, detail: &str) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO operation_events(operation_id, seq, at_ms, kind, detail) \
         SELECT CAST($1 AS TEXT), COALESCE(MAX(seq), 0) + 1, CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT) \
         FROM operation_events WHERE operation_id = $1 HAVING COUNT(*) < $5",
        &values![id, at_ms, kind, detail, limits::OPERATION_EVENTS],
    )?;
    Ok(())
}

fn line(row: &Row) -> Result<Line, Problem> {
    Ok(Line { seq: row.get(0)?, at_ms: row.get(1)?, kind: row.get(2)?, detail: row.get(3)? })
}

/// The timeline before a line, newest first.
pub(super) fn lines_before(tx: &mut Tx, id: OperationId, before: i64, limit: i64) -> Result<Vec<Line>, Problem> {
    tx.all(
        "SELECT seq, at_ms, kind, detail FROM operation_events WHERE operation_id = $1 AND seq < $2 \
         ORDER BY seq DESC LIMIT $3",
        &values![id, before, limit],
        line,
    )
}

/// The timeline after a line, in order.
pub(super) fn lines_after(tx: &mut Tx, id: OperationId, after: i64, limit: i64) -> Result<Vec<Line>, Problem> {
    tx.all(
        "SELECT seq, at_ms, kind, detail FROM operation_events WHERE operation_id = $1 AND seq > $2 \
         ORDER BY seq LIMIT $3",
        &values![id, after, limit],
        line,
    )
}

/// What ran at the time of a backup is nobody's, and its deadline says nothing any more.
pub(super) fn forget_leases(tx: &mut Tx) -> Result<(), Problem> {
    tx.exec("UPDATE operations SET owner = '', lease_until_ms = 0, deadline_ms = NULL WHERE ended_ms IS NULL", &[])?;
    Ok(())
}
