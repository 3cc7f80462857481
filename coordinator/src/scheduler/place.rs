//! Placement: the node and slots with the least growth of expected fragmentation. Pure.
//!
//! A placement is found if and only if one exists: each pick leaves enough disjoint slots for the rest.

use super::frag::{capacity, usable, whole_node};
use super::model::{Class, Node, Plan, Reasons, Request, Snapshot, Wanted};
use super::reasons::explain;
use muster_protocol::ids::NodeId;
use std::collections::BTreeMap;

/// Places a request, or says what is in the way.
///
/// # Errors
/// [`Reasons`] if no open node has enough disjoint free slots.
pub fn place(snapshot: &Snapshot, classes: &[Class], request: &Request) -> Result<Plan, Reasons> {
    let best = snapshot
        .nodes
        .values()
        .filter(|node| node.closed.is_none() && node.carries(&request.labels))
        .filter_map(|node| candidate(node, classes, request))
        .min_by(|a, b| a.rank.cmp(&b.rank));
    match best {
        Some(found) => {
            let mut slots: Vec<_> =
                found.slots.iter().map(|index| snapshot.nodes[&found.rank.node].slots[*index].id).collect();
            slots.sort_unstable();
            Ok(Plan { node: found.rank.node, slots })
        }
        None => Err(explain(snapshot, request)),
    }
}

struct Candidate {
    rank: Rank,
    slots: Vec<usize>,
}

/// Smaller is better, field by field.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Weighted growth of fragmentation.
    growth: i64,
    /// Islands the GPUs stand in.
    islands: usize,
    /// Work without need of a GPU goes to nodes without.
    gpus: usize,
    /// Best fit: what is left for the same request on the node.
    left: usize,
    /// A fixed order for the rest.
    node: NodeId,
}

fn candidate(node: &Node, classes: &[Class], request: &Request) -> Option<Candidate> {
    let wanted = request.kind.count();
    if capacity(node, request) < wanted {
        return None;
    }
    let slots = match &request.kind {
        Wanted::Cpu(_) => free_of(node, request).take(wanted).collect(),
        Wanted::Gpu(_) => gpus_of(node, request, wanted),
        Wanted::Mig(..) => placements_of(node, classes, request, wanted)?,
        Wanted::Node(_) => whole_node(node, request)?,
    };
    let mut after = node.clone();
    after.take(&slots);
    let mut islands: Vec<_> =
        slots.iter().filter_map(|index| node.slots[*index].gpu).map(|gpu| node.gpus[gpu].island).collect();
    islands.sort_unstable();
    islands.dedup();
    let gpus = if matches!(request.kind, Wanted::Cpu(_)) { node.gpus.len() } else { 0 };
    let rank = Rank {
        growth: usable(node, classes) - usable(&after, classes),
        islands: islands.len(),
        left: capacity(&after, request),
        gpus,
        node: node.id,
    };
    Some(Candidate { rank, slots })
}

/// Indexes of free matching slots, in id order.
fn free_of<'a>(node: &'a Node, request: &'a Request) -> impl Iterator<Item = usize> + 'a {
    let mut free: Vec<_> = (0..node.slots.len())
        .filter(|index| request.matches(node, &node.slots[*index]) && node.is_free(&node.slots[*index]))
        .collect();
    free.sort_by_key(|index| node.slots[*index].id);
    free.into_iter()
}

/// Whole GPUs: out of the tightest island that holds them all, else out of as few islands as can be.
fn gpus_of(node: &Node, request: &Request, wanted: usize) -> Vec<usize> {
    let mut islands: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for index in free_of(node, request) {
        let island = node.slots[index].gpu.map_or(-1, |gpu| node.gpus[gpu].island);
        islands.entry(island).or_default().push(index);
    }
    let mut groups: Vec<Vec<usize>> = islands.into_values().collect();
    groups.sort_by_key(Vec::len);
    if let Some(tight) = groups.iter().find(|group| group.len() >= wanted) {
        return tight[..wanted].to_vec();
    }
    let mut rest = wanted;
    let mut taken = Vec::new();
    while rest > 0 && !groups.is_empty() {
        // The tightest that finishes it, else the biggest.
        let at = groups.iter().position(|group| group.len() >= rest).unwrap_or(groups.len() - 1);
        let group = groups.remove(at);
        let part = rest.min(group.len());
        taken.extend_from_slice(&group[..part]);
        rest -= part;
    }
    taken
}

/// MIG placements, one after the other, each with the least growth among those that leave room for the rest.
fn placements_of(node: &Node, classes: &[Class], request: &Request, wanted: usize) -> Option<Vec<usize>> {
    let mut left = node.clone();
    let mut taken = Vec::new();
    for rest in (0..wanted).rev() {
        let options: Vec<usize> = free_of(&left, request).collect();
        let best = options
            .into_iter()
            .filter_map(|index| {
                let mut after = left.clone();
                after.take(&[index]);
                if capacity(&after, request) < rest {
                    return None;
                }
                let slot = &left.slots[index];
                let gpu = slot.gpu.map_or(0, |gpu| left.gpus[gpu].used.count_ones());
                // On a tie: a GPU that is in use already, then the far end of it.
                Some(((usable(&after, classes), gpu, slot.start), std::cmp::Reverse(slot.id), index))
            })
            .max()?;
        left.take(&[best.2]);
        taken.push(best.2);
    }
    Some(taken)
}
