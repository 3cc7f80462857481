//! Nodes that are lost, and come back or do not.

use super::{World, cell, clean, ended, rows};
use crate::allocations::model::{State, Wish};
use crate::allocations::{release, tick};
use crate::nodes;
use muster_protocol::ids::NodeId;
use muster_protocol::report::Phase;

fn boot(node: NodeId, boot_id: &str) -> (NodeId, nodes::link::Greeting) {
    let greeting = nodes::link::Greeting {
        boot_id: boot_id.into(),
        journal_epoch: "journal".into(),
        join_sequence: 1,
        agent_version: "1".into(),
        machine_sha256: String::new(),
    };
    (node, greeting)
}

#[tokio::test]
async fn a_lost_node_degrades_its_allocations_and_its_return_heals_them() {
    let world = World::new().await;
    let node = world.node(1).await;
    let id = world.launch(world.request("h100")).await.expect("launched").allocation_ids[0];
    world.say(cell(id, Phase::Running)).await;
    tick::degrade(&world.app, node).await.expect("degraded");
    let row = world.row(id).await;
    assert_eq!((row.lease.state, row.degraded_ms.is_some()), (State::Degraded, true));
    assert_eq!(world.slot_states(node).await[0], ("leased".into(), 0), "its slot is nobody else's");
    // The same words as before, after the partition: no second cell, no new lease.
    world.say(cell(id, Phase::Running)).await;
    let healed = world.row(id).await;
    assert_eq!((healed.lease.state, healed.degraded_ms), (State::Active, None));
    assert_eq!((healed.lease_epoch, healed.active_ms), (row.lease_epoch, row.active_ms));

    // Released while its node is away, it waits for the proof.
    tick::degrade(&world.app, node).await.expect("degraded");
    release::release(&world.app, &world.user, id, None).await.expect("queued");
    let row = world.row(id).await;
    assert_eq!((row.lease.state, row.lease.wish, row.degraded_ms), (State::Releasing, Wish::Ending, None));
    assert_eq!(world.slot_states(node).await[0], ("scrubbing".into(), 0));
    world.say(ended(id, &clean())).await;
    assert_eq!(world.row(id).await.lease.state, State::Released);
    assert_eq!(world.slot_states(node).await[0], ("free".into(), 0));
}

#[tokio::test]
async fn a_restart_that_ended_a_cell_is_told_from_a_cell_that_ended() {
    for (then, code) in [("first", "cell_ended"), ("second", "node_lost")] {
        let world = World::new().await;
        let (node, greeting) = boot(world.node(1).await, "first");
        nodes::link::greeted(&world.app, node, greeting).await.expect("greeted").expect("known");
        let id = world.launch(world.request("h100")).await.expect("launched").allocation_ids[0];
        world.say(cell(id, Phase::Running)).await;
        tick::degrade(&world.app, node).await.expect("degraded");
        let (_, greeting) = boot(node, then);
        nodes::link::greeted(&world.app, node, greeting).await.expect("greeted").expect("known");
        world.say(ended(id, &clean())).await;
        let lease = world.row(id).await.lease;
        assert_eq!((lease.state, lease.wish), (State::Failed, Wish::Gone));
        assert_eq!(lease.failure.expect("a reason").code, code);
        assert_eq!(world.slot_states(node).await[0], ("free".into(), 0));
    }
}

#[tokio::test]
async fn what_is_lost_for_long_fails_by_policy_only_and_never_while_the_fuse_is_blown() {
    let world = World::new().await;
    let node = world.node(1).await;
    let id = world.launch(world.request("h100")).await.expect("launched").allocation_ids[0];
    world.say(cell(id, Phase::Running)).await;
    tick::degrade(&world.app, node).await.expect("degraded");
    tick::give_up(&world.app, 0).await.expect("nothing to do");
    assert_eq!(world.row(id).await.lease.state, State::Degraded, "the node is heard");

    world.app.store.ingest(move |tx| rows::degraded_long_ago(tx, id)).await.expect("an hour ago");
    world.app.store.ingest(rows::blow).await.expect("blown");
    world.app.board.lose(node);
    tick::give_up(&world.app, 60).await.expect("held back");
    assert_eq!(world.row(id).await.lease.state, State::Degraded, "the fuse is blown");
    let operator = world.app.system("test");
    let refused = release::force(&world.app, &operator, id, "burnt down".into(), true).await.expect_err("blown");
    assert_eq!(refused.code(), "fuse_blown");
    assert_eq!(world.row(id).await.lease.state, State::Degraded, "a refusal changes nothing");

    let reason = |text: &str| nodes::fuse::verbs::Reset { reason: text.into() };
    let refused = nodes::fuse::verbs::reset(&world.app, &operator, reason(" ")).await.expect_err("no reason");
    assert_eq!(refused.code(), "validation_failed");
    let item = nodes::fuse::verbs::reset(&world.app, &operator, reason("the switch is dead")).await.expect("reset");
    assert_eq!(item.state, "intact");
    let refused = nodes::fuse::verbs::reset(&world.app, &operator, reason("again")).await.expect_err("intact");
    assert_eq!(refused.code(), "invalid_state");

    tick::give_up(&world.app, 60).await.expect("given up");
    let lease = world.row(id).await.lease;
    assert_eq!((lease.state, lease.wish), (State::Failed, Wish::Ending));
    assert_eq!(lease.failure.expect("a reason").code, "node_lost");
    assert_eq!(world.slot_states(node).await[0], ("scrubbing".into(), 0), "not given to others without proof");
    // It comes back: one copy at most, and it ends with a receipt.
    world.say(cell(id, Phase::Running)).await;
    assert_eq!(world.row(id).await.lease.state, State::Failed);
    world.say(ended(id, &clean())).await;
    assert_eq!(world.slot_states(node).await[0], ("free".into(), 0));
}
