//! Slots from discovery to retirement, and the moves of a node's scheduling.

use crate::agent::{Link, inventory};
use crate::fleet::{Operator, eventually};
use crate::world::{send, with_world};
use muster_coordinator::slots;
use muster_protocol::Kind;
use muster_protocol::ids::{AllocationId, SlotId};
use serde_json::{Value, json};

const NODES: &str = "/api/v1/admin/nodes";
const MIG: [(&str, &str, u32, u32); 2] = [("mig", "3g.40gb", 0, 4), ("mig", "1g.10gb", 4, 1)];

async fn states(operator: &Operator<'_>, node: &str) -> Vec<(String, String)> {
    let list = operator.get(&format!("{NODES}/{node}/slots")).await.ok();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list["items"].as_array().unwrap().iter().map(|slot| (text(&slot["profile"]), text(&slot["state"]))).collect()
}

async fn tell(
    link: &mut Link,
    operator: &Operator<'_>,
    node: &str,
    found: &[(&str, &str, u32, u32)],
    wanted: &[(&str, &str)],
) {
    link.tell(Kind::Inventory, &inventory("GPU-1", found)).await;
    let wanted: Vec<_> = wanted.iter().map(|(profile, state)| ((*profile).to_owned(), (*state).to_owned())).collect();
    eventually(&format!("slots {wanted:?}"), async || (states(operator, node).await == wanted).then_some(())).await;
}

#[test]
fn found_slots_wait_for_approval_and_changed_ones_again() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let node = issued.node_id.as_str();
        let mut link = machine.link(&issued, 1).await;
        tell(&mut link, &operator, node, &MIG, &[("3g.40gb", "discovered"), ("1g.10gb", "discovered")]).await;
        let batch = format!("{NODES}/{node}/slots:batch");
        let done = operator.post(&batch, &json!({"op": "approve", "all": true})).await.ok();
        assert!(done["items"].as_array().unwrap().iter().all(|item| item["ok"] == true && item["state"] == "free"));
        assert_eq!(operator.post(&batch, &json!({"op": "approve"})).await.refusal(), (422, "validation_failed"));
        assert_eq!(operator.post(&batch, &json!({"op": "sell", "all": true})).await.status, 422);

        let wider = [("mig", "3g.40gb", 0, 3), ("mig", "1g.10gb", 4, 1)];
        tell(&mut link, &operator, node, &wider, &[("3g.40gb", "discovered"), ("1g.10gb", "free")]).await;
        tell(&mut link, &operator, node, &MIG[1..], &[("3g.40gb", "retired"), ("1g.10gb", "free")]).await;
        tell(&mut link, &operator, node, &MIG, &[("3g.40gb", "discovered"), ("1g.10gb", "free")]).await;
        let mut blind = inventory("GPU-1", &[]);
        blind.gpu_state = "driver_error".to_owned();
        link.tell(Kind::Inventory, &blind).await;
        eventually("the slots are away", async || {
            let list = operator.get(&format!("{NODES}/{node}/slots")).await.ok();
            list["items"].as_array().unwrap().iter().all(|slot| slot["present"] == false).then_some(())
        })
        .await;
        let kept = [("3g.40gb".to_owned(), "discovered".to_owned()), ("1g.10gb".to_owned(), "free".to_owned())];
        assert_eq!(states(&operator, node).await, kept, "a driver that fails retires nothing");
    });
}

#[test]
fn a_slot_is_never_held_twice_and_a_held_one_is_not_sold() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let node = issued.node_id.as_str();
        let mut link = machine.link(&issued, 1).await;
        tell(&mut link, &operator, node, &MIG, &[("3g.40gb", "discovered"), ("1g.10gb", "discovered")]).await;
        let list = operator.get(&format!("{NODES}/{node}/slots")).await.ok();
        let ids: Vec<SlotId> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|slot| slot["id"].as_str().unwrap().parse().unwrap())
            .collect();
        let (first, second): (AllocationId, AllocationId) =
            (AllocationId::new(1, [1; 10]), AllocationId::new(2, [2; 10]));
        let act = async |what: &'static str, allocation: AllocationId, slots: Vec<SlotId>| {
            let cx = world.app.system("test");
            world
                .app
                .store
                .ingest(move |tx| match what {
                    "reserve" => slots::reserve_in(tx, &cx, &slots, allocation, 1),
                    "lease" => slots::lease_in(tx, &cx, allocation),
                    "scrub" => slots::scrubbing_in(tx, &cx, allocation),
                    "hold" => slots::hold_in(tx, &cx, slots[0], "cleanup_failed", "a process is left").map(drop),
                    _ => slots::free_in(tx, &cx, allocation),
                })
                .await
                .map_err(|problem| problem.code())
        };
        assert_eq!(act("reserve", first, ids.clone()).await, Err("slot_taken"), "nothing unapproved is sold");
        let batch = format!("{NODES}/{node}/slots:batch");
        let _ = operator.post(&batch, &json!({"op": "approve", "all": true})).await.ok();
        assert_eq!(act("reserve", first, ids[..1].to_vec()).await, Ok(()));
        assert_eq!(act("reserve", second, ids.clone()).await, Err("slot_taken"), "all or none");
        assert_eq!(states(&operator, node).await[1].1, "free");
        for what in ["lease", "lease", "scrub", "hold", "free", "free"] {
            assert_eq!(act(what, first, ids[..1].to_vec()).await, Ok(()), "{what}");
        }
        assert_eq!(act("reserve", second, ids[..1].to_vec()).await, Err("slot_taken"), "it is held");
        let path = format!("{NODES}/{node}/slots/{}", ids[0]);
        let cleared = operator.post(&format!("{path}/clear"), &json!({})).await.ok();
        assert_eq!((&cleared["holds"], &cleared["state"]), (&json!([]), &json!("free")));
        assert_eq!(act("reserve", second, ids[..1].to_vec()).await, Ok(()));
        assert_eq!(operator.post(&format!("{path}/reject"), &json!({})).await.refusal(), (409, "slot_leased"));
        let foreign = format!("{NODES}/{node}/slots/sl_{}/approve", "0".repeat(26));
        assert_eq!(operator.post(&foreign, &json!({})).await.refusal(), (404, "not_found"));
    });
}

