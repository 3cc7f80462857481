//! What operators look at and do beside the fleet itself: the queue, the numbers, activity, other people, files
//! of events.

use crate::agent::{Machine, inventory};
use crate::fleet::{Operator, eventually};
use crate::world::{OPERATOR, get, post, send, with_world};
use muster_protocol::Kind;
use serde_json::{Value, json};

const NODES: &str = "/api/v1/admin/nodes";
const LOGIN: &str = "/api/v1/auth/personal/login";

async fn causes(operator: &Operator<'_>, family: &str) -> Vec<String> {
    let queue = operator.get(&format!("/api/v1/admin/attention?family={family}")).await.ok();
    let items = queue["items"].as_array().unwrap();
    assert_eq!(queue["total"], items.len());
    items.iter().map(|item| item["cause"].as_str().unwrap().to_owned()).collect()
}

fn reason<'a>(node: &'a Value, name: &str) -> &'a Value {
    let acts = node["operations"].as_array().unwrap();
    let act = acts.iter().find(|act| act["name"] == name).unwrap();
    assert_eq!(act["enabled"], act["reason"].is_null(), "{act}");
    &act["reason"]
}

#[test]
fn the_queue_names_what_waits_and_forgets_it_when_its_cause_is_gone() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        assert!(causes(&operator, "lifecycle").await.is_empty());
        let token = operator.mint(json!({})).await;
        let machine = Machine::new(world);
        let pending = machine.enrol(token["token"].as_str().unwrap()).await;
        assert_eq!(causes(&operator, "lifecycle").await, ["needs_approval"]);
        assert!(causes(&operator, "allocations").await.is_empty());
        let node = operator.node(&pending.node_id).await;
        assert!(reason(&node, "approve").is_null());
        assert_eq!(reason(&node, "probe"), "It is not in service.");
        let _ = operator.post(&format!("{NODES}/{}/approve", pending.node_id), &json!({})).await.ok();
        assert!(causes(&operator, "lifecycle").await.is_empty());

        let (machine, issued) = operator.issued().await;
        let path = format!("{NODES}/{}", issued.node_id);
        let mut link = machine.link(&issued, 1).await;
        link.tell(Kind::Inventory, &inventory("GPU-1", &[("gpu", "", 0, 0)])).await;
        eventually("slots to decide on", async || {
            (causes(&operator, "lifecycle").await == ["slots_waiting"]).then_some(())
        })
        .await;
        let slots = operator.get(&format!("{path}/slots")).await.ok();
        let slot = format!("{path}/slots/{}", slots["items"][0]["id"].as_str().unwrap());
        let _ = operator.post(&format!("{slot}/approve"), &json!({})).await.ok();
        // Acts of one millisecond have no order among them.
        world.pass_ms(1);
        let why = "the fan rattles";
        let held = operator.post(&format!("{slot}/quarantine"), &json!({ "reason": why })).await.ok();
        assert_eq!(held["holds"][0]["reason"], why);
        assert_eq!(causes(&operator, "lifecycle").await, ["slots_held"]);
        let long = json!({ "reason": "x".repeat(501) });
        assert_eq!(operator.post(&format!("{slot}/clear"), &long).await.refusal(), (422, "validation_failed"));
        world.pass_ms(1);
        let _ = operator.post(&format!("{slot}/clear"), &json!({ "reason": "a new fan" })).await.ok();
        assert!(causes(&operator, "lifecycle").await.is_empty());
        let events = operator.get("/api/v1/admin/audit-logs?action=slots.").await.ok();
        let reasons: Vec<_> = events["items"].as_array().unwrap().iter().map(|event| &event["reason"]).collect();
        // Events of one millisecond have no order.
        assert!(reasons.contains(&&json!("a new fan")) && reasons.contains(&&json!(why)), "{reasons:?}");

        let _ = operator.post(&format!("{path}/revoke"), &json!({})).await.ok();
        assert!(causes(&operator, "lifecycle").await.contains(&"quarantined".to_owned()));
        let node = operator.node(&issued.node_id).await;
        assert_eq!(reason(&node, "revoke"), "It is revoked.");
        let numbers = operator.get("/api/v1/admin/overview").await.ok();
        assert_eq!((&numbers["gpus"], &numbers["gpu_busy_percent"]), (&json!(1), &Value::Null));
        assert_eq!(numbers["slots"]["free"], 1);
    });
}

