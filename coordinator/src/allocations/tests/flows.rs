//! Launches, reports and releases from beginning to end.

use super::rows::{self, Count};
use super::{World, cell, clean, ended, person};
use crate::allocations::model::{State, Wish};
use crate::allocations::request::LaunchRequest;
use crate::allocations::{cells, kinds, launch, link, release, store};
use crate::base::authz::Verb;
use crate::base::store::Tx;
use crate::operations::{self, StepState};
use crate::{catalog, nodes, outbound};
use muster_protocol::report::{CellReport, Phase, Receipt, Report};
use std::collections::BTreeMap;

#[tokio::test]
async fn two_hundred_launches_on_ten_slots() {
    let world = World::new().await;
    let (one, two) = (world.node(8).await, world.node(2).await);
    let launches = (0..200).map(|_| world.launch(world.request("h100")));
    let answers = futures_util::future::join_all(launches).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 10);
    assert!(lost.iter().all(|answer| answer.as_ref().is_err_and(|problem| problem.code() == "sold_out")));
    assert_eq!(world.count(Count::Allocations).await, 10);
    assert_eq!(world.count(Count::Operations).await, 10);
    assert_eq!(world.count(Count::HeldSlots).await, 10);
    for node in [one, two] {
        assert!(world.slot_states(node).await.iter().all(|(state, _)| state == "reserved"));
    }
}

#[tokio::test]
async fn from_launch_to_receipt() {
    let world = World::new().await;
    let node = world.node(1).await;
    let launched = world.launch(world.request("h100")).await.expect("launched");
    let id = launched.allocation_ids[0];
    let document = world.app.store.ingest(move |tx| outbound::compose(tx, node)).await.expect("a document");
    assert_eq!((document.cells.len(), document.tombstones.len()), (1, 0));
    assert_eq!(document.cells[0].slots[0].gpu_uuid.as_deref().map(|uuid| uuid.starts_with("GPU-")), Some(true));

    world.say(CellReport { step: "home".into(), ..cell(id, Phase::Preparing) }).await;
    assert_eq!(world.row(id).await.lease.state, State::Provisioning);
    let said = |user: &str| CellReport {
        ssh_host_key: "ssh-ed25519 AAAA".into(),
        ssh_user: user.into(),
        ..cell(id, Phase::Running)
    };
    world.say(said("jane")).await;
    world.say(said("no name")).await;
    let row = world.row(id).await;
    assert_eq!((row.lease.state, row.said.ssh_host_key.as_str()), (State::Active, "ssh-ed25519 AAAA"));
    assert_eq!(row.said.ssh_user, "jane", "what is no login name is passed over");
    let operation = world.operation(launched.operation_id).await;
    assert_eq!(operation.state, operations::State::Succeeded);
    assert!(operation.steps.iter().all(|step| step.state == StepState::Completed && step.ended_ms.is_some()));
    assert_eq!(world.slot_states(node).await[0].0, "leased");

    let ending = release::release(&world.app, &world.user, id, None).await.expect("released");
    let again = release::release(&world.app, &world.user, id, None).await.expect_err("twice");
    assert_eq!(again.code(), "invalid_state");
    let document = world.app.store.ingest(move |tx| outbound::compose(tx, node)).await.expect("a document");
    assert_eq!((document.cells.len(), document.tombstones.len()), (0, 1));
    world.say(cell(id, Phase::Ending)).await;
    assert_eq!(world.slot_states(node).await[0].0, "scrubbing");
    world.say(ended(id, &clean())).await;
    assert_eq!(world.row(id).await.lease.state, State::Released);
    assert_eq!(world.slot_states(node).await[0], ("free".into(), 0));
    assert_eq!(world.operation(ending.operation_id).await.outcome.as_deref(), Some("succeeded"));
    assert_eq!(world.count(Count::Receipts).await, 1);
    let document = world.app.store.ingest(move |tx| outbound::compose(tx, node)).await.expect("a document");
    assert_eq!((document.cells.len(), document.tombstones.len()), (0, 0));
    world.say(ended(id, &clean())).await;
    assert_eq!(world.count(Count::Receipts).await, 1, "a receipt is stored once");
    // Its agent died before its root half had forgotten the cell, and shows it once more.
    world.say(CellReport { unclaimed: true, ..cell(id, Phase::Ending) }).await;
    world.launch(world.request("h100")).await.expect("the slot is sold again");
}

