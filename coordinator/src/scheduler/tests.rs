//! Placement against brute force, and the choices that the geometry of MIG demands.

use super::model::*;
use super::place::place;
use muster_protocol::desired::SlotKind;
use muster_protocol::ids::{NodeId, SlotId};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn node_id(n: u64) -> NodeId {
    NodeId::new(n, [0; 10])
}

fn slot_id(n: u64) -> SlotId {
    SlotId::new(n, [0; 10])
}

fn gpu(slices: u32, island: i64) -> Gpu {
    Gpu { uuid: String::new(), model: "NVIDIA A100-SXM4-80GB".into(), slices, used: 0, island }
}

fn slot(n: u64, kind: SlotKind, gpu: Option<usize>, profile: &str, start: u32, size: u32) -> Slot {
    Slot { id: slot_id(n), kind, gpu, profile: profile.into(), start, size, status: Status::Free }
}

fn node(n: u64, gpus: Vec<Gpu>, slots: Vec<Slot>) -> Node {
    Node { id: node_id(n), labels: BTreeMap::new(), closed: None, gpus, slots }
}

fn snapshot(nodes: Vec<Node>) -> Snapshot {
    Snapshot { nodes: nodes.into_iter().map(|node| (node.id, node)).collect() }
}

fn request(kind: Wanted) -> Request {
    Request { kind, gpu_model: None, labels: BTreeMap::new() }
}

fn classes(kinds: &[Wanted]) -> Vec<Class> {
    kinds.iter().map(|kind| Class { request: request(kind.clone()), weight: 1 }).collect()
}

const PROFILES: &[(&str, u32, &[u32])] = &[
    ("1g", 1, &[0, 1, 2, 3, 4, 5, 6]),
    ("1g2", 2, &[0, 2, 4, 6]),
    ("2g", 2, &[0, 2, 4]),
    ("3g", 4, &[0, 4]),
    ("4g", 4, &[0]),
    ("7g", 8, &[0]),
];

/// Every placement of every profile on one GPU.
fn placements(n: u64, gpu: usize) -> Vec<Slot> {
    let all = PROFILES.iter().flat_map(|(name, size, starts)| starts.iter().map(move |start| (*name, *size, *start)));
    all.zip(n..).map(|((name, size, start), n)| slot(n, SlotKind::Mig, Some(gpu), name, start, size)).collect()
}

fn mig_classes() -> Vec<Class> {
    classes(&PROFILES.iter().map(|(name, ..)| Wanted::Mig((*name).into(), 1)).collect::<Vec<_>>())
}

#[test]
fn an_empty_gpu_is_filled_from_its_far_end() {
    for (profile, start) in [("1g", 6), ("2g", 4), ("3g", 4)] {
        let one = node(1, vec![gpu(8, 0)], placements(1, 0));
        let world = snapshot(vec![one.clone()]);
        let plan = place(&world, &mig_classes(), &request(Wanted::Mig(profile.into(), 1))).expect("fits");
        let slot = one.slots.iter().find(|slot| slot.id == plan.slots[0]).expect("known");
        assert_eq!(slot.start, start, "{profile}");
    }
}

#[test]
fn placements_gather_on_a_gpu_in_use() {
    let mut slots = placements(1, 0);
    slots.extend(placements(100, 1));
    let mut one = node(1, vec![gpu(8, 0), gpu(8, 0)], slots);
    one.gpus[1].used = 0b0100_0000;
    let plan = place(&snapshot(vec![one]), &mig_classes(), &request(Wanted::Mig("1g".into(), 1))).expect("fits");
    assert!(plan.slots[0] >= slot_id(100), "the second GPU is in use already");
}

#[test]
fn one_gpu_goes_where_a_pair_is_broken_already() {
    let whole = |first: u64, count: u64| {
        (0..count).map(|n| slot(first + n, SlotKind::Gpu, Some(n as usize), "", 0, 0)).collect::<Vec<_>>()
    };
    let even = node(1, vec![gpu(1, 0), gpu(1, 0)], whole(1, 2));
    let mut odd = node(2, vec![gpu(1, 0), gpu(1, 0), gpu(1, 1), gpu(1, 1)], whole(10, 4));
    odd.take(&[0]);
    let world = snapshot(vec![even, odd]);
    let plan = place(&world, &classes(&[Wanted::Gpu(1), Wanted::Gpu(2)]), &request(Wanted::Gpu(1))).expect("fits");
    assert_eq!(plan.node, node_id(2));
    assert_eq!(plan.slots, vec![slot_id(11)], "the lone GPU of its island");
    let pair = place(&world, &[], &request(Wanted::Gpu(2))).expect("fits");
    assert_eq!(pair.node, node_id(1));
}

