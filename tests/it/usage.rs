//! How long cells have run: every millisecond once, whoever dies.

use muster_tests::{
    World, eventually,
    flow::{in_state, launch, online},
    signal,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::time::Instant;

fn ms(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_millis()).expect("small")
}

#[tokio::test]
async fn no_time_is_lost_or_doubled_when_both_sides_die() {
    let world = World::start().await;
    let (user, operator, node) = (world.user().await, world.operator().await, world.node(0));
    let asked = Instant::now();
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let active = Instant::now();
    let path = format!("/api/v1/allocations/{id}");
    for _ in 0..2 {
        let agent = world.ready().pids.agents[0].clone();
        agent.root_pid.into_iter().chain([agent.pid]).for_each(|pid| signal(pid, Signal::SIGKILL));
        eventually("another agent runs", async || (world.ready().pids.agents[0].pid != agent.pid).then_some(())).await;
        world.crash().await;
        let _ = online(&operator, &node).await;
    }
    // An agent that starts tells at once of what passed while there was none.
    let told = eventually("its time is told", async || user.get(&path).await.ok()["used_ms"].as_i64()).await;
    assert!(told <= ms(asked), "{told}");
    let used_at_least = ms(active);
    assert_eq!(user.post(&format!("{path}/release"), json!({})).await.status, 202);
    let released: Value = in_state(&user, &id, &["released"]).await;
    let used_at_most = ms(asked);
    let used = eventually("the last interval is told", async || {
        let used = user.get(&path).await.ok()["used_ms"].as_i64()?;
        (used >= used_at_least).then_some(used)
    })
    .await;
    assert!(used <= used_at_most, "{used} of {used_at_most} ms, {released:#}");
}
