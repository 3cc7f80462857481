//! Node tasks that do not come back: what becomes of them, and the ways out for operators.

use crate::agent::Link;
use crate::fleet::{Operator, eventually};
use crate::world::{World, with_world};
use muster_coordinator::links::wire::FrameReader;
use muster_protocol::Kind;
use muster_protocol::frame::encode;
use muster_protocol::task::{TaskAccepted, TaskOffer, TaskResult, TaskResultAck};
use quinn::SendStream;
use serde_json::{Value, json};
use std::time::Duration;

const NODES: &str = "/api/v1/admin/nodes";

/// Longer than a probe may run and its result may take.
const TOO_LONG_MS: i64 = 60_000;

/// An offered task at the agent.
struct Offered {
    offer: TaskOffer,
    send: SendStream,
    frames: FrameReader,
}

impl Offered {
    async fn to(link: &Link) -> Self {
        let patience = Duration::from_secs(10);
        let opened = tokio::time::timeout(patience, link.connection.accept_bi()).await.expect("a task is offered");
        let (send, recv) = opened.unwrap();
        let mut frames = FrameReader::new(recv);
        let offer = frames.expect_within(patience).await.unwrap().decode().unwrap();
        Self { offer, send, frames }
    }

    async fn accept(&mut self) {
        let accepted = TaskAccepted { id: self.offer.id.clone() };
        self.send.write_chunk(encode(Kind::TaskAccepted, &accepted)).await.unwrap();
    }

    /// Ends it and waits until the result may be forgotten.
    async fn end(mut self, code: &str) {
        let result = TaskResult { id: self.offer.id.clone(), code: code.to_owned(), ..TaskResult::default() };
        self.send.write_chunk(encode(Kind::TaskResult, &result)).await.unwrap();
        let ack: TaskResultAck = self.frames.expect_within(Duration::from_secs(10)).await.unwrap().decode().unwrap();
        assert_eq!(ack.id, self.offer.id);
    }
}

async fn task(operator: &Operator<'_>, node: &str, id: &str) -> Value {
    let list = operator.get(&format!("{NODES}/{node}/tasks")).await.ok();
    list["items"].as_array().unwrap().iter().find(|task| task["id"] == id).expect("the task").clone()
}

async fn in_state(operator: &Operator<'_>, node: &str, id: &str, state: &str) -> Value {
    eventually(&format!("{id} is {state}"), async || {
        Some(task(operator, node, id).await).filter(|task| task["state"] == state)
    })
    .await
}

async fn probe(operator: &Operator<'_>, node: &str) -> String {
    let accepted = operator.post(&format!("{NODES}/{node}/probe"), &json!({})).await.ok();
    accepted["operation_id"].as_str().unwrap().to_owned()
}

async fn operation(operator: &Operator<'_>, id: &str) -> Value {
    operator.get(&format!("/api/v1/operations/{id}")).await.ok()
}

/// A probe that the node took and has not come back with: unknown, and the link is gone.
async fn unknown(world: &World, operator: &Operator<'_>, link: Link, node: &str) -> (String, String) {
    let probe = probe(operator, node).await;
    let mut offered = Offered::to(&link).await;
    offered.accept().await;
    let id = offered.offer.id.clone();
    in_state(operator, node, &id, "running").await;
    link.connection.close(0u32.into(), b"");
    world.pass_ms(TOO_LONG_MS);
    in_state(operator, node, &id, "unknown").await;
    (probe, id)
}

#[test]
fn a_task_that_is_unknown_gets_its_real_result_when_the_node_comes_back() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let node = issued.node_id.clone();
        let link = machine.link(&issued, 1).await;
        let (probe, id) = unknown(world, &operator, link, &node).await;
        let backlog = operator.node(&node).await["backlog"].clone();
        assert_eq!((&backlog["count"], &backlog["unknown"]), (&json!(1), &json!(1)), "{backlog}");
        assert!(backlog["oldest_s"].as_i64().unwrap() >= 60, "{backlog}");
        let stuck = operation(&operator, &probe).await;
        assert_eq!(stuck["state"], "running", "it waits, and says for what: {stuck:#}");
        assert!(stuck["steps"][0].to_string().contains("not come back"), "{stuck:#}");

        let link = machine.link(&issued, 2).await;
        let mut offered = Offered::to(&link).await;
        assert_eq!(offered.offer.id, id, "the same task is asked for, and no second one");
        offered.accept().await;
        offered.end("ok").await;
        in_state(&operator, &node, &id, "succeeded").await;
        assert_eq!(operation(&operator, &probe).await["state"], "succeeded");
        assert_eq!(operator.node(&node).await["backlog"]["count"], 0);
    });
}

