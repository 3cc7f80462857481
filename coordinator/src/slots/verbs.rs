//! What is done with slots: decided by operators, and leased by allocations inside their own transactions.

use super::model::{Event, Hold, State, apply};
use super::store::{self, SlotRow};
use crate::app::App;
use crate::audit;
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::rfc3339;
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::nodes;
use muster_protocol::ids::{AllocationId, NodeId, SlotId};

/// Code of the problem when a slot was taken meanwhile: plan again on a new snapshot.
pub const TAKEN: &str = "slot_taken";

/// Reserves slots for an allocation, all or none: the problem rolls the caller's transaction back.
///
/// # Errors
/// 409 [`TAKEN`] if one of them is not free, is held, or overlaps with another one.
pub fn reserve_in(
    tx: &mut Tx,
    cx: &Cx,
    slots: &[SlotId],
    allocation: AllocationId,
    lease_epoch: i64,
) -> Result<(), Problem> {
    let taken = || Problem::conflict(TAKEN, "A slot was taken meanwhile.");
    for id in slots {
        let slot = store::get_in(tx, *id)?;
        let reserved =
            store::reserve_in(tx, &slot, allocation, lease_epoch, cx.now_ms)? || cfg!(feature = "plant-reserve");
        if !reserved || !store::take_bits_in(tx, &slot)? {
            return Err(taken());
        }
    }
    Ok(())
}

/// The cell runs: the allocation's slots are leased. Idempotent.
///
/// # Errors
/// Only what the store says.
pub fn lease_in(tx: &mut Tx, cx: &Cx, allocation: AllocationId) -> Result<(), Problem> {
    step_in(tx, cx, allocation, Event::Lease)
}

/// The allocation ends: its slots wait for the receipt. Idempotent.
///
/// # Errors
/// Only what the store says.
pub fn scrubbing_in(tx: &mut Tx, cx: &Cx, allocation: AllocationId) -> Result<(), Problem> {
    step_in(tx, cx, allocation, Event::Scrub)
}

fn step_in(tx: &mut Tx, cx: &Cx, allocation: AllocationId, event: Event) -> Result<(), Problem> {
    for slot in store::of_allocation_in(tx, allocation)? {
        // A slot that is further on already stays there.
        if let Ok(next) = apply(slot.state, event).map_err(drop)
            && next != slot.state
        {
            store::save_state_in(tx, &slot, next, cx.now_ms)?;
        }
    }
    Ok(())
}

/// The allocation's slots are free again; a held one keeps its bits and is not sold, and one whose hardware
/// has gone is retired. Idempotent. After the commit nudge `app.nudges.slots`.
///
/// # Errors
/// Only what the store says.
pub fn free_in(tx: &mut Tx, cx: &Cx, allocation: AllocationId) -> Result<(), Problem> {
    for mut slot in store::of_allocation_in(tx, allocation)? {
        if slot.state == State::Leased {
            store::save_state_in(tx, &slot, State::Scrubbing, cx.now_ms)?;
            slot.state = State::Scrubbing;
        }
        let Ok(free) = apply(slot.state, Event::Clean) else { continue };
        store::save_state_in(tx, &slot, free, cx.now_ms)?;
        store::detach_in(tx, slot.id)?;
        slot.state = free;
        if slot.holds.is_empty() {
            store::give_bits_in(tx, &slot)?;
        }
        if !slot.present {
            retire_in(tx, cx, &slot)?;
        }
    }
    Ok(())
}

/// Retires a slot whose hardware is gone, if nothing stands behind it.
pub(super) fn retire_in(tx: &mut Tx, cx: &Cx, slot: &SlotRow) -> Result<(), Problem> {
    let Ok(next) = apply(slot.state, Event::Gone) else { return Ok(()) };
    if next == slot.state {
        return Ok(());
    }
    store::save_state_in(tx, slot, next, cx.now_ms)?;
    store::give_bits_in(tx, slot)?;
    audit::note(tx, cx, audit::Event::new("slots.retired", slot.id).before(&slot.state))
}

/// Puts a quarantine hold on a slot: it is not sold until an operator has cleared it. On a leased slot it takes
/// effect when the lease ends. False if it has a hold of this code already.
///
/// # Errors
/// Only what the store says.
pub fn hold_in(tx: &mut Tx, cx: &Cx, id: SlotId, code: &str, reason: &str) -> Result<bool, Problem> {
    let slot = store::get_in(tx, id)?;
    if slot.holds.iter().any(|hold| hold.code == code) {
        return Ok(false);
    }
    let mut holds = slot.holds.clone();
    let hold = Hold {
        kind: "quarantine".to_owned(),
        code: code.to_owned(),
        reason: reason.to_owned(),
        since: rfc3339(cx.now_ms),
    };
    audit::note(tx, cx, audit::Event::new("slots.hold", id).reason(reason).after(&hold))?;
    holds.push(hold);
    store::save_holds_in(tx, &slot, &holds, cx.now_ms)?;
    if !slot.occupies {
        // Where a neighbour has the bits already, the hold keeps this slot from being sold all the same.
        store::take_bits_in(tx, &slot)?;
    }
    Ok(true)
}

