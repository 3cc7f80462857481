//! Bad input at every door: a clear error, nothing changed, nobody else disturbed.

use muster_tests::{Api, World, fresh_key};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn bodies_are_checked_before_anything_happens() {
    let world = World::with_nodes(0).await;
    let user = world.user().await;
    let path = "/api/v1/allocations";
    let key = fresh_key();
    let with_key = [("idempotency-key", key.as_str())];
    let send =
        async |headers: &[(&str, &str)], body: &str| user.send(Method::POST, path, headers, Some(body.into())).await;

    send(&with_key, "{not json").await.refused(400, "malformed_json");
    send(&with_key, r#"{"sku": 5}"#).await.refused(422, "validation_failed");
    send(&with_key, r#"{"sku": "h100", "count": "two"}"#).await.refused(422, "validation_failed");
    let text = [with_key[0], ("content-type", "text/plain")];
    send(&text, "{}").await.refused(415, "unsupported_media_type");
    let big = format!(r#"{{"sku": "{}"}}"#, "x".repeat(1 << 20));
    send(&with_key, &big).await.refused(413, "payload_too_large");
    send(&[], r#"{"sku": "h100"}"#).await.refused(400, "idempotency_key_required");
    let list = user.get(path).await.ok();
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_not_waited_for() {
    let world = World::with_nodes(0).await;
    let (ready, user) = (world.ready(), world.user().await);
    let door = ready.console_url.trim_start_matches("http://");
    let head = format!(
        "POST /api/v1/allocations HTTP/1.1\r\nhost: {door}\r\nauthorization: Bearer {}\r\nidempotency-key: {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        user.bearer(),
        fresh_key(),
        2 << 20
    );
    let mut stream = TcpStream::connect(door).await.expect("the door");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = vec![0; 12];
    // Not a byte of the body comes: what is too slow would be 408.
    let _ = stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 413");
}

#[tokio::test]
async fn unknown_and_foreign_things_are_not_found() {
    let world = World::with_nodes(0).await;
    let (user, operator) = (world.user().await, world.operator().await);
    let zeros = "0".repeat(26);
    for path in [
        format!("/api/v1/allocations/al_{zeros}"),
        "/api/v1/allocations/garbage".to_owned(),
        format!("/api/v1/operations/op_{zeros}"),
        "/api/v1/nowhere".to_owned(),
        // Operator routes do not exist on the console door.
        "/api/v1/admin/nodes".to_owned(),
    ] {
        user.get(&path).await.refused(404, "not_found");
    }
    operator.get(&format!("/api/v1/admin/nodes/nd_{zeros}")).await.refused(404, "not_found");
    operator.get("/api/v1/admin/nodes/'; drop table nodes").await.refused(404, "not_found");
}

#[tokio::test]
async fn nobody_gets_in_without_the_right_credentials() {
    let world = World::with_nodes(0).await;
    let ready = world.ready();
    let console = Api::anonymous(&ready.console_url);
    console.get("/api/v1/allocations").await.refused(401, "unauthenticated");
    console.with_bearer("garbage").get("/api/v1/me").await.refused(401, "unauthenticated");
    let operator = world.operator().await;
    // A session belongs to its door.
    console.with_bearer(operator.bearer()).get("/api/v1/me").await.refused(401, "unauthenticated");
    let login = json!({"username": ready.user.username, "password": ready.user.password, "session": "bearer"});
    let refused = Api::anonymous(&ready.operator_url).post("/api/v1/auth/personal/login", login).await;
    refused.refused(403, "operator_role_required");
    let wrong = json!({"username": ready.user.username, "password": "wrong", "session": "bearer"});
    console.post("/api/v1/auth/personal/login", wrong).await.refused(401, "bad_credentials");
    Api::anonymous(&ready.operator_url).get("/metrics").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_rotated_refresh_token_kills_its_family() {
    let world = World::with_nodes(0).await;
    let user = world.user().await;
    let path = "/api/v1/auth/token/refresh";
    let next = user.post(path, json!({"refresh_token": user.refresh_token()})).await.ok();
    let next = next["refresh_token"].as_str().expect("a token").to_owned();
    user.post(path, json!({"refresh_token": user.refresh_token()})).await.refused(401, "refresh_reused");
    let dead = user.post(path, json!({"refresh_token": next})).await;
    assert_eq!(dead.status, 401, "{}", dead.text);
}

#[tokio::test]
async fn guessing_is_slowed_down_but_typing_errors_are_not() {
    let world = World::with_nodes(0).await;
    let console = Api::anonymous(&world.ready().console_url);
    let path = "/api/v1/auth/personal/login";
    for _ in 0..30 {
        console.post(path, json!({"username": 7})).await.refused(422, "validation_failed");
    }
    for _ in 0..10 {
        console.post(path, json!({"username": "somebody", "password": "guess"})).await.refused(401, "bad_credentials");
    }
    let limited = console.post(path, json!({"username": "somebody", "password": "guess"})).await;
    limited.refused(429, "rate_limited");
    let wait: u64 = limited.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!(wait >= 1);
}
