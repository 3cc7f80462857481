//! The room `slots` through its door: decisions about slots that are not there, over a crash, and by command.

use muster_tests::{
    Cli, World, eventually,
    flow::{launch, nobody, online, only, slots},
    fresh_key,
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

#[tokio::test]
async fn an_operator_holds_clears_and_ends_by_command() {
    let world = World::with_nodes(1).await;
    let (operator, user) = (world.operator().await, world.user().await);
    let ready = world.ready();
    let cli = Cli::login(&ready.operator_url, &ready.operator.username, &ready.operator.password, true);
    let node = world.node(0);
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let leased = slots(&operator, &node, "leased").await;
    let slot = leased[0]["id"].as_str().expect("an id");

    let held = cli.run(&["slots", "hold", "--node", &node, slot, "--reason", "the fan rattles"]).ok();
    assert!(held.contains("operator: the fan rattles"), "{held}");
    let queue = cli.run(&["attention", "--family", "lifecycle"]).ok();
    assert!(queue.contains("slots_held"), "{queue}");

    let silent = cli.run(&["allocations", "force-release", &id]);
    assert_eq!(silent.code, 1, "a reason is asked for: {}", silent.err);
    let _ = cli.run(&["allocations", "force-release", &id, "--reason", "it burns money"]).ok();
    let over = user.get(&format!("/api/v1/allocations/{id}")).await.ok();
    assert_eq!((&over["state"], &over["forced"]["reason"]), (&json!("released"), &json!("it burns money")));
    assert_eq!(over["forced"]["by"], ready.operator.username.as_str());
    assert!(slots(&operator, &node, "free").await.iter().any(|free| free["id"] == slot && free["holds"] != json!([])));

    let _ = cli.run(&["slots", "clear", "--node", &node, "--all", "--reason", "a new fan"]).ok();
    let events = operator.get(&format!("/api/v1/admin/audit-logs?target={slot}&action=slots.unhold")).await.ok();
    assert_eq!(only(&events, "action", &json!("slots.unhold"))["reason"], "a new fan");
    let queue = cli.json(&["attention", "--family", "lifecycle"]);
    assert!(!queue["items"].as_array().expect("a list").iter().any(|item| item["cause"] == "slots_held"), "{queue:#}");
}

#[tokio::test]
async fn slots_are_looked_for_when_an_operator_asks() {
    let world = World::start().await;
    let (operator, node) = (world.operator().await, world.node(0));
    let path = format!("/api/v1/admin/nodes/{node}/slots/discover");
    let nowhere = format!("/api/v1/admin/nodes/{}/slots/discover", nobody("nd"));
    operator.post(&nowhere, json!({})).await.refused(404, "not_found");
    let key = fresh_key();
    let first = operator.post_with_key(&path, json!({}), &key).await;
    assert_eq!(first.status, 202, "{}", first.text);
    let id = first.body["operation_id"].as_str().expect("an id").to_owned();
    let done = eventually("the look is over", async || {
        let now = operator.get(&format!("/api/v1/operations/{id}")).await.ok();
        now["ended_at"].is_string().then_some(now)
    })
    .await;
    assert_eq!((&done["outcome"], &done["kind"]), (&json!("succeeded"), &json!("slots.discover")), "{done:#}");
    world.crash().await;
    assert!(operator.post_with_key(&path, json!({}), &key).await.is_replayed());

    let ready = world.ready();
    let cli = Cli::login(&ready.operator_url, &ready.operator.username, &ready.operator.password, true);
    let _ = online(&operator, &node).await;
    let said = cli.run(&["slots", "discover", "--node", &node]).ok();
    assert!(said.contains("8 GPUs, 8 slots"), "{said}");
}
