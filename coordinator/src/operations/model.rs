//! What an operation is: five states, ordered steps, node tasks, and the moves between them. Pure.

use crate::base::words::words;
use serde_json::Value;

words! {
    /// Where an operation is. Cancelling is `running` with a time of the request.
    State {
        /// Nothing of it has begun.
        Queued = "queued",
        /// A step is or was active.
        Running = "running",
        /// All steps completed, or what matters of them (outcome `partial`).
        Succeeded = "succeeded",
        /// A step failed.
        Failed = "failed",
        /// Someone asked for its end before the point of no return.
        Cancelled = "cancelled",
    }
}

impl State {
    /// Nothing changes any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

words! {
    /// Where a step is.
    StepState {
        /// Not begun.
        Pending = "pending",
        /// Being done.
        Active = "active",
        /// Done.
        Completed = "completed",
        /// Could not be done.
        Failed = "failed",
        /// Not needed any more.
        Skipped = "skipped",
    }
}

impl StepState {
    /// A step only moves forwards.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => next != Self::Pending,
            Self::Active => matches!(next, Self::Completed | Self::Failed | Self::Skipped),
            Self::Completed | Self::Failed | Self::Skipped => false,
        }
    }

    /// Nothing changes any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped)
    }
}

/// How an operation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was done.
    Succeeded,
    /// What matters was done; the rest stands in words.
    Partial(String),
    /// It could not be done.
    Failed {
        /// A word scripts may rely on.
        code: String,
        /// For people.
        detail: String,
    },
    /// It was cancelled.
    Cancelled,
}

impl Outcome {
    /// The state that goes with it.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Succeeded | Self::Partial(_) => State::Succeeded,
            Self::Failed { .. } => State::Failed,
            Self::Cancelled => State::Cancelled,
        }
    }

    /// `succeeded`, `partial`, `failed` or `cancelled`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Partial(_) => "partial",
            other => other.state().word(),
        }
    }
}

/// What becomes of a step when its operation ends; none: it stays as it is. `blamed`: an earlier
/// step has failed already.
#[must_use]
pub(super) fn at_end(step: StepState, outcome: &Outcome, blamed: bool) -> Option<StepState> {
    match (step, outcome) {
        (step, _) if step.is_final() => None,
        (_, Outcome::Succeeded | Outcome::Partial(_)) => Some(StepState::Completed),
        (_, Outcome::Failed { .. }) if !blamed => Some(StepState::Failed),
        _ => Some(StepState::Skipped),
    }
}

words! {
    /// Where a node task is.
    TaskState {
        /// Waits for its node's link.
        Queued = "queued",
        /// Offered to the agent.
        Leased = "leased",
        /// In the agent's journal.
        Running = "running",
        /// The agent said `ok`.
        Succeeded = "succeeded",
        /// The agent said something else, or the time to start it went by.
        Failed = "failed",
        /// The agent said `cancelled`, or it was cancelled before it was offered.
        Cancelled = "cancelled",
        /// Accepted, but the agent has not come back with a result in time. It still may; until then operators
        /// may queue it again or cancel it.
        Unknown = "unknown",
    }
}

/// What happens to a node task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskEvent {
    /// Its stream is open and the offer is on its way.
    Offer,
    /// The agent's journal holds it.
    Accept,
    /// The stream broke.
    Lost,
    /// A result came with this code being `ok` or not, or `cancelled`.
    Ok,
    /// Any other code.
    NotOk,
    /// `cancelled`.
    Cancelled,
    /// The time to start it, or to hear of it again, is over.
    Expire,
    /// An operator asks the node again: its journal still runs it at most once.
    Requeue,
    /// The agent does not keep results for so long.
    GiveUp,
}

/// The state after an event; none if the event means nothing there.
#[must_use]
pub(super) fn task_after(state: TaskState, event: TaskEvent) -> Option<TaskState> {
    use TaskState::{Cancelled, Failed, Leased, Queued, Running, Succeeded, Unknown};
    match (state, event) {
        (Succeeded | Failed | Cancelled, _) => None,
        (Queued | Leased, TaskEvent::Offer) => Some(Leased),
        // Offered again after an accept: only the result is still wanted.
        (Running, TaskEvent::Offer) => Some(Running),
        (Queued | Leased, TaskEvent::Accept) => Some(Running),
        (Unknown, TaskEvent::Offer | TaskEvent::Accept) | (Running, TaskEvent::Accept) => None,
        // Whether the journal took it is not known: the same id is offered again.
        (Leased, TaskEvent::Lost) => Some(Queued),
        (_, TaskEvent::Lost) => None,
        (_, TaskEvent::Ok) => Some(Succeeded),
        (_, TaskEvent::NotOk) => Some(Failed),
        (_, TaskEvent::Cancelled) => Some(Cancelled),
        (Queued | Leased, TaskEvent::Expire) => Some(Failed),
        (Running, TaskEvent::Expire) => Some(Unknown),
        (Unknown, TaskEvent::Expire) => None,
        (Queued | Leased | Unknown, TaskEvent::Requeue) => Some(Queued),
        (Running, TaskEvent::Requeue) => None,
        (Unknown, TaskEvent::GiveUp) => Some(Failed),
        (_, TaskEvent::GiveUp) => None,
    }
}

