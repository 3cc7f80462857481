//! `kill -9` of the coordinator between what it has answered and what comes of it: nothing is lost, nothing is
//! done twice, nothing is given twice.

use muster_tests::{
    Api, World, eventually,
    flow::{cell_pids, in_state, online, only, receipt, slots},
    fresh_key,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ALLOCATIONS: &str = "/api/v1/allocations";

fn id_of(launched: &Value) -> String {
    launched["allocation_ids"][0].as_str().expect("an id").to_owned()
}

async fn receipts(operator: &Api, allocation: &str) -> usize {
    let path = format!("/api/v1/admin/audit-logs?action=allocation.cleanup_receipt&target={allocation}");
    operator.get(&path).await.ok()["items"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn each_step_is_taken_once_although_the_coordinator_dies_before_it() {
    let world = World::start().await;
    let (user, operator, node) = (world.user().await, world.operator().await, world.node(0));
    let (key, body) = (fresh_key(), json!({"sku": "h100", "ssh_key_ids": []}));
    let accepted = user.post_with_key(ALLOCATIONS, body.clone(), &key).await;
    let killed = world.kill_coordinator();
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    world.coordinator_is_back(killed).await;
    let replayed = user.post_with_key(ALLOCATIONS, body, &key).await;
    assert!(replayed.is_replayed() && replayed.body == accepted.body, "{}", replayed.text);
    let id = id_of(&accepted.body);
    let _ = in_state(&user, &id, &["active"]).await;
    assert_eq!(cell_pids(&id).len(), 1);
    assert_eq!(slots(&operator, &node, "leased").await.len(), 1);

    let released = user.post(&format!("{ALLOCATIONS}/{id}/release"), json!({})).await;
    let killed = world.kill_coordinator();
    assert_eq!(released.status, 202, "{}", released.text);
    world.coordinator_is_back(killed).await;
    let _ = in_state(&user, &id, &["released"]).await;
    assert_eq!(receipt(&operator, &id).await["after"]["clean"], true);
    assert_eq!((cell_pids(&id).len(), receipts(&operator, &id).await), (0, 1));
    eventually("the slot is free", async || (slots(&operator, &node, "free").await.len() == 8).then_some(())).await;

    // A command that ends while nobody listens releases its allocation all the same, with its code and output.
    let batch = json!({"sku": "h100", "command": ["sh", "-c", "echo done; exit 4"], "release_on_exit": true});
    let accepted = user.post(ALLOCATIONS, batch).await;
    let killed = world.kill_coordinator();
    let id = id_of(&accepted.ok());
    world.coordinator_is_back(killed).await;
    assert_eq!(in_state(&user, &id, &["released"]).await["exit_code"], 4);
    let logs = user.get(&format!("{ALLOCATIONS}/{id}/logs")).await;
    assert!(logs.text.contains("done"), "{}", logs.text);
    assert_eq!(receipts(&operator, &id).await, 1);
    let _ = online(&operator, &node).await;
}

#[tokio::test]
async fn a_crash_in_a_burst_of_launches_gives_no_slot_twice() {
    let world = World::start().await;
    let (user, operator, node) = (world.user().await, world.operator().await, world.node(0));
    let (path, body) = ("/api/v1/allocations", json!({"sku": "h100", "ssh_key_ids": []}));
    let keys: Vec<String> = (0..12).map(|_| fresh_key()).collect();
    // The coordinator dies as soon as one of them is answered, the others are wherever they are.
    let burst: Vec<_> = keys
        .iter()
        .map(|key| {
            let (user, body, key) = (user.clone(), body.to_string(), key.clone());
            Box::pin(async move {
                user.try_send(reqwest::Method::POST, path, &[("idempotency-key", &key)], Some(body)).await
            })
        })
        .collect();
    let (mut told, mut going) = (Vec::new(), burst);
    while told.is_empty() {
        let (answer, _, others) = futures_util::future::select_all(going).await;
        told.extend(answer.ok().filter(|answer| answer.status == 202));
        going = others;
    }
    let killed = world.kill_coordinator();
    told.extend(futures_util::future::join_all(going).await.into_iter().filter_map(Result::ok));
    told.retain(|answer| answer.status == 202);
    world.coordinator_is_back(killed).await;
    let _ = online(&operator, &node).await;
    // Whoever got no answer asks again with the same key.
    let mut launched = BTreeSet::new();
    for key in &keys {
        let answer = user.post_with_key(path, body.clone(), key).await;
        if answer.status == 202 {
            assert!(launched.insert(answer.body["allocation_ids"][0].as_str().expect("an id").to_owned()));
        } else {
            answer.refused(409, "sold_out");
        }
    }
    assert_eq!(launched.len(), 8, "as many as there are slots");
    assert!(told.iter().all(|answer| launched.contains(answer.body["allocation_ids"][0].as_str().expect("an id"))));
    let list = user.get("/api/v1/allocations?limit=100").await.ok();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(8), "{list:#}");
    let mut held = BTreeSet::new();
    for id in &launched {
        let active = in_state(&user, id, &["active"]).await;
        let slots = active["slots"].as_array().expect("slots").iter().map(|slot: &Value| slot["id"].to_string());
        slots.for_each(|slot| assert!(held.insert(slot), "a slot is held twice"));
    }
    assert_eq!(slots(&operator, &node, "leased").await.len(), 8);
}

#[tokio::test]
async fn a_task_that_was_accepted_before_a_crash_is_done_once() {
    let world = World::start().await;
    let (operator, node) = (world.operator().await, world.node(0));
    let (path, key) = (format!("/api/v1/admin/nodes/{node}/probe"), fresh_key());
    let accepted = operator.post_with_key(&path, json!({}), &key).await;
    let killed = world.kill_coordinator();
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    world.coordinator_is_back(killed).await;
    let replayed = operator.post_with_key(&path, json!({}), &key).await;
    assert!(replayed.is_replayed() && replayed.body == accepted.body, "{}", replayed.text);
    let _ = online(&operator, &node).await;
    let tasks = eventually("the probe has ended", async || {
        let tasks = operator.get(&format!("/api/v1/admin/nodes/{node}/tasks")).await.ok();
        let all = tasks["items"].as_array()?.clone();
        all.iter().all(|task| task["ended_at"].is_string()).then_some(all)
    })
    .await;
    let probes: Vec<_> = tasks.iter().filter(|task| task["kind"] == "probe").collect();
    assert_eq!(probes.len(), 1, "{tasks:#?}");
    assert_eq!(probes[0]["operation_id"], accepted.body["operation_id"]);
    assert_eq!(probes[0]["result_code"], "ok", "{tasks:#?}");
}

#[tokio::test]
async fn an_offer_that_was_answered_stands_after_a_crash() {
    let world = World::with_nodes(0).await;
    let (operator, user) = (world.operator().await, world.user().await);
    let made = operator.post("/api/v1/admin/skus", json!({"name": "soon", "kind": "cpu"})).await.ok();
    let path = format!("/api/v1/admin/skus/{}", made["id"].as_str().expect("an id"));
    assert_eq!(operator.post(&format!("{path}/activate"), json!({})).await.ok()["state"], "active");
    world.crash().await;
    let offered = user.get("/api/v1/skus").await.ok();
    let sku = only(&offered, "name", &json!("soon"));
    assert_eq!((&sku["free"], &sku["availability"]), (&json!(0), &json!("unavailable")), "{sku:#}");
    let _ = operator.post(&format!("{path}/retire"), json!({})).await.ok();
    world.crash().await;
    let launch = json!({"sku": "soon", "command": ["true"]});
    let refused = user.post("/api/v1/allocations", launch).await;
    assert!([404, 409].contains(&refused.status.as_u16()), "{}", refused.text);
}
