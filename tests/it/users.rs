//! The room `users` through its doors: people who cannot be made, sessions of others, and sign-ins over a crash.

use muster_tests::{
    Api, World,
    flow::{nobody, only},
};
use serde_json::json;

const SIGN_UP: &str = "/api/v1/auth/personal/signup";
const REFRESH: &str = "/api/v1/auth/token/refresh";

#[tokio::test]
async fn people_are_checked_and_sessions_are_ones_own() {
    let world = World::with_nodes(0).await;
    let (user, stranger, operator) = (world.user().await, world.stranger().await, world.operator().await);
    let console = Api::anonymous(user.base());
    for (bad, code) in [
        (json!({"username": "x", "email": "x@example.test", "password": "correct-horse-battery"}), "validation_failed"),
        (
            json!({"username": "some body", "email": "x@b.test", "password": "correct-horse-battery"}),
            "validation_failed",
        ),
        (json!({"username": "somebody", "email": "x@example.test", "password": "short"}), "weak_password"),
    ] {
        console.post(SIGN_UP, bad).await.refused(422, code);
    }
    let taken = json!({"username": "stranger", "email": "y@example.test", "password": "correct-horse-battery"});
    assert_eq!(console.post(SIGN_UP, taken).await.status, 409);

    let sessions = stranger.get("/api/v1/account/sessions").await.ok();
    let foreign = sessions["items"][0]["id"].as_str().expect("an id");
    user.delete(&format!("/api/v1/account/sessions/{foreign}")).await.refused(404, "not_found");
    assert_eq!(stranger.get("/api/v1/me").await.status, 200, "still signed in");
    operator.get(&format!("/api/v1/admin/users/{}", nobody("us"))).await.refused(404, "not_found");
    let role = json!({"username": "staff", "password": "correct-horse-battery", "roles": ["emperor"]});
    operator.post("/api/v1/admin/users", role).await.refused(422, "validation_failed");
}

#[tokio::test]
async fn what_was_answered_before_a_crash_holds_after_it() {
    let world = World::with_nodes(0).await;
    let (user, operator) = (world.user().await, world.operator().await);
    let made = json!({"username": "made", "password": "correct-horse-battery", "roles": []});
    let made = operator.post("/api/v1/admin/users", made).await.ok();
    let rotated = user.post(REFRESH, json!({"refresh_token": user.refresh_token()})).await.ok();
    world.crash().await;
    let next = user.with_bearer(rotated["access_token"].as_str().expect("a token"));
    assert_eq!(next.get("/api/v1/me").await.status, 200);
    let people = operator.get("/api/v1/admin/users?limit=100").await.ok();
    let listed = only(&people, "username", &json!("made"));
    let id = made["id"].as_str().or_else(|| made["user"]["id"].as_str()).expect("an id");
    assert_eq!(listed["id"], id);
    let _ = Api::login(user.base(), "made", "correct-horse-battery").await;
    // The rotation is not forgotten: the old token is a copy in wrong hands.
    user.post(REFRESH, json!({"refresh_token": user.refresh_token()})).await.refused(401, "refresh_reused");
    assert_eq!(next.get("/api/v1/me").await.status, 401, "its family is dead");
}