/// What may be shown of a context, by name. A kind of operation that wants another one shown adds it here;
/// what is not named is not shown.
const SHOWN: &[&str] = &[
    "action",
    "allocation_id",
    "allocation_ids",
    "code",
    "count",
    "env",
    "from",
    "gpu_uuid",
    "gpu_uuids",
    "image",
    "kind",
    "mode",
    "name",
    "node_id",
    "node_ids",
    "node_lost",
    "project_id",
    "reason",
    "sku",
    "sku_id",
    "slot_id",
    "slot_ids",
    "step",
    "to",
    "version",
];

/// A context that may be shown: values of names that are not known are replaced, and all of `env`.
#[must_use]
pub(super) fn redact(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| {
                let value = match value {
                    _ if !SHOWN.contains(&key.as_str()) => "redacted".into(),
                    Value::Object(env) if key == "env" => {
                        env.into_iter().map(|(name, _)| (name, Value::from("redacted"))).collect()
                    }
                    other => redact(other),
                };
                (key, value)
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.into_iter().map(redact).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVENTS: &[TaskEvent] = &[
        TaskEvent::Offer,
        TaskEvent::Accept,
        TaskEvent::Lost,
        TaskEvent::Ok,
        TaskEvent::NotOk,
        TaskEvent::Cancelled,
        TaskEvent::Expire,
        TaskEvent::Requeue,
        TaskEvent::GiveUp,
    ];

    proptest! {
        #[test]
        fn a_task_has_one_result_and_after_an_accept_only_people_queue_it(events in proptest::collection::vec(0..EVENTS.len(), 0..40)) {
            let mut state = TaskState::Queued;
            let mut accepted = false;
            for event in events.into_iter().map(|index| EVENTS[index]) {
                let Some(next) = task_after(state, event) else { continue };
                let ended = matches!(state, TaskState::Succeeded | TaskState::Failed | TaskState::Cancelled);
                prop_assert!(!ended, "{state:?} is an end");
                accepted = (accepted || next == TaskState::Running) && event != TaskEvent::Requeue;
                prop_assert!(!(accepted && matches!(next, TaskState::Queued | TaskState::Leased)));
                state = next;
            }
        }

        #[test]
        fn at_its_end_every_step_is_final(steps in proptest::collection::vec(0..StepState::ALL.len(), 1..8), how in 0usize..4) {
            let outcome = [
                Outcome::Succeeded,
                Outcome::Partial(String::new()),
                Outcome::Failed { code: String::new(), detail: String::new() },
                Outcome::Cancelled,
            ][how].clone();
            let mut failed = steps.iter().any(|step| StepState::ALL[*step] == StepState::Failed);
            for step in steps.into_iter().map(|index| StepState::ALL[index]) {
                let next = at_end(step, &outcome, failed);
                prop_assert!(next.is_none_or(|next| step.may_become(next)));
                let end = next.unwrap_or(step);
                prop_assert!(end.is_final());
                failed |= end == StepState::Failed;
            }
        }
    }

    #[test]
    fn steps_only_move_forwards() {
        for from in StepState::ALL {
            for to in StepState::ALL {
                assert!(!(from.may_become(*to) && to.may_become(*from)), "{from:?} {to:?}");
            }
        }
    }

    #[test]
    fn secrets_do_not_reach_the_context() {
        let shown = redact(serde_json::json!({
            "sku": "h100", "env": {"HF_TOKEN": "abc", "A": "b"}, "reason": {"Password": "x"}, "token_id": "abc",
            "something_new": ["abc"]
        }));
        assert!(!shown.to_string().contains("abc") && !shown.to_string().contains("\"x\""));
        assert_eq!(shown["something_new"], "redacted");
        assert_eq!(shown["env"]["A"], "redacted");
        assert_eq!(shown["sku"], "h100");
    }
}
