//! The room `enrolment` through its doors: tokens that cannot be, keys that come again, and a machine that is
//! let in while the coordinator dies.

use muster_tests::{
    Api, World, eventually,
    flow::{Machine, nobody, online, only},
    fresh_key,
};
use serde_json::{Value, json};

const TOKENS: &str = "/api/v1/admin/bootstrap-tokens";

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

async fn certificates(operator: &Api, node: &str) -> usize {
    let list = operator.get(&format!("/api/v1/admin/nodes/{node}/certificates")).await.ok();
    list["items"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn tokens_are_checked_and_minted_once_a_key() {
    let world = World::with_nodes(0).await;
    let operator = world.operator().await;
    for bad in [json!({"max_uses": 0}), json!({"max_uses": 10_001}), json!({"labels": {"a b": "c"}}), json!({"ttl": 5})]
    {
        let refused = operator.post(TOKENS, bad).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
    }
    operator.delete(&format!("{TOKENS}/{}", nobody("bt"))).await.refused(404, "not_found");
    let key = fresh_key();
    let minted = operator.post_with_key(TOKENS, json!({}), &key).await;
    world.crash().await;
    let again = operator.post_with_key(TOKENS, json!({}), &key).await;
    assert!(again.is_replayed(), "{}", again.text);
    assert_eq!(minted.body["id"], again.body["id"]);
    assert!(again.body["token"].is_null() && again.body["command"].is_null(), "{}", again.text);
    let list = operator.get(TOKENS).await.ok();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list:#}");
    let secret = text(&minted.body["token"]).split('.').nth(1).expect("a secret").to_owned();
    assert!(!list.to_string().contains(&secret), "a list shows no secret");
    let data = world.ready().data_dir;
    for name in ["muster.db", "muster.db-wal"] {
        let bytes = std::fs::read(data.join(name)).unwrap_or_default();
        let found = bytes.windows(secret.len()).any(|piece| piece == secret.as_bytes());
        assert!(!found, "{name} holds a secret in clear");
    }
}

#[tokio::test]
async fn a_machine_is_let_in_once_although_the_coordinator_dies_at_each_step() {
    let world = World::with_nodes(0).await;
    let operator = world.operator().await;
    let token = operator.post(TOKENS, json!({})).await.ok();
    let quic = world.ready().quic_addr;
    let mut machine = Machine::default();
    assert!(machine.enroll(&quic, text(&token["token"])).status.success());
    let killed = world.kill_coordinator();
    world.coordinator_is_back(killed).await;
    assert_eq!(only(&operator.get(TOKENS).await.ok(), "id", &token["id"])["state"], "spent");
    let nodes = operator.get("/api/v1/admin/nodes").await.ok();
    assert_eq!(nodes["items"].as_array().map(Vec::len), Some(1), "{nodes:#}");
    let node = text(&nodes["items"][0]["id"]).to_owned();
    assert_eq!(certificates(&operator, &node).await, 0);

    machine.run();
    eventually("its status says what it waits for", async || {
        let status = machine.agent("status").output().expect("muster-agent starts");
        let said = String::from_utf8_lossy(&status.stdout).into_owned();
        (said.contains("waits for an operator's approval") && said.contains("muster nodes approve")).then_some(())
    })
    .await;
    let approved = operator.post(&format!("/api/v1/admin/nodes/{node}/approve"), json!({})).await;
    let killed = world.kill_coordinator();
    assert_eq!(approved.status, 200, "{}", approved.text);
    world.coordinator_is_back(killed).await;
    let _ = online(&operator, &node).await;
    assert_eq!(certificates(&operator, &node).await, 1);

    // Revoked is revoked, whoever dies: the agent is refused by the next coordinator and says so.
    let revoked = operator.post(&format!("/api/v1/admin/nodes/{node}/revoke"), json!({})).await;
    let killed = world.kill_coordinator();
    assert_eq!(revoked.status, 200, "{}", revoked.text);
    world.coordinator_is_back(killed).await;
    // Nobody has heard it since the start, and nobody will.
    let item = operator.get(&format!("/api/v1/admin/nodes/{node}")).await.ok();
    assert_eq!((&item["state"], &item["presence"]), (&json!("offline"), &json!("offline")), "{item:#}");
    eventually("the agent says that it was revoked", async || {
        let log = std::fs::read_to_string(machine.state_dir.join("agent.log")).ok()?;
        log.contains("revoked").then_some(())
    })
    .await;
    let list = operator.get(&format!("/api/v1/admin/nodes/{node}/certificates")).await.ok();
    assert!(list["items"].as_array().expect("a list").iter().all(|item| item["state"] == "revoked"), "{list:#}");
    let item = operator.get(&format!("/api/v1/admin/nodes/{node}")).await.ok();
    assert_ne!(item["presence"], "online", "{item:#}");
}
