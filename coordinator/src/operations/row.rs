//! Rows of operations, their steps and their timeline. Pure.

use super::model::{State, StepState};
use crate::base::feed::Change;
use muster_protocol::ids::{OperationId, ProjectId, TenantId};

/// A row of `operations` with its steps.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// `allocations.launch`, `nodes.probe`, …
    pub kind: String,
    /// Where it is.
    pub state: State,
    /// `succeeded`, `partial`, `failed`, `cancelled`; none while it runs.
    pub outcome: Option<String>,
    /// Kind of what it is about: `allocation`, `node`.
    pub subject_kind: String,
    /// Id of what it is about.
    pub subject_id: String,
    /// The tenant it belongs to; none: the platform.
    pub tenant_id: Option<TenantId>,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// `person`, `node` or `system`.
    pub initiator_kind: String,
    /// Id of who began it.
    pub initiator_id: String,
    /// Name of who began it.
    pub initiator_name: String,
    /// Ties it to the request that began it.
    pub correlation_id: String,
    /// Redacted JSON.
    pub context: serde_json::Value,
    /// Machine-readable reason of a failure.
    pub failure_code: Option<String>,
    /// The same for people.
    pub failure_detail: Option<String>,
    /// The operation this one tries again.
    pub retry_of: Option<OperationId>,
    /// 1, and one more for each operation it tries again.
    pub attempt: i64,
    /// When its kind gives up, ms since 1970.
    pub deadline_ms: Option<i64>,
    /// When its step should have moved.
    pub step_due_ms: Option<i64>,
    /// Since when its step is known not to move.
    pub stalled_ms: Option<i64>,
    /// When someone asked for its end.
    pub cancel_requested_ms: Option<i64>,
    /// When it was asked for.
    pub created_ms: i64,
    /// When its first step began.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// In order.
    pub steps: Vec<Step>,
}

impl Operation {
    /// Something of it was not done, and it is over.
    pub(super) fn is_unfinished(&self) -> bool {
        matches!(self.state, State::Failed | State::Cancelled) || self.outcome.as_deref() == Some("partial")
    }

    /// Who has to act for it to go on: kind and id.
    pub(super) fn owner(&self) -> (&'static str, String) {
        let node = self.context.get("node_id").and_then(|id| id.as_str());
        match node.or((self.subject_kind == "node").then_some(self.subject_id.as_str())) {
            Some(node) => ("node", node.to_owned()),
            None => ("coordinator", String::new()),
        }
    }

    /// A change of this operation, for followers.
    pub(super) fn change(&self, kind: &'static str, at_ms: i64) -> Change {
        Change { topic: "operations", id: self.id.to_string(), kind, tenant: self.tenant_id, at_ms }
    }
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its place, from 0.
    pub seq: i64,
    /// A word.
    pub name: String,
    /// Where it is.
    pub state: StepState,
    /// For people; empty if there is nothing to say.
    pub detail: String,
    /// When it began.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
}

/// A line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its place, from 1.
    pub seq: i64,
    /// When.
    pub at_ms: i64,
    /// `created`, `step`, `note`, `cancel_requested`, `ended`, …
    pub kind: String,
    /// For people.
    pub detail: String,
}
