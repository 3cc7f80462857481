//! Probing a node: an operation with one node task, and the tasks a node was given.

use super::model::Lifecycle;
use super::store;
use crate::app::App;
use crate::audit::{self, Event};
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::{rfc3339, rfc3339_opt};
use crate::base::http::{Page, Problem, StatusCode, answer_in};
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::operations::{self, Accepted, Kind, NewOperation, NewTask, NodeTask, Operation, Outcome};
use muster_protocol::ids::NodeId;
use serde::Serialize;
use std::pin::Pin;
use utoipa::ToSchema;

/// The kind of operation.
pub const KIND: Kind =
    Kind { name: "nodes.probe", cancel: Some(cancel_in), retry: Some(retry), task_ended: None, overdue: None };

const STEP: &str = "probe";
/// Longest run of a probe, ms.
const RUN_MS: i64 = 20_000;
/// How long a probe waits for its node, ms.
const WAIT_MS: i64 = 15_000;
/// Most tasks shown of one node.
const TASKS_MAX: i64 = 100;

fn cancel_in(tx: &mut Tx, cx: &Cx, operation: &Operation) -> Result<(), Problem> {
    // A probe changes nothing on the node, so there is nothing to wait for.
    operations::finish_in(tx, cx, operation.id, &Outcome::Cancelled).map(drop)
}

type Retried = Pin<Box<dyn Future<Output = Result<serde_json::Value, Problem>> + Send>>;

fn retry(app: App, cx: Cx, operation: Operation) -> Retried {
    Box::pin(async move {
        let node = operation.subject_id.parse().map_err(|_| Problem::not_found("node"))?;
        serde_json::to_value(probe(&app, &cx, node).await?).map_err(Problem::internal)
    })
}

/// Asks the agent to look at its machine and report.
///
/// # Errors
/// 404, 409 `invalid_state` for a node that is not in service, 409 `running` while another probe runs.
pub async fn probe(app: &App, cx: &Cx, node: NodeId) -> Result<Accepted, Problem> {
    authz::require(cx, Verb::NodesProbe, Scope::Platform)?;
    let context = cx.clone();
    let accepted = app
        .store
        .write(move |tx| {
            let row = store::get_in(tx, node)?;
            if row.facets.lifecycle != Lifecycle::InService {
                return Err(Problem::conflict("invalid_state", "Only a node in service can be probed."));
            }
            let open = operations::open_of_in(tx, &node.to_string())?;
            if open.iter().any(|operation| operation.kind == KIND.name) {
                return Err(Problem::conflict("running", "A probe of this node is running."));
            }
            let accepted = Accepted { operation_id: start_in(tx, &context, node)? };
            answer_in(tx, &context, StatusCode::ACCEPTED, &accepted)?;
            let event = Event::new(Verb::NodesProbe.as_str(), node).after(&accepted);
            audit::record(tx, &context, event, accepted)
        })
        .await?;
    app.nudges.everything();
    Ok(accepted)
}

fn start_in(tx: &mut Tx, cx: &Cx, node: NodeId) -> Result<muster_protocol::ids::OperationId, Problem> {
    let operation_id = operations::start_in(
        tx,
        cx,
        NewOperation {
            kind: KIND.name,
            subject_kind: "node",
            subject_id: node.to_string(),
            tenant_id: None,
            project_id: None,
            steps: &[STEP],
            context: serde_json::json!({}),
            retry_of: None,
            deadline_ms: None,
        },
    )?;
    let task = NewTask {
        operation_id,
        step: STEP,
        node_id: node,
        kind: "probe",
        arguments: serde_json::json!({}),
        run_ms: RUN_MS,
        wait_ms: WAIT_MS,
    };
    operations::task_in(tx, cx, task)?;
    Ok(operation_id)
}

/// A node task as shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TaskItem {
    /// Its id.
    pub id: String,
    /// The operation it belongs to.
    pub operation_id: String,
    /// `probe`, `scrub` or `collect_logs`.
    pub kind: String,
    /// Where it is.
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
