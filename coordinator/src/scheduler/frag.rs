//! Expected fragmentation: how much of a node's free capacity the expected requests cannot use.
//!
//! One unit for whole GPUs and MIG placements ([`GPU_UNITS`] a GPU). Every placement of one request takes
//! the same capacity, so the least growth of fragmentation is the least loss of what the classes could
//! still use, weighted by how often each is asked for.

use super::model::{CPU_UNITS, Class, GPU_UNITS, Node, Request, Wanted};
use muster_protocol::desired::SlotKind;

/// What the classes can use of the node, weighted.
#[must_use]
pub(super) fn usable(node: &Node, classes: &[Class]) -> i64 {
    classes.iter().map(|class| class.weight.max(1) * usable_by(node, &class.request)).sum()
}

/// What one class can use of the node, in units.
fn usable_by(node: &Node, request: &Request) -> i64 {
    if !node.carries(&request.labels) {
        return 0;
    }
    let wanted = request.kind.count();
    let whole = |count: usize| (count / wanted * wanted) as i64;
    match &request.kind {
        Wanted::Cpu(_) | Wanted::Gpu(_) => {
            let unit = if matches!(request.kind, Wanted::Cpu(_)) { CPU_UNITS } else { GPU_UNITS };
            whole(capacity(node, request)) * unit
        }
        Wanted::Mig(profile, _) => whole(capacity(node, request)) * profile_units(node, profile),
        Wanted::Node(_) => match whole_node(node, request) {
            Some(_) => {
                let cpus = node.slots.iter().filter(|slot| slot.kind == SlotKind::Cpu).count();
                node.gpus.len() as i64 * GPU_UNITS + cpus as i64 * CPU_UNITS
            }
            None => 0,
        },
    }
}

/// Units of one placement of a profile on this node.
fn profile_units(node: &Node, profile: &str) -> i64 {
    let slot = node.slots.iter().find(|slot| slot.kind == SlotKind::Mig && slot.profile == profile);
    let Some((slot, gpu)) = slot.and_then(|slot| Some((slot, node.gpus.get(slot.gpu?)?))) else { return 0 };
    GPU_UNITS * i64::from(slot.size) / i64::from(gpu.slices.max(1))
}

/// How many slots the request could have on this node at once, none overlapping another.
#[must_use]
pub(super) fn capacity(node: &Node, request: &Request) -> usize {
    if matches!(request.kind, Wanted::Node(_)) {
        return usize::from(whole_node(node, request).is_some());
    }
    let free = node.slots.iter().filter(|slot| request.matches(node, slot) && node.is_free(slot));
    if !matches!(request.kind, Wanted::Mig(..)) {
        return free.count();
    }
    // The most disjoint intervals of a set: by their ends, each that begins after the last one taken.
    let mut spans: Vec<_> = free.map(|slot| (slot.gpu, slot.start + slot.size, slot.start)).collect();
    spans.sort_unstable();
    let mut taken = 0;
    let mut last = None;
    for (gpu, end, start) in spans {
        if last.is_none_or(|(on, until)| on != gpu || start >= until) {
            taken += 1;
            last = Some((gpu, end));
        }
    }
    taken
}

/// The slots that make up the whole node, if nothing on it is taken, held, or not to be had at all.
#[must_use]
pub(super) fn whole_node(node: &Node, request: &Request) -> Option<Vec<usize>> {
    if !fits_whole(node, request) || node.gpus.iter().any(|gpu| gpu.used != 0) {
        return None;
    }
    let blocked =
        |slot: &super::model::Slot| matches!(slot.status, super::model::Status::Busy | super::model::Status::Held);
    if node.slots.iter().any(blocked) {
        return None;
    }
    // Whole GPUs first: a placement that overlaps one is not taken as well.
    let mut order: Vec<usize> = (0..node.slots.len()).filter(|index| node.is_free(&node.slots[*index])).collect();
    order.sort_by_key(|index| (node.slots[*index].kind, node.slots[*index].start));
    let mut left = node.clone();
    let mut taken = Vec::new();
    for index in order {
        if left.is_free(&left.slots[index]) {
            left.take(&[index]);
            taken.push(index);
        }
    }
    let covered = left.gpus.iter().all(|gpu| gpu.used != 0);
    (covered && !taken.is_empty()).then_some(taken)
}

/// The node is of the wanted make: the number of GPUs, each of the model.
#[must_use]
pub(super) fn fits_whole(node: &Node, request: &Request) -> bool {
    let Wanted::Node(gpus) = request.kind else { return false };
    node.gpus.len() == gpus && node.gpus.iter().all(|gpu| request.fits_model(Some(gpu)))
}
