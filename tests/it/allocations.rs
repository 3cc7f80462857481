//! Allocations: what is refused, who sees them, what survives a crash.

use muster_tests::{
    World, eventually,
    flow::{in_state, launch, receipt},
    fresh_key, signal,
};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn bad_input_changes_nothing() {
    let world = World::start().await;
    let user = world.user().await;
    let cases = [
        (json!({}), 422),
        (json!({"sku": 5}), 422),
        (json!({"sku": "nothing-of-that-name"}), 404),
        (json!({"sku": "h100", "count": 0}), 422),
        (json!({"sku": "h100", "count": 65}), 422),
        (json!({"sku": "h100", "name": "no spaces"}), 422),
        (json!({"sku": "h100", "command": []}), 422),
        (json!({"sku": "h100", "release_on_exit": true}), 422),
        (json!({"sku": "h100", "env": {"9": "x"}}), 422),
        (json!({"sku": "h100", "ssh_key_ids": ["sk_nonsense"]}), 404),
        (json!({"sku": "h100", "project_id": "pj_00000000000000000000000000"}), 404),
        (json!({"sku": "h100", "ssh_key_ids": [], "image": "another"}), 409),
        (json!({"sku": "h100"}), 409),
    ];
    for (body, status) in cases {
        let answer = user.post("/api/v1/allocations", body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.text);
    }
    user.post("/api/v1/allocations", json!({"sku": "h100"})).await.refused(409, "ssh_key_missing");
    let without_key =
        user.send(Method::POST, "/api/v1/allocations", &[], Some(json!({"sku": "h100"}).to_string())).await;
    without_key.refused(400, "idempotency_key_required");
    let list = user.get("/api/v1/allocations").await.ok();
    assert_eq!(list["items"], json!([]));
    let skus = user.get("/api/v1/skus").await.ok();
    assert!(skus["items"].as_array().expect("SKUs").iter().all(|sku| sku["free"] == sku["total"]), "{skus:#}");
}

#[tokio::test]
async fn strangers_see_nothing() {
    let world = World::start().await;
    let (user, stranger) = (world.user().await, world.stranger().await);
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let unknown = "al_00000000000000000000000000";
    for path in ["", "/release", "/terminal-token", "/tunnel-token"] {
        let mut seen = Vec::new();
        for id in [id.as_str(), unknown] {
            let path = format!("/api/v1/allocations/{id}{path}");
            let answer = match path.contains(&format!("{id}/")) {
                true => stranger.post(&path, json!({"target": "ssh"})).await,
                false => stranger.get(&path).await,
            };
            answer.refused(404, "not_found");
            seen.push(answer.body["detail"].clone());
        }
        assert_eq!(seen[0], seen[1], "a foreign id answers as an unknown one");
    }
    assert_eq!(stranger.get("/api/v1/allocations").await.ok()["items"], json!([]));
    let _ = in_state(&user, &id, &["active"]).await;
}

#[tokio::test]
async fn a_release_is_replayed_and_not_repeated() {
    let world = World::start().await;
    let user = world.user().await;
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let (path, key) = (format!("/api/v1/allocations/{id}/release"), fresh_key());
    let first = user.post_with_key(&path, json!({}), &key).await;
    let second = user.post_with_key(&path, json!({}), &key).await;
    assert_eq!((first.status.as_u16(), &first.body), (202, &second.body));
    assert_eq!(second.headers["idempotent-replayed"], "true");
    user.post(&path, json!({})).await.refused(409, "invalid_state");
    let _ = in_state(&user, &id, &["released"]).await;
    user.post(&path, json!({})).await.refused(409, "invalid_state");
}

#[tokio::test]
async fn a_launch_survives_the_coordinator_between_commit_and_effect() {
    let world = World::start().await;
    let user = world.user().await;
    let agent = world.ready().pids.agents[0].clone();
    // The node cannot begin before the coordinator is dead.
    signal(agent.pid, Signal::SIGSTOP);
    let accepted = user.post("/api/v1/allocations", json!({"sku": "h100", "ssh_key_ids": []})).await.ok();
    let id = accepted["allocation_ids"][0].as_str().expect("an id").to_owned();
    let before = user.get(&format!("/api/v1/allocations/{id}")).await.ok();
    assert_eq!((&before["state"], &before["display_status"]), (&json!("requested"), &json!("provisioning")));
    signal(world.ready().pids.coordinator, Signal::SIGKILL);
    signal(agent.pid, Signal::SIGCONT);
    eventually("the coordinator is back", async || {
        let path = format!("/api/v1/allocations/{id}");
        let answer = user.try_send(Method::GET, &path, &[], None).await.ok()?;
        (answer.body["state"] == "active").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_operator_takes_back_with_a_reason() {
    let world = World::start().await;
    let (user, operator) = (world.user().await, world.operator().await);
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/admin/allocations/{id}/force-release");
    operator.post(&path, json!({"reason": " "})).await.refused(422, "validation_failed");
    assert_eq!(operator.post(&path, json!({"reason": "the rack moves"})).await.status, 202);
    let _ = in_state(&user, &id, &["released"]).await;
    let _ = receipt(&operator, &id).await;
    let rows = operator.get(&format!("/api/v1/admin/audit-logs?target={id}")).await.ok();
    let act = rows["items"].as_array().expect("rows").iter().find(|row| row["action"] == "allocations.force_release");
    assert_eq!(act.map(|row| row["reason"].clone()), Some(json!("the rack moves")), "{rows:#}");
}

#[tokio::test]
async fn a_command_that_runs_too_long_is_ended_and_released() {
    let world = World::start().await;
    let user = world.user().await;
    let body = json!({
        "sku": "h100", "command": ["sh", "-c", "echo begun; exec sleep 1000"], "max_runtime_s": 1,
        "release_on_exit": true, "env": {"A": "b"}, "labels": {"job": "1"}, "count": 2, "name": "many",
    });
    let accepted = user.post("/api/v1/allocations", body).await.ok();
    let ids = accepted["allocation_ids"].as_array().expect("ids").clone();
    assert_eq!(ids.len(), 2);
    for (id, name) in ids.iter().zip(["many-1", "many-2"]) {
        let done = in_state(&user, id.as_str().expect("an id"), &["released"]).await;
        assert_eq!(done["name"], name);
        assert!(done["exit_code"].as_i64().is_some_and(|code| code != 0), "{done:#}");
        assert_eq!((&done["env"], &done["labels"]), (&json!(["A"]), &json!({"job": "1"})));
    }
    let operation = accepted["operation_id"].as_str().expect("an id");
    let operation = user.get(&format!("/api/v1/operations/{operation}")).await.ok();
    assert_eq!(operation["state"], "succeeded", "{operation:#}");
}
