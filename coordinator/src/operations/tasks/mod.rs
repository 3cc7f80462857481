//! Node tasks: one typed command to one agent, from its row to the stored result.
//!
//! A task is offered over the node's link until its journal holds it, then only its result is waited for.
//! The result is stored before it is acknowledged, so a crash on either side costs a repeat and no result.

mod operator;
mod store;

pub use operator::{Backlog, backlog_in, cancel_in, requeue_in};
pub(super) use store::{open, outdate};

use super::Operation;
use super::kinds::Kinds;
use super::model::{Outcome, StepState, TaskEvent, TaskState, task_after};
use super::verbs;
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use muster_protocol::ids::{NodeId, NodeTaskId, OperationId};

/// A row of `node_tasks`.
#[derive(Debug, Clone)]
pub struct NodeTask {
    /// Its id.
    pub id: NodeTaskId,
    /// The operation it belongs to.
    pub operation_id: OperationId,
    /// The step of that operation it carries out.
    pub step: String,
    /// The node.
    pub node_id: NodeId,
    /// One of `muster_protocol::task::KINDS`.
    pub kind: String,
    /// JSON, by kind.
    pub arguments: String,
    /// Where it is.
    pub state: TaskState,
    /// Offers so far.
    pub attempt: u32,
    /// Longest run, ms.
    pub run_ms: i64,
    /// It does not start after this, ms since 1970.
    pub not_after_ms: i64,
    /// Last words of the agent about it.
    pub progress: String,
    /// `ok`, `failed`, `cancelled`, `deadline`, `expired`, `unsupported`.
    pub result_code: Option<String>,
    /// For people.
    pub result_detail: Option<String>,
    /// JSON, by kind.
    pub result: Option<String>,
    /// When it was made.
    pub created_ms: i64,
    /// When the agent took it.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// When an operator asked for its end.
    pub cancel_ms: Option<i64>,
    /// Of its operation.
    pub correlation_id: String,
}

/// What a node task is made of.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// The operation it belongs to.
    pub operation_id: OperationId,
    /// The step of that operation it carries out.
    pub step: &'static str,
    /// The node.
    pub node_id: NodeId,
    /// One of `muster_protocol::task::KINDS`.
    pub kind: &'static str,
    /// By kind.
    pub arguments: serde_json::Value,
    /// Longest run, ms.
    pub run_ms: i64,
    /// How long it may wait for its node, ms.
    pub wait_ms: i64,
}

/// What an agent said at the end of a task.
#[derive(Debug, Clone)]
pub struct TaskEnd {
    /// `ok`, `failed`, `cancelled`, `deadline`, `expired`, `unsupported`.
    pub code: String,
    /// For people.
    pub detail: String,
    /// JSON, by kind.
    pub result: String,
}

/// Queues a task. After the commit nudge `app.nudges.node_tasks`.
pub fn task_in(tx: &mut Tx, cx: &Cx, new: NewTask) -> Result<NodeTaskId, Problem> {
    let task = NodeTask {
        id: cx.new_id(),
        operation_id: new.operation_id,
        step: new.step.to_owned(),
        node_id: new.node_id,
        kind: new.kind.to_owned(),
        arguments: new.arguments.to_string(),
        state: TaskState::Queued,
        attempt: 0,
        run_ms: new.run_ms,
        not_after_ms: cx.now_ms + new.wait_ms,
        progress: String::new(),
        result_code: None,
        result_detail: None,
        result: None,
        created_ms: cx.now_ms,
        started_ms: None,
        ended_ms: None,
        cancel_ms: None,
        correlation_id: cx.correlation_id.to_string(),
    };
    store::insert(tx, &task)?;
    Ok(task.id)
}

/// Tasks that have not ended, oldest first, those that are unknown last; at most two thousand.
pub fn open_in(tx: &mut Tx) -> Result<Vec<NodeTask>, Problem> {
    open(tx)
}

/// Tasks of an operation, oldest first.
pub fn tasks_of_in(tx: &mut Tx, operation: OperationId) -> Result<Vec<NodeTask>, Problem> {
    store::of_operation(tx, operation)
}

/// Tasks of a node, newest first, at most `limit`.
pub fn tasks_on_in(tx: &mut Tx, node: NodeId, limit: i64) -> Result<Vec<NodeTask>, Problem> {
    store::of_node(tx, node, limit)
}

/// Applies an event that is no result; the state after it.
pub fn event_in(tx: &mut Tx, cx: &Cx, id: NodeTaskId, event: TaskEvent) -> Result<TaskState, Problem> {
    let task = store::find(tx, id)?.ok_or_else(|| Problem::not_found("node task"))?;
    let Some(next) = task_after(task.state, event) else { return Ok(task.state) };
    store::save(tx, &task, next, cx.now_ms)?;
    if event == TaskEvent::Accept {
        verbs::advance_in(tx, cx, task.operation_id, &task.step, "")?;
    }
    Ok(next)
}

/// Stores what the agent said last about a task.
pub fn progress_in(tx: &mut Tx, cx: &Cx, id: NodeTaskId, words: &str) -> Result<(), Problem> {
    let Some(task) = store::find(tx, id)? else { return Ok(()) };
    store::progress(tx, id, words)?;
    verbs::step_in(tx, cx, task.operation_id, &task.step, StepState::Active, words).map(|_| ())
}

