//! Probing a node: an operation with one node task.

use super::model::Lifecycle;
use super::store;
use crate::app::App;
use crate::audit::{self, Event};
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{Problem, StatusCode, answer_in};
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::operations::{self, Accepted, Kind, NewOperation, NewTask, Operation, Outcome};
use muster_protocol::ids::{NodeId, OperationId};
use std::pin::Pin;

/// The kind of operation.
pub const KIND: Kind =
    Kind { name: "nodes.probe", cancel: Some(cancel_in), retry: Some(retry), task_ended: None, overdue: None };

const STEP: &str = "probe";
/// Longest run of a probe, ms.
const RUN_MS: i64 = 20_000;
/// How long a probe waits for its node, ms.
const WAIT_MS: i64 = 15_000;

fn cancel_in(tx: &mut Tx, cx: &Cx, operation: &Operation) -> Result<(), Problem> {
    // A probe changes nothing on the node, so there is nothing to wait for.
    operations::finish_in(tx, cx, operation.id, &Outcome::Cancelled).map(drop)
}

type Retried = Pin<Box<dyn Future<Output = Result<serde_json::Value, Problem>> + Send>>;

fn retry(app: App, cx: Cx, operation: Operation) -> Retried {
    Box::pin(async move {
        let node = operation.subject_id.parse().map_err(|_| Problem::not_found("node"))?;
        serde_json::to_value(again(&app, &cx, node, Some(operation.id)).await?).map_err(Problem::internal)
    })
}

/// Asks the agent to look at its machine and report.
///
/// # Errors
/// 404, 409 `invalid_state` for a node that is not in service, 409 `running` while another probe runs.
pub async fn probe(app: &App, cx: &Cx, node: NodeId) -> Result<Accepted, Problem> {
    again(app, cx, node, None).await
}

async fn again(app: &App, cx: &Cx, node: NodeId, retry_of: Option<OperationId>) -> Result<Accepted, Problem> {
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
            let accepted = Accepted { operation_id: start_in(tx, &context, node, retry_of)? };
            answer_in(tx, &context, StatusCode::ACCEPTED, &accepted)?;
            let event = Event::new(Verb::NodesProbe.as_str(), node).after(&accepted);
            audit::record(tx, &context, event, accepted)
        })
        .await?;
    app.nudges.everything();
    Ok(accepted)
}

fn start_in(tx: &mut Tx, cx: &Cx, node: NodeId, retry_of: Option<OperationId>) -> Result<OperationId, Problem> {
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
            retry_of,
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
