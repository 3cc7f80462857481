//! What follows from an event of an allocation, all in one transaction: its row, its slots, the node's
//! document, the operation that shows it, and the audit trail.

use super::model::{Event, Refused, State, Wish};
use super::progress;
use super::store::{self, Allocation};
use crate::audit;
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::{links, nodes, slots};
use muster_protocol::report::Receipt;

/// Hold code of a slot whose cell left something behind.
const CLEANUP_FAILED: &str = "cleanup_failed";
/// Hold code of a slot whose node was given up.
const ABANDONED: &str = "abandoned";

/// 409 `invalid_state` with the state it is in.
pub(super) fn invalid_state(refused: Refused) -> Problem {
    let allowed = match refused.0 {
        State::Releasing => "it is being released already",
        State::Released | State::Failed => "it is over",
        _ => "try again later",
    };
    Problem::conflict("invalid_state", format!("The allocation is {}: {allowed}.", refused.0.word()))
}

/// An audit event about an allocation, with its tenant and project.
pub(super) fn about(row: &Allocation, action: &'static str) -> audit::Event {
    audit::Event::new(action, row.id).tenant(row.tenant_id).project(row.project_id)
}

/// Applies an event and everything that follows from it. False if it was no news. After the commit, call
/// [`wake`].
///
/// # Errors
/// 409 `invalid_state` for an act of a person that does not fit.
pub(super) fn apply_in(tx: &mut Tx, cx: &Cx, row: &mut Allocation, event: &Event) -> Result<bool, Problem> {
    let next = row.lease.apply(event).map_err(invalid_state)?;
    if next == row.lease {
        return Ok(false);
    }
    let before = std::mem::replace(&mut row.lease, next);
    let (was, now) = (before.wish, row.lease.wish);
    // A command may have ended before its cell was seen running.
    let ran = row.lease.state == State::Active || matches!(event, Event::Exited(_));
    if ran && row.active_ms.is_none() {
        row.active_ms = Some(cx.now_ms);
        row.boot_id = nodes::store::get_in(tx, row.node_id)?.boot_id;
        slots::lease_in(tx, cx, row.id)?;
    }
    let degraded = row.lease.state == State::Degraded;
    row.degraded_ms = if degraded { row.degraded_ms.or(Some(cx.now_ms)) } else { None };
    if was == Wish::Wanted && now != Wish::Wanted {
        row.release_ms = Some(cx.now_ms);
        if row.end_reason.is_empty() {
            row.end_reason = if row.lease.state == State::Failed { "failed" } else { "released" }.to_owned();
        }
        slots::scrubbing_in(tx, cx, row.id)?;
    }
    if now != was {
        links::touch_in(tx, row.node_id)?;
    }
    if row.lease.failure.is_some() && before.failure.is_none() {
        row.failure_correlation = Some(cx.correlation_id.to_string());
    }
    if row.lease.state.is_final() && row.ended_ms.is_none() {
        row.ended_ms = Some(cx.now_ms);
    }
    store::save(tx, row, cx.now_ms)?;
    if row.lease.state != before.state {
        audit::note(tx, cx, state_event(row).before(&before.state.word()))?;
    }
    progress::follow_in(tx, cx, row)?;
    Ok(true)
}

/// The event of a state that was entered.
fn state_event(row: &Allocation) -> audit::Event {
    let action = match row.lease.state {
        State::Requested => "allocation.requested",
        State::Provisioning => "allocation.provisioning",
        State::Active => "allocation.active",
        State::Degraded => "allocation.degraded",
        State::Releasing => "allocation.releasing",
        State::Released => "allocation.released",
        State::Failed => "allocation.failed",
        State::ReleaseFailed => "allocation.release_failed",
    };
    let event = about(row, action).after(&serde_json::json!({
        "state": row.lease.state.word(), "exit_code": row.lease.exit_code
    }));
    match &row.lease.failure {
        Some(failure) => event.outcome(audit::Outcome::Failed).reason(failure.code.clone()),
        None => event,
    }
}

/// Stores a receipt: the proof in the audit trail, the slots free again or held, the tombstone gone.
pub(super) fn receipt_in(tx: &mut Tx, cx: &Cx, row: &mut Allocation, receipt: &Receipt) -> Result<(), Problem> {
    if row.lease.wish != Wish::Ending {
        return Ok(());
    }
    let mut event = about(row, "allocation.cleanup_receipt").after(receipt);
    if !receipt.clean {
        event = event.outcome(audit::Outcome::Failed).reason(receipt.leftovers.join("; "));
    }
    audit::note(tx, cx, event)?;
    row.receipt = Some(serde_json::to_string(receipt).map_err(Problem::internal)?);
    if !receipt.clean {
        let reason = format!("{} left something behind: {}", row.id, receipt.leftovers.join("; "));
        for slot in store::slots_of(tx, row.id)? {
            slots::hold_in(tx, cx, slot.id, CLEANUP_FAILED, &reason)?;
        }
    }
    slots::free_in(tx, cx, row.id)?;
    apply_in(tx, cx, row, &Event::Receipt).map(|_| ())
}

/// Gives up on a node that will not come back: no receipt will come, so each slot is held for an operator.
pub(super) fn abandon_in(tx: &mut Tx, cx: &Cx, row: &mut Allocation) -> Result<(), Problem> {
    for slot in store::slots_of(tx, row.id)? {
        let reason = format!("the node was given up before {} was proved to be gone", row.id);
        slots::hold_in(tx, cx, slot.id, ABANDONED, &reason)?;
    }
    apply_in(tx, cx, row, &Event::Abandon)?;
    slots::free_in(tx, cx, row.id)
}

/// Wakes who acts on what was committed.
pub(super) fn wake(app: &crate::app::App) {
    app.nudges.desired.notify();
    app.nudges.everything();
}