#[test]
fn an_operator_queues_it_again_or_ends_it_and_both_are_in_the_audit_trail() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let node = issued.node_id.clone();
        let act =
            async |id: &str, verb: &str| operator.post(&format!("{NODES}/{node}/tasks/{id}/{verb}"), &json!({})).await;
        let link = machine.link(&issued, 1).await;
        let (probe_id, id) = unknown(world, &operator, link, &node).await;
        assert_eq!(act("nt_00000000000000000000000000", "cancel").await.refusal(), (404, "not_found"));
        assert_eq!(act(&id, "requeue").await.ok()["state"], "queued");
        let link = machine.link(&issued, 2).await;
        let mut offered = Offered::to(&link).await;
        assert_eq!(offered.offer.id, id);
        assert!(offered.offer.not_after_ms > world.app.clock.now_ms(), "its time to start began anew");
        offered.accept().await;
        in_state(&operator, &node, &id, "running").await;
        assert_eq!(act(&id, "requeue").await.refusal(), (409, "not_requeueable"));

        // The node is here: it is told to end it, and says how that went.
        assert_eq!(act(&id, "cancel").await.ok()["state"], "running");
        let reset = offered.frames.expect_within(Duration::from_secs(10)).await;
        assert!(reset.is_err(), "the stream is reset: {reset:?}");
        let result = TaskResult { id: id.clone(), code: "cancelled".to_owned(), ..TaskResult::default() };
        offered.send.write_chunk(encode(Kind::TaskResult, &result)).await.unwrap();
        in_state(&operator, &node, &id, "cancelled").await;
        assert_eq!(operation(&operator, &probe_id).await["state"], "cancelled");
        assert_eq!(act(&id, "cancel").await.refusal(), (409, "not_cancellable"));
        assert_eq!(act(&id, "requeue").await.refusal(), (409, "not_requeueable"));

        // The node is away: it ends at once, and nobody pretends to know what became of it.
        let (probe_id, id) = unknown(world, &operator, link, &node).await;
        eventually("the link is gone", async || world.app.links.get(node.parse().unwrap()).is_none().then_some(()))
            .await;
        let ended = act(&id, "cancel").await.ok();
        assert_eq!(ended["state"], "cancelled", "{ended}");
        assert!(ended["result_detail"].as_str().unwrap().contains("not known"), "{ended}");
        assert_eq!(operation(&operator, &probe_id).await["state"], "cancelled");
        for action in ["nodes.tasks.requeue", "nodes.tasks.cancel"] {
            let log = operator.get(&format!("/api/v1/admin/audit-logs?action={action}")).await.ok();
            assert!(!log["items"].as_array().unwrap().is_empty(), "{action}");
        }
    });
}

#[test]
fn what_was_not_taken_in_time_is_never_begun() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let node = issued.node_id.clone();
        machine.link(&issued, 1).await.connection.close(0u32.into(), b"");
        eventually("the link is gone", async || world.app.links.get(node.parse().unwrap()).is_none().then_some(()))
            .await;
        let probe = probe(&operator, &node).await;
        let list = operator.get(&format!("{NODES}/{node}/tasks")).await.ok();
        let id = list["items"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(list["items"][0]["state"], "queued");
        world.pass_ms(TOO_LONG_MS);
        let link = machine.link(&issued, 2).await;
        let ended = in_state(&operator, &node, &id, "failed").await;
        assert_eq!((&ended["result_code"], &ended["started_at"]), (&json!("expired"), &Value::Null), "{ended}");
        assert_eq!(operation(&operator, &probe).await["state"], "failed");
        let offered = tokio::time::timeout(Duration::from_millis(500), link.connection.accept_bi()).await;
        assert!(offered.is_err(), "it is offered to nobody");
    });
}
