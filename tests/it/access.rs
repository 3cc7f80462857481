//! The room `access` through its door: SSH keys that are none, that are others', and over a crash.

use muster_tests::{
    World,
    flow::{nobody, only},
};
use serde_json::json;

const KEYS: &str = "/api/v1/ssh-keys";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8fGyVGDF8OZ9Yiaq6shH4QFn2r6GcqKcl3lc1SzVYw";

#[tokio::test]
async fn keys_are_checked_and_ones_own_and_stay_as_answered_over_a_crash() {
    let world = World::with_nodes(0).await;
    let (user, stranger) = (world.user().await, world.stranger().await);
    for bad in
        ["", "ssh-ed25519", "ssh-ed25519 AAAA", "not a key", "ssh-dss AAAAB3NzaC1kc3MAAACBAP", &format!("{KEY}\n{KEY}")]
    {
        user.post(KEYS, json!({"public_key": bad})).await.refused(422, "validation_failed");
    }
    let key = user.post(KEYS, json!({"public_key": format!("{KEY} me@home")})).await.ok();
    assert_eq!(key["public_key"], KEY);
    user.post(KEYS, json!({"public_key": KEY})).await.refused(409, "duplicate");
    let id = key["id"].as_str().expect("an id");
    stranger.delete(&format!("{KEYS}/{id}")).await.refused(404, "not_found");
    user.delete(&format!("{KEYS}/{}", nobody("sk"))).await.refused(404, "not_found");
    let launch = json!({"sku": "any", "ssh_key_ids": [id]});
    let foreign = stranger.post("/api/v1/allocations", launch).await;
    assert!([404, 422].contains(&foreign.status.as_u16()), "{}", foreign.text);

    world.crash().await;
    let _ = only(&user.get(KEYS).await.ok(), "id", &key["id"]);
    assert_eq!(user.delete(&format!("{KEYS}/{id}")).await.status, 204);
    world.crash().await;
    assert_eq!(user.get(KEYS).await.ok()["items"], json!([]));
}
