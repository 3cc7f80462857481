//! Giving allocations back, and changing who may log in.

use super::doc;
use super::effects::{abandon_in, about, apply_in, wake};
use super::evaluate::named_keys_in;
use super::model::{Event, Wish};
use super::progress::{self, RELEASE_STEPS};
use super::store::{self, Allocation, Keys};
use crate::app::App;
use crate::audit;
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{Problem, StatusCode, answer_in};
use crate::base::limits;
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::nodes::model::Presence;
use crate::operations::{self, Accepted, NewOperation};
use crate::{links, nodes};
use muster_protocol::ids::{AllocationId, OperationId};
use serde::Serialize;
use utoipa::ToSchema;

/// Kind of the operation.
pub(super) const KIND: &str = "allocations.release";
/// Longest reason of an operator, characters.
const REASON_MAX: usize = 500;

/// The allocation, if the actor may see it; the same 404 for a foreign and an unknown one.
pub(super) fn seen_in(tx: &mut Tx, cx: &Cx, id: AllocationId, verb: Verb) -> Result<Allocation, Problem> {
    let row = store::find(tx, id)?.ok_or_else(|| Problem::not_found("allocation"))?;
    authz::require(cx, verb, Scope::Tenant(row.tenant_id)).map_err(|problem| match problem.code() {
        "not_found" => Problem::not_found("allocation"),
        _ => problem,
    })?;
    Ok(row)
}

fn start_in(
    tx: &mut Tx,
    cx: &Cx,
    row: &Allocation,
    reason: &str,
    retry_of: Option<OperationId>,
) -> Result<OperationId, Problem> {
    operations::start_in(
        tx,
        cx,
        NewOperation {
            kind: KIND,
            subject_kind: "allocation",
            subject_id: row.id.to_string(),
            tenant_id: Some(row.tenant_id),
            project_id: Some(row.project_id),
            steps: RELEASE_STEPS,
            context: serde_json::json!({ "reason": reason, "node_id": row.node_id, "name": row.name }),
            retry_of,
            deadline_ms: Some(cx.now_ms + limits::RELEASE_MS),
        },
    )
}

/// Begins the end of an allocation with an operation of its own.
pub(super) fn begin_in(
    tx: &mut Tx,
    cx: &Cx,
    row: &mut Allocation,
    reason: &str,
    retry_of: Option<OperationId>,
) -> Result<OperationId, Problem> {
    // Refused before anything is written.
    row.lease.apply(&Event::Release).map_err(super::effects::invalid_state)?;
    let operation = start_in(tx, cx, row, reason, retry_of)?;
    row.release_operation_id = Some(operation);
    row.end_reason = reason.to_owned();
    row.said.step.clear();
    apply_in(tx, cx, row, &Event::Release)?;
    links::touch_in(tx, row.node_id)?;
    Ok(operation)
}

/// After an event that ended the wish by itself (a command that released on exit, a launch that was cancelled),
/// gives it the operation that a person's release would have had.
pub(super) fn adopt_in(tx: &mut Tx, cx: &Cx, row: &mut Allocation) -> Result<(), Problem> {
    if row.lease.wish != Wish::Ending || row.release_operation_id.is_some() || row.lease.state.is_final() {
        return Ok(());
    }
    let reason = if row.end_reason == "cancelled" { "cancelled" } else { "release_on_exit" };
    row.release_operation_id = Some(start_in(tx, cx, row, reason, None)?);
    store::save(tx, row, cx.now_ms)?;
    progress::follow_in(tx, cx, row)
}

/// Gives an allocation back. 409 `invalid_state` if it is being given back, or is over.
pub(super) async fn release(
    app: &App,
    cx: &Cx,
    id: AllocationId,
    retry_of: Option<OperationId>,
) -> Result<Accepted, Problem> {
    let act = cx.clone();
    let answer = app
        .store
        .write(move |tx| {
            let mut row = seen_in(tx, &act, id, Verb::AllocationsRelease)?;
            let operation_id = begin_in(tx, &act, &mut row, "released", retry_of)?;
            let answer = Accepted { operation_id };
            answer_in(tx, &act, StatusCode::ACCEPTED, &answer)?;
            audit::record(tx, &act, about(&row, "allocations.release"), answer)
        })
        .await?;
    wake(app);
    Ok(answer)
}

/// The same by an operator, who says why; the tenant sees who and why. With `node_lost` nothing is waited for:
/// the operator says that the node will not come back. 409 `node_online` while it is heard.
pub(super) async fn force(
    app: &App,
    cx: &Cx,
    id: AllocationId,
    reason: String,
    node_lost: bool,
) -> Result<Accepted, Problem> {
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_MAX {
        return Err(Problem::invalid("reason", "required", "Say why, in 1 to 500 characters."));
    }
    let (act, looked) = (cx.clone(), app.clone());
    let answer = app
        .store
        .write(move |tx| {
            let mut row = seen_in(tx, &act, id, Verb::AllocationsForceRelease)?;
            let ending = row.lease.wish == Wish::Ending && node_lost;
            let operation_id = match row.release_operation_id.filter(|_| ending) {
                Some(running) => running,
                None if ending => row.operation_id,
                None => begin_in(tx, &act, &mut row, "force_released", None)?,
            };
            if node_lost {
                if looked.board.of(row.node_id) == Presence::Online {
                    let detail = "The node is heard: it will prove the end itself.";
                    return Err(Problem::conflict("node_online", detail));
                }
                nodes::fuse::verbs::require_intact_in(tx)?;
                abandon_in(tx, &act, &mut row)?;
            }
            operations::note_in(tx, &act, operation_id, &reason)?;
            let answer = Accepted { operation_id };
            answer_in(tx, &act, StatusCode::ACCEPTED, &answer)?;
            audit::record(tx, &act, about(&row, "allocations.force_release").reason(reason.clone()), answer)
        })
        .await?;
    wake(app);
    Ok(answer)
}

/// Who may log in from now on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct KeySet {
    /// The allocation.
    #[schema(value_type = String)]
    pub allocation_id: AllocationId,
    /// The complete set of keys.
    pub ssh_key_ids: Vec<String>,
}

/// Replaces the keys of an allocation; its node writes them anew as soon as it is reached.
pub(super) async fn set_keys(app: &App, cx: &Cx, id: AllocationId, ids: Vec<String>) -> Result<KeySet, Problem> {
    let act = cx.clone();
    let answer = app
        .store
        .write(move |tx| {
            let row = seen_in(tx, &act, id, Verb::AllocationsSshKeys)?;
            if row.lease.wish != Wish::Wanted {
                return Err(super::effects::invalid_state(super::model::Refused(row.lease.state)));
            }
            let keys = named_keys_in(tx, &act, Some(&ids))?;
            let shown: Vec<String> = keys.ids.iter().map(ToString::to_string).collect();
            // A cell that was launched with SSH keeps its entry, with nobody let in.
            let keep = !keys.ids.is_empty() || row.keys.is_some();
            store::save_keys(tx, id, keep.then_some(&Keys { ids: keys.ids, lines: keys.lines }))?;
            doc::require_fits_in(tx, row.node_id, id)?;
            links::touch_in(tx, row.node_id)?;
            let answer = KeySet { allocation_id: id, ssh_key_ids: shown.clone() };
            answer_in(tx, &act, StatusCode::ACCEPTED, &answer)?;
            audit::record(tx, &act, about(&row, "allocations.ssh_keys").after(&shown), answer)
        })
        .await?;
    wake(app);
    Ok(answer)
}
