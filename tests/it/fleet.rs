//! Many nodes at once, simulated ones with real keys and links: what costs nothing when nothing changes, what
//! one of them may do to the others, and what follows when many are lost together.

use muster_fleet::{Fleet, Mode};
use muster_tests::{
    Cli, World, eventually, eventually_within,
    flow::{cell_pids, in_state, launch, online, release},
    signal,
};
use nix::sys::signal::Signal;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use std::{sync::atomic::Ordering::Relaxed, time::Duration};

const PATIENCE: Duration = Duration::from_secs(60);
const FUSE: &str = "/api/v1/admin/fuse";

async fn fleet(world: &World, count: usize) -> Fleet {
    let wanted = json!({"max_uses": count, "auto_approve": true});
    let token = world.operator().await.post("/api/v1/admin/bootstrap-tokens", wanted).await.ok();
    let dir = world.dir().join("fleet");
    let enrolled = Fleet::enrol(&dir, count, &world.ready().quic_addr, token["token"].as_str()).await;
    let mut fleet = enrolled.expect("all are let in");
    fleet.start();
    assert!(fleet.up(count as u64, PATIENCE).await, "{:?}", fleet.meters.figures());
    fleet
}

fn id(fleet: &Fleet, n: usize) -> String {
    fleet.nodes[n].identity.node_id.to_string()
}

/// Another number means that somebody committed a change.
fn version(world: &World) -> Box<dyn Fn() -> i64> {
    if let Some(database) = world.database() {
        return Box::new(database.writes());
    }
    let path = world.data_dir().join("muster.db");
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
    Box::new(move || database.query_row("PRAGMA data_version", [], |row| row.get(0)).expect("a number"))
}

#[tokio::test]
async fn an_unchanged_fleet_comes_back_without_a_write() {
    let world = World::with_nodes(0).await;
    let fleet = fleet(&world, 20).await;
    let version = version(&world);
    // Whatever was still to be settled after their first coming is settled once; nothing is written each time.
    eventually("twenty nodes come back and nothing is written", async || {
        let before = version();
        fleet.all(Mode::Off);
        assert!(fleet.up(0, PATIENCE).await);
        fleet.all(Mode::On);
        assert!(fleet.up(20, PATIENCE).await, "{:?}", fleet.meters.figures());
        // Each has said who it is, what it has and that it lives.
        let mut beats = 0;
        while beats < 20 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            beats += fleet.meters.figures().round_trips;
        }
        (version() == before).then_some(())
    })
    .await;
    // The same after a restart of the coordinator, which remembers nothing of them but its rows.
    let before = fleet.meters.connects.load(Relaxed);
    world.crash().await;
    eventually("all found the new one", async || (fleet.meters.connects.load(Relaxed) >= before + 20).then_some(()))
        .await;
    let operator = world.operator().await;
    for n in 0..20 {
        let _ = online(&operator, &id(&fleet, n)).await;
    }
}

#[tokio::test]
async fn a_node_that_floods_is_slowed_down_and_costs_nobody() {
    let world = World::start().await;
    let (user, operator) = (world.user().await, world.operator().await);
    let fleet = fleet(&world, 4).await;
    let _ = fleet.meters.figures();
    fleet.some(1, Mode::Flood);
    eventually("its burst is used up and it must leave samples out", async || {
        let figures = fleet.meters.figures();
        (figures.flood_bytes > 1 << 20 && figures.shed > 0).then_some(())
    })
    .await;
    // The others and the flooder itself are heard, and work goes on.
    let allocation = launch(&user, json!({"sku": "h100"})).await;
    let _ = release(&user, &operator, allocation["id"].as_str().expect("an id")).await;
    let mut beats = 0;
    eventually("the others' heartbeats are answered", async || {
        beats += fleet.meters.figures().round_trips;
        (beats >= 8).then_some(())
    })
    .await;
    for n in 0..4 {
        assert_eq!(online(&operator, &id(&fleet, n)).await["presence"], "online");
    }
    assert_eq!(fleet.meters.up.load(Relaxed), 4, "nobody was cut off");
}