#[tokio::test]
async fn leftovers_take_the_slot_off_sale() {
    let world = World::new().await;
    let node = world.node(1).await;
    let id = world.launch(world.request("h100")).await.expect("launched").allocation_ids[0];
    world.say(cell(id, Phase::Running)).await;
    let ending = release::release(&world.app, &world.user, id, None).await.expect("released");
    world.say(ended(id, &Receipt { leftovers: vec!["a handle".into()], ..Receipt::default() })).await;
    assert_eq!(world.row(id).await.lease.state, State::Released);
    assert_eq!(world.slot_states(node).await[0], ("free".into(), 1));
    assert_eq!(world.operation(ending.operation_id).await.outcome.as_deref(), Some("partial"));
    let refused = world.launch(world.request("h100")).await.expect_err("held");
    assert_eq!(refused.code(), "sold_out");
    assert!(refused.detail().contains("cleared by an operator"), "{}", refused.detail());
}

#[tokio::test]
async fn a_killed_cell_frees_its_slot_with_the_receipt() {
    let world = World::new().await;
    let node = world.node(1).await;
    let id = world.launch(world.request("h100")).await.expect("launched").allocation_ids[0];
    world.say(cell(id, Phase::Running)).await;
    world.say(CellReport { failure_code: "killed".into(), ..cell(id, Phase::Ended) }).await;
    let row = world.row(id).await;
    assert_eq!((row.lease.state, row.lease.wish), (State::Failed, Wish::Ending));
    assert_eq!(row.lease.failure.map(|failure| failure.code).as_deref(), Some("cell_ended"));
    assert_eq!(world.slot_states(node).await[0].0, "scrubbing");
    world.say(ended(id, &clean())).await;
    assert_eq!(world.row(id).await.lease.wish, Wish::Gone);
    assert_eq!(world.slot_states(node).await[0].0, "free");
}

#[tokio::test]
async fn a_batch_releases_itself_and_keeps_its_log() {
    let world = World::new().await;
    world.node(1).await;
    let mut request = world.request("h100");
    request.command = Some(vec!["true".into()]);
    request.release_on_exit = true;
    let launched = world.launch(request).await.expect("launched");
    let id = launched.allocation_ids[0];
    let node = world.row(id).await.node_id;
    let log = |offset, bytes: &[u8], last| muster_protocol::facts::CellLog {
        allocation: id.to_string(),
        offset,
        bytes: bytes.to_vec(),
        last,
    };
    let pieces = [log(0, b"hello ", false), log(6, b"world", true), log(0, b"hello ", false)];
    for piece in pieces {
        world.app.store.ingest(move |tx| link::log_in(tx, node, &piece)).await.expect("kept");
    }
    world.say(CellReport { exit_code: Some(3), ..cell(id, Phase::Exited) }).await;
    let row = world.row(id).await;
    assert_eq!((row.lease.state, row.lease.exit_code), (State::Releasing, Some(3)));
    assert_eq!(world.operation(launched.operation_id).await.outcome.as_deref(), Some("succeeded"));
    world.say(ended(id, &clean())).await;
    let row = world.row(id).await;
    assert_eq!((row.lease.state, row.lease.exit_code, row.log_complete), (State::Released, Some(3), true));
    let release = world.operation(row.release_operation_id.expect("an operation")).await;
    assert_eq!(release.outcome.as_deref(), Some("succeeded"));
    let log = world.app.store.read(move |tx| store::log_of(tx, id)).await.expect("a log");
    assert_eq!(log, vec![(0, b"hello ".to_vec()), (6, b"world".to_vec())]);
}

#[tokio::test]
async fn a_cancelled_launch_ends_when_nothing_is_left() {
    let world = World::new().await;
    world.node(1).await;
    let launched = world.launch(world.request("h100")).await.expect("launched");
    let id = launched.allocation_ids[0];
    world.say(cell(id, Phase::Preparing)).await;
    operations::cancel(&world.app, &world.user, launched.operation_id).await.expect("cancelled");
    let row = world.row(id).await;
    assert_eq!((row.lease.state, row.end_reason.as_str()), (State::Releasing, "cancelled"));
    let release = world.operation(row.release_operation_id.expect("its own release")).await;
    assert!(release.deadline_ms.is_some(), "a node that is gone must not keep it releasing for ever");
    assert_eq!(world.operation(launched.operation_id).await.state, operations::State::Running);
    // News of before the cancel does not bring it back.
    world.say(cell(id, Phase::Running)).await;
    assert_eq!(world.row(id).await.lease.state, State::Releasing);
    world.say(ended(id, &clean())).await;
    let operation = world.operation(launched.operation_id).await;
    assert_eq!(operation.state, operations::State::Cancelled);
    let late = operations::cancel(&world.app, &world.user, launched.operation_id).await.expect_err("over");
    assert_eq!(late.code(), "not_cancellable");
    operations::retry(&world.app, &world.user, launched.operation_id).await.expect("launched again");
    assert_eq!(world.count(Count::Retries).await, 1);
}

