//! What can be done with operations: begun, moved and ended inside other rooms' transactions; cancelled and
//! tried again by people.

use super::kinds::{Kind, Kinds};
use super::model::{self, Outcome, State, StepState};
use super::row::{Operation, Step};
use super::store;
use super::tasks;
use crate::app::App;
use crate::audit;
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{Problem, StatusCode, answer_in};
use crate::base::limits;
use crate::base::store::Tx;
use crate::cx::{Actor, Cx};
use muster_protocol::ids::{OperationId, ProjectId, TenantId};
use serde::Serialize;

/// What an operation is begun with.
#[derive(Debug, Clone)]
pub struct NewOperation {
    /// One of the kinds registered in `app.rs`.
    pub kind: &'static str,
    /// `allocation`, `node`, …
    pub subject_kind: &'static str,
    /// Id of what it is about.
    pub subject_id: String,
    /// The tenant it belongs to; none: the platform.
    pub tenant_id: Option<TenantId>,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// Its steps, in order.
    pub steps: &'static [&'static str],
    /// What it was asked with; secrets in it are replaced before it is stored.
    pub context: serde_json::Value,
    /// The operation this one tries again.
    pub retry_of: Option<OperationId>,
    /// When its kind gives up, ms since 1970.
    pub deadline_ms: Option<i64>,
}

/// Answer of what takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Accepted {
    /// Follow it at `/api/v1/operations/{id}`.
    #[schema(value_type = String)]
    pub operation_id: OperationId,
}

/// Begins an operation: queued, all steps pending. The caller records the event of the act.
pub fn start_in(tx: &mut Tx, cx: &Cx, new: NewOperation) -> Result<OperationId, Problem> {
    let steps = new.steps.iter().zip(0..).map(|(name, seq)| Step {
        seq,
        name: (*name).to_owned(),
        state: StepState::Pending,
        detail: String::new(),
        started_ms: None,
        ended_ms: None,
    });
    let attempt = match new.retry_of {
        Some(first) => store::find(tx, first)?.map_or(1, |first| first.attempt + 1),
        None => 1,
    };
    let operation = Operation {
        id: cx.new_id(),
        kind: new.kind.to_owned(),
        state: State::Queued,
        outcome: None,
        subject_kind: new.subject_kind.to_owned(),
        subject_id: new.subject_id,
        tenant_id: new.tenant_id,
        project_id: new.project_id,
        initiator_kind: cx.actor.kind().to_owned(),
        initiator_id: cx.actor.id(),
        initiator_name: match &cx.actor {
            Actor::Person(person) => person.username.clone(),
            other => other.id(),
        },
        correlation_id: cx.correlation_id.to_string(),
        context: model::redact(new.context),
        failure_code: None,
        failure_detail: None,
        retry_of: new.retry_of,
        attempt,
        deadline_ms: new.deadline_ms,
        step_due_ms: Some(cx.now_ms + limits::STEP_MS),
        stalled_ms: None,
        cancel_requested_ms: None,
        created_ms: cx.now_ms,
        started_ms: None,
        ended_ms: None,
        steps: steps.collect(),
    };
    store::insert(tx, &operation)?;
    line_in(tx, cx, &operation, ("created", "operations.created"), &operation.kind)?;
    Ok(operation.id)
}

/// One operation with its steps; 404 if there is none.
pub fn find_in(tx: &mut Tx, id: OperationId) -> Result<Operation, Problem> {
    store::find(tx, id)?.ok_or_else(|| Problem::not_found("operation"))
}

/// Operations about a thing that have not ended, oldest first, without their steps.
pub fn open_of_in(tx: &mut Tx, subject: &str) -> Result<Vec<Operation>, Problem> {
    store::open_of(tx, subject)
}

/// Moves one step forwards; the first move of any step sets the operation running. A move backwards, or of
/// a step of an operation that has ended, changes nothing and answers false.
pub fn step_in(
    tx: &mut Tx,
    cx: &Cx,
    id: OperationId,
    name: &str,
    next: StepState,
    detail: &str,
) -> Result<bool, Problem> {
    let operation = find_in(tx, id)?;
    if operation.state.is_final() {
        return Ok(false);
    }
    let Some(step) = operation.steps.iter().find(|step| step.name == name) else {
        return Err(Problem::internal(format!("{} has no step {name}", operation.kind)));
    };
    if !step.state.may_become(next) {
        if step.state == next && !detail.is_empty() && step.detail != detail {
            store::describe_step(tx, id, step.seq, detail)?;
            store::expect_step(tx, id, cx.now_ms + limits::STEP_MS)?;
            tx.changed(operation.change("operations.step", cx.now_ms));
        }
        return Ok(false);
    }
    store::begin(tx, id, cx.now_ms)?;
    store::move_step(tx, id, step, next, detail, cx.now_ms)?;
    store::expect_step(tx, id, cx.now_ms + limits::STEP_MS)?;
    line_in(tx, cx, &operation, ("step", "operations.step"), &format!("{name}: {}", next.word()))?;
    Ok(true)
}

