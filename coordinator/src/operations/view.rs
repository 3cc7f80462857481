//! An operation as it is shown, and where one may go from it. Pure.

use super::model::{State, StepState};
use super::row::{Line, Operation};
use crate::base::clock::{rfc3339, rfc3339_opt};
use crate::base::http::Door;
use muster_protocol::ids::OperationId;
use serde::Serialize;
use utoipa::ToSchema;

/// An operation as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OperationView {
    /// `op_…`
    pub id: String,
    /// `allocations.launch`, …
    pub kind: String,
    /// `queued`, `running`, `succeeded`, `failed`, `cancelled`.
    pub state: &'static str,
    /// `succeeded`, `partial`, `failed`, `cancelled`; null while it runs.
    pub outcome: Option<String>,
    /// What it does, in order.
    pub steps: Vec<StepView>,
    /// What it is about.
    pub subject: SubjectView,
    /// The tenant it belongs to; null: the platform.
    pub tenant_id: Option<String>,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// Who began it.
    pub initiator: InitiatorView,
    /// Names the request that began it in logs and audit trail.
    pub correlation_id: String,
    /// What it was asked with; what is not known to be harmless is replaced.
    pub context: serde_json::Value,
    /// Why it failed, or what is missing at `partial`.
    pub failure: Option<FailureView>,
    /// The operation this one tries again.
    pub retry_of: Option<String>,
    /// 1, and one more for each operation it tries again.
    pub attempt: i64,
    /// It can be asked to end: its kind can, and it is not over. The answer may still be `not_cancellable`.
    pub cancellable: bool,
    /// It can be tried again: its kind can, and something was left undone.
    pub retryable: bool,
    /// Someone asked for its end.
    pub cancel_requested_at: Option<String>,
    /// Since when its step does not move; null while it does.
    pub stalled_since: Option<String>,
    /// Who has to act for it to go on; null while it moves.
    pub stalled_owner: Option<SubjectView>,
    /// When it gives up by itself.
    pub deadline_at: Option<String>,
    /// When it was asked for.
    pub created_at: String,
    /// When its first step began.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
}

/// A step as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StepView {
    /// A word.
    pub name: String,
    /// `pending`, `active`, `completed`, `failed`, `skipped`.
    pub state: &'static str,
    /// For people.
    pub detail: String,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
}

/// What an operation is about, or waits for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SubjectView {
    /// `allocation`, `node`, …
    pub kind: String,
    /// Its id.
    pub id: String,
}

/// Who began an operation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InitiatorView {
    /// `person`, `node`, `system`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Why an operation failed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FailureView {
    /// A word scripts may rely on; empty at `partial`.
    pub code: String,
    /// For people.
    pub detail: String,
}

/// A line of the timeline.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LineView {
    /// Its place, from 1.
    pub seq: i64,
    /// When.
    pub at: String,
    /// `created`, `step`, `note`, `stalled`, `cancel_requested`, `ended`.
    pub kind: String,
    /// For people.
    pub detail: String,
}

/// A place one may go to from an operation.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct LinkView {
    /// `operations`, `allocation`, `node`, `retry_of`, `retried_by`, `audit`.
    pub kind: &'static str,
    /// For people.
    pub label: &'static str,
    /// The page, of this door.
    pub href: String,
}

impl OperationView {
    /// The view of a row whose kind can be cancelled and tried again, or not.
    pub(super) fn of(row: Operation, (cancel, retry): (bool, bool)) -> Self {
        let (cancellable, retryable) = (cancel && !row.state.is_final(), retry && row.is_unfinished());
        let stalled = row.stalled_ms.filter(|_| !row.state.is_final());
        let (kind, id) = row.owner();
        let stalled_owner = stalled.map(|_| SubjectView { kind: kind.to_owned(), id });
        let failure =
            row.failure_detail.map(|detail| FailureView { code: row.failure_code.unwrap_or_default(), detail });
        let steps = row.steps.into_iter().map(|step| StepView {
            name: step.name,
            state: StepState::word(step.state),
            detail: step.detail,
            started_at: rfc3339_opt(step.started_ms),
            ended_at: rfc3339_opt(step.ended_ms),
        });
        Self {
            id: row.id.to_string(),
            kind: row.kind,
            state: State::word(row.state),
            outcome: row.outcome,
            steps: steps.collect(),
            subject: SubjectView { kind: row.subject_kind, id: row.subject_id },
            tenant_id: row.tenant_id.map(|id| id.to_string()),
            project_id: row.project_id.map(|id| id.to_string()),
            initiator: InitiatorView { kind: row.initiator_kind, id: row.initiator_id, name: row.initiator_name },
            correlation_id: row.correlation_id,
            context: row.context,
            failure,
            retry_of: row.retry_of.map(|id| id.to_string()),
            attempt: row.attempt,
            cancellable,
            retryable,
            cancel_requested_at: rfc3339_opt(row.cancel_requested_ms),
            stalled_since: rfc3339_opt(stalled),
            stalled_owner,
            deadline_at: rfc3339_opt(row.deadline_ms.filter(|_| row.ended_ms.is_none())),
            created_at: rfc3339(row.created_ms),
            started_at: rfc3339_opt(row.started_ms),
            ended_at: rfc3339_opt(row.ended_ms),
        }
    }
}

