//! Looks at a node: operations with one node task that changes nothing there.

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

/// The kind of operation of a probe.
pub const KIND: Kind =
    Kind { name: "nodes.probe", cancel: Some(cancel_in), retry: Some(retry), task_ended: None, overdue: None };
/// The kind of operation that looks for slots.
pub const DISCOVER: Kind = Kind { name: "slots.discover", ..KIND };

/// Longest run of a look, ms.
const RUN_MS: i64 = 20_000;
/// How long a look waits for its node, ms.
const WAIT_MS: i64 = 15_000;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The machine, as a person would look at it first.
    Probe,
    /// Its GPUs and what they are cut into.
    Discover,
}

impl Look {
    fn kind(self) -> Kind {
        match self {
            Self::Probe => KIND,
            Self::Discover => DISCOVER,
        }
    }

    fn verb(self) -> Verb {
        match self {
            Self::Probe => Verb::NodesProbe,
            Self::Discover => Verb::SlotsDiscover,
        }
    }

    /// The steps: one, called as the node task that it is.
    fn steps(self) -> &'static [&'static str; 1] {
        match self {
            Self::Probe => &["probe"],
            Self::Discover => &["discover"],
        }
    }
}

fn cancel_in(tx: &mut Tx, cx: &Cx, operation: &Operation) -> Result<(), Problem> {
    // A look changes nothing on the node, so there is nothing to wait for.
    operations::finish_in(tx, cx, operation.id, &Outcome::Cancelled).map(drop)
}

type Retried = Pin<Box<dyn Future<Output = Result<serde_json::Value, Problem>> + Send>>;

fn retry(app: App, cx: Cx, operation: Operation) -> Retried {
    Box::pin(async move {
        let node = operation.subject_id.parse().map_err(|_| Problem::not_found("node"))?;
        let what = if operation.kind == DISCOVER.name { Look::Discover } else { Look::Probe };
        serde_json::to_value(again(&app, &cx, node, what, Some(operation.id)).await?).map_err(Problem::internal)
    })
}

/// Asks the agent to look at its machine and report.
///
/// # Errors
/// 404, 409 `invalid_state` for a node that is not in service, 409 `running` while another such look runs.
pub async fn look(app: &App, cx: &Cx, node: NodeId, what: Look) -> Result<Accepted, Problem> {
    again(app, cx, node, what, None).await
}

async fn again(
    app: &App,
    cx: &Cx,
    node: NodeId,
    what: Look,
    retry_of: Option<OperationId>,
) -> Result<Accepted, Problem> {
    authz::require(cx, what.verb(), Scope::Platform)?;
    let context = cx.clone();
    let accepted = app
        .store
        .write(move |tx| {
            let row = store::get_in(tx, node)?;
            if row.facets.lifecycle != Lifecycle::InService {
                return Err(Problem::conflict("invalid_state", "The node is not in service: nobody could look."));
            }
            let open = operations::open_of_in(tx, &node.to_string())?;
            if open.iter().any(|operation| operation.kind == what.kind().name) {
                return Err(Problem::conflict("running", "Such a look at this node is running: follow it."));
            }
            let accepted = Accepted { operation_id: start_in(tx, &context, node, what, retry_of)? };
            answer_in(tx, &context, StatusCode::ACCEPTED, &accepted)?;
            let event = Event::new(what.verb().as_str(), node).after(&accepted);
            audit::record(tx, &context, event, accepted)
        })
        .await?;
    app.nudges.everything();
    Ok(accepted)
}

fn start_in(
    tx: &mut Tx,
    cx: &Cx,
    node: NodeId,
    what: Look,
    retry_of: Option<OperationId>,
) -> Result<OperationId, Problem> {
    let operation_id = operations::start_in(
        tx,
        cx,
        NewOperation {
            kind: what.kind().name,
            subject_kind: "node",
            subject_id: node.to_string(),
            tenant_id: None,
            project_id: None,
            steps: what.steps(),
            context: serde_json::json!({}),
            retry_of,
            deadline_ms: None,
        },
    )?;
    let [step] = *what.steps();
    let task = NewTask {
        operation_id,
        step,
        node_id: node,
        kind: step,
        arguments: serde_json::json!({}),
        run_ms: RUN_MS,
        wait_ms: WAIT_MS,
    };
    operations::task_in(tx, cx, task)?;
    Ok(operation_id)
}
