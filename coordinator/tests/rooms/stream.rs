//! The live stream of a tab: whose changes it tells, how it goes on, and how it ends.

use crate::agent::{NOW_MS, inventory};
use crate::fleet::{Operator, eventually};
use crate::world::{World, get, post, with_world};
use muster_coordinator::base::feed::Change;
use muster_coordinator::base::limits;
use muster_protocol::Kind;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const STREAM: &str = "/api/v1/events/stream";
/// How long an event may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An event as it came.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

/// An open stream.
pub(crate) struct Stream {
    socket: TcpStream,
    text: String,
}

impl Stream {
    pub(crate) async fn open(host: &str, bearer: &str, topics: &str, last: Option<&str>) -> Self {
        Self::at(host, bearer, &format!("{STREAM}?topics={topics}"), last).await
    }

    pub(crate) async fn at(host: &str, bearer: &str, path: &str, last: Option<&str>) -> Self {
        let mut socket = TcpStream::connect(host).await.unwrap();
        let last = last.map_or(String::new(), |id| format!("last-event-id: {id}\r\n"));
        // HTTP/1.0 has no chunks: what comes is the events.
        let head = format!("GET {path} HTTP/1.0\r\nhost: {host}\r\nauthorization: {bearer}\r\n{last}\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut stream = Self { socket, text: String::new() };
        let head = stream.part().await.expect("an answer");
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        assert!(head.to_lowercase().contains("content-type: text/event-stream"), "{head}");
        stream
    }

    /// What stands before the next empty line; none at the end.
    async fn part(&mut self) -> Option<String> {
        loop {
            let ended = ["\r\n\r\n", "\n\n"].iter().filter_map(|end| Some((self.text.find(end)?, end.len()))).min();
            if let Some((at, length)) = ended {
                let part = self.text[..at].to_owned();
                self.text.drain(..at + length);
                return Some(part);
            }
            let mut bytes = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.socket.read(&mut bytes)).await;
            let count = read.expect("something comes in time").unwrap_or(0);
            if count == 0 {
                return None;
            }
            self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    /// The next event that is no comment; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let part = self.part().await?;
            let mut event = Event::default();
            for line in part.lines() {
                match line.split_once(':').map(|(field, value)| (field, value.trim_start())) {
                    Some(("event", value)) => event.name = value.to_owned(),
                    Some(("id", value)) => event.id = value.to_owned(),
                    Some(("data", value)) => event.data = serde_json::from_str(value).unwrap(),
                    _ => {}
                }
            }
            if !event.name.is_empty() {
                return Some(event);
            }
        }
    }

    async fn named(&mut self, name: &str) -> Event {
        let event = self.next().await.unwrap_or_else(|| panic!("the stream ended before {name}"));
        assert_eq!(event.name, name, "{event:?}");
        event
    }
}

async fn cordon(operator: &Operator<'_>, node: &str, verb: &str) {
    let _ = operator.post(&format!("/api/v1/admin/nodes/{node}/{verb}"), &json!({})).await.ok();
}

/// A node in service, without a link.
async fn node(operator: &Operator<'_>) -> String {
    operator.issued().await.1.node_id
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn a_stream_goes_on_where_it_left_off_without_gap_or_repeat() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let bearer = world.operator_bearer().await;
        let id = node(&operator).await;
        let mut stream = Stream::open(&world.operator, &bearer, "nodes,tokens", None).await;
        let ready = stream.named("ready").await;
        cordon(&operator, &id, "cordon").await;
        let first = stream.named("change").await;
        assert_eq!(
            (text(&first.data["topic"]), text(&first.data["id"]), text(&first.data["kind"])),
            ("nodes", id.as_str(), "nodes.cordon")
        );
        assert_eq!((&first.data["topics"], &first.data["at"]), (&json!(["nodes"]), &json!("2027-01-15T08:00:00.000Z")));
        assert_ne!(first.id, ready.id);
        drop(stream);
        for verb in ["uncordon", "cordon", "uncordon"] {
            cordon(&operator, &id, verb).await;
        }
        for (last, wanted) in [(&ready.id, 4), (&first.id, 3)] {
            let mut again = Stream::open(&world.operator, &bearer, "nodes", Some(last)).await;
            assert_eq!(again.named("ready").await.id, *last, "it goes on");
            let mut ids = Vec::new();
            for _ in 0..wanted {
                ids.push(again.named("change").await.id);
            }
            let fresh = ids.iter().collect::<std::collections::BTreeSet<_>>();
            assert_eq!(fresh.len(), wanted, "{ids:?}");
            // Nothing more is there than what comes from now on.
            cordon(&operator, &id, "cordon").await;
            assert_eq!(again.named("change").await.data["kind"], "nodes.cordon");
            cordon(&operator, &id, "uncordon").await;
            let Some(event) = again.next().await else { panic!("it ended") };
            assert_eq!(event.data["kind"], "nodes.uncordon");
        }
    });
}

