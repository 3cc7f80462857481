//! Decisions over all kinds of documents and cells.

use super::*;
use muster_protocol::desired::{Image, Size};
use proptest::prelude::*;

fn id(n: u8) -> AllocationId {
    AllocationId::new(u64::from(n), [n; 10])
}

fn cell(n: u8, lease_epoch: u64, not_after_ms: Option<i64>) -> Cell {
    Cell {
        allocation: id(n),
        name: "c".into(),
        lease_epoch,
        slots: Vec::new(),
        size: Size { cpu_milli: 1, memory_bytes: 1, disk_bytes: 1, pids: 1 },
        image: Image::Host,
        env: BTreeMap::new(),
        command: None,
        max_runtime_s: None,
        not_after_ms,
        ssh_keys: Some(vec!["k".into()]),
        correlation_id: String::new(),
    }
}

fn stone(n: u8, lease_epoch: u64) -> Tombstone {
    Tombstone { allocation: id(n), lease_epoch, reason: "released".into() }
}

fn seen(lease_epoch: u64, stage: Stage) -> Seen {
    Seen { lease_epoch, stage, not_after_ms: None, keys: Some(vec!["k".into()]) }
}

#[test]
fn absence_never_ends_a_cell() {
    let known = BTreeMap::from([(id(1), seen(1, Stage::Up)), (id(2), seen(1, Stage::Busy))]);
    let nothing = plan(Some(&Document::default()), &known, 0);
    assert!(nothing.actions.is_empty());
    assert_eq!(nothing.unclaimed, BTreeSet::from([id(1), id(2)]));
    let silence = plan(None, &known, 0);
    assert!(silence.actions.is_empty() && silence.unclaimed.is_empty());
}

#[test]
fn missing_cells_are_built_once_and_old_leases_give_way() {
    let document = Document { cells: vec![cell(1, 2, None)], tombstones: vec![] };
    let act = |known| plan(Some(&document), &known, 0).actions;
    assert!(matches!(act(BTreeMap::new())[..], [Action::Create(_)]));
    assert!(act(BTreeMap::from([(id(1), seen(2, Stage::Up))])).is_empty());
    assert!(act(BTreeMap::from([(id(1), seen(2, Stage::Over))])).is_empty(), "what ended is not built again");
    assert!(matches!(act(BTreeMap::from([(id(1), seen(1, Stage::Up))]))[..], [Action::End { lease_epoch: 1, .. }]));
    assert!(matches!(act(BTreeMap::from([(id(1), seen(1, Stage::Over))]))[..], [Action::Forget(_)]));
}

#[test]
fn tombstones_end_their_lease_and_older_ones_only() {
    let document = |epoch| Document { cells: vec![], tombstones: vec![stone(1, epoch)] };
    let act = |epoch, known| plan(Some(&document(epoch)), &known, 0).actions;
    let up = || BTreeMap::from([(id(1), seen(5, Stage::Up))]);
    assert!(matches!(act(5, up())[..], [Action::End { .. }]));
    assert!(act(4, up()).is_empty());
    assert!(matches!(act(5, BTreeMap::new())[..], [Action::End { .. }]), "unknown cells give a clean receipt");
    assert!(act(5, BTreeMap::from([(id(1), seen(5, Stage::Over))])).is_empty(), "kept while the tombstone stands");
    let gone = plan(Some(&Document::default()), &BTreeMap::from([(id(1), seen(5, Stage::Over))]), 0);
    assert_eq!(gone.actions, [Action::Forget(id(1))]);
}

#[test]
fn a_tombstone_is_answered_under_its_own_lease() {
    let ended = |action: Action| matches!(action, Action::End { lease_epoch: 2, .. });
    let over = || BTreeMap::from([(id(1), seen(1, Stage::Over))]);
    let released = Document { cells: vec![], tombstones: vec![stone(1, 2)] };
    let actions = plan(Some(&released), &over(), 0).actions;
    assert!(actions.len() == 1 && actions.into_iter().all(ended), "the newer lease ended before it was begun");
    let both = Document { cells: vec![cell(1, 2, None)], tombstones: vec![stone(1, 2)] };
    assert!(plan(Some(&both), &over(), 0).actions.into_iter().all(ended));
    let older = Document { cells: vec![cell(1, 3, None)], tombstones: vec![stone(1, 2)] };
    assert!(matches!(plan(Some(&older), &over(), 0).actions[..], [Action::Forget(_)]));
}

