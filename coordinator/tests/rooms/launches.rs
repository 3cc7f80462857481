//! What a precheck says is what a launch meets, whatever the state of the world.

use crate::agent::inventory;
use crate::fleet::{Operator, eventually};
use crate::stream::text;
use crate::world::{Answer, post, send, with_world};
use muster_protocol::Kind;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// What may happen to the world, and what may be asked of it.
#[derive(Debug, Clone)]
enum Move {
    Cordon(bool),
    Hold(bool),
    Key(bool),
    Retire,
    Launch { sku: &'static str, count: u32, keys: bool, command: bool, image: &'static str },
}

fn moves() -> impl Strategy<Value = Move> {
    let launch =
        (prop::sample::select(vec!["mig", "fading", "gone", "huge"]), 0u32..4, any::<bool>(), any::<bool>(), 0..3usize)
            .prop_map(|(sku, count, keys, command, image)| Move::Launch {
                sku,
                count,
                keys,
                command,
                image: ["host", "", "ubuntu-24"][image],
            });
    prop_oneof![
        1 => any::<bool>().prop_map(Move::Cordon),
        1 => any::<bool>().prop_map(Move::Hold),
        1 => any::<bool>().prop_map(Move::Key),
        1 => Just(Move::Retire),
        8 => launch,
    ]
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ada";
const SLOTS: [(&str, &str, u32, u32); 3] =
    [("mig", "1g.10gb", 0, 1), ("mig", "1g.10gb", 1, 1), ("mig", "1g.10gb", 2, 1)];

/// Code and counts of a refusal or a blocker.
fn reason(value: &Value) -> (String, Value) {
    (text(&value["code"]).to_owned(), value["errors"].clone())
}

/// Status and reason without what names this one request.
fn refusal(answer: &Answer) -> (u16, (String, Value)) {
    (answer.status, reason(&answer.json))
}

#[test]
fn a_launch_is_refused_for_what_its_precheck_names_and_for_nothing_else() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let node = format!("/api/v1/admin/nodes/{}", issued.node_id);
        let mut link = machine.link(&issued, 1).await;
        link.tell(Kind::Inventory, &inventory("GPU-1", &SLOTS)).await;
        let slots = eventually("the slots are free", async || {
            let batch = operator.post(&format!("{node}/slots:batch"), &json!({"op": "approve", "all": true})).await;
            let items = batch.json["items"].as_array()?.clone();
            (items.len() == SLOTS.len() && items.iter().all(|item| item["state"] == "free")).then_some(items)
        })
        .await;
        let slot = text(&slots[2]["id"]).to_owned();
        let mut skus = std::collections::HashMap::new();
        for (name, profile) in [("mig", "1g.10gb"), ("fading", "1g.10gb"), ("huge", "7g.80gb")] {
            let new = json!({"name": name, "kind": "mig", "profile": profile});
            let sku = operator.post("/api/v1/admin/skus", &new).await.ok();
            let path = format!("/api/v1/admin/skus/{}", text(&sku["id"]));
            let _ = operator.post(&format!("{path}/activate"), &json!({})).await.ok();
            skus.insert(name, path);
        }
        let ada = world.bearer_of("ada").await;
        let auth = ("authorization", ada.as_str());
        let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
        let sequences = prop::collection::vec(moves(), 60..61);
        let sequence = sequences.new_tree(&mut runner).unwrap().current();
        let (mut key, mut met) = (None::<String>, std::collections::BTreeSet::new());
        for (n, act) in sequence.into_iter().enumerate() {
            match act {
                // What is so already refuses to become so again.
                Move::Cordon(yes) => {
                    let word = if yes { "cordon" } else { "uncordon" };
                    let _ = operator.post(&format!("{node}/{word}"), &json!({})).await;
                }
                Move::Hold(yes) => {
                    let op = if yes { "quarantine" } else { "clear" };
                    let body = json!({"op": op, "slot_ids": [slot]});
                    let _ = operator.post(&format!("{node}/slots:batch"), &body).await;
                }
                Move::Key(true) if key.is_none() => {
                    let body = json!({"name": "one", "public_key": KEY}).to_string();
                    let made = post(&world.console, "/api/v1/ssh-keys", &[auth], &body).await.ok();
                    key = Some(text(&made["id"]).to_owned());
                }
                Move::Key(false) => {
                    if let Some(id) = key.take() {
                        let path = format!("/api/v1/ssh-keys/{id}");
                        assert_eq!(send(&world.console, "DELETE", &path, &[auth], b"").await.status, 204);
                    }
                }
                Move::Key(true) => {}
                Move::Retire => {
                    let _ = operator.post(&format!("{}/retire", skus["fading"]), &json!({})).await;
                }
                Move::Launch { sku, count, keys, command, image } => {
                    let mut body = json!({"sku": sku, "count": count});
                    if !keys {
                        body["ssh_key_ids"] = json!([]);
                    }
                    if command {
                        body["command"] = json!(["true"]);
                    }
                    if !image.is_empty() {
                        body["image"] = json!(image);
                    }
                    let body = body.to_string();
                    let precheck = post(&world.console, "/api/v1/launch/compute/precheck", &[auth], &body).await;
                    let submit_key = format!("launch {n}");
                    let headers = [auth, ("idempotency-key", submit_key.as_str())];
                    let submit = post(&world.console, "/api/v1/allocations", &headers, &body).await;
                    met.insert(submit.json["code"].as_str().unwrap_or("launched").to_owned());
                    if precheck.status != 200 {
                        assert_eq!(refusal(&precheck), refusal(&submit), "{body}");
                        continue;
                    }
                    let blockers = precheck.json["blockers"].as_array().unwrap();
                    assert_eq!(precheck.json["launchable"], blockers.is_empty());
                    match blockers.first() {
                        None => assert_eq!(submit.status, 202, "{body}: {}", submit.text),
                        Some(first) => assert_eq!(refusal(&submit), (409, reason(first)), "{body}"),
                    }
                }
            }
        }
        assert!(met.len() >= 3, "the walk met too little: {met:?}");
    });
}