impl From<Line> for LineView {
    fn from(line: Line) -> Self {
        Self { seq: line.seq, at: rfc3339(line.at_ms), kind: line.kind, detail: line.detail }
    }
}

/// The one page of an operation.
pub(super) fn href(id: impl std::fmt::Display) -> String {
    format!("/admin/operations/{id}")
}

/// Where one may go from an operation. What belongs to staff is not named to others.
pub(super) fn related(row: &Operation, door: Door, retried_by: &[OperationId]) -> Vec<LinkView> {
    let link = |kind, label, href| LinkView { kind, label, href };
    let mut links = vec![link("operations", "All operations", "/admin/operations".to_owned())];
    let subject = &row.subject_id;
    match (row.subject_kind.as_str(), door) {
        ("allocation", Door::Console) => links.push(link("allocation", "Workload", format!("/workloads/{subject}"))),
        ("allocation", Door::Operator) => {
            links.push(link("allocation", "Allocation", format!("/platform/allocations?open={subject}")));
        }
        ("node", Door::Operator) => links.push(link("node", "Node", format!("/platform/lifecycle/nodes/{subject}"))),
        _ => {}
    }
    if door == Door::Operator {
        let node = row.context.get("node_id").and_then(|id| id.as_str());
        if let Some(node) = node.filter(|node| node != subject) {
            links.push(link("node", "Node", format!("/platform/lifecycle/nodes/{node}")));
        }
        links.push(link("audit", "Audit trail", format!("/platform/evidence?correlation_id={}", row.correlation_id)));
    }
    if let Some(first) = row.retry_of {
        links.push(link("retry_of", "The attempt before", href(first)));
    }
    links.extend(retried_by.iter().map(|next| link("retried_by", "The attempt after", href(next))));
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(subject_kind: &str, context: serde_json::Value) -> Operation {
        Operation {
            id: OperationId::new(1, [0; 10]),
            kind: "x.y".into(),
            state: State::Running,
            outcome: None,
            subject_kind: subject_kind.into(),
            subject_id: "xx_1".into(),
            tenant_id: None,
            project_id: None,
            initiator_kind: "person".into(),
            initiator_id: "us_1".into(),
            initiator_name: "ada".into(),
            correlation_id: "co_1".into(),
            context,
            failure_code: None,
            failure_detail: None,
            retry_of: None,
            attempt: 1,
            deadline_ms: None,
            step_due_ms: None,
            stalled_ms: None,
            cancel_requested_ms: None,
            created_ms: 0,
            started_ms: None,
            ended_ms: None,
            steps: Vec::new(),
        }
    }

    #[test]
    fn links_by_kind_context_and_viewer() {
        let node = json!({"node_id": "nd_2"});
        for (subject, context, door, wanted) in [
            ("allocation", node.clone(), Door::Console, vec!["/admin/operations", "/workloads/xx_1"]),
            ("node", node.clone(), Door::Console, vec!["/admin/operations"]),
            ("unknown", json!({}), Door::Console, vec!["/admin/operations"]),
            (
                "allocation",
                node,
                Door::Operator,
                vec![
                    "/admin/operations",
                    "/platform/allocations?open=xx_1",
                    "/platform/lifecycle/nodes/nd_2",
                    "/platform/evidence?correlation_id=co_1",
                ],
            ),
            (
                "node",
                json!({"node_id": "xx_1"}),
                Door::Operator,
                vec!["/admin/operations", "/platform/lifecycle/nodes/xx_1", "/platform/evidence?correlation_id=co_1"],
            ),
            ("unknown", json!({}), Door::Operator, vec!["/admin/operations", "/platform/evidence?correlation_id=co_1"]),
        ] {
            let links = related(&row(subject, context), door, &[]);
            let hrefs: Vec<_> = links.iter().map(|link| link.href.as_str()).collect();
            assert_eq!(hrefs, wanted, "{subject} at {door:?}");
        }
        let mut again = row("unknown", json!({}));
        again.retry_of = Some(OperationId::new(2, [0; 10]));
        let links = related(&again, Door::Console, &[OperationId::new(3, [0; 10])]);
        assert_eq!(links.iter().map(|link| link.kind).collect::<Vec<_>>(), ["operations", "retry_of", "retried_by"]);
    }

    #[test]
    fn only_what_is_open_and_stands_still_is_stalled() {
        let mut still = row("node", json!({}));
        still.stalled_ms = Some(5);
        let view = OperationView::of(still.clone(), (true, true));
        let owner = view.stalled_owner.map(|owner| (owner.kind, owner.id));
        assert_eq!(owner, Some(("node".to_owned(), "xx_1".to_owned())));
        assert!(view.stalled_since.is_some() && view.cancellable && !view.retryable);
        still.state = State::Failed;
        let view = OperationView::of(still, (true, true));
        assert!(view.stalled_since.is_none() && view.stalled_owner.is_none() && !view.cancellable && view.retryable);
    }
}
