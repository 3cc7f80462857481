//! What was done to a node: events, node tasks and operations in one list.

use super::store;
use crate::base::clock::rfc3339;
use crate::base::http::{Page, PageQuery, Problem};
use crate::base::store::Tx;
use crate::nodes;
use muster_protocol::ids::NodeId;
use serde::Serialize;
use utoipa::ToSchema;

/// One thing that was done.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ActivityItem {
    /// Of the event, task or operation.
    pub id: String,
    /// When.
    pub at: String,
    /// `event`, `task` or `operation`.
    pub kind: String,
    /// The action, the kind of task or of operation.
    pub title: String,
    /// For people; empty if there is nothing to say.
    pub detail: String,
    /// The name of who did it.
    pub actor: String,
    /// How it ended, or where it is.
    pub outcome: String,
    /// What else to look at.
    pub links: ActivityLinks,
}

/// What else to look at; null where there is nothing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ActivityLinks {
    /// The operation it belongs to.
    pub operation_id: Option<String>,
    /// The slot or allocation that the event is about, if not the node.
    pub target: Option<String>,
    /// Everything of one request in logs and audit trail.
    pub correlation_id: String,
}

/// A page, newest first.
///
/// # Errors
/// 404, 422 for a bad page.
pub(super) fn page_in(tx: &mut Tx, node: NodeId, query: &PageQuery) -> Result<Page<ActivityItem>, Problem> {
    nodes::store::get_in(tx, node)?;
    let rows = store::activity_in(tx, node, query.newest_first()?)?;
    let page = Page::cut(rows, query, |done| (done.at_ms, done.id.clone()))?;
    let some = |text: String| (!text.is_empty()).then_some(text);
    let own = node.to_string();
    Ok(page.map(|done| ActivityItem {
        id: done.id,
        at: rfc3339(done.at_ms),
        kind: done.kind,
        title: done.title,
        detail: done.detail,
        actor: done.actor,
        outcome: done.outcome,
        links: ActivityLinks {
            operation_id: some(done.operation_id),
            target: some(done.target).filter(|target| *target != own),
            correlation_id: done.correlation_id,
        },
    }))
}
