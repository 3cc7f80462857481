//! The room `nodes` through its door: names and labels, keys that come again, versions, and moves over a crash.

use muster_tests::{
    World,
    flow::{in_state, launch, nobody, online, only},
    fresh_key,
};
use serde_json::json;

const NODES: &str = "/api/v1/admin/nodes";

#[tokio::test]
async fn a_node_is_edited_at_the_version_that_was_read_and_moved_once_a_key() {
    let world = World::start().await;
    let (operator, node) = (world.operator().await, world.node(0));
    let path = format!("{NODES}/{node}");
    let read = operator.get(&path).await.etag();
    for bad in [json!({"name": "a b"}), json!({"labels": {"key": "no spaces"}}), json!({"nmae": "typo"})] {
        let refused = operator.patch(&path, &read, bad).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
    }
    let edited = operator.patch(&path, &read, json!({"labels": {"rack": "r7"}})).await.ok();
    assert_eq!(edited["labels"], json!({"rack": "r7"}));
    operator.patch(&path, &read, json!({"labels": {}})).await.refused(412, "stale_version");
    operator.patch(&format!("{NODES}/{}", nobody("nd")), "\"1\"", json!({})).await.refused(404, "not_found");
    // It has long been approved.
    let again = operator.post(&format!("{path}/approve"), json!({})).await;
    assert_eq!(again.status, 409, "{}", again.text);

    let (key, cordon) = (fresh_key(), format!("{path}/cordon"));
    let first = operator.post_with_key(&cordon, json!({}), &key).await;
    assert_eq!(first.body["scheduling"], "cordoned", "{}", first.text);
    // A crash forgets no key: the replay must not cordon a node that was uncordoned meanwhile.
    assert_eq!(operator.post(&format!("{path}/uncordon"), json!({})).await.status, 200);
    world.crash().await;
    let replayed = operator.post_with_key(&cordon, json!({}), &key).await;
    assert!(replayed.is_replayed(), "{}", replayed.text);
    assert_eq!(replayed.body, first.body);
    assert_ne!(online(&operator, &node).await["scheduling"], "cordoned");

    // A drain that was answered goes on: nothing runs here, so it ends in maintenance.
    let drained = operator.post(&format!("{path}/drain"), json!({})).await.ok();
    assert!(["draining", "maintenance"].contains(&drained["scheduling"].as_str().expect("a word")), "{drained:#}");
    world.crash().await;
    muster_tests::eventually("the node is in maintenance", async || {
        let item = operator.get(&path).await.ok();
        (item["scheduling"] == "maintenance" || item["state"] == "maintenance").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_drain_waits_until_its_deadline_and_then_ends_what_runs() {
    let world = World::start().await;
    let (operator, user, node) = (world.operator().await, world.user().await, world.node(0));
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let (path, drain) = (format!("{NODES}/{node}"), format!("{NODES}/{node}/drain"));
    for bad in [json!({"deadline_s": -1}), json!({"deadline_s": 99_999_999}), json!({"deadline": 5})] {
        let refused = operator.post(&drain, bad).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
    }
    operator.post(&format!("{NODES}/{}/drain", nobody("nd")), json!({})).await.refused(404, "not_found");
    assert_eq!(operator.get(&path).await.ok()["scheduling"], "open");

    let key = fresh_key();
    let far = operator.post_with_key(&drain, json!({"deadline_s": 3600}), &key).await;
    assert_eq!(far.body["scheduling"], "draining", "{}", far.text);
    assert!(far.body["drain_deadline"].is_string(), "{}", far.text);
    // Nothing new comes, what runs goes on, and a drain that is taken back has no deadline any more.
    user.post("/api/v1/allocations", json!({"sku": "h100", "ssh_key_ids": []})).await.refused(409, "sold_out");
    let back = operator.post(&format!("{path}/uncordon"), json!({})).await.ok();
    assert!(back["drain_deadline"].is_null(), "{back:#}");
    assert!(operator.post_with_key(&drain, json!({"deadline_s": 3600}), &key).await.is_replayed());
    assert_eq!(user.get(&format!("/api/v1/allocations/{id}")).await.ok()["state"], "active");

    let now = operator.post(&drain, json!({"deadline_s": 0})).await;
    let killed = world.kill_coordinator();
    assert_eq!(now.status, 200, "{}", now.text);
    world.coordinator_is_back(killed).await;
    let _ = in_state(&user, &id, &["released"]).await;
    let events = operator.get(&format!("/api/v1/admin/audit-logs?target={id}&action=allocations.release")).await.ok();
    assert_eq!(
        only(&events, "action", &json!("allocations.release"))["reason"],
        "the drain of its node is past its deadline"
    );
    muster_tests::eventually("the node is in maintenance", async || {
        let item = operator.get(&path).await.ok();
        (item["scheduling"] == "maintenance" && item["drain_deadline"].is_null()).then_some(())
    })
    .await;
}
