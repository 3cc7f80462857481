//! Making events. The only place that makes a `Recorded` value.

use super::store;
use crate::base::feed::Change;
use crate::base::http::Problem;
use crate::base::store::{Recorded, Tx};
use crate::cx::{Actor, Cx};
use muster_protocol::ids::{ProjectId, TenantId};
use serde::Serialize;

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Success,
    /// Tried and refused.
    Refused,
    /// Tried and failed.
    Failed,
}

impl Outcome {
    /// Its word in the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What is written about one change. The actor, time, correlation id and address come from the [`Cx`].
/// Never put a secret into `before` or `after`.
#[derive(Debug, Clone)]
pub struct Event {
    pub(super) action: &'static str,
    pub(super) target: String,
    pub(super) tenant_id: Option<TenantId>,
    pub(super) project_id: Option<ProjectId>,
    pub(super) outcome: Outcome,
    pub(super) reason: Option<String>,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

impl Event {
    /// An event with its action (`nodes.cordon`) and the id of what it was done to.
    #[must_use]
    pub fn new(action: &'static str, target: impl ToString) -> Self {
        Self {
            action,
            target: target.to_string(),
            tenant_id: None,
            project_id: None,
            outcome: Outcome::Success,
            reason: None,
            before: None,
            after: None,
        }
    }

    /// The tenant it concerns.
    #[must_use]
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant_id = Some(tenant);
        self
    }

    /// The project it concerns.
    #[must_use]
    pub fn project(mut self, project: ProjectId) -> Self {
        self.project_id = Some(project);
        self
    }

    /// How it ended, when not in success.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Why, in the words of the actor or as a code.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// What was there before.
    #[must_use]
    pub fn before(mut self, value: &impl Serialize) -> Self {
        self.before = serde_json::to_string(value).ok();
        self
    }

    /// What is there now.
    #[must_use]
    pub fn after(mut self, value: &impl Serialize) -> Self {
        self.after = serde_json::to_string(value).ok();
        self
    }
}

/// Writes an event and goes on; for the second and further events of one transaction, and for `_in` verbs
/// whose caller records.
pub fn note(tx: &mut Tx, cx: &Cx, event: Event) -> Result<(), Problem> {
    let name = match &cx.actor {
        Actor::Person(person) => person.username.clone(),
        other => other.id(),
    };
    if let Some(change) = Change::of(&event.target, event.action, event.tenant_id, cx.now_ms) {
        tx.changed(change);
    }
    store::insert(tx, cx, &name, &event)
}

/// Writes the event of a change; its answer is what a write closure returns.
pub fn record<T>(tx: &mut Tx, cx: &Cx, event: Event, value: T) -> Result<Recorded<T>, Problem> {
    note(tx, cx, event)?;
    Ok(Recorded::by_audit(value))
}

/// For a write closure that found nothing to change (already cordoned), or whose events were all written by
/// [`note`].
#[must_use]
pub fn unchanged<T>(value: T) -> Recorded<T> {
    Recorded::by_audit(value)
}
