//! Keyed requests: done once, answered again, whatever the order.

use crate::world::with_world;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;
use muster_coordinator::audit::{self, Event};
use muster_coordinator::base::http::{Keyed, Problem, answer_in, idempotent};
use muster_coordinator::cx::Cx;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Notify;

async fn keyed(key: Option<&str>, body: &str) -> Result<Keyed<Value>, Problem> {
    let mut request = Request::post("/api/v1/things").header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    Keyed::from_request(request.body(Body::from(body.to_owned())).unwrap(), &()).await
}

/// Makes a thing, or fails on purpose after having made it.
async fn make(
    app: &muster_coordinator::app::App,
    cx: &Cx,
    name: String,
    fail: bool,
) -> Result<(StatusCode, Value), Problem> {
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            let reply = json!({ "thing": name, "made": cx.new_id::<muster_protocol::ids::SkuId>() });
            answer_in(tx, &cx, StatusCode::ACCEPTED, &reply)?;
            let made = audit::record(tx, &cx, Event::new("things.make", &name), (StatusCode::ACCEPTED, reply))?;
            if fail { Err(Problem::conflict("on_purpose", "on purpose")) } else { Ok(made) }
        })
        .await
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), 1 << 16).await.unwrap()).unwrap()
}

#[derive(Debug, Clone)]
struct Ask {
    key: u8,
    body: u8,
    fail: bool,
}

#[test]
fn any_sequence_does_each_key_once() {
    with_world(async |world| {
        let ask = (0u8..3, 0u8..2, any::<bool>()).prop_map(|(key, body, fail)| Ask { key, body, fail });
        let sequences = proptest::collection::vec(ask, 1..12);
        let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
        for run in 0..24 {
            let sequence = sequences.new_tree(&mut runner).unwrap().current();
            let mut kept: HashMap<u8, (u8, Value)> = HashMap::new();
            for ask in sequence {
                let (key, body) = (format!("{run}-{}", ask.key), json!({ "name": ask.body }).to_string());
                let request = keyed(Some(&key), &body).await.unwrap().request;
                let (app, fail) = (world.app.clone(), ask.fail);
                let act = move |cx: Cx| async move { make(&app, &cx, body, fail).await };
                let answer = idempotent(&world.app, &world.app.system("test"), request, act).await;
                match (kept.get(&ask.key), answer) {
                    (Some((body, first)), Ok(answer)) => {
                        assert_eq!(*body, ask.body);
                        assert_eq!(answer.headers()["idempotent-replayed"], "true");
                        assert_eq!((answer.status(), &json_of(answer).await), (StatusCode::ACCEPTED, first));
                    }
                    (Some((body, _)), Err(problem)) => {
                        assert_ne!(*body, ask.body);
                        assert_eq!((problem.status().as_u16(), problem.code()), (422, "idempotency_key_reused"));
                    }
                    (None, Ok(answer)) => {
                        assert!(!ask.fail && !answer.headers().contains_key("idempotent-replayed"));
                        kept.insert(ask.key, (ask.body, json_of(answer).await));
                    }
                    (None, Err(problem)) => assert_eq!((ask.fail, problem.code()), (true, "on_purpose")),
                }
            }
        }
    });
}

#[test]
fn the_second_waits_its_turn_and_a_hang_up_loses_nothing() {
    with_world(async |world| {
        let (gate, cx) = (Arc::new(Notify::new()), world.app.system("test"));
        let act = |gate: Arc<Notify>| {
            let app = world.app.clone();
            move |cx: Cx| async move {
                gate.notified().await;
                make(&app, &cx, "slow".to_owned(), false).await
            }
        };
        let request = async || keyed(Some("slow"), "{}").await.unwrap().request;
        let mut first = Box::pin(idempotent(&world.app, &cx, request().await, act(gate.clone())));
        // The first is under way, then its caller hangs up.
        assert!(futures_util::poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
        let started = tokio::time::timeout(std::time::Duration::from_millis(200), &mut first).await;
        assert!(started.is_err());
        drop(first);
        let second = idempotent(&world.app, &cx, request().await, act(gate.clone())).await.unwrap_err();
        assert_eq!((second.status().as_u16(), second.code()), (409, "idempotency_in_progress"));
        gate.notify_one();
        let replayed = loop {
            match idempotent(&world.app, &cx, request().await, act(gate.clone())).await {
                Ok(answer) => break answer,
                Err(problem) => assert_eq!(problem.code(), "idempotency_in_progress"),
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(replayed.headers()["idempotent-replayed"], "true");
    });
}

#[test]
fn a_key_is_required_and_its_request_is_known_by_meaning() {
    with_world(async |_| {
        let missing = keyed(None, "{}").await.unwrap_err();
        assert_eq!((missing.status().as_u16(), missing.code()), (400, "idempotency_key_required"));
        let long = "k".repeat(200);
        assert_eq!(keyed(Some(&long), "{}").await.unwrap_err().status().as_u16(), 400);
        assert_eq!(keyed(Some("k"), "{").await.unwrap_err().code(), "malformed_json");
        let same = keyed(Some("k"), r#"{"a":1,"b":2}"#).await.unwrap().request;
        assert_eq!(same, keyed(Some("k"), r#"{ "b": 2, "a": 1 }"#).await.unwrap().request);
        assert_ne!(same, keyed(Some("k"), r#"{"a":1,"b":3}"#).await.unwrap().request);
        assert!(keyed(Some("k"), "").await.is_ok(), "no body is an empty one");
    });
}