#[test]
fn what_one_operator_has_seen_the_others_see_and_nothing_is_hidden_by_it() {
    with_world(async |world| {
        const QUEUE: &str = "/api/v1/admin/attention";
        let operator = Operator::new(world).await;
        for _ in 0..2 {
            let token = operator.mint(json!({})).await;
            let _ = Machine::new(world).enrol(token["token"].as_str().unwrap()).await;
        }
        let queue = operator.get(QUEUE).await.ok();
        assert_eq!(
            (&queue["total"], &queue["unseen"], &queue["items"][0]["seen"]),
            (&json!(2), &json!(2), &Value::Null)
        );
        let id = queue["items"][0]["id"].as_str().unwrap().to_owned();
        let ack = format!("{QUEUE}/{id}/ack");
        let missing = format!("{QUEUE}/needs_approval:nd_{}/ack", "0".repeat(26));
        assert_eq!(operator.post(&missing, &json!({})).await.refusal(), (404, "not_found"));
        let long = json!({ "note": "x".repeat(501) });
        assert_eq!(operator.post(&ack, &long).await.refusal(), (422, "validation_failed"));
        assert_eq!(operator.post(&ack, &json!({ "nite": "x" })).await.refusal().0, 422);
        let seen = operator.post(&ack, &json!({ "note": " on my way " })).await.ok();
        assert_eq!((&seen["seen"]["by"], &seen["seen"]["note"]), (&json!("root"), &json!("on my way")));
        let queue = operator.get(QUEUE).await.ok();
        assert_eq!((&queue["total"], &queue["unseen"]), (&json!(2), &json!(1)));
        assert_eq!(
            (&queue["items"][1]["id"], &queue["items"][1]["seen"]),
            (&json!(id), &seen["seen"]),
            "it comes last"
        );
        let trail = operator.get("/api/v1/admin/audit-logs?action=attention.ack").await.ok();
        assert_eq!((&trail["items"][0]["target"], &trail["items"][0]["reason"]), (&json!(id), &json!("on my way")));
        for _ in 0..2 {
            let headers = [("authorization", operator.bearer.as_str())];
            assert_eq!(send(&world.operator, "DELETE", &ack, &headers, b"").await.status, 204);
            assert_eq!(operator.get(QUEUE).await.ok()["unseen"], 2);
        }
        let trail = operator.get("/api/v1/admin/audit-logs?action=attention.unack").await.ok();
        assert_eq!(trail["items"].as_array().unwrap().len(), 1, "the second time changed nothing");
    });
}

#[test]
fn nodes_are_found_by_name_and_state_page_by_page() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let mut names = Vec::new();
        for _ in 0..3 {
            let (_, issued) = operator.issued().await;
            names.push(operator.node(&issued.node_id).await["name"].as_str().unwrap().to_owned());
        }
        let all = operator.get(&format!("{NODES}?state=enrolling&limit=2")).await.ok();
        assert_eq!((all["total"].as_i64(), all["items"].as_array().unwrap().len()), (Some(3), 2));
        let cursor = all["next_cursor"].as_str().unwrap();
        let rest = operator.get(&format!("{NODES}?state=enrolling&limit=2&cursor={cursor}")).await.ok();
        assert_eq!((rest["items"][0]["name"].as_str(), &rest["next_cursor"]), (Some(names[2].as_str()), &Value::Null));
        let none = operator.get(&format!("{NODES}?state=active")).await.ok();
        assert_eq!((none["total"].as_i64(), none["items"].as_array().unwrap().len()), (Some(0), 0));
        let found = operator.get(&format!("{NODES}?q={}", names[1].to_uppercase())).await.ok();
        assert!(found["items"].as_array().unwrap().iter().any(|node| node["name"] == names[1].as_str()));
    });
}

#[test]
fn a_probe_is_seen_as_event_task_and_operation_under_one_reference() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let path = format!("{NODES}/{}", issued.node_id);
        let _link = machine.link(&issued, 1).await;
        let probe = operator.post(&format!("{path}/probe"), &json!({})).await.ok();
        let node = operator.node(&issued.node_id).await;
        assert_eq!(node["running"][0]["operation_id"], probe["operation_id"]);
        assert_eq!(reason(&node, "probe"), "A probe of it is running.");
        let list = operator.get(&format!("{path}/activity?limit=200")).await.ok();
        let items = list["items"].as_array().unwrap();
        let of = |kind: &str, title: &str| {
            let found = items.iter().find(|item| item["kind"] == kind && item["title"] == title);
            found.unwrap_or_else(|| panic!("{kind} {title}: {list:#}"))["links"]["correlation_id"].clone()
        };
        let one = of("operation", "nodes.probe");
        assert_eq!((of("event", "nodes.probe"), of("task", "probe")), (one.clone(), one));
        let (mut cursor, mut seen) = (String::new(), 0);
        loop {
            let page = operator.get(&format!("{path}/activity?limit=2{cursor}")).await.ok();
            seen += page["items"].as_array().unwrap().len();
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, items.len(), "walking pages meets everything once");
        let nobody = format!("{NODES}/nd_{}/activity", "0".repeat(26));
        assert_eq!(operator.get(&nobody).await.refusal(), (404, "not_found"));
    });
}

