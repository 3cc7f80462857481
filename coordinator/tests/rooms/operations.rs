//! Operations through the doors: timelines, live and paged; what stands still; who may see them; their pages.

use crate::agent::Link;
use crate::fleet::{Operator, eventually};
use crate::stream::{Stream, text};
use crate::world::{World, get, with_world};
use muster_coordinator::base::http::auth::token_sha256;
use muster_coordinator::base::limits;
use muster_coordinator::cx::{Actor, Cx};
use muster_coordinator::operations::{self, NewOperation, StepState};
use serde_json::{Value, json};

const OPERATIONS: &str = "/api/v1/operations";

/// A probe that nobody works on; its node, its id, and the link that keeps the node there.
async fn probe(operator: &Operator<'_>, world: &World) -> (String, String, Link) {
    let (machine, issued) = operator.issued().await;
    // A first link puts the node in service.
    let link = machine.link(&issued, 1).await;
    let node = issued.node_id;
    let (cx, subject) = (person(world).await, node.clone());
    let id = world.app.store.ingest(move |tx| {
        let new = NewOperation {
            kind: "nodes.probe",
            subject_kind: "node",
            subject_id: subject.clone(),
            tenant_id: None,
            project_id: None,
            steps: &["probe"],
            context: json!({}),
            retry_of: None,
            deadline_ms: None,
        };
        let id = operations::start_in(tx, &cx, new)?;
        operations::step_in(tx, &cx, id, "probe", StepState::Active, "")?;
        Ok(id)
    });
    (node, id.await.unwrap().to_string(), link)
}

/// The context of the first operator.
async fn person(world: &World) -> Cx {
    let bearer = world.operator_bearer().await;
    let token = bearer.trim_start_matches("Bearer ");
    let mut cx = world.app.system("test");
    let person = world.app.sign_in_of(token_sha256(token), true, cx.now_ms).await.unwrap().expect("signed in");
    cx.actor = Actor::Person(Box::new(person));
    cx
}

fn seqs(page: &Value) -> Vec<i64> {
    page["items"].as_array().unwrap().iter().map(|line| line["seq"].as_i64().unwrap()).collect()
}

#[test]
fn a_timeline_is_paged_from_the_newest_while_it_grows() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (_, id, _link) = probe(&operator, world).await;
        let note = async |n: i32| {
            let (cx, id) = (world.app.system("test"), id.parse().unwrap());
            let note = format!("note {n}");
            world.app.store.ingest(move |tx| operations::note_in(tx, &cx, id, &note)).await.unwrap();
        };
        for n in 0..40 {
            note(n).await;
        }
        let path = format!("{OPERATIONS}/{id}/events?limit=15");
        let first = operator.get(&path).await.ok();
        let newest = seqs(&first);
        assert!(newest.windows(2).all(|pair| pair[0] == pair[1] + 1), "{newest:?}");
        note(40).await;
        let last = newest.last().unwrap();
        let second = operator.get(&format!("{path}&before={last}")).await.ok();
        let by_cursor = operator.get(&format!("{path}&cursor={}", text(&first["next_cursor"]))).await.ok();
        assert_eq!(second, by_cursor, "two ways to ask for older lines");
        assert_eq!(seqs(&second)[0], last - 1, "what came meanwhile moves nothing");
        let rest = operator.get(&format!("{path}&before={}", seqs(&second).last().unwrap())).await.ok();
        assert_eq!(*seqs(&rest).last().unwrap(), 1);
        assert_eq!(
            (&rest["items"].as_array().unwrap().last().unwrap()["kind"], &rest["next_cursor"]),
            (&json!("created"), &Value::Null)
        );
    });
}