/// Stores the result of a task once and hands it to its operation. False if it had one already.
pub fn end_in(tx: &mut Tx, cx: &Cx, kinds: &Kinds, id: NodeTaskId, end: &TaskEnd) -> Result<bool, Problem> {
    let Some(task) = store::find(tx, id)? else { return Ok(false) };
    let event = match end.code.as_str() {
        "ok" => TaskEvent::Ok,
        "cancelled" => TaskEvent::Cancelled,
        _ => TaskEvent::NotOk,
    };
    let Some(next) = task_after(task.state, event) else { return Ok(false) };
    store::end(tx, &task, next, end, cx.now_ms)?;
    ended(tx, cx, kinds, id)?;
    Ok(true)
}

/// How long after its longest run a task's result may still come before nobody knows what became of it, ms.
const GRACE_MS: i64 = 30_000;
/// How long a node may take to answer to a cancel, ms.
const CANCEL_MS: i64 = 30_000;
/// How long agents keep results that nobody asked for, ms: what is unknown for longer stays so.
const RESULT_KEPT_MS: i64 = 7 * 24 * 3_600_000;

/// What is to be done about an open task because of the time; nothing if it may still go on by itself.
pub(super) fn overdue(task: &NodeTask, now_ms: i64) -> Option<TaskEvent> {
    if task.cancel_ms.is_some_and(|asked| asked + CANCEL_MS < now_ms) {
        return Some(TaskEvent::Cancelled);
    }
    match (task.state, task.started_ms) {
        (TaskState::Unknown, Some(started)) => (started + RESULT_KEPT_MS < now_ms).then_some(TaskEvent::GiveUp),
        (_, None) => (task.not_after_ms < now_ms).then_some(TaskEvent::Expire),
        (_, Some(started)) => (started + task.run_ms + GRACE_MS < now_ms).then_some(TaskEvent::Expire),
    }
}

/// Gives up on a task that was not taken, or not heard of again, in time. One that the node took and has not
/// come back with is `unknown`: its operation waits for the node, or for an operator.
pub(super) fn expire_in(tx: &mut Tx, cx: &Cx, kinds: &Kinds, id: NodeTaskId) -> Result<(), Problem> {
    // Looked at again here: its result may have come since it was found to be overdue.
    let Some(task) = store::find(tx, id)?.filter(|task| task.ended_ms.is_none()) else { return Ok(()) };
    let Some(event) = overdue(&task, cx.now_ms) else { return Ok(()) };
    let Some(next) = task_after(task.state, event) else { return Ok(()) };
    let (code, detail) = match next {
        TaskState::Unknown => {
            store::save(tx, &task, next, cx.now_ms)?;
            let words = "The node took the task and has not come back with its result.";
            return verbs::step_in(tx, cx, task.operation_id, &task.step, StepState::Active, words).map(|_| ());
        }
        TaskState::Cancelled => ("cancelled", "The node did not answer to the cancel; what it has done is not known."),
        _ if event == TaskEvent::GiveUp => ("lost", "The node did not come back with the result within seven days."),
        _ => ("expired", "The node could not be reached in time."),
    };
    let end = TaskEnd { code: code.to_owned(), detail: detail.to_owned(), result: String::new() };
    store::end(tx, &task, next, &end, cx.now_ms)?;
    ended(tx, cx, kinds, task.id)
}

/// Nobody waits for the task any more: an operator or its operation was cancelled, or the operation is over.
pub fn unwanted_in(tx: &mut Tx, id: NodeTaskId) -> Result<bool, Problem> {
    let Some(task) = store::find(tx, id)? else { return Ok(true) };
    Ok(task.cancel_ms.is_some() || verbs::find_in(tx, task.operation_id)?.state.is_final())
}

/// Ends what is left of the tasks of an operation that ends; a running one keeps running to its result,
/// which then only fills its own row.
pub(super) fn drop_in(tx: &mut Tx, cx: &Cx, operation: OperationId) -> Result<(), Problem> {
    for task in store::of_operation(tx, operation)? {
        if matches!(task.state, TaskState::Queued) {
            let end = TaskEnd { code: "cancelled".into(), detail: String::new(), result: String::new() };
            store::end(tx, &task, TaskState::Cancelled, &end, cx.now_ms)?;
        }
    }
    Ok(())
}

/// Tells the operation of a task that has ended.
fn ended(tx: &mut Tx, cx: &Cx, kinds: &Kinds, id: NodeTaskId) -> Result<(), Problem> {
    let Some(task) = store::find(tx, id)? else { return Ok(()) };
    let operation = verbs::find_in(tx, task.operation_id)?;
    if operation.state.is_final() {
        return Ok(());
    }
    match kinds.get(&operation.kind).and_then(|kind| kind.task_ended) {
        Some(hook) => hook(tx, cx, &operation, &task),
        None => by_default(tx, cx, &operation, &task),
    }
}

fn by_default(tx: &mut Tx, cx: &Cx, operation: &Operation, task: &NodeTask) -> Result<(), Problem> {
    let detail = task.result_detail.clone().unwrap_or_default();
    if task.state != TaskState::Succeeded {
        let outcome = match task.state {
            TaskState::Cancelled => Outcome::Cancelled,
            _ => Outcome::Failed { code: task.result_code.clone().unwrap_or_default(), detail },
        };
        return verbs::finish_in(tx, cx, operation.id, &outcome).map(|_| ());
    }
    verbs::advance_in(tx, cx, operation.id, &task.step, "")?;
    verbs::step_in(tx, cx, operation.id, &task.step, StepState::Completed, &detail)?;
    let open = store::of_operation(tx, operation.id)?.iter().any(|task| task.ended_ms.is_none());
    if !open {
        verbs::finish_in(tx, cx, operation.id, &Outcome::Succeeded)?;
    }
    Ok(())
}