#[tokio::test]
async fn what_does_not_come_up_in_time_fails_and_is_torn_down() {
    let world = World::new().await;
    let node = world.node(1).await;
    let launched = world.launch(world.request("h100")).await.expect("launched");
    let (cx, id) = (world.app.system("test"), launched.operation_id);
    world
        .app
        .store
        .ingest(move |tx| {
            let operation = operations::find_in(tx, id)?;
            let overdue = kinds().into_iter().find(|kind| kind.name == operation.kind).and_then(|kind| kind.overdue);
            overdue.expect("a hook")(tx, &cx, &operation)
        })
        .await
        .expect("given up");
    let operation = world.operation(id).await;
    assert_eq!(operation.failure_code.as_deref(), Some("provisioning_deadline"));
    assert_eq!(world.slot_states(node).await[0].0, "scrubbing");
    world.say(ended(launched.allocation_ids[0], &clean())).await;
    assert_eq!(world.slot_states(node).await[0].0, "free");
}

#[tokio::test]
async fn no_workload_makes_a_document_too_large_to_be_sent() {
    let world = World::new().await;
    let node = world.node(2).await;
    let mut request = world.request("h100");
    // Six bytes each as JSON.
    request.env.insert("X".into(), "\u{1}".repeat(30 << 10));
    let refused = world.launch(request).await.expect_err("too large");
    assert_eq!(refused.code(), "workload_too_large");
    assert_eq!(world.count(Count::Allocations).await, 0);
    assert!(world.slot_states(node).await.iter().all(|(state, _)| state == "free"));
    let mut request = world.request("h100");
    request.env.insert("X".into(), "x".repeat(30 << 10));
    world.launch(request).await.expect("an ordinary one fits");
}

#[tokio::test]
async fn foreign_people_and_foreign_nodes_reach_nothing() {
    let world = World::new().await;
    world.node(1).await;
    let stranger = person(&world.app, "eve").await;
    let other = world.node(0).await;
    let id = world.launch(world.request("h100")).await.expect("launched").allocation_ids[0];
    let refused = release::release(&world.app, &stranger, id, None).await.expect_err("foreign");
    assert_eq!(refused.code(), "not_found");
    let seen = world.app.store.read(move |tx| release::seen_in(tx, &stranger, id, Verb::AllocationsShow)).await;
    assert_eq!(seen.expect_err("foreign").code(), "not_found");
    let report = Report { cells: vec![ended(id, &clean())], ..Report::default() };
    link::report(&world.app, other, report).await.expect("ignored");
    assert_eq!(world.row(id).await.lease.state, State::Requested);
}

#[tokio::test]
async fn blockers_are_the_same_before_and_at_submit() {
    let world = World::new().await;
    world.node(2).await;
    world.node(2).await;
    world.sku("h100-4", catalog::Kind::Gpu, 4).await;
    let keyless = LaunchRequest { sku: "h100".into(), ..LaunchRequest::default() };
    let mut many = world.request("h100");
    many.count = Some(5);
    let cases = [(keyless, "ssh_key_missing"), (world.request("h100-4"), "topology_unsatisfied"), (many, "sold_out")];
    for (request, code) in cases {
        let before = launch::precheck(&world.app, &world.user, request.clone()).await.expect("a precheck");
        assert_eq!(before.blockers.iter().map(|blocker| blocker.code).collect::<Vec<_>>(), vec![code]);
        assert_eq!(world.launch(request).await.expect_err("blocked").code(), code);
    }
    assert_eq!(world.count(Count::Allocations).await, 0);
    let mut four = world.request("h100");
    four.count = Some(4);
    assert_eq!(world.launch(four).await.expect("all of them").allocation_ids.len(), 4);
}