#[test]
fn what_cannot_be_gone_on_with_is_fetched_again() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let bearer = world.operator_bearer().await;
        let id = node(&operator).await;
        for foreign in ["1.1", "nonsense", "another-start.17"] {
            let mut stream = Stream::open(&world.operator, &bearer, "nodes", Some(foreign)).await;
            let resync = stream.named("resync").await;
            cordon(&operator, &id, "cordon").await;
            assert_ne!(stream.named("change").await.id, resync.id);
            cordon(&operator, &id, "uncordon").await;
        }
        // A reader that takes nothing while the world goes on is told that it missed something.
        let mut stream = Stream::open(&world.operator, &bearer, "nodes", None).await;
        let ready = stream.named("ready").await;
        drop(stream);
        let changes = move |tx: &mut muster_coordinator::base::store::Tx| {
            for n in 0..=limits::FEED_CHANGES {
                let (id, at_ms) = (format!("nd_{n}"), NOW_MS);
                tx.changed(Change { topic: "nodes", id, kind: Change::CHANGED, tenant: None, at_ms });
            }
            Ok(())
        };
        world.app.store.ingest(changes).await.unwrap();
        let mut stream = Stream::open(&world.operator, &bearer, "nodes", Some(&ready.id)).await;
        let _ = stream.named("resync").await;
    });
}

async fn launch(world: &World, bearer: &str) -> String {
    let headers = [("authorization", bearer), ("idempotency-key", "launch")];
    let body = r#"{"sku":"gpu","ssh_key_ids":[]}"#;
    let answer = post(&world.console, "/api/v1/allocations", &headers, body).await.ok();
    answer["allocation_ids"][0].as_str().unwrap().to_owned()
}

/// A node that sells one GPU, with its link.
async fn market(operator: &Operator<'_>) -> (crate::agent::Link, String) {
    let (machine, issued) = operator.issued().await;
    let mut link = machine.link(&issued, 1).await;
    link.tell(Kind::Inventory, &inventory("GPU-1", &[("gpu", "", 0, 0)])).await;
    let batch = format!("/api/v1/admin/nodes/{}/slots:batch", issued.node_id);
    eventually("the slot is approved", async || {
        let done = operator.post(&batch, &json!({"op": "approve", "all": true})).await;
        (done.json["items"][0]["state"] == "free").then_some(())
    })
    .await;
    let sku = operator.post("/api/v1/admin/skus", &json!({"name": "gpu", "kind": "gpu"})).await.ok();
    let path = format!("/api/v1/admin/skus/{}/activate", text(&sku["id"]));
    let _ = operator.post(&path, &json!({})).await.ok();
    (link, issued.node_id.clone())
}