#[test]
fn scheduling_moves_and_edits_are_checked() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let path = format!("{NODES}/{}", issued.node_id);
        let _link = machine.link(&issued, 1).await;
        let state = async || operator.get(&path).await.ok()["state"].as_str().unwrap_or_default().to_owned();
        for (verb, wanted) in [("cordon", "cordoned"), ("cordon", "cordoned"), ("uncordon", "active")] {
            let _ = operator.post(&format!("{path}/{verb}"), &json!({})).await.ok();
            assert_eq!(state().await, wanted);
        }
        let _ = operator.post(&format!("{path}/drain"), &json!({})).await.ok();
        eventually("an empty node is in maintenance", async || (state().await == "maintenance").then_some(())).await;
        assert_eq!(operator.post(&format!("{path}/cordon"), &json!({})).await.refusal(), (409, "invalid_state"));
        let _ = operator.post(&format!("{path}/uncordon"), &json!({})).await.ok();

        let bearer = world.operator_bearer().await;
        let patch = async |version: &str, body: Value| {
            let headers =
                [("authorization", bearer.as_str()), ("content-type", "application/json"), ("if-match", version)];
            send(&world.operator, "PATCH", &path, &headers, body.to_string().as_bytes()).await
        };
        let version = operator.get(&path).await.headers["etag"].clone();
        let edited = patch(&version, json!({"labels": {"rack": "r1"}})).await;
        assert_eq!(edited.json["labels"]["rack"], "r1", "{}", edited.text);
        assert_eq!(patch(&version, json!({"labels": {}})).await.refusal(), (412, "stale_version"));
        let version = edited.headers["etag"].clone();
        assert_eq!(patch(&version, json!({"labels": {"a b": "x"}})).await.refusal(), (422, "validation_failed"));
        assert_eq!(patch(&version, json!({"state": "active"})).await.refusal(), (422, "validation_failed"));
    });
}

#[test]
fn a_node_in_use_is_not_removed_and_a_removed_one_is_out() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let node = issued.node_id.as_str();
        let mut link = machine.link(&issued, 1).await;
        tell(&mut link, &operator, node, &MIG[..1], &[("3g.40gb", "discovered")]).await;
        let batch = format!("{NODES}/{node}/slots:batch");
        let done = operator.post(&batch, &json!({"op": "approve", "all": true})).await.ok();
        let slot: SlotId = done["items"][0]["id"].as_str().unwrap().parse().unwrap();
        let allocation = AllocationId::new(1, [1; 10]);
        let cx = world.app.system("test");
        let reserve = world.app.store.ingest(move |tx| slots::reserve_in(tx, &cx, &[slot], allocation, 1));
        assert!(reserve.await.is_ok());

        let path = format!("{NODES}/{node}/remove");
        assert_eq!(operator.post(&path, &json!({})).await.refusal(), (403, "step_up_required"));
        let password = json!({"password": crate::world::OPERATOR});
        assert!(operator.post("/api/v1/auth/step-up", &password).await.status < 300);
        assert_eq!(operator.post(&path, &json!({})).await.refusal(), (409, "node_in_use"));
        let cx = world.app.system("test");
        assert!(world.app.store.ingest(move |tx| slots::free_in(tx, &cx, allocation)).await.is_ok());
        assert_eq!(operator.post(&path, &json!({})).await.ok()["state"], "removed");
        assert_eq!(crate::agent::closed_as(&link.connection).await, "revoked");
        assert_eq!(states(&operator, node).await, [("3g.40gb".to_owned(), "retired".to_owned())]);
    });
}