#[tokio::test]
async fn what_was_given_back_is_where_the_next_one_fits_best() {
    let world = World::new().await;
    world.node(4).await;
    let small = world.node(1).await;
    for _ in 0..4 {
        let launched = world.launch(world.request("h100")).await.expect("launched");
        let id = launched.allocation_ids[0];
        assert_eq!(world.row(id).await.node_id, small, "four together stay on sale");
        world.say(cell(id, Phase::Running)).await;
        release::release(&world.app, &world.user, id, None).await.expect("released");
        world.say(ended(id, &clean())).await;
        while !world.app.scheduler.is_old() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_cordon_between_plan_and_transaction_is_seen() {
    let world = World::new().await;
    let node = world.node(1).await;
    // The snapshot in memory says open.
    let wanted =
        crate::scheduler::Request { kind: crate::scheduler::Wanted::Gpu(1), gpu_model: None, labels: BTreeMap::new() };
    world.app.scheduler.look(&world.app, &wanted, 1).await.expect("read").expect("fits");
    world.app.store.ingest(move |tx| rows::cordon(tx, node)).await.expect("cordoned");
    let refused = world.launch(world.request("h100")).await.expect_err("closed");
    assert_eq!(refused.code(), "sold_out");
    assert!(refused.detail().contains("opened again"), "{}", refused.detail());
}

#[tokio::test]
async fn a_cell_without_an_allocation_waits_for_an_operator() {
    let world = World::new().await;
    let node = world.node(1).await;
    let id = world.user.new_id();
    let stray = CellReport { unclaimed: true, ..cell(id, Phase::Running) };
    let report = Report { cells: vec![stray], ..Report::default() };
    link::report(&world.app, node, report).await.expect("taken in");
    let operator = world.app.system("test");
    let shown = cells::list(&world.app, &operator, node).await.expect("a list");
    assert!(shown.len() == 1 && shown[0].unclaimed);
    let document = world.app.store.ingest(move |tx| outbound::compose(tx, node)).await.expect("a document");
    assert_eq!(document.tombstones, vec![], "it is kept");
    cells::end(&world.app, &operator, node, id).await.expect("asked for");
    let document = world.app.store.ingest(move |tx| outbound::compose(tx, node)).await.expect("a document");
    assert_eq!(document.tombstones.iter().map(|stone| stone.allocation).collect::<Vec<_>>(), vec![id]);
    let report = Report { cells: vec![ended(id, &clean())], ..Report::default() };
    link::report(&world.app, node, report).await.expect("taken in");
    assert_eq!(world.count(Count::Receipts).await, 1);
    let document = world.app.store.ingest(move |tx| outbound::compose(tx, node)).await.expect("a document");
    assert_eq!(document.tombstones, vec![]);

    // Which slots it used is not known: nothing new comes to the node until an operator has looked.
    let refused = world.launch(world.request("h100")).await.expect_err("cordoned");
    assert_eq!(refused.code(), "sold_out");
    let open = move |tx: &mut Tx| nodes::verbs::change_in(tx, &operator, node, nodes::model::Event::Uncordon, "x");
    world.app.store.ingest(open).await.expect("uncordoned");
    let operator = world.app.system("test");
    let mine = world.launch(world.request("h100")).await.expect("launched").allocation_ids[0];
    world.say(cell(mine, Phase::Running)).await;
    let refused = cells::end(&world.app, &operator, node, mine).await.expect_err("claimed");
    assert_eq!(refused.code(), "claimed");
}

#[tokio::test]
async fn a_lost_node_is_given_up_by_an_operator_only() {
    let world = World::new().await;
    let node = world.node(1).await;
    let id = world.launch(world.request("h100")).await.expect("launched").allocation_ids[0];
    world.say(cell(id, Phase::Running)).await;
    let operator = world.app.system("test");
    let gone = |lost| release::force(&world.app, &operator, id, "burnt down".into(), lost);
    assert_eq!(gone(true).await.expect_err("heard").code(), "node_online");
    assert_eq!(world.row(id).await.lease.state, State::Active, "a refusal changes nothing");
    world.app.board.forget(node);
    gone(false).await.expect("released");
    assert_eq!(world.row(id).await.lease.state, State::Releasing);
    let done = gone(true).await.expect("given up");
    let row = world.row(id).await;
    assert_eq!((row.lease.state, row.lease.wish), (State::Released, Wish::Gone));
    assert_eq!(world.slot_states(node).await[0], ("free".into(), 1), "held, never resold by itself");
    assert_eq!(world.operation(done.operation_id).await.outcome.as_deref(), Some("partial"));
    assert_eq!(world.count(Count::Receipts).await, 0, "nothing is proved");
}