#[test]
fn a_cell_ends_at_its_own_time_even_unclaimed() {
    let document = Document { cells: vec![cell(1, 1, Some(100))], tombstones: vec![] };
    let known = BTreeMap::from([(id(1), seen(1, Stage::Up))]);
    assert_eq!(plan(Some(&document), &known, 99).wake_ms, Some(100));
    assert!(
        matches!(&plan(Some(&document), &known, 100).actions[..], [Action::End { reason, .. }] if reason == "expired")
    );
    assert!(plan(Some(&document), &BTreeMap::new(), 100).actions.is_empty());
    let own = Seen { not_after_ms: Some(5), ..seen(1, Stage::Up) };
    assert_eq!(plan(Some(&Document::default()), &BTreeMap::from([(id(1), own)]), 6).actions.len(), 1);
}

#[test]
fn changed_keys_are_written() {
    let document = Document { cells: vec![cell(1, 1, None)], tombstones: vec![] };
    let known = BTreeMap::from([(id(1), Seen { keys: None, ..seen(1, Stage::Up) })]);
    assert!(matches!(plan(Some(&document), &known, 0).actions[..], [Action::Keys { .. }]));
}

fn any_stage() -> impl Strategy<Value = Stage> {
    prop_oneof![Just(Stage::Busy), Just(Stage::Up), Just(Stage::Dead), Just(Stage::Over)]
}

proptest! {
    /// Applying every action as if it succeeded at once leads to a state with nothing left to do.
    #[test]
    fn every_plan_settles(
        cells in proptest::collection::btree_map(0u8..6, 1u64..4, 0..6),
        stones in proptest::collection::btree_map(0u8..6, 1u64..4, 0..6),
        known in proptest::collection::btree_map(0u8..6, (1u64..4, any_stage()), 0..6),
    ) {
        let document = Document {
            cells: cells.iter().map(|(n, epoch)| cell(*n, *epoch, None)).collect(),
            tombstones: stones.iter().map(|(n, epoch)| stone(*n, *epoch)).collect(),
        };
        let mut now: BTreeMap<_, _> = known.iter().map(|(n, (epoch, stage))| (id(*n), seen(*epoch, *stage))).collect();
        let busy: BTreeSet<_> = now.iter().filter(|(_, s)| s.stage == Stage::Busy).map(|(n, _)| *n).collect();
        let named: BTreeSet<_> = cells.keys().chain(stones.keys()).map(|n| id(*n)).collect();
        for round in 0.. {
            let plan = plan(Some(&document), &now, 0);
            if plan.actions.is_empty() { break; }
            prop_assert!(round < 8, "it does not settle: {:?}", plan.actions);
            for action in plan.actions {
                match action {
                    Action::Create(cell) => { now.insert(cell.allocation, seen(cell.lease_epoch, Stage::Up)); }
                    Action::End { allocation, lease_epoch, .. } => {
                        prop_assert!(!busy.contains(&allocation));
                        let dead = now.get(&allocation).is_some_and(|s| s.stage == Stage::Dead);
                        prop_assert!(dead || named.contains(&allocation), "absence ended a cell");
                        now.insert(allocation, seen(lease_epoch, Stage::Over));
                    }
                    Action::Keys { .. } => {}
                    Action::Forget(allocation) => { now.remove(&allocation); }
                }
            }
        }
        for (n, epoch) in &cells {
            let buried = stones.get(n).is_some_and(|stone| stone >= epoch);
            let over_or_up = now.get(&id(*n)).map(|s| s.stage);
            if !buried && !busy.contains(&id(*n)) && !known.contains_key(n) { prop_assert_eq!(over_or_up, Some(Stage::Up)); }
        }
        for (n, epoch) in &stones {
            if let Some(s) = now.get(&id(*n)) && s.lease_epoch <= *epoch && !busy.contains(&id(*n)) {
                prop_assert_eq!(s.stage, Stage::Over);
                prop_assert_eq!(s.lease_epoch, *epoch, "the coordinator waits for a receipt of this lease");
            }
        }
    }
}
