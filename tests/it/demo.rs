//! The demo: what stays when it is stopped and started again, and what scripts can rely on when things die.

use muster_tests::{
    Agent, Api, World, WorldOptions, binary, eventually, eventually_within,
    flow::{cell_pids, launch, online, slots},
    is_root, leaks, program, signal,
};
use nix::sys::signal::Signal;
use serde_json::json;
use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// How soon the ready file knows of a restart: a promise of the demo.
const REWRITTEN_WITHIN: Duration = Duration::from_secs(10);

fn names(agents: &[Agent]) -> Vec<(String, String)> {
    agents.iter().map(|agent| (agent.name.clone(), agent.node_id.clone())).collect()
}

#[tokio::test]
async fn a_demo_that_was_stopped_goes_on_with_the_same_nodes() {
    let options = WorldOptions { nodes: 2, ..WorldOptions::default() };
    let mut world = World::with(options.clone()).await;
    let before = world.ready();
    let user = world.user().await;
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let status = world.stop().await;
    assert!(status.success(), "{status}");
    assert!(cell_pids(&id).is_empty(), "nothing is left running");
    world.start_again(&options).await;
    let after = world.ready();
    assert_eq!(names(&before.pids.agents), names(&after.pids.agents));
    assert_eq!((before.user.password, before.operator.password), (after.user.password, after.operator.password));

    // What ran before does not run: it says so, and its slot is free again.
    let (user, operator) = (world.user().await, world.operator().await);
    let ended = eventually("the allocation is over", async || {
        let now = user.get(&format!("/api/v1/allocations/{id}")).await.ok();
        (now["state"] != "active" && now["state"] != "degraded").then_some(now)
    })
    .await;
    assert!(["failed", "released"].contains(&ended["state"].as_str().expect("a state")), "{ended:#}");
    assert!(ended["state"] == "released" || ended["failure_reason"]["code"].is_string(), "{ended:#}");
    let node = world.node(0);
    eventually("all slots are free", async || (slots(&operator, &node, "free").await.len() == 8).then_some(())).await;
    let _ = launch(&user, json!({"sku": "h100"})).await;
}

#[tokio::test]
async fn a_demo_that_is_stopped_while_cells_are_built_leaves_none() {
    let mut world = World::start().await;
    let user = world.user().await;
    let all = (0..8).map(|_| user.post("/api/v1/allocations", json!({"sku": "h100", "ssh_key_ids": []})));
    let mut ids = Vec::new();
    for answer in futures_util::future::join_all(all).await {
        ids.push(answer.ok()["allocation_ids"][0].as_str().expect("an id").to_owned());
    }
    let status = world.stop().await;
    assert!(status.success(), "{status}");
    let left = leaks::living(&world, &ids);
    assert!(left.is_empty(), "{left:#?}");
}

/// A demo that cannot come up, to its end: whether it succeeded, and what it said.
fn refused(command: &mut Command, dir: &Path, more: &[&str]) -> (bool, String) {
    let _ = command.arg("demo").arg("--dir").arg(dir.join("demo")).args(["--nodes", "1", "--quic", "127.0.0.1:0"]);
    let _ = command.args(["--operator", "127.0.0.1:0"]).args(more).stdin(Stdio::null()).env("NO_COLOR", "1");
    let output = command.output().expect("it starts");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_demo_that_cannot_come_up_says_why_and_what_to_do() {
    assert!(is_root(), "make test needs root, to become somebody else");
    let dir = tempfile::tempdir().expect("a folder");
    let local = ["--console", "127.0.0.1:0"];

    // Its coordinator ends by itself: that is waited for, and nothing else.
    let mut demo = Command::new(binary("muster"));
    let (up, said) = refused(&mut demo, dir.path(), &["--console", "0.0.0.0:0"]);
    assert!(!up && said.contains("HTTPS") && said.contains("--tls"), "{said}");
    assert!(!said.contains("sign-in") && !said.contains("started again"), "{said}");

    let mut demo = program("muster", dir.path(), Some("nobody"));
    let (up, said) = refused(&mut demo, dir.path(), &[&local[..], &["--isolation", "cell"]].concat());
    assert!(!up && said.contains("run the demo as root, or leave --isolation out"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");

    // A machine that forbids user namespaces: in one of our own, whose limit for more is none.
    for more in [&[][..], &["--isolation", "userns"]] {
        let mut demo = Command::new("unshare");
        let _ = demo.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c"]);
        let _ = demo.arg("echo 0 >/proc/sys/user/max_user_namespaces && exec \"$@\"").arg("sh").arg(binary("muster"));
        let (up, said) = refused(&mut demo, dir.path(), &[&local[..], more].concat());
        assert!(!up && said.contains("sysctl user.max_user_namespaces is 0"), "{said}");
        assert!(said.contains("muster demo --isolation none") && !said.contains("root half"), "{said}");
    }
}

#[tokio::test]
async fn a_machine_without_a_driver_is_told_so_by_the_demo() {
    let world = World::with(WorldOptions { nodes: 0, own_gpus: true, ..WorldOptions::default() }).await;
    let node = online(&world.operator().await, &world.node(0)).await;
    let said = world.said();
    assert_eq!(said.contains("--gpu real: this machine"), node["gpu_state"] != "ok", "{said}\n{node:#}");
}

#[tokio::test]
async fn the_ready_file_follows_a_restart() {
    let world = World::start().await;
    let before = world.ready();
    let agent = before.pids.agents[0].clone();
    signal(agent.pid, Signal::SIGKILL);
    let after = eventually_within(REWRITTEN_WITHIN, "the ready file names another agent", async || {
        let now = world.ready();
        let next = &now.pids.agents[0];
        (next.pid != agent.pid && next.root_pid.is_some()).then_some(now)
    })
    .await;
    assert_eq!(names(&before.pids.agents), names(&after.pids.agents));
    signal(before.pids.coordinator, Signal::SIGKILL);
    let after = eventually_within(REWRITTEN_WITHIN, "the ready file names another coordinator", async || {
        Some(world.ready()).filter(|now| now.pids.coordinator != before.pids.coordinator)
    })
    .await;
    assert_eq!((&before.console_url, &before.quic_addr), (&after.console_url, &after.quic_addr));
    world.coordinator_is_back(before.pids.coordinator).await;
    let _ = Api::login(&after.console_url, &after.user.username, &after.user.password).await;
    let _ = online(&world.operator().await, &agent.node_id).await;
    let _ = launch(&world.user().await, json!({"sku": "h100"})).await;
}

#[tokio::test]
async fn a_world_takes_its_cells_along_although_its_demo_was_killed() {
    let mut world = World::start().await;
    let id = launch(&world.user().await, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    world.kill_demo().await;
    assert_eq!(cell_pids(&id).len(), 1, "the end of agent and coordinator ends no cell");
    drop(world);
    assert!(cell_pids(&id).is_empty(), "a test leaves nothing running");
}
