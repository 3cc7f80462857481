//! Slots as an agent finds them.

use super::model::{Event, Found, Place, State, apply};
use super::store::{self, SlotRow};
use super::verbs::{hold_in, retire_in};
use crate::audit;
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::nodes::facts::Facts;
use muster_protocol::ids::NodeId;
use muster_protocol::inventory::Inventory;
use muster_protocol::limits::SLOTS_PER_NODE;
use std::collections::{BTreeMap, BTreeSet};

/// Most slots that are kept of a node, retired ones included. One of eight GPUs has some 300 places for them.
const SLOTS_KNOWN: usize = 4 * SLOTS_PER_NODE;

/// What an inventory says of slots, checked; each place once.
fn found(inventory: &Inventory) -> BTreeMap<Place, Found> {
    let found = inventory.slots.iter().take(SLOTS_PER_NODE).filter_map(Found::parse);
    found.map(|found| (found.place(), found)).collect()
}

fn is_known(slot: &SlotRow, found: Option<&Found>) -> bool {
    match found {
        Some(found) => slot.present && slot.mask == found.mask() && slot.size == found.size,
        None => !slot.present,
    }
}

/// An inventory says something of slots that is not in their rows.
///
/// # Errors
/// Only what the store says.
pub fn is_news_in(tx: &mut Tx, node: NodeId, inventory: &Inventory) -> Result<bool, Problem> {
    let found = found(inventory);
    let rows = store::of_node_in(tx, node)?;
    let places: BTreeSet<_> = rows.iter().map(SlotRow::place).collect();
    Ok(found.keys().any(|place| !places.contains(place))
        || rows.iter().any(|slot| !is_known(slot, found.get(&slot.place()))))
}

/// Takes in the slots of an inventory: new ones are discovered, changed ones are to be approved anew, and those
/// that are gone are retired, unless the agent cannot see its GPUs at the moment.
///
/// # Errors
/// Only what the store says.
pub fn inventory_in(tx: &mut Tx, cx: &Cx, node: NodeId, inventory: &Inventory) -> Result<(), Problem> {
    let facts = Facts::of(inventory);
    let mut found = found(inventory);
    for found in found.values().filter(|found| found.gpu_slices > 0) {
        store::save_gpu_in(tx, node, &found.gpu_uuid, found.gpu_slices)?;
    }
    for slot in store::of_node_in(tx, node)? {
        match found.remove(&slot.place()) {
            Some(found) => seen_in(tx, cx, &slot, &found)?,
            None => {
                store::save_found_in(tx, slot.id, false, slot.size, slot.mask)?;
                if facts.sees_all_gpus() {
                    retire_in(tx, cx, &slot)?;
                }
            }
        }
    }
    // A node that invents slots finds an end: what it once had and its operators decided on is not pushed out.
    let room = SLOTS_KNOWN.saturating_sub(store::of_node_in(tx, node)?.len());
    if found.len() > room {
        tracing::warn!(%node, found = found.len(), room, "a node names more slots than are kept of one");
    }
    for found in found.values().take(room) {
        let id = cx.new_id();
        store::insert_in(tx, id, node, found, cx.now_ms)?;
        let what = (found.kind.word(), &found.gpu_uuid, &found.profile, found.start);
        audit::note(tx, cx, audit::Event::new("slots.discovered", id).after(&what))?;
    }
    let broken: BTreeSet<_> =
        facts.gpus.iter().filter(|gpu| !gpu.error.is_empty()).map(|gpu| (&gpu.uuid, &gpu.error)).collect();
    for slot in store::of_node_in(tx, node)? {
        if let Some((_, error)) = broken.iter().find(|(uuid, _)| **uuid == slot.gpu_uuid) {
            hold_in(tx, cx, slot.id, "gpu_error", error)?;
        }
    }
    Ok(())
}

/// A slot that was known is seen again.
fn seen_in(tx: &mut Tx, cx: &Cx, slot: &SlotRow, found: &Found) -> Result<(), Problem> {
    let changed = slot.mask != found.mask() || slot.size != found.size;
    if changed && slot.occupies {
        // What is leased keeps the bits it took; the change is looked at again when it is free.
        return Ok(());
    }
    store::save_found_in(tx, slot.id, true, found.size, found.mask())?;
    let event = if changed && slot.state != State::Retired { Event::Change } else { Event::Back };
    let Ok(next) = apply(slot.state, event) else { return Ok(()) };
    if next != slot.state {
        store::save_state_in(tx, slot, next, cx.now_ms)?;
        audit::note(tx, cx, audit::Event::new("slots.discovered", slot.id).before(&slot.state))?;
    }
    Ok(())
}
