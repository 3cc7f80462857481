//! Operations: who sees them, how they are cancelled and tried again, what survives a crash.

use muster_tests::{Api, Cli, World, eventually, flow::in_state, fresh_key, signal, simgpu};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

async fn ended(api: &Api, id: &str) -> Value {
    eventually("the operation ends", async || {
        let answer = api.try_send(Method::GET, &format!("/api/v1/operations/{id}"), &[], None).await.ok()?;
        answer.body["ended_at"].is_string().then_some(answer.body)
    })
    .await
}

#[tokio::test]
async fn what_is_not_yours_does_not_exist() {
    let world = World::start().await;
    let (user, operator, stranger) = (world.user().await, world.operator().await, world.stranger().await);
    let node = world.node(0);
    let probe = operator.post(&format!("/api/v1/admin/nodes/{node}/probe"), json!({})).await.ok();
    let probe = probe["operation_id"].as_str().expect("an id").to_owned();
    let launch = user.post("/api/v1/allocations", json!({"sku": "h100", "ssh_key_ids": []})).await.ok();
    let launch = launch["operation_id"].as_str().expect("an id").to_owned();
    let mut details = Vec::new();
    // A foreign one, one of the platform, an unknown one, and no id at all.
    for id in [launch.as_str(), probe.as_str(), "op_00000000000000000000000000", "nonsense"] {
        for door in ["operations", "tasks"] {
            let answer = stranger.get(&format!("/api/v1/{door}/{id}")).await;
            answer.refused(404, "not_found");
            details.push(answer.body["detail"].clone());
        }
    }
    assert!(details.iter().all(|detail| *detail == details[0]), "{details:?}");
    assert_eq!(stranger.get("/api/v1/operations").await.ok()["items"], json!([]));
    let seen = user.get("/api/v1/operations").await.ok();
    assert_eq!(seen["items"].as_array().map(Vec::len), Some(1), "{seen:#}");
    let all = operator.get("/api/v1/operations?kind=nodes.probe").await.ok();
    assert_eq!(all["items"][0]["id"], probe.as_str(), "{all:#}");
    let (one, other) = (ended(&user, &launch).await, user.get(&format!("/api/v1/tasks/{launch}")).await.ok());
    assert_eq!(one, other, "two views of one row");
    let lines = user.get(&format!("/api/v1/operations/{launch}/events")).await.ok();
    let kinds: Vec<_> = lines["items"].as_array().expect("lines").iter().map(|line| line["kind"].clone()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&json!("ended")), Some(&json!("created"))), "{lines:#}");
}

#[tokio::test]
async fn a_launch_is_cancelled_and_tried_again() {
    let world = World::start().await;
    let user = world.user().await;
    let agent = world.ready().pids.agents[0].clone();
    signal(agent.pid, Signal::SIGSTOP);
    let accepted = user.post("/api/v1/allocations", json!({"sku": "h100", "ssh_key_ids": []})).await.ok();
    let operation = accepted["operation_id"].as_str().expect("an id").to_owned();
    let (path, key) = (format!("/api/v1/tasks/{operation}/cancel"), fresh_key());
    let first = user.post_with_key(&path, json!({}), &key).await;
    assert_eq!(first.status, 202, "{}", first.text);
    let again = user.post_with_key(&path, json!({}), &key).await;
    assert_eq!((again.status, again.body), (first.status, first.body));
    let now = user.get(&format!("/api/v1/operations/{operation}")).await.ok();
    assert!(now["state"] == "running" && now["cancel_requested_at"].is_string(), "{now:#}");
    signal(agent.pid, Signal::SIGCONT);
    let done = ended(&user, &operation).await;
    assert_eq!(done["state"], "cancelled", "{done:#}");
    let _ = in_state(&user, accepted["allocation_ids"][0].as_str().expect("an id"), &["released"]).await;
    user.post(&path, json!({})).await.refused(409, "not_cancellable");
    let retried = user.post(&format!("/api/v1/tasks/{operation}/retry"), json!({})).await.ok();
    let retried = retried["operation_id"].as_str().expect("an id").to_owned();
    let done = ended(&user, &retried).await;
    assert_eq!((&done["state"], &done["retry_of"]), (&json!("succeeded"), &json!(operation)), "{done:#}");
    user.post(&format!("/api/v1/tasks/{retried}/cancel"), json!({})).await.refused(409, "not_cancellable");
    user.post(&format!("/api/v1/tasks/{retried}/retry"), json!({})).await.refused(409, "not_retryable");
}

