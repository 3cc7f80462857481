//! From a machine to a node with live numbers, and every way to be refused.

use muster_tests::{World, eventually, flow::Machine};
use serde_json::{Value, json};
use std::process::Output;

async fn mint(operator: &muster_tests::Api, body: Value) -> Value {
    operator.post("/api/v1/admin/bootstrap-tokens", body).await.ok()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// A refusal names its reason, never the secret, and leaves no certificate behind.
fn assert_refused(machine: &Machine, token: &str, output: &Output, reason: &str) {
    let err = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{err}");
    assert!(err.to_lowercase().contains(reason), "{reason}: {err}");
    let secret = token.split('.').nth(1).expect("a secret");
    assert!(!err.contains(secret), "the secret is printed");
    let certificates: Vec<_> = machine
        .files()
        .into_iter()
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            [".pem", ".crt", ".cert", ".der"].iter().any(|end| name.ends_with(end))
        })
        .collect();
    assert!(certificates.is_empty(), "{certificates:?}");
}

#[tokio::test]
async fn nodes_show_live_numbers() {
    let world = World::start().await;
    let operator = world.operator().await;
    let node = world.node(0);
    let sampled = |list: &Value| {
        let item = list["items"].as_array()?.iter().find(|item| item["id"] == node.as_str())?.clone();
        assert_eq!(item["gpus"].as_array().map(Vec::len), Some(8), "{item:#}");
        (item["presence"] == "online" && item["gpu_state"] == "ok")
            .then(|| item["gpus"][0]["sampled_at"].as_str().map(str::to_owned))
            .flatten()
    };
    let first = eventually("a first sample", async || sampled(&operator.get("/api/v1/admin/nodes").await.ok())).await;
    let _ = eventually("a later sample", async || {
        sampled(&operator.get("/api/v1/admin/nodes").await.ok()).filter(|later| *later != first)
    })
    .await;
}

#[tokio::test]
async fn a_machine_enrols_by_hand_and_is_approved() {
    let world = World::with_nodes(0).await;
    let operator = world.operator().await;
    let token = mint(&operator, json!({"ttl_s": 600})).await;
    assert!(text(&token["command"]).contains("muster-agent enroll"), "{token:#}");
    let mut machine = Machine::default();
    let output = machine.enroll(&world.ready().quic_addr, text(&token["token"]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let node = eventually("a pending node", async || {
        let list = operator.get("/api/v1/admin/nodes").await.ok();
        let item = list["items"].as_array()?.first()?.clone();
        (item["state"] == "pending_approval").then(|| text(&item["id"]).to_owned())
    })
    .await;
    machine.run();
    let _ = operator.post(&format!("/api/v1/admin/nodes/{node}/approve"), json!({})).await.ok();
    let item = eventually("the node is active", async || {
        let item = operator.get(&format!("/api/v1/admin/nodes/{node}")).await.ok();
        // Its inventory follows its hello.
        (item["state"] == "active" && item["gpu_state"].is_string()).then_some(item)
    })
    .await;
    assert!(["none", "driver_missing"].contains(&text(&item["gpu_state"])), "{item:#}");
    assert_eq!(item["gpus"], json!([]));
    let slots = eventually("CPU slots", async || {
        let list = operator.get(&format!("/api/v1/admin/nodes/{node}/slots")).await.ok();
        list["items"].as_array().filter(|slots| !slots.is_empty()).cloned()
    })
    .await;
    assert_eq!(slots.len(), 4);
    assert!(slots.iter().all(|slot| slot["kind"] == "cpu" && slot["state"] == "discovered"), "{slots:#?}");
}

#[tokio::test]
async fn bad_tokens_are_refused_with_their_reason() {
    let world = World::with_nodes(0).await;
    let operator = world.operator().await;
    let quic = world.ready().quic_addr;

    let spent = text(&mint(&operator, json!({})).await["token"]).to_owned();
    assert!(Machine::default().enroll(&quic, &spent).status.success());
    let machine = Machine::default();
    assert_refused(&machine, &spent, &machine.enroll(&quic, &spent), "spent");

    let revoked = mint(&operator, json!({})).await;
    let _ = operator.delete(&format!("/api/v1/admin/bootstrap-tokens/{}", text(&revoked["id"]))).await;
    let machine = Machine::default();
    assert_refused(&machine, text(&revoked["token"]), &machine.enroll(&quic, text(&revoked["token"])), "revoked");

    let expired = mint(&operator, json!({"ttl_s": 1})).await;
    eventually("the token expires", async || {
        let list = operator.get("/api/v1/admin/bootstrap-tokens").await.ok();
        list["items"]
            .as_array()?
            .iter()
            .find(|item| item["id"] == expired["id"] && item["state"] == "expired")
            .map(drop)
    })
    .await;
    let machine = Machine::default();
    assert_refused(&machine, text(&expired["token"]), &machine.enroll(&quic, text(&expired["token"])), "expired");

    let good = text(&mint(&operator, json!({})).await["token"]).to_owned();
    let parts: Vec<_> = good.split('.').collect();
    let unknown = format!("bt_{}.{}.{}", "0".repeat(26), parts[1], parts[2]);
    let machine = Machine::default();
    assert_refused(&machine, &unknown, &machine.enroll(&quic, &unknown), "unknown");

    let other_ca = format!("{}.{}.{}", parts[0], parts[1], "A".repeat(parts[2].len()));
    let machine = Machine::default();
    assert_refused(&machine, &other_ca, &machine.enroll(&quic, &other_ca), "ca");
    // The secret was never sent: the token still works.
    assert!(Machine::default().enroll(&quic, &good).status.success());

    let machine = Machine::default();
    assert_refused(&machine, "no.hushhush.atall", &machine.enroll(&quic, "no.hushhush.atall"), "token");
}

#[tokio::test]
async fn token_lifetimes_are_bounded() {
    let world = World::with_nodes(0).await;
    let operator = world.operator().await;
    for ttl in [0, 901, -5] {
        operator.post("/api/v1/admin/bootstrap-tokens", json!({"ttl_s": ttl})).await.refused(422, "validation_failed");
    }
}
