//! Machines become nodes, over real QUIC, and every way to be refused.

use crate::agent::{Link, Machine, NOW_MS, closed_as, fingerprint, inventory};
use crate::world::{Answer, World, get, post, send, with_world};
use muster_pki::{Ca, Csr, NodeKey, client};
use muster_protocol::Kind;
use muster_protocol::control::{Desired, Heartbeat, HeartbeatAck, Refused, RenewReply, RenewRequest};
use muster_protocol::enrol::EnrolReply;
use muster_protocol::facts::{Fact, FactBody, Facts, Xid};
use muster_protocol::ids::{CertificateId, NodeId};
use serde_json::{Value, json};
use std::time::Duration;

const NODES: &str = "/api/v1/admin/nodes";
const TOKENS: &str = "/api/v1/admin/bootstrap-tokens";
const GPU: &str = "GPU-1";

/// An operator at the operator door.
pub(crate) struct Operator<'a> {
    world: &'a World,
    pub(crate) bearer: String,
    keys: std::cell::Cell<u32>,
}

impl<'a> Operator<'a> {
    pub(crate) async fn new(world: &'a World) -> Self {
        Self { world, bearer: world.operator_bearer().await, keys: std::cell::Cell::new(0) }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        get(&self.world.operator, path, &[("authorization", &self.bearer)]).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.keys.set(self.keys.get() + 1);
        let key = format!("key {}", self.keys.get());
        let headers = [("authorization", self.bearer.as_str()), ("idempotency-key", key.as_str())];
        post(&self.world.operator, path, &headers, &body.to_string()).await
    }

    pub(crate) async fn mint(&self, body: Value) -> Value {
        self.post(TOKENS, &body).await.ok()
    }

    pub(crate) async fn node(&self, id: &str) -> Value {
        self.get(&format!("{NODES}/{id}")).await.ok()
    }

    /// A machine that has its certificate.
    pub(crate) async fn issued(&self) -> (Machine, EnrolReply) {
        let machine = Machine::new(self.world);
        let token = self.mint(json!({"auto_approve": true})).await;
        let reply = machine.enrol(token["token"].as_str().unwrap()).await;
        assert_eq!(reply.status, "issued", "{reply:?}");
        (machine, reply)
    }
}

/// Looks until it is so.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..200 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

#[test]
fn a_machine_enrols_waits_and_is_live_after_approval() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let token = operator.mint(json!({"labels": {"site": "a"}})).await;
        let text = token["token"].as_str().unwrap();
        assert_eq!(token["command"], format!("muster-agent enroll --coordinator {} --token {text}", world.quic));
        let machine = Machine::new(world);
        let reply = machine.enrol(text).await;
        assert_eq!((reply.status.as_str(), reply.chain_der.len()), ("pending", 0));
        let node = operator.node(&reply.node_id).await;
        assert_eq!((&node["state"], &node["labels"]["site"]), (&json!("pending_approval"), &json!("a")));
        assert_eq!(node["key_fingerprint"], fingerprint(&machine));
        assert_eq!(machine.enrol(text).await.status, "pending", "a lost reply spends nothing");
        assert_eq!(machine.poll(text, &reply.node_id, &machine.key).await.status, "pending");

        let _ = operator.post(&format!("{NODES}/{}/approve", reply.node_id), &json!({})).await.ok();
        let again = operator.post(&format!("{NODES}/{}/approve", reply.node_id), &json!({})).await;
        assert_eq!(again.refusal(), (409, "invalid_state"));
        let issued = machine.poll(text, &reply.node_id, &machine.key).await;
        assert_eq!(issued.status, "issued");
        let mut link = machine.link(&issued, 1).await;
        link.tell(Kind::Inventory, &inventory(GPU, &[("gpu", "", 0, 0)])).await;
        link.sample(GPU, Some(42)).await;
        link.tell(Kind::Heartbeat, &Heartbeat { sequence: 3, clock_ms: NOW_MS }).await;
        let ack: HeartbeatAck = link.next_of(Kind::HeartbeatAck).await.decode().unwrap();
        assert_eq!(ack.sequence, 3);
        let node = eventually("a live number", async || {
            let node = operator.node(&reply.node_id).await;
            (node["gpus"][0]["utilization_percent"] == 42).then_some(node)
        })
        .await;
        assert_eq!(
            (&node["state"], &node["presence"], &node["gpu_state"]),
            (&json!("active"), &json!("online"), &json!("ok"))
        );
        let gpu = &node["gpus"][0];
        assert_eq!((&gpu["temperature_c"], &gpu["memory_total_bytes"]), (&Value::Null, &json!(8u64 << 30)));
        world.pass_ms(6_000);
        let node = operator.node(&reply.node_id).await;
        assert_eq!(node["gpus"][0]["utilization_percent"], Value::Null, "an old value is withdrawn");
        let metrics = operator.get(&format!("{NODES}/{}/metrics", reply.node_id)).await.ok();
        let series = metrics["series"].as_array().unwrap();
        let busy = series.iter().find(|series| series["name"] == "utilization_percent").unwrap();
        let points: Vec<_> = busy["points"].as_array().unwrap().iter().filter(|point| !point.is_null()).collect();
        assert_eq!(points, [&json!(42.0)]);
    });
}

