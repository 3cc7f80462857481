//! The room `terminals` through its doors: tokens that cannot be had, sessions of others, and what a crash of
//! the coordinator makes of tokens and sessions.

use muster_tests::{
    Message, Terminal, World,
    flow::{launch, nobody, online, only},
};
use serde_json::json;

#[tokio::test]
async fn a_sign_out_ends_its_terminals_and_no_others() {
    let world = World::start().await;
    let (user, leaving) = (world.user().await, world.user().await);
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let (mut stays, mut goes) = (Terminal::open(&user, &id).await, Terminal::open(&leaving, &id).await);
    assert_eq!(goes.run("x=kept; echo up").await, "up");
    assert_eq!(leaving.post("/api/v1/auth/logout", json!({})).await.status, 204);
    assert_eq!(goes.end().await, (None, 4403));
    assert!(goes.controls.iter().any(|said| said["code"] == "revoked"), "{:?}", goes.controls);
    assert_eq!(stays.run("echo here").await, "here");
    // Only the attach ended: its owner comes back to the same shell by another sign-in.
    let mut back = goes.again(&user, &id).await;
    assert_eq!(back.run("echo $x").await, "kept");
}

#[tokio::test]
async fn tokens_and_sessions_are_checked_and_survive_a_crash_as_they_should() {
    let world = World::start().await;
    let (user, stranger) = (world.user().await, world.stranger().await);
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/allocations/{id}");
    let (token, tunnel) = (format!("{path}/terminal-token"), format!("{path}/tunnel-token"));
    for bad in [json!({"target": "mail"}), json!({}), json!({"target": 5})] {
        user.post(&tunnel, bad).await.refused(422, "validation_failed");
    }
    let long = vec!["x"; 10_000];
    user.post(&token, json!({"command": long})).await.refused(422, "validation_failed");
    for foreign in [id.clone(), nobody("al")] {
        let path = format!("/api/v1/allocations/{foreign}");
        let ssh = json!({"target": "ssh"});
        stranger.post(&format!("{path}/tunnel-token"), ssh).await.refused(404, "not_found");
        stranger.post(&format!("{path}/terminal-token"), json!({})).await.refused(404, "not_found");
    }

    let mut terminal = Terminal::open(&user, &id).await;
    assert_eq!(terminal.run("x=kept; echo $x").await, "kept");
    let session = terminal.ready["session_id"].as_str().expect("an id").to_owned();
    let sessions = format!("{path}/sessions");
    let _ = only(&user.get(&sessions).await.ok(), "id", &json!(session));
    stranger.delete(&format!("{sessions}/{session}")).await.refused(404, "not_found");
    user.delete(&format!("{sessions}/{}", nobody("se"))).await.refused(404, "not_found");
    assert_eq!(terminal.run("echo still here").await, "still here");

    // A token is worth nothing after a crash; the session it would have opened goes on.
    let unused = user.post(&token, json!({})).await.ok();
    world.crash().await;
    assert!(matches!(terminal.end().await, (None, _)));
    let _ = online(&world.operator().await, &world.node(0)).await;
    let old = Terminal::try_attach(&user, &id, json!({"token": unused["token"]})).await;
    assert!(matches!(old, Err(Message::Closed(4401) | Message::Control(_))), "{old:?}");
    let mut back = terminal.again(&user, &id).await;
    assert_eq!(back.ready["resumed"], true);
    assert_eq!(back.run("echo $x").await, "kept");
    let listed = user.get(&sessions).await.ok();
    assert_eq!(only(&listed, "id", &json!(session))["state"], "attached", "{listed:#}");
    let ended = user.delete(&format!("{sessions}/{session}")).await;
    assert!(ended.status.is_success(), "{}", ended.text);
    let _ = back.end().await;
    let listed = user.get(&sessions).await.ok();
    assert_eq!(only(&listed, "id", &json!(session))["state"], "ended", "{listed:#}");
}

#[tokio::test]
async fn a_sign_out_ends_the_terminals_it_opened_and_no_others() {
    let world = World::start().await;
    let (stays, leaves) = (world.user().await, world.user().await);
    let id = launch(&stays, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let (mut kept, mut ended) = (Terminal::open(&stays, &id).await, Terminal::open(&leaves, &id).await);
    let session = ended.ready["session_id"].as_str().expect("an id").to_owned();
    let gone = leaves.post("/api/v1/auth/logout", json!({})).await;
    assert!(gone.status.is_success(), "{}", gone.text);
    assert_eq!(ended.end().await, (None, 4403));
    assert!(ended.controls.iter().any(|say| say["code"] == "revoked"), "{:?}", ended.controls);
    assert_eq!(kept.run("echo still here").await, "still here");
    // What ran in it goes on: its owner may come back.
    let mut back = Terminal::attach(&stays, &id, json!({"session_id": session})).await;
    back.type_in("echo ba''ck\n").await;
    let _ = back.until("back").await;
}