#[test]
fn nobody_hears_of_what_is_not_theirs() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (_link, _) = market(&operator).await;
        let (ada, bob) = (world.bearer_of("ada").await, world.bearer_of("bob").await);
        let mut hers = Stream::open(&world.console, &ada, "operations,allocations,attention", None).await;
        let mut his = Stream::open(&world.console, &bob, "operations,allocations,projects,attention", None).await;
        let staff = world.operator_bearer().await;
        let mut all = Stream::open(&world.operator, &staff, "operations,allocations,slots", None).await;
        for stream in [&mut hers, &mut his, &mut all] {
            let _ = stream.named("ready").await;
        }
        let id = launch(world, &ada).await;
        let mut heard = Vec::new();
        while heard.len() < 2 {
            let event = hers.named("change").await;
            assert!(event.data["topics"].as_array().unwrap().iter().any(|topic| topic == "attention"), "{event:?}");
            heard.push(event);
        }
        heard.sort_by_key(|event| text(&event.data["topic"]).to_owned());
        assert_eq!(heard[0].data["id"], id.as_str());
        assert_eq!(text(&heard[1].data["topic"]), "operations");
        let staffs = all.named("change").await;
        assert!(["operations", "allocations", "slots"].contains(&text(&staffs.data["topic"])), "{staffs:?}");
        // He would have heard of hers before his own.
        let path = format!("/api/v1/allocations/{id}");
        assert_eq!(get(&world.console, &path, &[("authorization", &bob)]).await.status, 404);
        let headers = [("authorization", ada.as_str()), ("idempotency-key", "release")];
        let _ = post(&world.console, &format!("{path}/release"), &headers, "{}").await.ok();
        let _ = post(&world.console, "/api/v1/auth/logout", &[("authorization", &bob)], "").await;
        let end = his.next().await.expect("an end");
        assert_eq!((end.name.as_str(), &end.data["reason"]), ("end", &json!("signed_out")), "{end:?}");
        assert_eq!(his.next().await, None);
    });
}

#[test]
fn topics_are_checked_at_each_door() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let node = node(&operator).await;
        let ada = world.bearer_of("ada").await;
        let ask = async |topics: &str| {
            get(&world.console, &format!("{STREAM}?topics={topics}"), &[("authorization", &ada)]).await
        };
        for bad in ["", "nodes", "slots", "tokens", "skus", "everything", "operations:"] {
            assert_eq!(ask(bad).await.refusal(), (422, "validation_failed"), "{bad}");
        }
        for hidden in [format!("metrics:{node}"), format!("metrics:al_{}", "0".repeat(26))] {
            assert_eq!(ask(&hidden).await.refusal(), (404, "not_found"), "{hidden}");
        }
        assert_eq!(get(&world.console, STREAM, &[]).await.refusal(), (401, "unauthenticated"));
        let mut open = Vec::new();
        for _ in 0..limits::STREAMS_OF_USER {
            open.push(Stream::open(&world.console, &ada, "operations", None).await);
        }
        assert_eq!(ask("operations").await.refusal(), (429, "too_many_streams"));
        drop(open);
        eventually("closed ones make room", async || {
            let mut socket = TcpStream::connect(&world.console).await.unwrap();
            let head = format!("GET {STREAM}?topics=operations HTTP/1.0\r\nauthorization: {ada}\r\n\r\n");
            socket.write_all(head.as_bytes()).await.unwrap();
            let mut begin = [0; 12];
            socket.read_exact(&mut begin).await.unwrap();
            (&begin == b"HTTP/1.0 200").then_some(())
        })
        .await;
    });
}

#[test]
fn figures_come_as_they_are_measured() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (link, node) = market(&operator).await;
        let bearer = world.operator_bearer().await;
        let topic = format!("metrics:{node}");
        let mut stream = Stream::open(&world.operator, &bearer, &topic, None).await;
        let _ = stream.named("ready").await;
        link.sample("GPU-1", Some(37)).await;
        let metrics = stream.named("metrics").await;
        assert_eq!((text(&metrics.data["topic"]), text(&metrics.data["id"])), (topic.as_str(), node.as_str()));
        let series = metrics.data["series"].as_array().unwrap();
        let busy = series.iter().find(|series| series["name"] == "utilization_percent").unwrap();
        assert_eq!(busy["points"].as_array().unwrap().last().unwrap(), &json!(37.0), "{metrics:?}");
        let hot = series.iter().find(|series| series["name"] == "temperature_c").unwrap();
        assert!(hot["points"].as_array().unwrap().iter().all(Value::is_null), "{metrics:?}");
        assert!(metrics.id.is_empty(), "figures move no place in the changes");
        // A silent node is shown as a gap, and no point twice.
        assert_eq!(world.app.clock.now_ms(), NOW_MS);
        world.pass_ms(6_000);
        let gap = stream.named("metrics").await;
        assert_eq!(gap.data["from"], metrics.data["to"]);
        let series = gap.data["series"].as_array().unwrap();
        assert!(series.iter().all(|series| series["points"].as_array().unwrap().iter().all(Value::is_null)), "{gap:?}");
    });
}