#[test]
fn tokens_are_bounded_and_each_end_of_one_has_its_word() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        for body in [json!({"ttl_s": 0}), json!({"ttl_s": 901}), json!({"max_uses": 0}), json!({"ttl": 5})] {
            assert_eq!(operator.post(TOKENS, &body).await.refusal(), (422, "validation_failed"), "{body}");
        }
        let bearer = [("authorization", operator.bearer.as_str())];
        let unkeyed = post(&world.operator, TOKENS, &bearer, "{}").await;
        assert_eq!(unkeyed.refusal(), (400, "idempotency_key_required"));
        let refusal = async |token: &str| Machine::new(world).enrol(token).await.refusal;

        let spent = operator.mint(json!({})).await;
        let text = spent["token"].as_str().unwrap().to_owned();
        assert_eq!(Machine::new(world).enrol(&text).await.status, "pending");
        assert_eq!(refusal(&text).await, "token_spent");
        let parts: Vec<_> = text.split('.').collect();
        let wrong = format!("{}.{}.{}", parts[0], "A".repeat(43), parts[2]);
        assert_eq!(refusal(&wrong).await, "token_unknown");
        let unknown = format!("bt_{}.{}.{}", "0".repeat(26), parts[1], parts[2]);
        assert_eq!(refusal(&unknown).await, "token_unknown");

        world.pass_ms(1);
        let revoked = operator.mint(json!({})).await;
        let path = format!("{TOKENS}/{}", revoked["id"].as_str().unwrap());
        let unkeyed = send(&world.operator, "DELETE", &path, &bearer, b"").await;
        assert_eq!(unkeyed.refusal(), (400, "idempotency_key_required"));
        let keyed = [bearer[0], ("idempotency-key", "take it back")];
        for _ in 0..2 {
            assert_eq!(send(&world.operator, "DELETE", &path, &keyed, b"").await.status, 204);
        }
        let spent_path = format!("{TOKENS}/{}", spent["id"].as_str().unwrap());
        let other = send(&world.operator, "DELETE", &spent_path, &keyed, b"").await;
        assert_eq!(other.refusal(), (422, "idempotency_key_reused"));
        assert_eq!(refusal(revoked["token"].as_str().unwrap()).await, "token_revoked");
        let foreign = format!("{TOKENS}/bt_{}", "0".repeat(26));
        let keyed = [bearer[0], ("idempotency-key", "nobody's")];
        let foreign = send(&world.operator, "DELETE", &foreign, &keyed, b"").await;
        assert_eq!(foreign.refusal(), (404, "not_found"));

        world.pass_ms(1);
        let expired = operator.mint(json!({"ttl_s": 1})).await;
        world.pass_ms(1_000);
        assert_eq!(refusal(expired["token"].as_str().unwrap()).await, "token_expired");
        let list = operator.get(TOKENS).await.ok();
        let states: Vec<_> =
            list["items"].as_array().unwrap().iter().map(|item| item["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["expired", "revoked", "spent"]);
        assert!(!list.to_string().contains(parts[1]), "a secret is shown once");

        for _ in 0..5 {
            assert_eq!(refusal(&unknown).await, "token_unknown");
        }
        assert_eq!(refusal(&unknown).await, "rate_limited");
        let good = operator.mint(json!({})).await;
        assert_eq!(refusal(good["token"].as_str().unwrap()).await, "rate_limited");
        world.pass_ms(61_000);
        assert_eq!(Machine::new(world).enrol(good["token"].as_str().unwrap()).await.status, "pending");
    });
}