#[tokio::test]
async fn a_node_task_survives_the_coordinator() {
    let world = World::start().await;
    let operator = world.operator().await;
    let (node, agent) = (world.node(0), world.ready().pids.agents[0].clone());
    signal(agent.pid, Signal::SIGSTOP);
    let probe = operator.post(&format!("/api/v1/admin/nodes/{node}/probe"), json!({})).await.ok();
    signal(world.ready().pids.coordinator, Signal::SIGKILL);
    signal(agent.pid, Signal::SIGCONT);
    let done = ended(&operator, probe["operation_id"].as_str().expect("an id")).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
}

#[tokio::test]
async fn a_node_task_that_dies_with_its_agent_is_not_begun_again() {
    let world = World::start().await;
    let operator = world.operator().await;
    let (node, agent) = (world.node(0), world.ready().pids.agents[0].clone());
    // A GPU that hangs keeps the probe busy for a while.
    let hung = simgpu("simgpu-fault", &agent, &["--gpu", "0", "hang", "on"]);
    assert!(hung.status.success(), "{}", String::from_utf8_lossy(&hung.stderr));
    let probe = operator.post(&format!("/api/v1/admin/nodes/{node}/probe"), json!({})).await.ok();
    let tasks = format!("/api/v1/admin/nodes/{node}/tasks");
    eventually("the probe runs", async || {
        let list = operator.get(&tasks).await.ok();
        (list["items"][0]["state"] == "running").then_some(())
    })
    .await;
    agent.root_pid.into_iter().chain([agent.pid]).for_each(|pid| signal(pid, Signal::SIGKILL));
    let done = ended(&operator, probe["operation_id"].as_str().expect("an id")).await;
    assert_eq!(done["state"], "failed", "{done:#}");
    let list = operator.get(&tasks).await.ok();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list:#}");
    let detail = list["items"][0]["result_detail"].as_str().expect("words");
    assert!(detail.contains("the agent ended while the task ran"), "{list:#}");
    assert!(list["items"][0]["attempt"].as_i64() >= Some(2), "its result was asked for again: {list:#}");
    let ready = world.ready();
    let cli = Cli::login(&ready.operator_url, &ready.operator.username, &ready.operator.password, true);
    let shown = cli.run(&["nodes", "tasks", &node]).ok();
    assert!(shown.contains("probe") && shown.contains("failed"), "{shown}");
    let id = list["items"][0]["id"].as_str().expect("an id");
    assert_eq!(cli.run(&["nodes", "tasks", &node, "--cancel", id]).code, 5, "it has ended");
    let node = operator.get(&format!("/api/v1/admin/nodes/{node}")).await.ok();
    assert_eq!(node["backlog"], json!({"count": 0, "oldest_s": null, "waiting": 0, "running": 0, "unknown": 0}));
}

/// From the request to the audit trail, the operation, and the logs of both sides.
#[tokio::test]
async fn one_id_finds_a_request_everywhere() {
    let world = World::start().await;
    let (user, operator) = (world.user().await, world.operator().await);
    let node = world.node(0);
    let log = |name: &str| {
        let logs = world.ready().data_dir.parent().expect("the demo's folder").join("logs");
        std::fs::read_to_string(logs.join(name)).unwrap_or_default()
    };
    let asked = [
        (&user, "/api/v1/allocations".to_owned(), json!({"sku": "h100", "ssh_key_ids": []})),
        (&operator, format!("/api/v1/admin/nodes/{node}/probe"), json!({})),
    ];
    for (api, path, body) in asked {
        let key = fresh_key();
        let answer = api.send(Method::POST, &path, &[("idempotency-key", &key)], Some(body.to_string())).await;
        let id = answer.headers["x-correlation-id"].to_str().expect("text").to_owned();
        let operation = answer.ok()["operation_id"].as_str().expect("an id").to_owned();
        let done = ended(api, &operation).await;
        assert_eq!((&done["state"], &done["correlation_id"]), (&json!("succeeded"), &json!(id)), "{done:#}");
        let events = operator.get(&format!("/api/v1/admin/audit-logs?correlation_id={id}")).await.ok();
        assert!(events["items"].as_array().is_some_and(|items| !items.is_empty()), "{path}: {events:#}");
        assert!(log("coordinator.log").contains(&id), "{path}: the coordinator's log has no {id}");
        eventually("the agent's log has it, too", async || log("agent-h100.log").contains(&id).then_some(())).await;
    }
}