#[tokio::test]
async fn many_that_fall_silent_together_blow_the_fuse() {
    let world = World::with_nodes(0).await;
    let operator = world.operator().await;
    let fleet = fleet(&world, 8).await;
    for n in 0..8 {
        let _ = online(&operator, &id(&fleet, n)).await;
    }
    assert_eq!(operator.get(FUSE).await.ok()["state"], "intact");
    operator.post(&format!("{FUSE}/reset"), json!({"reason": "to try it"})).await.refused(409, "invalid_state");
    let user = world.user().await;
    let told = async || {
        let (home, list) = (user.get("/api/v1/home").await.ok(), user.get("/api/v1/workloads").await.ok());
        (home["many_lost_at"].clone(), list["many_lost_at"].clone())
    };
    assert_eq!(told().await, (json!(null), json!(null)));
    // Their links stand: only what they say counts.
    fleet.some(4, Mode::Silent);
    let seen = eventually("the fuse is blown", async || {
        let fuse = operator.get(FUSE).await.ok();
        (fuse["state"] == "blown" && fuse["missing"].as_array().map(Vec::len) == Some(4)).then_some(fuse)
    })
    .await;
    assert_eq!(told().await, (seen["blown_at"].clone(), seen["blown_at"].clone()), "users are told since when");
    assert_eq!(fleet.meters.up.load(Relaxed), 8);
    let silent = operator.get(&format!("/api/v1/admin/nodes/{}", id(&fleet, 0))).await.ok();
    assert_eq!((&silent["state"], &silent["presence"]), (&json!("offline"), &json!("offline")));
    assert_eq!(online(&operator, &id(&fleet, 7)).await["state"], "active");
    let events = operator.get("/api/v1/admin/audit-logs?action=fuse.blown").await.ok();
    assert_eq!(events["items"].as_array().map(Vec::len), Some(1), "{events:#}");
    let metrics = operator.get("/metrics").await.text;
    assert!(metrics.contains("coordinator_nodes_fuse_blown 1"), "{metrics}");

    // A crash forgets nothing of it.
    world.crash().await;
    let after = operator.get(FUSE).await.ok();
    assert_eq!((&after["state"], &after["blown_at"]), (&json!("blown"), &seen["blown_at"]));
    let ready = world.ready();
    let cli = Cli::login(&ready.operator_url, &ready.operator.username, &ready.operator.password, true);
    let shown = cli.run(&["nodes", "fuse"]).ok();
    assert!(shown.contains("blown") && shown.contains(&id(&fleet, 0)), "{shown}");
    operator.post(&format!("{FUSE}/reset"), json!({"reason": " "})).await.refused(422, "validation_failed");
    let reset = cli.json(&["nodes", "reset-fuse", "--reason", "the rack was moved"]);
    assert_eq!(reset["state"], "intact");
    let events = operator.get("/api/v1/admin/audit-logs?action=fuse.reset").await.ok();
    assert_eq!(events["items"][0]["reason"], "the rack was moved", "{events:#}");

    // They speak again: nothing is left to be done.
    fleet.some(4, Mode::On);
    assert_eq!(online(&operator, &id(&fleet, 0)).await["state"], "active");
}

async fn state_of(operator: &muster_tests::Api, node: &str) -> Value {
    operator.get(&format!("/api/v1/admin/nodes/{node}")).await.ok()["state"].clone()
}

#[tokio::test]
async fn a_hung_agent_degrades_its_allocations_and_heals_them_without_a_second_copy() {
    let world = World::start().await;
    let (user, operator, node) = (world.user().await, world.operator().await, world.node(0));
    let launched = launch(&user, json!({"sku": "h100"})).await;
    let allocation = launched["id"].as_str().expect("an id").to_owned();
    let pids = cell_pids(&allocation);
    let agent = world.ready().pids.agents[0].pid;
    signal(agent, Signal::SIGSTOP);
    eventually("it is stale", async || (state_of(&operator, &node).await == "stale").then_some(())).await;
    let refused = user.post("/api/v1/allocations", json!({"sku": "h100", "ssh_key_ids": []})).await;
    assert_eq!(refused.status, 409, "nothing is placed on a stale node: {}", refused.text);
    eventually("it is offline", async || (state_of(&operator, &node).await == "offline").then_some(())).await;
    let path = format!("/api/v1/allocations/{allocation}");
    let degraded = eventually_within(PATIENCE * 2, "its allocation is degraded", async || {
        let item = user.get(&path).await.ok();
        (item["state"] == "degraded").then_some(item)
    })
    .await;
    assert!(degraded["degraded_at"].is_string() && degraded["failure_reason"].is_null(), "{degraded:#}");
    assert_eq!(cell_pids(&allocation), pids, "the workload runs on");

    signal(agent, Signal::SIGCONT);
    let healed = in_state(&user, &allocation, &["active"]).await;
    assert_eq!((&healed["degraded_at"], &healed["active_at"]), (&Value::Null, &degraded["active_at"]));
    assert_eq!(cell_pids(&allocation), pids, "there is one cell, the same");
    assert_eq!(online(&operator, &node).await["state"], "active");
    let _ = release(&user, &operator, &allocation).await;
}
