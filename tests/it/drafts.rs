//! Drafts of launches, API keys and projects through their door: what a person keeps for themselves.

use muster_tests::{Api, World};
use reqwest::Method;
use serde_json::{Value, json};

async fn put(api: &Api, path: &str, body: &Value) -> muster_tests::Answer {
    api.send(Method::PUT, path, &[], Some(body.to_string())).await
}

#[tokio::test]
async fn a_draft_is_ones_own_and_survives() {
    let world = World::with_nodes(0).await;
    let (user, stranger) = (world.user().await, world.stranger().await);
    let path = "/api/v1/launch/drafts/compute";
    user.get(path).await.refused(404, "not_found");
    assert_eq!(put(&user, path, &json!({"sku": "h100", "step": 3})).await.status, 204);
    assert_eq!(put(&user, path, &json!({"sku": "h100", "step": 4})).await.status, 204);
    world.crash().await;
    assert_eq!(user.get(path).await.ok()["body"], json!({"sku": "h100", "step": 4}));
    stranger.get(path).await.refused(404, "not_found");
    put(&user, path, &json!({"text": "x".repeat(20_000)})).await.refused(422, "validation_failed");
    put(&user, path, &json!(["no", "object"])).await.refused(422, "validation_failed");
    put(&user, "/api/v1/launch/drafts/a.b", &json!({})).await.refused(404, "not_found");
    for number in 1..20 {
        assert_eq!(put(&user, &format!("/api/v1/launch/drafts/d{number}"), &json!({})).await.status, 204);
    }
    put(&user, "/api/v1/launch/drafts/one-more", &json!({})).await.refused(409, "too_many_drafts");
    assert_eq!(user.delete(path).await.status, 204);
    assert_eq!(user.delete(path).await.status, 204, "gone is gone");
    user.get(path).await.refused(404, "not_found");
}

#[tokio::test]
async fn an_api_key_is_made_with_the_password_and_ended_at_once() {
    let world = World::with_nodes(0).await;
    let (user, stranger, ready) = (world.user().await, world.stranger().await, world.ready());
    let keys = "/api/v1/api-keys";
    user.post(keys, json!({"name": "ci"})).await.refused(403, "step_up_required");
    let _ = user.post("/api/v1/auth/step-up", json!({"password": ready.user.password})).await.ok();
    user.post(keys, json!({"name": " "})).await.refused(422, "validation_failed");
    user.post(keys, json!({"name": "ci", "expires_in_days": 366})).await.refused(422, "validation_failed");
    let made = user.post(keys, json!({"name": "ci", "expires_in_days": 1})).await.ok();
    let (id, token) = (made["key"]["id"].as_str().expect("an id"), made["token"].as_str().expect("a token"));
    let script = Api::anonymous(&ready.console_url).with_bearer(token);
    assert_eq!(script.get("/api/v1/me").await.ok()["user"]["username"], ready.user.username);
    // A key makes no further keys, and is no key at the other door.
    script.post(keys, json!({"name": "more"})).await.refused(403, "step_up_required");
    let there = Api::anonymous(&ready.operator_url).with_bearer(token).get("/api/v1/me").await;
    assert!(there.status.is_client_error(), "{}", there.text);
    assert!(!user.get(keys).await.text.contains(token), "it is shown once");
    let sessions = user.get("/api/v1/account/sessions").await.ok();
    assert!(!sessions.to_string().contains(id), "a key is no sign-in");
    stranger.delete(&format!("{keys}/{id}")).await.refused(404, "not_found");
    world.crash().await;
    assert_eq!(script.get("/api/v1/me").await.status, 200);
    assert_eq!(user.delete(&format!("{keys}/{id}")).await.status, 204);
    script.get("/api/v1/me").await.refused(401, "unauthenticated");
    user.delete(&format!("{keys}/{id}")).await.refused(404, "not_found");
    assert_eq!(user.get(keys).await.ok()["items"], json!([]));
}