fn clear_in(tx: &mut Tx, cx: &Cx, slot: &SlotRow, reason: Option<&str>) -> Result<(), Problem> {
    if slot.holds.is_empty() {
        return Ok(());
    }
    store::save_holds_in(tx, slot, &[], cx.now_ms)?;
    if !slot.state.is_occupied() {
        store::give_bits_in(tx, slot)?;
    }
    let event = because(audit::Event::new(Verb::SlotsUnhold.as_str(), slot.id), reason);
    audit::note(tx, cx, event.before(&slot.holds))
}

/// What an operator decides about a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It may be sold.
    Approve,
    /// It may not.
    Reject,
    /// It may not until it is cleared.
    Quarantine,
    /// Its holds are gone.
    Clear,
}

impl Decision {
    fn verb(self) -> Verb {
        match self {
            Self::Approve => Verb::SlotsApprove,
            Self::Reject => Verb::SlotsReject,
            Self::Quarantine => Verb::SlotsHold,
            Self::Clear => Verb::SlotsUnhold,
        }
    }
}

/// Longest reason of a decision, characters.
const REASON_MAX: usize = 500;

fn because(event: audit::Event, reason: Option<&str>) -> audit::Event {
    match reason {
        Some(reason) => event.reason(reason),
        None => event,
    }
}

/// The reason without what stands around it; none if nothing is left.
fn checked(reason: Option<String>) -> Result<Option<String>, Problem> {
    let reason = reason.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if reason.as_ref().is_some_and(|text| text.chars().count() > REASON_MAX) {
        return Err(Problem::invalid("reason", "too_long", "A reason has at most 500 characters."));
    }
    Ok(reason)
}

/// Applies a decision to a slot of a node.
fn decide_in(
    tx: &mut Tx,
    cx: &Cx,
    node: NodeId,
    id: SlotId,
    decision: Decision,
    reason: Option<&str>,
) -> Result<SlotRow, Problem> {
    let slot = store::get_in(tx, id)?;
    if slot.node_id != node {
        return Err(Problem::not_found("slot"));
    }
    let event = match decision {
        Decision::Quarantine => {
            hold_in(tx, cx, id, "operator", reason.unwrap_or("set by an operator"))?;
            return store::get_in(tx, id);
        }
        Decision::Clear => {
            clear_in(tx, cx, &slot, reason)?;
            return store::get_in(tx, id);
        }
        Decision::Approve => Event::Approve,
        Decision::Reject => Event::Reject,
    };
    let next = apply(slot.state, event).map_err(|refused| match refused.0.is_occupied() {
        true => Problem::conflict("slot_leased", "An allocation stands behind this slot."),
        false => Problem::conflict("invalid_state", refused.to_string()),
    })?;
    if next != slot.state {
        store::save_state_in(tx, &slot, next, cx.now_ms)?;
        let event = because(audit::Event::new(decision.verb().as_str(), id), reason);
        audit::note(tx, cx, event.before(&slot.state).after(&next))?;
    }
    store::get_in(tx, id)
}

/// One slot.
///
/// # Errors
/// 404, also for a slot of another node; 409 `slot_leased`; 422 for a reason that is too long.
pub async fn decide(
    app: &App,
    cx: &Cx,
    node: NodeId,
    id: SlotId,
    decision: Decision,
    reason: Option<String>,
) -> Result<SlotRow, Problem> {
    authz::require(cx, decision.verb(), Scope::Platform)?;
    let (context, reason) = (cx.clone(), checked(reason)?);
    let decided = move |tx: &mut Tx| decide_in(tx, &context, node, id, decision, reason.as_deref());
    let slot = app.store.write(move |tx| decided(tx).map(audit::unchanged)).await?;
    app.nudges.slots.notify();
    Ok(slot)
}

/// How a decision about one of many ended.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The slot.
    pub id: SlotId,
    /// Its row after it, or why it stayed.
    pub outcome: Result<SlotRow, Problem>,
}

/// Many slots of a node: those named, or all that wait for a decision. Each succeeds or fails by itself.
///
/// # Errors
/// 404 for the node.
pub async fn decide_many(
    app: &App,
    cx: &Cx,
    node: NodeId,
    named: Option<Vec<SlotId>>,
    decision: Decision,
    reason: Option<String>,
) -> Result<Vec<Decided>, Problem> {
    authz::require(cx, decision.verb(), Scope::Platform)?;
    let (context, reason) = (cx.clone(), checked(reason)?);
    let decided = app
        .store
        .write(move |tx| {
            nodes::store::get_in(tx, node)?;
            let ids = match &named {
                Some(ids) => ids.clone(),
                None => waiting_in(tx, node, decision)?,
            };
            let mut decided = Vec::new();
            for id in ids {
                // A refusal has changed nothing; anything else ends the whole.
                let outcome = match decide_in(tx, &context, node, id, decision, reason.as_deref()) {
                    Err(problem) if problem.status().is_server_error() => return Err(problem),
                    outcome => outcome,
                };
                decided.push(Decided { id, outcome });
            }
            Ok(audit::unchanged(decided))
        })
        .await?;
    app.nudges.slots.notify();
    Ok(decided)
}

fn waiting_in(tx: &mut Tx, node: NodeId, decision: Decision) -> Result<Vec<SlotId>, Problem> {
    let waits = |slot: &SlotRow| match decision {
        Decision::Approve | Decision::Reject => slot.state == State::Discovered,
        Decision::Quarantine => slot.state != State::Retired,
        Decision::Clear => !slot.holds.is_empty(),
    };
    Ok(store::of_node_in(tx, node)?.iter().filter(|slot| waits(slot)).map(|slot| slot.id).collect())
}
