//! From what should be and what is to what is to be done. Pure.
//!
//! A cell ends by its tombstone, by its own `not_after_ms`, by a newer lease of the same allocation, or because
//! its PID 1 is gone. It never ends because a document does not name it.

use muster_protocol::{
    desired::{Cell, Document, Tombstone},
    ids::AllocationId,
};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a cell, as far as a decision needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its lease.
    pub lease_epoch: u64,
    /// Where it is.
    pub stage: Stage,
    /// Its own end, ms since 1970.
    pub not_after_ms: Option<i64>,
    /// Keys that were written last.
    pub keys: Option<Vec<String>>,
}

/// Where a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is being built or ended: wait.
    Busy,
    /// It stands.
    Up,
    /// PID 1 is gone, what is left must go too.
    Dead,
    /// It has its receipt.
    Over,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Build it.
    Create(Box<Cell>),
    /// End it; a cell that is not known is answered with a clean receipt.
    End {
        /// Which.
        allocation: AllocationId,
        /// Lease that ends.
        lease_epoch: u64,
        /// Said to open sessions.
        reason: String,
    },
    /// Replace its keys.
    Keys {
        /// Which.
        allocation: AllocationId,
        /// All of them.
        keys: Vec<String>,
    },
    /// Its receipt is stored by the coordinator.
    Forget(AllocationId),
}

/// What to do now, and what to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In any order.
    pub actions: Vec<Action>,
    /// Standing cells that the document does not name.
    pub unclaimed: BTreeSet<AllocationId>,
    /// Look again at this time, ms since 1970.
    pub wake_ms: Option<i64>,
}

/// Decides. Without a document nothing is created, and nothing ends but by itself.
#[must_use]
pub fn plan(document: Option<&Document>, seen: &BTreeMap<AllocationId, Seen>, now_ms: i64) -> Plan {
    let mut plan = Plan::default();
    let cells: BTreeMap<_, _> =
        document.into_iter().flat_map(|d| &d.cells).map(|cell| (cell.allocation, cell)).collect();
    let tombstones: BTreeMap<_, _> =
        document.into_iter().flat_map(|d| &d.tombstones).map(|stone| (stone.allocation, stone)).collect();
    for (allocation, known) in seen {
        one(&mut plan, *allocation, known, cells.get(allocation).copied(), tombstones.get(allocation).copied(), now_ms);
        if document.is_some()
            && known.stage != Stage::Over
            && !cells.contains_key(allocation)
            && !tombstones.contains_key(allocation)
        {
            plan.unclaimed.insert(*allocation);
        }
        let named = document.is_none() || cells.contains_key(allocation) || tombstones.contains_key(allocation);
        if known.stage == Stage::Over && !named {
            plan.actions.push(Action::Forget(*allocation));
        }
    }
    for (allocation, cell) in &cells {
        let buried = tombstones.get(allocation).is_some_and(|stone| stone.lease_epoch >= cell.lease_epoch);
        if !buried && !seen.contains_key(allocation) && !expired(cell.not_after_ms, now_ms) {
            plan.actions.push(Action::Create(Box::new((*cell).clone())));
        }
    }
    for (allocation, stone) in &tombstones {
        let newer = cells.get(allocation).is_some_and(|cell| cell.lease_epoch > stone.lease_epoch);
        if !seen.contains_key(allocation) && !newer {
            plan.actions.push(end(*allocation, stone.lease_epoch, &stone.reason));
        }
    }
    plan
}

fn one(
    plan: &mut Plan,
    allocation: AllocationId,
    known: &Seen,
    cell: Option<&Cell>,
    stone: Option<&Tombstone>,
    now_ms: i64,
) {
    match known.stage {
        Stage::Busy => return,
        Stage::Dead => return plan.actions.push(end(allocation, known.lease_epoch, "failed")),
        Stage::Over => {
            let newer = stone.filter(|stone| stone.lease_epoch > known.lease_epoch);
            if let Some(stone) = newer.filter(|stone| cell.is_none_or(|cell| cell.lease_epoch <= stone.lease_epoch)) {
                // A lease that ended before its cell was begun here: only a receipt under its own epoch ends it.
                plan.actions.push(end(allocation, stone.lease_epoch, &stone.reason));
            } else if cell.is_some_and(|cell| cell.lease_epoch > known.lease_epoch) {
                // A newer lease of the same allocation begins anew.
                plan.actions.push(Action::Forget(allocation));
            }
            return;
        }
        Stage::Up => {}
    }
    if let Some(stone) = stone
        && stone.lease_epoch >= known.lease_epoch
    {
        return plan.actions.push(end(allocation, known.lease_epoch, &stone.reason));
    }
    if cell.is_some_and(|cell| cell.lease_epoch > known.lease_epoch) {
        return plan.actions.push(end(allocation, known.lease_epoch, "released"));
    }
    let own = cell.map_or(known.not_after_ms, |cell| cell.not_after_ms);
    if expired(own, now_ms) {
        return plan.actions.push(end(allocation, known.lease_epoch, "expired"));
    }
    plan.wake_ms = [plan.wake_ms, own].into_iter().flatten().min();
    if let Some(cell) = cell
        && cell.lease_epoch == known.lease_epoch
        && let Some(keys) = &cell.ssh_keys
        && known.keys.as_ref() != Some(keys)
    {
        plan.actions.push(Action::Keys { allocation, keys: keys.clone() });
    }
}

fn end(allocation: AllocationId, lease_epoch: u64, reason: &str) -> Action {
    Action::End { allocation, lease_epoch, reason: reason.to_owned() }
}

fn expired(not_after_ms: Option<i64>, now_ms: i64) -> bool {
    not_after_ms.is_some_and(|end| end <= now_ms)
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
