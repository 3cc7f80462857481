//! What operators may do about node tasks that do not move: ask again, or end them.

use super::super::kinds::Kinds;
use super::super::model::{TaskEvent, TaskState, task_after};
use super::super::verbs;
use super::{NodeTask, TaskEnd, ended, store};
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use muster_protocol::ids::{NodeId, NodeTaskId};

/// Tasks of a node that have not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// All of them.
    pub count: i64,
    /// When the oldest was made, ms since 1970.
    pub oldest_ms: Option<i64>,
    /// Those that wait for the node.
    pub waiting: i64,
    /// Those that the node has taken.
    pub running: i64,
    /// Those that the node has taken and not come back with in time.
    pub unknown: i64,
}

/// The backlog of a node.
///
/// # Errors
/// Only what the store says.
pub fn backlog_in(tx: &mut Tx, node: NodeId) -> Result<Backlog, Problem> {
    let mut backlog = Backlog::default();
    for (state, count, oldest_ms) in store::backlog(tx, node)? {
        backlog.count += count;
        backlog.oldest_ms = Some(backlog.oldest_ms.map_or(oldest_ms, |oldest| oldest.min(oldest_ms)));
        match state {
            TaskState::Running => backlog.running += count,
            TaskState::Unknown => backlog.unknown += count,
            _ => backlog.waiting += count,
        }
    }
    Ok(backlog)
}

fn find_on(tx: &mut Tx, node: NodeId, id: NodeTaskId) -> Result<NodeTask, Problem> {
    let task = store::find(tx, id)?.filter(|task| task.node_id == node);
    task.ok_or_else(|| Problem::not_found("node task"))
}

/// Asks the node again, under the same id: what its journal took is not run twice, and what it does not know is
/// begun. Its time to start begins anew.
///
/// # Errors
/// 404, 409 `not_requeueable` for a task that runs or has ended, or whose operation is over.
pub fn requeue_in(tx: &mut Tx, cx: &Cx, node: NodeId, id: NodeTaskId) -> Result<NodeTask, Problem> {
    let task = find_on(tx, node, id)?;
    let over = verbs::find_in(tx, task.operation_id)?.state.is_final();
    if over || task_after(task.state, TaskEvent::Requeue).is_none() {
        let detail = if over {
            "Its operation is over: retry the operation instead.".to_owned()
        } else {
            format!("The task is {}: only one that waits, or that is unknown, can be queued again.", task.state.word())
        };
        return Err(Problem::conflict("not_requeueable", detail));
    }
    store::requeue(tx, id, cx.now_ms + (task.not_after_ms - task.created_ms))?;
    verbs::note_in(tx, cx, task.operation_id, &format!("{id} was queued again"))?;
    find_on(tx, node, id)
}

/// Asks for the end of a task. One that the node may have taken, and can be asked about (`reachable`), ends by
/// the node's answer; any other ends here and now.
///
/// # Errors
/// 404, 409 `not_cancellable` for a task that has ended.
pub fn cancel_in(
    tx: &mut Tx,
    cx: &Cx,
    kinds: &Kinds,
    node: NodeId,
    id: NodeTaskId,
    reachable: bool,
) -> Result<NodeTask, Problem> {
    let task = find_on(tx, node, id)?;
    let Some(next) = task_after(task.state, TaskEvent::Cancelled) else {
        return Err(Problem::conflict("not_cancellable", "The task has ended."));
    };
    store::ask_cancel(tx, id, cx.now_ms)?;
    verbs::note_in(tx, cx, task.operation_id, &format!("the cancel of {id} was asked for"))?;
    if !reachable || task.state == TaskState::Queued {
        let detail = match task.state {
            TaskState::Queued => "It was cancelled before the node took it.",
            _ => "It was cancelled while the node was away; what the node has done of it is not known.",
        };
        let end = TaskEnd { code: "cancelled".to_owned(), detail: detail.to_owned(), result: String::new() };
        store::end(tx, &task, next, &end, cx.now_ms)?;
        ended(tx, cx, kinds, id)?;
    }
    find_on(tx, node, id)
}