#[test]
fn cpu_work_keeps_off_gpu_nodes() {
    let with = node(1, vec![gpu(1, 0)], vec![slot(1, SlotKind::Cpu, None, "", 0, 0)]);
    let without = node(2, vec![], vec![slot(2, SlotKind::Cpu, None, "", 0, 0), slot(3, SlotKind::Cpu, None, "", 1, 0)]);
    let world = snapshot(vec![with, without]);
    let plan = place(&world, &classes(&[Wanted::Node(1)]), &request(Wanted::Cpu(1))).expect("fits");
    assert_eq!(plan.node, node_id(2));
}

#[test]
fn a_whole_node_takes_every_slot_or_nothing() {
    let mut slots = placements(1, 0);
    slots.push(slot(90, SlotKind::Gpu, Some(0), "", 0, 0));
    slots.push(slot(91, SlotKind::Cpu, None, "", 0, 0));
    let mut one = node(1, vec![gpu(8, 0)], slots);
    let plan = place(&snapshot(vec![one.clone()]), &[], &request(Wanted::Node(1))).expect("fits");
    assert_eq!(plan.slots, vec![slot_id(90), slot_id(91)]);
    one.slots.last_mut().expect("cpu").status = Status::Busy;
    let why = place(&snapshot(vec![one]), &[], &request(Wanted::Node(1))).expect_err("busy");
    assert_eq!(why.counts[&Reason::Busy], 1);
    assert_eq!(why.smallest_change, vec![Change { reason: Reason::Busy, node: node_id(1), count: 1 }]);
}

#[test]
fn two_and_two_do_not_make_four_on_one_node() {
    let half = |n: u64| {
        let slots = (0..2).map(|i| slot(n * 10 + i, SlotKind::Gpu, Some(i as usize), "", 0, 0)).collect();
        node(n, vec![gpu(1, 0), gpu(1, 0)], slots)
    };
    let why = place(&snapshot(vec![half(1), half(2)]), &[], &request(Wanted::Gpu(4))).expect_err("no");
    assert!(why.is_topology());
    assert_eq!((why.matching, why.free), (4, 4));
    assert!(why.smallest_change.is_empty(), "no act makes a node bigger");
}

#[test]
fn a_cordoned_node_is_the_smallest_change() {
    let mut one = node(1, vec![gpu(1, 0)], vec![slot(1, SlotKind::Gpu, Some(0), "", 0, 0)]);
    one.closed = Some(Closed::Cordoned);
    let why = place(&snapshot(vec![one]), &[], &request(Wanted::Gpu(1))).expect_err("closed");
    assert_eq!(why.counts[&Reason::NodeCordoned], 1);
    assert_eq!(why.smallest_change, vec![Change { reason: Reason::NodeCordoned, node: node_id(1), count: 1 }]);
}

fn any_slot() -> impl Strategy<Value = (u8, usize, usize, usize, u8)> {
    (0u8..4, 0usize..2, 0usize..PROFILES.len(), 0usize..7, 0u8..6)
}

fn any_node(n: u64) -> impl Strategy<Value = Node> {
    let slots = proptest::collection::vec(any_slot(), 0..8);
    (slots, any::<u8>(), any::<u8>(), 0u8..5, any::<bool>()).prop_map(move |(drawn, used, other, closed, label)| {
        let mut gpus = vec![gpu(8, 0), gpu(8, 1)];
        // Few bits, so that something fits now and then.
        gpus[0].used = u64::from(used & other & 0x5a);
        let slots = drawn.into_iter().zip(n * 100..).map(|((kind, on, profile, start, status), id)| {
            let (name, size, starts) = PROFILES[profile];
            let mut one = match kind {
                0 => slot(id, SlotKind::Cpu, None, "", 0, 0),
                1 => slot(id, SlotKind::Gpu, Some(on), "", 0, 0),
                _ => slot(id, SlotKind::Mig, Some(on), name, starts[start % starts.len()], size),
            };
            one.status = [Status::Free, Status::Free, Status::Free, Status::Busy, Status::Held, Status::Unapproved]
                [usize::from(status)];
            one
        });
        // A GPU is one whole-GPU slot at most, as in the table of slots.
        let (mut slots, mut whole) = (slots.collect::<Vec<_>>(), std::collections::BTreeSet::new());
        slots.retain(|slot| slot.kind != SlotKind::Gpu || whole.insert(slot.gpu));
        let mut node = node(n, gpus, slots);
        node.closed = (closed == 0).then_some(Closed::Cordoned);
        if label {
            node.labels.insert("zone".into(), "a".into());
        }
        node
    })
}