#[test]
fn a_live_timeline_goes_on_without_gap_and_ends_with_its_operation() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let bearer = world.operator_bearer().await;
        let (_, id, _link) = probe(&operator, world).await;
        let path = format!("{OPERATIONS}/{id}/stream");
        let mut stream = Stream::at(&world.operator, &bearer, &path, None).await;
        let first = stream.next().await.expect("a line");
        assert_eq!((first.name.as_str(), first.id.as_str(), &first.data["seq"]), ("created", "1", &json!(1)));
        drop(stream);
        let cancelled = operator.post(&format!("{OPERATIONS}/{id}/cancel"), &json!({})).await;
        assert_eq!(cancelled.status, 202, "{}", cancelled.text);
        let mut again = Stream::at(&world.operator, &bearer, &path, Some(&first.id)).await;
        let mut lines = vec![first];
        while let Some(line) = again.next().await {
            lines.push(line);
        }
        let ids: Vec<_> = lines.iter().map(|line| line.id.parse::<usize>().unwrap()).collect();
        assert_eq!(ids, (1..=lines.len()).collect::<Vec<_>>(), "no gap and no repeat");
        let last = lines.last().unwrap();
        assert_eq!((last.name.as_str(), &last.data["detail"]), ("ended", &json!("cancelled")));
        let over = [("authorization", bearer.as_str()), ("last-event-id", last.id.as_str())];
        assert_eq!(get(&world.operator, &path, &over).await.status, 204, "a browser need not ask again");
    });
}

#[test]
fn what_stands_still_is_flagged_with_its_owner_and_can_be_given_up() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let bearer = world.operator_bearer().await;
        let (node, id, _link) = probe(&operator, world).await;
        let path = format!("{OPERATIONS}/{id}");
        let now = operator.get(&path).await.ok();
        assert_eq!((&now["stalled_since"], &now["attempt"]), (&Value::Null, &json!(1)), "{now:#}");
        let early = operator.post(&format!("{path}/give-up"), &json!({"reason": "too slow"})).await;
        assert_eq!(early.refusal(), (409, "not_stalled"));
        let mut attention = Stream::open(&world.operator, &bearer, "attention", None).await;
        world.pass_ms(limits::STEP_MS + 1);
        let now = eventually("it is stalled", async || {
            let now = operator.get(&path).await.ok();
            now["stalled_since"].is_string().then_some(now)
        })
        .await;
        assert_eq!(now["stalled_owner"], json!({"kind": "node", "id": node}), "{now:#}");
        loop {
            let event = attention.next().await.expect("an event");
            if event.data["kind"] == "operations.stalled" {
                assert_eq!(event.data["id"], id.as_str());
                break;
            }
        }
        let audit = format!("/api/v1/admin/audit-logs?target={id}&action=operations.stalled");
        assert_eq!(operator.get(&audit).await.ok()["items"].as_array().unwrap().len(), 1);
        assert_eq!(operator.post(&format!("{path}/give-up"), &json!({"reason": " "})).await.status, 422);
        let given_up = operator.post(&format!("{path}/give-up"), &json!({"reason": "the agent is stuck"})).await;
        assert_eq!(given_up.status, 202, "{}", given_up.text);
        let done = operator.get(&path).await.ok();
        assert_eq!((&done["state"], &done["failure"]["code"]), (&json!("failed"), &json!("given_up")), "{done:#}");
        assert_eq!((&done["stalled_since"], &done["retryable"]), (&Value::Null, &json!(true)));
        let audit = format!("/api/v1/admin/audit-logs?target={id}&action=operations.give_up");
        assert_eq!(operator.get(&audit).await.ok()["items"][0]["reason"], "the agent is stuck");
        // Trying again begins another one, which names the first and is told where to follow.
        let again = operator.post(&format!("{path}/retry"), &json!({})).await;
        assert_eq!(again.status, 202, "{}", again.text);
        let next = again.headers["location"].clone();
        let next = operator.get(&next).await.ok();
        assert_eq!((&next["retry_of"], &next["attempt"]), (&json!(id), &json!(2)), "{next:#}");
        let links = operator.get(&format!("{path}/related")).await.ok();
        assert!(links["items"].as_array().unwrap().iter().any(|link| link["kind"] == "retried_by"), "{links:#}");
    });
}

