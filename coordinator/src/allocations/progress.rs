//! Operations of allocations: how far a launch or a release is, told from the rows.

use super::model::{State, Wish};
use super::store::{self, Allocation};
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::operations::{self, Outcome, StepState};
use muster_protocol::ids::OperationId;
use muster_protocol::report::Receipt;

/// Steps of a launch.
pub(super) const LAUNCH_STEPS: &[&str] = &["reserve", "prepare", "start", "ready"];
/// Steps of a release.
pub(super) const RELEASE_STEPS: &[&str] = &["sessions", "end_cell", "receipt", "free_slots"];
/// The agent's word for the step that starts PID 1.
const INIT: &str = "init";
/// The agent's word for the step that tells and closes sessions.
const SESSIONS: &str = "sessions";

/// Brings the operations of an allocation in step with it.
pub(super) fn follow_in(tx: &mut Tx, cx: &Cx, row: &Allocation) -> Result<(), Problem> {
    launch_in(tx, cx, row.operation_id)?;
    if let Some(release) = row.release_operation_id {
        release_in(tx, cx, release, row)?;
    }
    Ok(())
}

fn launch_in(tx: &mut Tx, cx: &Cx, id: OperationId) -> Result<(), Problem> {
    let operation = operations::find_in(tx, id)?;
    if operation.state.is_final() {
        return Ok(());
    }
    let rows = store::of_operation(tx, id)?;
    let cancelling = operation.cancel_requested_ms.is_some();
    let unsettled = rows.iter().find(|row| row.lease.state.is_starting());
    if let Some(slowest) = rows.iter().filter(|row| row.lease.state.is_starting()).min_by_key(|row| stage(row)) {
        let step = if stage(slowest) == 2 { "start" } else { "prepare" };
        return operations::advance_in(tx, cx, id, step, &slowest.said.step);
    }
    // A cancelled launch has ended when nothing of it is left.
    if unsettled.is_some() || (cancelling && rows.iter().any(|row| row.lease.state == State::Releasing)) {
        return Ok(());
    }
    let up = rows.iter().filter(|row| row.active_ms.is_some()).count();
    let failure = rows.iter().find_map(|row| row.lease.failure.clone());
    let outcome = match failure {
        _ if up == rows.len() => Outcome::Succeeded,
        _ if cancelling => Outcome::Cancelled,
        _ if up > 0 => Outcome::Partial(format!("{up} of {} came up.", rows.len())),
        Some(failure) => Outcome::Failed { code: failure.code, detail: failure.detail },
        // Released before it came up.
        None => Outcome::Cancelled,
    };
    operations::finish_in(tx, cx, id, &outcome).map(|_| ())
}

/// 0 reserved, 1 being prepared, 2 being started.
fn stage(row: &Allocation) -> u8 {
    match row.lease.state {
        State::Requested => 0,
        _ if row.said.step == INIT => 2,
        _ => 1,
    }
}

fn release_in(tx: &mut Tx, cx: &Cx, id: OperationId, row: &Allocation) -> Result<(), Problem> {
    match (row.lease.state, row.lease.wish) {
        (State::Releasing, Wish::Ending) => {
            let step = if row.said.step.is_empty() || row.said.step == SESSIONS { "sessions" } else { "end_cell" };
            let detail = if step == "end_cell" { row.said.step.as_str() } else { "" };
            operations::advance_in(tx, cx, id, step, detail)
        }
        (State::ReleaseFailed, _) => {
            let outcome = Outcome::Failed {
                code: "release_deadline".to_owned(),
                detail: "The node has not proved in time that the cell is gone.".to_owned(),
            };
            operations::finish_in(tx, cx, id, &outcome).map(|_| ())
        }
        (_, Wish::Gone) => {
            let receipt: Receipt =
                row.receipt.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            operations::advance_in(tx, cx, id, "free_slots", "")?;
            let outcome = if receipt.clean {
                Outcome::Succeeded
            } else {
                operations::step_in(
                    tx,
                    cx,
                    id,
                    "free_slots",
                    StepState::Skipped,
                    "held: nothing proves that they are clean",
                )?;
                let left = receipt.leftovers.join("; ");
                Outcome::Partial(match row.receipt {
                    Some(_) => format!("Something was left behind: {left}"),
                    None => "The node was given up: there is no proof, and its slots are held.".to_owned(),
                })
            };
            operations::finish_in(tx, cx, id, &outcome).map(|_| ())
        }
        _ => Ok(()),
    }
}