fn any_request() -> impl Strategy<Value = Request> {
    (0u8..4, 1usize..4, 0usize..PROFILES.len(), 0u8..4).prop_map(|(kind, count, profile, label)| {
        let kind = match kind {
            0 => Wanted::Cpu(count),
            1 => Wanted::Gpu(count),
            _ => Wanted::Mig(PROFILES[profile].0.into(), count),
        };
        let mut wanted = request(kind);
        if label == 0 {
            wanted.labels.insert("zone".into(), "a".into());
        }
        wanted
    })
}

/// Tries every choice of slots on every open node.
fn exists(world: &Snapshot, request: &Request) -> bool {
    world.nodes.values().filter(|node| node.closed.is_none() && node.carries(&request.labels)).any(|node| {
        (0u32..1 << node.slots.len()).filter(|set| set.count_ones() as usize == request.kind.count()).any(|set| {
            let mut left = node.clone();
            (0..node.slots.len()).filter(|index| set >> index & 1 == 1).all(|index| {
                let fits = request.matches(&left, &left.slots[index]) && left.is_free(&left.slots[index]);
                left.take(&[index]);
                fits
            })
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn finds_a_placement_if_and_only_if_one_exists(
        nodes in (any_node(1), any_node(2)).prop_map(|(a, b)| vec![a, b]),
        request in any_request(),
    ) {
        let world = snapshot(nodes);
        match place(&world, &mig_classes(), &request) {
            Ok(plan) => {
                let node = &world.nodes[&plan.node];
                prop_assert!(node.closed.is_none() && node.carries(&request.labels));
                prop_assert_eq!(plan.slots.len(), request.kind.count());
                let mut left = node.clone();
                for id in &plan.slots {
                    let index = left.slots.iter().position(|slot| slot.id == *id).expect("on the node");
                    prop_assert!(request.matches(&left, &left.slots[index]));
                    prop_assert!(left.is_free(&left.slots[index]), "overlaps");
                    left.take(&[index]);
                }
            }
            Err(reasons) => {
                prop_assert!(!exists(&world, &request));
                let counted: usize = reasons.counts.iter().filter(|(r, _)| **r != Reason::Topology).map(|(_, n)| n).sum();
                prop_assert_eq!(counted + reasons.free, reasons.matching, "every matching slot has one reason");
            }
        }
    }

    #[test]
    fn the_smallest_change_admits_the_request(
        nodes in (any_node(1), any_node(2)).prop_map(|(a, b)| vec![a, b]),
        request in any_request(),
    ) {
        let world = snapshot(nodes);
        if let Err(reasons) = place(&world, &[], &request)
            && let Some(change) = reasons.smallest_change.first()
        {
            let mut better = world.clone();
            let node = better.nodes.get_mut(&change.node).expect("known");
            node.closed = None;
            for slot in &mut node.slots {
                slot.status = Status::Free;
            }
            for gpu in &mut node.gpus {
                gpu.used = 0;
            }
            prop_assert!(place(&better, &[], &request).is_ok());
        }
    }

    #[test]
    fn filling_up_never_leases_a_slice_twice(node in any_node(1), profiles in proptest::collection::vec(0usize..PROFILES.len(), 1..12)) {
        let mut world = snapshot(vec![node]);
        let first = world.nodes.values().next().expect("one").clone();
        let mut leased = first.gpus.iter().map(|gpu| gpu.used).collect::<Vec<_>>();
        for profile in profiles {
            let Ok(plan) = place(&world, &mig_classes(), &request(Wanted::Mig(PROFILES[profile].0.into(), 1))) else { continue };
            let node = world.nodes.get_mut(&plan.node).expect("known");
            let index = node.slots.iter().position(|slot| slot.id == plan.slots[0]).expect("known");
            let (bits, on) = (node.bits(&node.slots[index]), node.slots[index].gpu.expect("mig"));
            prop_assert_eq!(leased[on] & bits, 0);
            leased[on] |= bits;
            node.take(&[index]);
        }
    }
}
