//! The catalog: drafts, what is offered, what is retired, and what cannot be a SKU.

use muster_tests::{Api, World, flow::launch};
use reqwest::Method;
use serde_json::{Value, json};

async fn patch(api: &Api, id: &str, version: Option<&str>, body: Value) -> muster_tests::Answer {
    let path = format!("/api/v1/admin/skus/{id}");
    let headers: Vec<(&str, &str)> = version.map(|version| ("if-match", version)).into_iter().collect();
    api.send(Method::PATCH, &path, &headers, Some(body.to_string())).await
}

#[tokio::test]
async fn bad_input_makes_no_sku() {
    let world = World::start().await;
    let operator = world.operator().await;
    let before = operator.get("/api/v1/admin/skus").await.ok();
    for body in [
        json!({}),
        json!({"name": "a"}),
        json!({"name": "a", "kind": "tpu"}),
        json!({"name": "a b", "kind": "cpu"}),
        json!({"name": "a", "kind": "mig"}),
        json!({"name": "a", "kind": "gpu", "gpus": 0}),
        json!({"name": "a", "kind": "gpu", "profile": "1g.10gb"}),
        json!({"name": "a", "kind": "cpu", "pids": 1}),
        json!({"name": "a", "kind": "cpu", "memory_bytes": -1}),
    ] {
        operator.post("/api/v1/admin/skus", body).await.refused(422, "validation_failed");
    }
    operator.post("/api/v1/admin/skus", json!({"name": "h100", "kind": "cpu"})).await.refused(409, "already_exists");
    assert_eq!(operator.get("/api/v1/admin/skus").await.ok(), before);
    for id in ["ku_00000000000000000000000000", "nonsense"] {
        operator.get(&format!("/api/v1/admin/skus/{id}")).await.refused(404, "not_found");
        operator.post(&format!("/api/v1/admin/skus/{id}/retire"), json!({})).await.refused(404, "not_found");
    }
    let user = world.user().await;
    user.post("/api/v1/admin/skus", json!({"name": "mine", "kind": "cpu"})).await.refused(404, "not_found");
}

#[tokio::test]
async fn drafts_are_invisible_and_retired_ones_are_not_launched() {
    let world = World::start().await;
    let (user, operator) = (world.user().await, world.operator().await);
    let made =
        operator.post("/api/v1/admin/skus", json!({"name": "pair", "kind": "gpu", "gpu_model": "H100", "gpus": 2}));
    let made = made.await.ok();
    let id = made["id"].as_str().expect("an id").to_owned();
    assert_eq!((&made["state"], &made["free"], &made["total"]), (&json!("draft"), &json!(4), &json!(4)), "{made:#}");
    user.get(&format!("/api/v1/skus/{id}")).await.refused(404, "not_found");
    let body = json!({"sku": "pair", "ssh_key_ids": []});
    user.post("/api/v1/allocations", body.clone()).await.refused(404, "not_found");
    let act = |verb: &str| format!("/api/v1/admin/skus/{id}/{verb}");
    assert_eq!(operator.post(&act("activate"), json!({})).await.ok()["state"], "active");
    let allocation = launch(&user, json!({"sku": id})).await;
    assert_eq!((allocation["slots"].as_array().map(Vec::len), &allocation["sku"]), (Some(2), &json!("pair")));
    let shown = user.get(&format!("/api/v1/skus/{id}")).await.ok();
    assert_eq!((&shown["free"], &shown["availability"]), (&json!(3), &json!("available")), "{shown:#}");
    assert_eq!(operator.post(&act("retire"), json!({})).await.ok()["state"], "retired");
    user.post("/api/v1/allocations", body).await.refused(409, "sku_retired");
    let list = user.get("/api/v1/skus").await.ok();
    assert!(list["items"].as_array().expect("SKUs").iter().all(|sku| sku["name"] != "pair"), "{list:#}");
    let still = user.get(&format!("/api/v1/allocations/{}", allocation["id"].as_str().expect("an id"))).await.ok();
    assert_eq!(still["state"], "active");
    let matches = operator.get(&act("matches")).await.ok();
    assert_eq!((&matches["free"], &matches["total"]), (&json!(3), &json!(4)));
}

#[tokio::test]
async fn a_stale_edit_is_refused() {
    let world = World::start().await;
    let operator = world.operator().await;
    let made = operator.post("/api/v1/admin/skus", json!({"name": "draft", "kind": "cpu"})).await.ok();
    let id = made["id"].as_str().expect("an id").to_owned();
    let read = operator.get(&format!("/api/v1/admin/skus/{id}")).await;
    let version = read.headers["etag"].to_str().expect("text").to_owned();
    patch(&operator, &id, None, json!({"pids": 64})).await.refused(428, "if_match_required");
    let edited = patch(&operator, &id, Some(&version), json!({"pids": 64})).await;
    assert_eq!((edited.status.as_u16(), &edited.body["pids"]), (200, &json!(64)), "{}", edited.text);
    patch(&operator, &id, Some(&version), json!({"pids": 65})).await.refused(412, "stale_version");
    let version = edited.headers["etag"].to_str().expect("text").to_owned();
    patch(&operator, &id, Some(&version), json!({"name": "h100"})).await.refused(409, "already_exists");
    patch(&operator, &id, Some(&version), json!({"gpus": 3})).await.refused(422, "validation_failed");
    let offered = operator.post(&format!("/api/v1/admin/skus/{id}/activate"), json!({})).await;
    assert_eq!(offered.status, 200);
    let read = operator.get(&format!("/api/v1/admin/skus/{id}")).await;
    let version = read.headers["etag"].to_str().expect("text").to_owned();
    patch(&operator, &id, Some(&version), json!({"pids": 66})).await.refused(409, "invalid_state");
}
