//! Machines whose clocks are wrong: they enrol, work and say so; and a clock that jumps disturbs nothing.

use muster_tests::{
    Api, Terminal, World, WorldOptions, WrongClock, eventually,
    flow::{Machine, launch, online, release},
};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const HOUR: i64 = 3_600;
const TWO_DAYS: i64 = 48 * HOUR;
const TEN_YEARS: i64 = 10 * 365 * 24 * HOUR;

/// Seconds from now to a quarter of an hour into 1970.
fn back_to_1970() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    900 - i64::try_from(now).expect("small")
}

async fn skew(operator: &Api, node: &str, side: &str) {
    eventually(&format!("its clock is said to be {side}"), async || {
        let node = operator.get(&format!("/api/v1/admin/nodes/{node}")).await.ok();
        let conditions = node["conditions"].as_array()?;
        let said = conditions.iter().find(|found| found["code"] == "clock_skew")?["detail"].as_str()?.to_owned();
        said.contains(side).then_some(())
    })
    .await;
}

/// From a token to a shell and back, on a machine that is wrong by so many seconds.
async fn from_token_to_shell(seconds: i64, side: &str) {
    let world = World::with_nodes(0).await;
    let (user, operator) = (world.user().await, world.operator().await);
    let clock = WrongClock::new();
    clock.set(seconds);
    let mut machine = Machine::default();
    machine.env = clock.env();
    let token = operator.post("/api/v1/admin/bootstrap-tokens", json!({"auto_approve": true})).await.ok();
    machine.join(&world.ready().quic_addr, token["token"].as_str().expect("a token"));
    machine.run();
    let nodes = operator.get("/api/v1/admin/nodes").await.ok();
    let node = nodes["items"][0]["id"].as_str().expect("an id").to_owned();
    let _ = online(&operator, &node).await;
    skew(&operator, &node, side).await;

    let slots = eventually("CPU slots", async || {
        let list = operator.get(&format!("/api/v1/admin/nodes/{node}/slots")).await.ok();
        list["items"].as_array().filter(|slots| !slots.is_empty()).cloned()
    })
    .await;
    for slot in slots {
        let id = slot["id"].as_str().expect("an id");
        let _ = operator.post(&format!("/api/v1/admin/nodes/{node}/slots/{id}/approve"), json!({})).await.ok();
    }
    let sku: Value = operator.post("/api/v1/admin/skus", json!({"name": "here", "kind": "cpu"})).await.ok();
    let path = format!("/api/v1/admin/skus/{}/activate", sku["id"].as_str().expect("an id"));
    let _ = operator.post(&path, json!({})).await.ok();
    let id = launch(&user, json!({"sku": "here"})).await["id"].as_str().expect("an id").to_owned();
    let mut terminal = Terminal::open(&user, &id).await;
    assert_eq!(terminal.run("echo $((6 * 7))").await, "42");

    // It is set right, wrong the other way, and right again, while people work.
    for (jump, side) in [(HOUR, "ahead of"), (-HOUR, "behind"), (seconds, side)] {
        clock.set(jump);
        skew(&operator, &node, side).await;
        assert_eq!(terminal.run("echo still here").await, "still here");
        let _ = online(&operator, &node).await;
    }
    let receipt = release(&user, &operator, &id).await;
    assert_eq!(receipt["after"]["clean"], true, "{receipt:#}");
}

#[tokio::test]
async fn a_machine_that_woke_up_in_1970_works() {
    from_token_to_shell(back_to_1970(), "behind").await;
}

#[tokio::test]
async fn a_machine_that_is_ten_years_ahead_works() {
    from_token_to_shell(TEN_YEARS, "ahead of").await;
}

async fn last_seen(operator: &Api, node: &str) -> Option<(Value, String)> {
    let node = operator.get(&format!("/api/v1/admin/nodes/{node}")).await.ok();
    Some((node["presence"].clone(), node["last_seen_at"].as_str()?.to_owned()))
}

#[tokio::test]
async fn a_coordinator_that_was_two_days_ahead_locks_nobody_out() {
    let clock = WrongClock::new();
    let world = World::with(WorldOptions { nodes: 0, env: clock.env(), ..WorldOptions::default() }).await;
    let operator = world.operator().await;
    let token = operator.post("/api/v1/admin/bootstrap-tokens", json!({"auto_approve": true})).await.ok();
    let mut machine = Machine::default();
    machine.join(&world.ready().quic_addr, token["token"].as_str().expect("a token"));
    machine.run();
    let nodes = operator.get("/api/v1/admin/nodes").await.ok();
    let node = nodes["items"][0]["id"].as_str().expect("an id").to_owned();
    let _ = online(&operator, &node).await;
    // More often than a node may come back by its key alone: only the way ahead costs it a recovery.
    for seconds in [TWO_DAYS, 0].repeat(2) {
        let (_, before) = last_seen(&world.operator().await, &node).await.expect("it was seen");
        clock.set(seconds);
        world.crash().await;
        let operator = world.operator().await;
        eventually(&format!("{node} is back with a coordinator that is wrong by {seconds} s"), async || {
            let (presence, seen) = last_seen(&operator, &node).await?;
            // Times of one form, in the order of the alphabet: it was heard of under the new clock.
            (presence == "online" && (seen > before) == (seconds > 0) && seen != before).then_some(())
        })
        .await;
    }
}