#[test]
fn a_proof_is_for_its_own_key_and_a_rejected_machine_stays_out() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let token = operator.mint(json!({"max_uses": 2})).await;
        let text = token["token"].as_str().unwrap();
        let (machine, thief) = (Machine::new(world), Machine::new(world));
        let node = machine.enrol(text).await.node_id;
        assert_eq!(thief.poll(text, &node, &thief.key).await.refusal, "key_mismatch");
        assert_eq!(machine.poll(text, &node, &thief.key).await.refusal, "key_mismatch");
        let _ = operator.post(&format!("{NODES}/{node}/reject"), &json!({})).await.ok();
        assert_eq!(machine.poll(text, &node, &machine.key).await.refusal, "node_removed");
        assert_eq!(machine.enrol(text).await.refusal, "node_removed");
        assert_eq!(operator.node(&node).await["state"], "removed");
    });
}

#[test]
fn every_bad_link_has_its_own_word_and_hurts_no_other() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (good, issued) = operator.issued().await;
        let mut live = good.link(&issued, 1).await;
        let roots: Vec<_> = issued.roots_der.iter().cloned().map(rustls_pki_types::CertificateDer::from).collect();
        let machine = Machine::new(world);
        let time = || client::TimeSource::new(|| NOW_MS);

        let mut bare = client::enrol_known(&roots, time()).unwrap();
        assert_eq!(probe(&machine, &mut bare, Kind::Heartbeat).await, "protocol_error", "enrolment has its own words");

        let foreign = Ca::create(&world.app.fleet.id, NOW_MS).unwrap();
        let csr = Csr::parse(&machine.key.request().unwrap()).unwrap();
        let (node, id) = (NodeId::new(1, [1; 10]), CertificateId::new(1, [1; 10]));
        for (ca, life_s, word) in [
            (&foreign, 60, "foreign_ca"),
            (&world.app.fleet.ca, 0, "certificate_expired"),
            (&world.app.fleet.ca, 60, "unknown_node"),
        ] {
            let chain = ca.issue_node(&csr, node, id, NOW_MS - 1, life_s).unwrap().chain;
            let chain = chain.into_iter().map(rustls_pki_types::CertificateDer::from).collect();
            let mut config = client::link(&roots, chain, &machine.key, time()).unwrap();
            assert_eq!(probe(&machine, &mut config, Kind::Hello).await, word);
        }
        // A certificate of the right node over another key than the one it is bound to.
        let chain = world.app.fleet.ca.issue_node(&csr, issued.node_id.parse().unwrap(), id, NOW_MS, 60).unwrap().chain;
        let chain = chain.into_iter().map(rustls_pki_types::CertificateDer::from).collect();
        let mut config = client::link(&roots, chain, &machine.key, time()).unwrap();
        assert_eq!(probe(&machine, &mut config, Kind::Hello).await, "unknown_node");

        let connection = good.connect(good.link_config(&issued)).await.unwrap();
        let (mut stream, _recv) = connection.open_bi().await.unwrap();
        stream.write_all(&[0, 1, 0, 0, 0, 0x98, 0x96, 0x80]).await.unwrap();
        assert_eq!(closed_as(&connection).await, "protocol_error", "a 10 MB hello");
        let connection = good.connect(good.link_config(&issued)).await.unwrap();
        let (mut stream, _recv) = connection.open_bi().await.unwrap();
        stream.write_all(&[0, 1, 0, 0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]).await.unwrap();
        assert_eq!(closed_as(&connection).await, "protocol_error", "garbage");

        live.tell(Kind::Heartbeat, &Heartbeat { sequence: 9, clock_ms: NOW_MS }).await;
        live.next_of(Kind::HeartbeatAck).await;
    });
}