/// Completes every step before `name` and makes `name` active. Idempotent.
pub fn advance_in(tx: &mut Tx, cx: &Cx, id: OperationId, name: &str, detail: &str) -> Result<(), Problem> {
    let operation = find_in(tx, id)?;
    for step in operation.steps.iter().take_while(|step| step.name != name) {
        if !step.state.is_final() {
            step_in(tx, cx, id, &step.name, StepState::Completed, "")?;
        }
    }
    step_in(tx, cx, id, name, StepState::Active, detail).map(|_| ())
}

/// Adds a line to the timeline.
pub fn note_in(tx: &mut Tx, cx: &Cx, id: OperationId, detail: &str) -> Result<(), Problem> {
    let operation = find_in(tx, id)?;
    line_in(tx, cx, &operation, ("note", "operations.note"), detail)
}

/// Adds a line of a kind to the timeline, and tells followers of it by a word.
fn line_in(
    tx: &mut Tx,
    cx: &Cx,
    operation: &Operation,
    (kind, word): (&str, &'static str),
    detail: &str,
) -> Result<(), Problem> {
    tx.changed(operation.change(word, cx.now_ms));
    store::add_line(tx, operation.id, cx.now_ms, kind, detail)
}

/// Ends an operation and every step that has not ended. False if it had ended already.
pub fn finish_in(tx: &mut Tx, cx: &Cx, id: OperationId, outcome: &Outcome) -> Result<bool, Problem> {
    let operation = find_in(tx, id)?;
    if operation.state.is_final() {
        return Ok(false);
    }
    let mut blamed = operation.steps.iter().any(|step| step.state == StepState::Failed);
    for step in &operation.steps {
        if let Some(next) = model::at_end(step.state, outcome, blamed) {
            blamed |= next == StepState::Failed;
            store::move_step(tx, id, step, next, &step.detail, cx.now_ms)?;
        }
    }
    tasks::drop_in(tx, cx, id)?;
    line_in(tx, cx, &operation, ("ended", "operations.ended"), outcome.word())?;
    store::end(tx, id, outcome, cx.now_ms)
}

/// The operation, if the actor may see it; the same 404 for a foreign and an unknown one.
pub(super) fn seen_in(tx: &mut Tx, cx: &Cx, id: OperationId, verb: Verb) -> Result<Operation, Problem> {
    let operation = find_in(tx, id)?;
    let scope = match operation.tenant_id {
        Some(tenant) => Scope::Tenant(tenant),
        // What belongs to the platform is shown at the operator door only.
        None if cx.tenant_id().is_ok() && cx.person()?.door == crate::base::http::Door::Console => {
            return Err(Problem::not_found("operation"));
        }
        None => Scope::Platform,
    };
    authz::require(cx, verb, scope).map_err(|problem| match problem.code() {
        "not_found" => Problem::not_found("operation"),
        _ => problem,
    })?;
    Ok(operation)
}

/// Asks for the end of an operation. 409 `not_cancellable` after its point of no return.
pub async fn cancel(app: &App, cx: &Cx, id: OperationId) -> Result<Accepted, Problem> {
    let (kinds, act) = (app.kinds.clone(), cx.clone());
    let answer = app
        .store
        .write(move |tx| {
            let operation = seen_in(tx, &act, id, Verb::OperationsCancel)?;
            let hook = kinds.get(&operation.kind).and_then(|kind| kind.cancel);
            if operation.state.is_final() {
                let detail = format!("This operation is over: {}.", operation.state.word());
                return Err(Problem::conflict("not_cancellable", detail));
            }
            let Some(hook) = hook else { return Err(not_cancellable()) };
            if store::ask_cancel(tx, id, act.now_ms)? {
                line_in(tx, &act, &operation, ("cancel_requested", "operations.cancel"), &act.actor.id())?;
                hook(tx, &act, &operation)?;
            }
            let answer = Accepted { operation_id: id };
            answer_in(tx, &act, StatusCode::ACCEPTED, &answer)?;
            audit::record(tx, &act, about(&operation, "operations.cancel"), answer)
        })
        .await?;
    app.nudges.everything();
    Ok(answer)
}

/// 409 for an operation that cannot be cancelled (any more).
#[must_use]
pub fn not_cancellable() -> Problem {
    Problem::conflict("not_cancellable", "This operation has passed the point where it can be cancelled.")
}

/// Tries a failed or cancelled operation again, as a new operation that names the old one; answers with what
/// the kind's own verb answers.
pub async fn retry(app: &App, cx: &Cx, id: OperationId) -> Result<serde_json::Value, Problem> {
    let act = cx.clone();
    let operation = app.store.read(move |tx| seen_in(tx, &act, id, Verb::OperationsRetry)).await?;
    let hook = app.kinds.get(&operation.kind).and_then(|kind: &Kind| kind.retry);
    let refuse = |detail: String| Err(Problem::conflict("not_retryable", detail));
    if !operation.is_unfinished() {
        let word = operation.state.word();
        return refuse(format!("Only what failed, was cancelled or did a part is tried again; this is {word}."));
    }
    match hook {
        Some(hook) => hook(app.clone(), cx.clone(), operation).await,
        None => refuse(format!("{} cannot be tried again; start it anew.", operation.kind)),
    }
}

/// Gives up on an operation whose step does not move: what its kind does at its deadline is done now.
/// 409 `not_stalled` for one that moves.
pub async fn give_up(app: &App, cx: &Cx, id: OperationId, reason: String) -> Result<Accepted, Problem> {
    if reason.trim().is_empty() || reason.chars().count() > limits::REASON_CHARS {
        let detail = format!("Say why, in 1 to {} characters.", limits::REASON_CHARS);
        return Err(Problem::invalid("reason", "out_of_range", &detail));
    }
    let (kinds, act) = (app.kinds.clone(), cx.clone());
    let answer = app
        .store
        .write(move |tx| {
            let operation = seen_in(tx, &act, id, Verb::OperationsGiveUp)?;
            if operation.state.is_final() || operation.stalled_ms.is_none() {
                let detail = "This operation is over or moves: only one that is stalled can be given up.";
                return Err(Problem::conflict("not_stalled", detail));
            }
            line_in(tx, &act, &operation, ("note", "operations.note"), &format!("given up: {reason}"))?;
            overdue_in(tx, &act, &kinds, &operation, "given_up", &reason)?;
            let answer = Accepted { operation_id: id };
            answer_in(tx, &act, StatusCode::ACCEPTED, &answer)?;
            audit::record(tx, &act, about(&operation, Verb::OperationsGiveUp.as_str()).reason(reason.clone()), answer)
        })
        .await?;
    app.nudges.everything();
    Ok(answer)
}

/// Does what the kind of an operation says when it takes too long; without a word from it, the operation
/// fails.
pub(super) fn overdue_in(
    tx: &mut Tx,
    cx: &Cx,
    kinds: &Kinds,
    operation: &Operation,
    code: &str,
    detail: &str,
) -> Result<(), Problem> {
    if let Some(hook) = kinds.get(&operation.kind).and_then(|kind| kind.overdue) {
        return hook(tx, cx, operation);
    }
    let outcome = Outcome::Failed { code: code.to_owned(), detail: detail.to_owned() };
    finish_in(tx, cx, operation.id, &outcome).map(|_| ())
}

/// Marks an operation whose step does not move. False if it does.
pub(super) fn stall_in(tx: &mut Tx, cx: &Cx, id: OperationId) -> Result<bool, Problem> {
    if !store::stall(tx, id, cx.now_ms)? {
        return Ok(false);
    }
    let operation = find_in(tx, id)?;
    let (owner, name) = operation.owner();
    line_in(tx, cx, &operation, ("stalled", "operations.stalled"), &format!("waiting for {owner} {name}"))?;
    audit::note(tx, cx, about(&operation, "operations.stalled").reason(format!("waiting for {owner} {name}")))?;
    Ok(true)
}

/// The event of an act on an operation.
fn about(operation: &Operation, action: &'static str) -> audit::Event {
    let mut event = audit::Event::new(action, operation.id).after(&serde_json::json!({
        "kind": operation.kind, "subject": operation.subject_id
    }));
    if let Some(tenant) = operation.tenant_id {
        event = event.tenant(tenant);
    }
    if let Some(project) = operation.project_id {
        event = event.project(project);
    }
    event
}
