//! Why a request fits nowhere: slots counted by what is in the way, and the fewest acts that would help.

use super::frag::{capacity, fits_whole};
use super::model::{Change, Node, Reason, Reasons, Request, Snapshot, Status, Wanted};
use std::collections::BTreeMap;

/// Counts what is in the way of a request that [`super::place::place`] could not place.
#[must_use]
pub(super) fn explain(snapshot: &Snapshot, request: &Request) -> Reasons {
    let mut reasons = Reasons::default();
    for node in snapshot.nodes.values().filter(|node| node.carries(&request.labels)) {
        if matches!(request.kind, Wanted::Node(_)) {
            count_node(node, request, &mut reasons);
        } else {
            count_slots(node, request, &mut reasons);
        }
    }
    if reasons.free > 0 && reasons.free >= request.kind.count() {
        reasons.counts.insert(Reason::Topology, reasons.free);
    }
    reasons.smallest_change = snapshot
        .nodes
        .values()
        .filter(|node| node.carries(&request.labels))
        .filter_map(|node| changes(node, request))
        .min_by_key(|changes| changes.iter().map(|change| change.count).sum::<usize>())
        .unwrap_or_default();
    reasons
}

fn count_slots(node: &Node, request: &Request, reasons: &mut Reasons) {
    for slot in node.slots.iter().filter(|slot| request.matches(node, slot)) {
        reasons.matching += 1;
        let reason = match (node.closed, slot.status) {
            (_, Status::Busy) => Reason::Busy,
            (_, Status::Held) => Reason::Held,
            (_, Status::Unapproved) => Reason::Unapproved,
            (Some(closed), Status::Free) => closed.into(),
            (None, Status::Free) if !node.is_free(slot) => Reason::Busy,
            (None, Status::Free) => {
                reasons.free += 1;
                continue;
            }
        };
        *reasons.counts.entry(reason).or_default() += 1;
    }
}

/// A whole node counts as one.
fn count_node(node: &Node, request: &Request, reasons: &mut Reasons) {
    if !fits_whole(node, request) {
        return;
    }
    reasons.matching += 1;
    let any = |status| node.slots.iter().any(|slot| slot.status == status);
    let reason = match node.closed {
        _ if any(Status::Busy) || node.gpus.iter().any(|gpu| gpu.used != 0) => Reason::Busy,
        _ if any(Status::Held) => Reason::Held,
        Some(closed) => closed.into(),
        None => Reason::Unapproved,
    };
    *reasons.counts.entry(reason).or_default() += 1;
}

/// The acts that would make the request fit on this node; none if no acts would.
fn changes(node: &Node, request: &Request) -> Option<Vec<Change>> {
    let wanted = request.kind.count();
    let mut left = node.clone();
    let mut acts = Vec::new();
    let mut have = capacity(&left, request);
    let mut act = |reason, count| acts.push(Change { reason, node: node.id, count });
    if let Some(closed) = node.closed {
        act(closed.into(), 1);
    }
    let kinds = [(Status::Unapproved, Reason::Unapproved), (Status::Held, Reason::Held), (Status::Busy, Reason::Busy)];
    for (status, reason) in kinds {
        if have >= wanted {
            break;
        }
        let changed = open(&mut left, request, status);
        let now = capacity(&left, request);
        if matches!(request.kind, Wanted::Node(_)) {
            // A whole node needs every one of them.
            if changed > 0 {
                act(reason, changed);
            }
        } else if now > have {
            act(reason, now.min(wanted) - have);
        }
        have = now;
    }
    (have >= wanted && !acts.is_empty()).then_some(acts)
}

/// Makes the matching slots of one status free; how many there were.
fn open(node: &mut Node, request: &Request, status: Status) -> usize {
    let hits: Vec<usize> = (0..node.slots.len())
        .filter(|index| node.slots[*index].status == status && request.matches(node, &node.slots[*index]))
        .collect();
    for index in &hits {
        // A held slot may keep the bits of its GPU.
        let bits = node.bits(&node.slots[*index]);
        if let Some(gpu) = node.slots[*index].gpu.filter(|_| status == Status::Held) {
            node.gpus[gpu].used &= !bits;
        }
        node.slots[*index].status = Status::Free;
    }
    if status == Status::Busy {
        for gpu in &mut node.gpus {
            gpu.used = 0;
        }
    }
    hits.len()
}

impl Reasons {
    /// The counts by word, for answers.
    #[must_use]
    pub fn words(&self) -> BTreeMap<&'static str, usize> {
        self.counts.iter().map(|(reason, count)| (reason.word(), *count)).collect()
    }

    /// Free slots stand on several nodes, too few on each.
    #[must_use]
    pub fn is_topology(&self) -> bool {
        self.counts.contains_key(&Reason::Topology)
    }
}