#[test]
fn lists_are_narrowed_and_counted() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (node, id, _link) = probe(&operator, world).await;
        let count = async |query: &str| {
            let page = operator.get(&format!("{OPERATIONS}?{query}")).await.ok();
            (page["items"].as_array().unwrap().len(), page["total"].as_i64().unwrap())
        };
        for query in ["", "state=active", "state=active&mine=true", "kind=nodes.probe", "q=PROBE", "q=root"] {
            assert_eq!(count(query).await, (1, 1), "{query}");
        }
        assert_eq!(count(&format!("subject={node}&q={}", &id[8..])).await, (1, 1));
        for query in ["state=failed", "outcome=partial", "q=nothing-like-it", "kind=x"] {
            assert_eq!(count(query).await, (0, 0), "{query}");
        }
        let _ = operator.post(&format!("{OPERATIONS}/{id}/cancel"), &json!({})).await.ok();
        assert_eq!(count("state=active&limit=1").await, (0, 0), "what the header counts");
        assert_eq!(count("outcome=cancelled").await, (1, 1));
        assert_eq!(operator.get(&format!("{OPERATIONS}?tenant_id=x")).await.refusal(), (422, "validation_failed"));
        let ada = world.bearer_of("ada").await;
        let hers = get(&world.console, "/api/v1/tasks?state=active", &[("authorization", &ada)]).await.ok();
        assert_eq!((&hers["items"], &hers["total"]), (&json!([]), &json!(0)));
    });
}

#[test]
fn links_are_those_that_the_viewer_may_follow() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (node, id, _link) = probe(&operator, world).await;
        let links = operator.get(&format!("{OPERATIONS}/{id}/related")).await.ok();
        let hrefs: Vec<_> = links["items"].as_array().unwrap().iter().map(|link| text(&link["href"])).collect();
        assert_eq!(hrefs[..2], ["/admin/operations", &format!("/platform/lifecycle/nodes/{node}")]);
        assert!(hrefs[2].starts_with("/platform/evidence?correlation_id=co_"), "{hrefs:?}");
        let ada = world.bearer_of("ada").await;
        let foreign = get(&world.console, &format!("{OPERATIONS}/{id}/related"), &[("authorization", &ada)]).await;
        assert_eq!(foreign.refusal(), (404, "not_found"));
    });
}

async fn page(world: &World, console: bool, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let host = if console { &world.console } else { &world.operator };
    let mut all = vec![("accept", "text/html,*/*")];
    all.extend(headers);
    let answer = get(host, path, &all).await;
    assert_eq!(
        answer.headers.get("content-type").map(String::as_str),
        match answer.status {
            302 => None,
            _ => Some("text/html; charset=utf-8"),
        }
    );
    (answer.status, answer.headers.get("location").cloned().unwrap_or_default())
}

#[test]
fn pages_of_runs_answer_true_statuses_at_both_doors() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (_, id, _link) = probe(&operator, world).await;
        let (root, ada) = (world.operator_bearer().await, world.bearer_of("ada").await);
        let unknown = format!("op_{}", "0".repeat(26));
        for (console, bearer) in [(true, &ada), (false, &root)] {
            let signed_in = [("authorization", bearer.as_str())];
            assert_eq!(page(world, console, "/admin/operations", &signed_in).await.0, 200);
            for nowhere in [unknown.as_str(), "nope", "0"] {
                assert_eq!(page(world, console, &format!("/admin/operations/{nowhere}"), &signed_in).await.0, 404);
            }
            for who in [&signed_in[..], &[]] {
                for legacy in [format!("/admin/t/x/operations/r/{id}"), format!("/admin/operations/r/{id}")] {
                    assert_eq!(page(world, console, &legacy, who).await, (404, String::new()), "{legacy}");
                }
                let moved = page(world, console, "/admin/t/x/operations", who).await;
                assert_eq!(moved, (302, "/admin/operations".to_owned()));
            }
            // Nobody learns from a status what there is before they have signed in.
            for any in [id.as_str(), unknown.as_str()] {
                assert_eq!(page(world, console, &format!("/admin/operations/{any}"), &[]).await.0, 200);
            }
        }
        assert_eq!(page(world, false, &format!("/admin/operations/{id}"), &[("authorization", &root)]).await.0, 200);
        assert_eq!(page(world, true, &format!("/admin/operations/{id}"), &[("authorization", &ada)]).await.0, 404);
        for staff in ["/admin", "/admin/nodes", "/admin/audit"] {
            assert_eq!(page(world, true, staff, &[("authorization", &ada)]).await.0, 404, "{staff}");
        }
        let script = get(&world.console, &format!("/admin/operations/{unknown}"), &[("authorization", &ada)]).await;
        assert_eq!(script.refusal(), (404, "not_found"), "who takes no pages gets a problem");
    });
}