#[test]
fn administrators_change_people_but_never_the_last_of_themselves() {
    with_world(async |world| {
        let root = world.operator_bearer().await;
        let operator = Operator::new(world).await;
        let ada = world.bearer_of("ada").await;
        let users = operator.get("/api/v1/admin/users?q=AD").await.ok();
        assert_eq!(users["items"].as_array().unwrap().len(), 1, "{users:#}");
        let id = users["items"][0]["id"].as_str().unwrap();
        let one = format!("/api/v1/admin/users/{id}");
        let me = async || get(&world.console, "/api/v1/me", &[("authorization", &ada)]).await.status;
        let sessions = operator.get(&format!("{one}/sessions")).await.ok();
        assert_eq!(sessions["items"].as_array().unwrap().len(), 1);
        assert_eq!(operator.post(&format!("{one}/end-sessions"), &json!({})).await.ok()["ended"], 1);
        assert_eq!(me().await, 401);

        let disabled = operator.post(&format!("{one}/disable"), &json!({})).await.ok();
        assert_eq!(disabled["state"], "disabled");
        let login = r#"{"username":"ada","password":"ada has a password"}"#;
        assert_eq!(post(&world.console, LOGIN, &[], login).await.status, 401);
        assert_eq!(operator.post(&format!("{one}/enable"), &json!({})).await.ok()["state"], "active");
        let _ = post(&world.console, LOGIN, &[], login).await.ok();

        let patch = async |path: &str, body: Value| {
            let headers = [("authorization", root.as_str()), ("content-type", "application/json")];
            send(&world.operator, "PATCH", path, &headers, body.to_string().as_bytes()).await
        };
        let changed = patch(&one, json!({"roles": ["viewer", "op_read"]})).await.ok();
        assert_eq!(changed["roles"], json!(["op_read", "viewer"]));
        let bad = patch(&one, json!({"roles": ["emperor"]})).await;
        assert_eq!(bad.refusal(), (422, "validation_failed"));
        assert_eq!(patch(&one, json!({"roles": []})).await.refusal(), (422, "validation_failed"));
        let own = operator.get("/api/v1/admin/users?q=root").await.ok();
        let own = format!("/api/v1/admin/users/{}", own["items"][0]["id"].as_str().unwrap());
        assert_eq!(patch(&own, json!({"roles": ["op_read"]})).await.refusal(), (409, "last_admin"));
        assert_eq!(operator.post(&format!("{own}/disable"), &json!({})).await.refusal(), (409, "last_admin"));
        let again = format!(r#"{{"username":"root","password":"{OPERATOR}"}}"#);
        let _ = post(&world.operator, LOGIN, &[], &again).await.ok();
    });
}

#[test]
fn events_leave_as_files_and_that_is_an_event_itself() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        for n in 0..250 {
            let _ = operator.mint(json!({"labels": {"n": n.to_string()}})).await;
        }
        let export = "/api/v1/admin/audit-logs/export";
        // The body comes in chunks, a page each, with their sizes between them.
        let lines = operator.get(&format!("{export}?format=jsonl&action=tokens.create")).await;
        assert_eq!(lines.status, 200);
        let events: Vec<Value> =
            lines.text.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect();
        assert_eq!(events.len(), 250);
        assert!(events.iter().all(|event| event["action"] == "tokens.create"));
        // Events of one millisecond have no order among them.
        world.pass_ms(1);
        let table = operator.get(&format!("{export}?format=csv&action=tokens.create")).await;
        assert_eq!(table.headers["content-type"], "text/csv; charset=utf-8");
        assert!(table.text.contains("id,at,actor_kind,"));
        assert_eq!(table.text.lines().filter(|line| line.starts_with("ev_")).count(), 250);
        let log = operator.get("/api/v1/admin/audit-logs?action=audit.export").await.ok();
        let targets: Vec<_> = log["items"].as_array().unwrap().iter().map(|event| &event["target"]).collect();
        assert_eq!(targets, [&json!("csv"), &json!("jsonl")]);
        assert_eq!(log["items"][0]["after"]["action"], "tokens.create");
        assert_eq!(operator.get(&format!("{export}?format=pdf")).await.status, 422);
    });
}
