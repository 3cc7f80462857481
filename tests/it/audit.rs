//! The room `audit` through its door: questions that are none, events that are not there, and what was
//! committed before a crash.

use muster_tests::{
    World,
    flow::{nobody, only},
};
use serde_json::json;

#[tokio::test]
async fn questions_are_checked_and_a_committed_change_has_its_event_after_a_crash() {
    let world = World::with_nodes(0).await;
    let operator = world.operator().await;
    let logs = "/api/v1/admin/audit-logs";
    for bad in ["from=yesterday", "to=tomorrow", "limit=many", "cursor=garbage"] {
        operator.get(&format!("{logs}?{bad}")).await.refused(422, "validation_failed");
    }
    operator.get(&format!("{logs}/{}", nobody("ev"))).await.refused(404, "not_found");

    let mut minted = Vec::new();
    for _ in 0..5 {
        let token = operator.post("/api/v1/admin/bootstrap-tokens", json!({})).await.ok();
        minted.push(token["id"].clone());
    }
    world.crash().await;
    let events = operator.get(&format!("{logs}?action=tokens.create&limit=200")).await.ok();
    for token in &minted {
        let event = only(&events, "target", token);
        let one = operator.get(&format!("{logs}/{}", event["id"].as_str().expect("an id"))).await.ok();
        assert_eq!(one["target"], *token);
    }
    let verified = operator.get(&format!("{logs}/verify")).await.ok();
    assert_eq!(verified["ok"], true, "{verified:#}");
}
