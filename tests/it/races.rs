//! Many at once: nothing is given twice, nothing is left behind.

use muster_tests::{Api, World, flow::slots, fresh_key};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const LAUNCHES: usize = 200;
const SLOTS: usize = 10;

async fn launch_many(user: &Api, sku: &str, count: usize) -> Vec<muster_tests::Answer> {
    let all = (0..count).map(|_| user.post("/api/v1/allocations", json!({"sku": sku, "ssh_key_ids": []})));
    futures_util::future::join_all(all).await
}

#[tokio::test]
async fn as_many_launches_succeed_as_there_are_slots() {
    // Eight GPUs of one node and the two of another that are whole: ten slots of one SKU.
    let world = World::with_nodes(2).await;
    let (user, operator) = (world.user().await, world.operator().await);
    let made = operator.post("/api/v1/admin/skus", json!({"name": "any-gpu", "kind": "gpu"})).await.ok();
    assert_eq!(made["free"], SLOTS, "{made:#}");
    let activate = format!("/api/v1/admin/skus/{}/activate", made["id"].as_str().expect("an id"));
    let _ = operator.post(&activate, json!({})).await.ok();
    let answers = launch_many(&user, "any-gpu", LAUNCHES).await;
    let accepted: Vec<_> = answers.iter().filter(|answer| answer.status == 202).collect();
    assert_eq!(accepted.len(), SLOTS, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    answers.iter().filter(|answer| answer.status != 202).for_each(|answer| answer.refused(409, "sold_out"));
    let list = user.get("/api/v1/allocations?limit=200").await.ok();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(SLOTS), "refused launches leave no row");
    let held: BTreeSet<String> = list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|allocation| allocation["slots"].as_array().cloned().unwrap_or_default())
        .map(|slot| slot["id"].to_string())
        .collect();
    assert_eq!(held.len(), SLOTS, "a slot is held twice");
    for node in 0..2 {
        let free = slots(&operator, &world.node(node), "free").await;
        assert!(free.iter().all(|slot| slot["kind"] != "gpu"), "{free:#?}");
    }
}

#[tokio::test]
async fn a_replayed_key_launches_once() {
    let world = World::start().await;
    let user = world.user().await;
    let (key, body) = (fresh_key(), json!({"sku": "h100", "ssh_key_ids": []}));
    let first = user.post_with_key("/api/v1/allocations", body.clone(), &key).await;
    let second = user.post_with_key("/api/v1/allocations", body, &key).await;
    assert_eq!((first.status, second.status), (second.status, first.status));
    assert_eq!(first.body, second.body);
    assert_eq!(second.headers["idempotent-replayed"], "true");
    let other: Value = json!({"sku": "h100", "ssh_key_ids": [], "name": "other"});
    user.post_with_key("/api/v1/allocations", other, &key).await.refused(422, "idempotency_key_reused");
    let list = user.get("/api/v1/allocations").await.ok();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
}