/// The word a connection is closed with after a first frame of a kind.
async fn probe(machine: &Machine, config: &mut quinn::ClientConfig, kind: Kind) -> &'static str {
    let connection = machine.connect(config.clone()).await.unwrap();
    if let Ok((send, recv)) = connection.open_bi().await {
        let frames = muster_coordinator::links::wire::FrameReader::new(recv);
        let mut link = Link { connection: connection.clone(), send, frames };
        if kind == Kind::Hello {
            // The connection may be closed before the hello is written.
            let hello = muster_protocol::control::Hello { level_lowest: 1, level_highest: 1, ..Default::default() };
            let _ = link.send.write_chunk(muster_protocol::frame::encode(kind, &hello)).await;
        } else {
            link.tell(kind, &Heartbeat::default()).await;
        }
    }
    closed_as(&connection).await
}

#[test]
fn the_newest_link_wins_and_an_older_copy_waits_for_an_operator() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let mut first = machine.link(&issued, 1).await;
        let second = machine.link(&issued, 2).await;
        assert!(first.is_over().await);
        assert_eq!(closed_as(&first.connection).await, "superseded");
        assert_eq!(operator.node(&issued.node_id).await["health"], "ok");
        let path = format!("{NODES}/{}/reactivate", issued.node_id);
        assert_eq!(operator.post(&path, &json!({})).await.refusal(), (409, "invalid_state"));

        // It gets no document and takes nobody's place: which of the two is the node, an operator says.
        let older = async || {
            let mut link = Link::open(machine.connect(machine.link_config(&issued)).await.unwrap()).await;
            link.hello(1, None).await;
            let answer = link.next().await;
            (answer.kind, answer.decode::<Refused>().unwrap_or_default(), link)
        };
        let (kind, refused, _link) = older().await;
        assert_eq!((kind, refused.code.as_str()), (Kind::Refused, "duplicate_identity"));
        assert!(refused.retry_after_ms > 0);
        let node = operator.node(&issued.node_id).await;
        assert_eq!((&node["health"], &node["presence"]), (&json!("quarantined"), &json!("online")));
        assert!(second.connection.close_reason().is_none(), "the node's own link stands");
        let long = json!({"reason": "x".repeat(501)});
        assert_eq!(operator.post(&path, &long).await.refusal(), (422, "validation_failed"));
        let nobody = format!("{NODES}/nd_{}/reactivate", "0".repeat(26));
        assert_eq!(operator.post(&nobody, &json!({})).await.refusal(), (404, "not_found"));
        let back = operator.post(&path, &json!({"reason": "the copy is switched off"})).await.ok();
        assert_eq!((&back["health"], &back["state"]), (&json!("ok"), &json!("active")));

        // The one that is connected is the node. With nobody connected it is whoever comes next.
        assert_eq!(older().await.1.code, "duplicate_identity");
        second.connection.close(0u32.into(), b"");
        eventually("the node's link is gone", async || {
            (world.app.links.get(issued.node_id.parse().unwrap()).is_none()).then_some(())
        })
        .await;
        assert_eq!(older().await.1.code, "duplicate_identity");
        let _ = operator.post(&path, &json!({"reason": "restored from an image"})).await.ok();
        assert_eq!(older().await.0, Kind::Welcome);
    });
}

#[test]
fn a_reconnect_of_an_unchanged_node_writes_nothing() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let mut link = machine.link(&issued, 1).await;
        let found = inventory(GPU, &[("gpu", "", 0, 0)]);
        link.tell(Kind::Inventory, &found).await;
        let desired: Desired = link.next_of(Kind::Desired).await.decode().unwrap();
        eventually("the inventory is in", async || {
            operator.node(&issued.node_id).await["gpu_state"].as_str().map(drop)
        })
        .await;
        // The events are linked into their chain a moment later: after that nobody has a reason to write.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let commits = world.commits();
        let before = commits();
        for _ in 0..3 {
            let mut link = Link::open(machine.connect(machine.link_config(&issued)).await.unwrap()).await;
            link.hello(1, Some(desired.generation)).await;
            assert_eq!(link.next().await.kind, Kind::Welcome);
            link.tell(Kind::Inventory, &found).await;
            link.sample(GPU, Some(1)).await;
            link.tell(Kind::Heartbeat, &Heartbeat { sequence: 1, clock_ms: NOW_MS }).await;
            assert_eq!(link.next().await.kind, Kind::HeartbeatAck, "the document it holds is not sent again");
        }
        assert_eq!(commits(), before);
    });
}

