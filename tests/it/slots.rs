//! The room `slots` through its door: decisions about slots that are not there, and decisions over a crash.

use muster_tests::{
    World,
    flow::{nobody, online, only, slots},
};
use serde_json::json;

#[tokio::test]
async fn decisions_are_checked_and_stand_after_a_crash() {
    let world = World::with_nodes(2).await;
    let (operator, user) = (world.operator().await, world.user().await);
    let (node, other) = (world.node(0), world.node(1));
    let path = format!("/api/v1/admin/nodes/{node}/slots");
    let own = slots(&operator, &node, "free").await;
    let foreign = slots(&operator, &other, "free").await[0]["id"].as_str().expect("an id").to_owned();
    for id in [foreign.clone(), nobody("sl")] {
        for verb in ["approve", "reject", "quarantine", "clear"] {
            operator.post(&format!("{path}/{id}/{verb}"), json!({})).await.refused(404, "not_found");
        }
    }
    let batch = format!("{path}:batch");
    for bad in
        [json!({"op": "approve"}), json!({"op": "explode", "all": true}), json!({"op": "clear", "slot_ids": ["x"]})]
    {
        let refused = operator.post(&batch, bad).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
    }
    let mixed = json!({"op": "quarantine", "slot_ids": [foreign, own[0]["id"]]});
    let mixed = operator.post(&batch, mixed).await.ok();
    assert_eq!(only(&mixed, "ok", &json!(true))["id"], own[0]["id"], "each by itself: {mixed:#}");
    assert_eq!(only(&mixed, "ok", &json!(false))["code"], "not_found", "{mixed:#}");

    let all: Vec<_> = own.iter().map(|slot| slot["id"].clone()).collect();
    let held = operator.post(&batch, json!({"op": "quarantine", "slot_ids": all})).await;
    let killed = world.kill_coordinator();
    assert_eq!(held.status, 200, "{}", held.text);
    world.coordinator_is_back(killed).await;
    let _ = online(&operator, &node).await;
    let launch = json!({"sku": "h100", "ssh_key_ids": []});
    user.post("/api/v1/allocations", launch.clone()).await.refused(409, "sold_out");
    let first = own[0]["id"].as_str().expect("an id");
    let cleared = operator.post(&format!("{path}/{first}/clear"), json!({})).await.ok();
    assert_eq!(cleared["holds"], json!([]));
    world.crash().await;
    let _ = online(&operator, &node).await;
    let accepted = user.post("/api/v1/allocations", launch.clone()).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    user.post("/api/v1/allocations", launch).await.refused(409, "sold_out");
}
