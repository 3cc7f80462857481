//! The tasks a node was given, and what operators may do about those that do not move.

use super::store;
use crate::app::App;
use crate::audit::{self, Event};
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::{rfc3339, rfc3339_opt};
use crate::base::http::{Page, Problem, StatusCode, answer_in};
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::operations::{self, NodeTask};
use muster_protocol::ids::{NodeId, NodeTaskId};
use serde::Serialize;
use utoipa::ToSchema;

/// Most tasks shown of one node.
const TASKS_MAX: i64 = 100;

/// A node task as shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TaskItem {
    /// Its id.
    pub id: String,
    /// The operation it belongs to.
    pub operation_id: String,
    /// `probe`, `scrub` or `collect_logs`.
    pub kind: String,
    /// `queued`, `leased`, `running`, `succeeded`, `failed`, `cancelled`, or `unknown`: the node took it and has
    /// not come back in time.
    pub state: String,
    /// Offers so far.
    pub attempt: u32,
    /// Last words of the agent about it.
    pub progress: String,
    /// How it ended; null while it has not.
    pub result_code: Option<String>,
    /// For people.
    pub result_detail: Option<String>,
    /// What it found, by kind.
    pub result: Option<serde_json::Value>,
    /// When it was made.
    pub created_at: String,
    /// When the agent took it.
    pub started_at: Option<String>,
    /// Past this it is not begun any more.
    pub not_after: String,
    /// When an operator asked for its end.
    pub cancel_requested_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
}

impl From<NodeTask> for TaskItem {
    fn from(task: NodeTask) -> Self {
        Self {
            id: task.id.to_string(),
            operation_id: task.operation_id.to_string(),
            kind: task.kind,
            state: task.state.word().to_owned(),
            attempt: task.attempt,
            progress: task.progress,
            result_code: task.result_code,
            result_detail: task.result_detail,
            result: task.result.and_then(|text| serde_json::from_str(&text).ok()),
            created_at: rfc3339(task.created_ms),
            started_at: rfc3339_opt(task.started_ms),
            not_after: rfc3339(task.not_after_ms),
            cancel_requested_at: rfc3339_opt(task.cancel_ms),
            ended_at: rfc3339_opt(task.ended_ms),
        }
    }
}

/// The newest tasks of a node.
///
/// # Errors
/// 404.
pub async fn tasks(app: &App, cx: &Cx, node: NodeId) -> Result<Page<TaskItem>, Problem> {
    authz::require(cx, Verb::NodesTasks, Scope::Platform)?;
    let tasks = app
        .store
        .read(move |tx| {
            store::get_in(tx, node)?;
            operations::tasks_on_in(tx, node, TASKS_MAX)
        })
        .await?;
    Ok(Page::whole(tasks.into_iter().map(TaskItem::from).collect()))
}

/// What an operator wants of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The node shall be asked again.
    Requeue,
    /// It shall end.
    Cancel,
}

/// Does what an operator wants of a task.
///
/// # Errors
/// 404, 409 `not_requeueable`, 409 `not_cancellable`.
pub async fn decide(app: &App, cx: &Cx, node: NodeId, id: NodeTaskId, wish: Wish) -> Result<TaskItem, Problem> {
    let verb = match wish {
        Wish::Requeue => Verb::NodesTasksRequeue,
        Wish::Cancel => Verb::NodesTasksCancel,
    };
    authz::require(cx, verb, Scope::Platform)?;
    let (act, kinds, reachable) = (cx.clone(), app.kinds.clone(), app.links.get(node).is_some());
    let decided = app
        .store
        .write(move |tx: &mut Tx| {
            store::get_in(tx, node)?;
            let task = match wish {
                Wish::Requeue => operations::requeue_task_in(tx, &act, node, id)?,
                Wish::Cancel => operations::cancel_task_in(tx, &act, &kinds, node, id, reachable)?,
            };
            let item = TaskItem::from(task);
            answer_in(tx, &act, StatusCode::OK, &item)?;
            let after = serde_json::json!({ "node_id": node, "operation_id": item.operation_id, "kind": item.kind,
                "state": item.state });
            audit::record(tx, &act, Event::new(verb.as_str(), id).after(&after), item)
        })
        .await?;
    app.nudges.everything();
    Ok(decided)
}

/// Node tasks that have not ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BacklogItem {
    /// How many.
    pub count: i64,
    /// Age of the oldest in seconds; null without any.
    pub oldest_s: Option<i64>,
    /// Those that wait for the node.
    pub waiting: i64,
    /// Those that the node has taken.
    pub running: i64,
    /// Those that the node took and has not come back with in time: queue them again, or cancel them.
    pub unknown: i64,
}

/// The backlog of a node as shown.
///
/// # Errors
/// Only what the store says.
pub fn backlog_in(tx: &mut Tx, node: NodeId, now_ms: i64) -> Result<BacklogItem, Problem> {
    let of = operations::backlog_in(tx, node)?;
    let oldest_s = of.oldest_ms.map(|oldest| ((now_ms - oldest) / 1000).max(0));
    Ok(BacklogItem { count: of.count, oldest_s, waiting: of.waiting, running: of.running, unknown: of.unknown })
}