#[test]
fn a_revoked_node_is_cut_off_at_once_and_for_good() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let link = machine.link(&issued, 1).await;
        let path = format!("{NODES}/{}/revoke", issued.node_id);
        let _ = operator.post(&path, &json!({})).await.ok();
        assert_eq!(operator.node(&issued.node_id).await["health"], "quarantined", "nothing is placed on it meanwhile");
        assert_eq!(closed_as(&link.connection).await, "revoked");
        let connection = machine.connect(machine.link_config(&issued)).await.unwrap();
        assert_eq!(closed_as(&connection).await, "revoked");
        let token = operator.mint(json!({"auto_approve": true})).await;
        let token = token["token"].as_str().unwrap();
        assert_eq!(machine.poll(token, &issued.node_id, &machine.key).await.refusal, "node_removed");
        assert_eq!(machine.enrol(token).await.refusal, "node_removed", "a revoked key never returns");
        let list = operator.get(&format!("{NODES}/{}/certificates", issued.node_id)).await.ok();
        assert_eq!(list["items"][0]["state"], "revoked");
    });
}

#[test]
fn certificates_are_renewed_over_the_link_and_recovered_by_proof() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let mut link = machine.link(&issued, 1).await;
        link.tell(Kind::RenewRequest, &RenewRequest { csr_der: machine.key.request().unwrap() }).await;
        let renewed: RenewReply = link.next_of(Kind::RenewReply).await.decode().unwrap();
        assert_eq!((renewed.refusal.as_str(), renewed.chain_der.len()), ("", 1));
        let other = NodeKey::generate().unwrap();
        link.tell(Kind::RenewRequest, &RenewRequest { csr_der: other.request().unwrap() }).await;
        let refused: RenewReply = link.next_of(Kind::RenewReply).await.decode().unwrap();
        assert_eq!((refused.refusal.as_str(), refused.chain_der.len()), ("key_mismatch", 0));

        let token = operator.mint(json!({"auto_approve": true})).await;
        let text = token["token"].as_str().unwrap();
        for _ in 0..3 {
            assert_eq!(machine.poll(text, &issued.node_id, &machine.key).await.status, "issued");
        }
        assert_eq!(machine.poll(text, &issued.node_id, &machine.key).await.refusal, "recovery_exhausted");
        let again = machine.enrol(text).await;
        assert_eq!((again.status.as_str(), &again.node_id), ("issued", &issued.node_id), "a token fills the budget");
    });
}

#[test]
fn certificates_that_ended_long_ago_are_forgotten() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let path = format!("{NODES}/{}/certificates", issued.node_id);
        let first = operator.get(&path).await.ok()["items"][0]["id"].clone();
        let token = operator.mint(json!({"auto_approve": true})).await;
        let text = token["token"].as_str().unwrap();
        world.pass_ms(80 * 86_400_000);
        assert_eq!(machine.poll(text, &issued.node_id, &machine.key).await.status, "issued");
        let kept = Operator::new(world).await.get(&path).await.ok();
        assert_eq!((kept["items"].as_array().unwrap().len(), &kept["items"][1]["id"]), (2, &first));
        world.pass_ms(12 * 86_400_000);
        assert_eq!(machine.poll(text, &issued.node_id, &machine.key).await.status, "issued");
        let kept = Operator::new(world).await.get(&path).await.ok();
        let ids: Vec<_> = kept["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        assert!(ids.len() == 2 && !ids.contains(&first), "{kept:#}");
    });
}

#[test]
fn facts_are_applied_once_across_streams_and_links() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (machine, issued) = operator.issued().await;
        let fact = |number| Fact {
            number,
            at_ms: NOW_MS,
            body: Some(FactBody::Xid(Xid { gpu_uuid: GPU.to_owned(), xid: 79, source: "nvml".to_owned() })),
        };
        let link = machine.link(&issued, 1).await;
        assert_eq!(link.facts(Facts { items: vec![fact(1), fact(2)] }).await, (0, 2));
        assert_eq!(link.facts(Facts { items: vec![fact(1), fact(2), fact(3)] }).await, (2, 3));
        let link = machine.link(&issued, 2).await;
        assert_eq!(link.facts(Facts { items: vec![fact(2)] }).await, (3, 3));
        let xids = operator.get(&format!("{NODES}/{}/xids", issued.node_id)).await.ok();
        assert_eq!(xids["items"].as_array().unwrap().len(), 3);
        assert_eq!(xids["items"][0]["xid"], 79);
    });
}
