//! Every route of both doors, asked by a person of every role: as the table of verbs says, and nothing else.
//! And every route that changes something: it takes a key, or it is listed here with the reason.

use crate::doors::{Route, nowhere, routes};
use crate::world::{Answer, World, post, send, with_world};
use muster_coordinator::base::authz::{Gate, Verb};
use muster_coordinator::base::http::Door;
use muster_coordinator::cx::Role;
use serde_json::json;
use std::collections::HashMap;

/// Signing out ends the sign-in that asks, and so would end the test.
const LEAVES: &str = "/api/v1/auth/logout";

/// Ends of routes that change something without an `Idempotency-Key`, with what makes a repeat harmless.
const UNKEYED: &[(&str, &str)] = &[
    ("/auth/personal/login", "each is a sign-in of its own"),
    ("/auth/personal/signup", "the name is taken the second time"),
    ("/auth/token/refresh", "a token is good once"),
    ("/auth/step-up", "it only moves a time"),
    ("/account/security/password", "the old password is wrong the second time"),
    ("/account/sessions/revoke-others", "no other is left"),
    ("/launch/compute/precheck", "it changes nothing"),
    ("/terminal-token", "each is good once, and opens nothing by itself"),
    ("/tunnel-token", "each is good once, and opens nothing by itself"),
    ("/ssh-keys", "a key is there once"),
    ("/admin/skus", "the name is taken the second time"),
    ("/admin/users", "the name is taken the second time"),
    ("/projects", "the name is taken the second time"),
    ("/set-default", "the mark moves once"),
    ("/api-keys", "each is a key of its own, shown once and listed"),
    ("/launch/drafts/{id}", "the same draft is written over"),
    ("/tasks/{task_id}/cancel", "a state is entered once"),
    ("/tasks/{task_id}/requeue", "a state is entered once"),
    ("/attention/{id}/ack", "the later one takes the place of the earlier one"),
    ("/approve", "a state is entered once"),
    ("/reject", "a state is entered once"),
    ("/clear", "a state is entered once"),
    ("/quarantine", "a state is entered once"),
    ("/slots:batch", "a state is entered once"),
    ("/activate", "a state is entered once"),
    ("/retire", "a state is entered once"),
    ("/disable", "a state is entered once"),
    ("/enable", "a state is entered once"),
    ("/users/{user_id}", "the roles are given whole"),
    ("/end-sessions", "none is left the second time"),
];

/// A person of a role at its door; the bearer header.
async fn person(world: &World, operator: &str, role: Role) -> String {
    let word = role.as_str();
    let new = json!({"username": word, "password": "correct horse battery", "roles": [word]});
    let headers = [("authorization", operator), ("idempotency-key", word)];
    post(&world.operator, "/api/v1/admin/users", &headers, &new.to_string()).await.ok();
    let login = json!({"username": word, "password": "correct horse battery"}).to_string();
    let host = if role.door() == Door::Console { &world.console } else { &world.operator };
    let session = post(host, "/api/v1/auth/personal/login", &[], &login).await.ok();
    format!("Bearer {}", session["access_token"].as_str().unwrap())
}

async fn ask(host: &str, route: &Route, headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("if-match", "\"1\"")];
    all.extend(headers);
    let body = if route.body { "{}" } else { "" };
    if route.body {
        all.push(("content-type", "application/json"));
    }
    send(host, &route.method, &nowhere(&route.path), &all, body.as_bytes()).await
}

async fn verbs(host: &str) -> HashMap<(String, String), Verb> {
    let document = crate::world::get(host, "/api/v1/openapi.json", &[]).await.ok();
    let mut all = HashMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let verb = operation["operationId"].as_str().and_then(Verb::parse);
            all.extend(verb.map(|verb| ((method.to_uppercase(), path.clone()), verb)));
        }
    }
    all
}

#[test]
fn each_role_passes_the_routes_of_the_table_and_no_other() {
    with_world(async |world| {
        let operator = world.operator_bearer().await;
        let mut keys = 0;
        for (role, word) in Role::ALL {
            let bearer = person(world, &operator, role).await;
            let door = role.door();
            let host = if door == Door::Console { &world.console } else { &world.operator };
            let table = verbs(host).await;
            for route in routes(host).await.iter().filter(|route| route.path != LEAVES) {
                keys += 1;
                let key = format!("role {keys}");
                let answer = ask(host, route, &[("authorization", &bearer), ("idempotency-key", &key)]).await;
                let gate = table[&(route.method.clone(), route.path.clone())].gate(door);
                let open = match gate {
                    Gate::Closed => false,
                    Gate::Anyone | Gate::SignedIn => true,
                    Gate::Roles(roles) => roles.contains(&role),
                };
                let refused = answer.status == 403 && answer.json["code"] == "forbidden_role";
                // The scrape token of metrics is not a role.
                let asked = format!("{word}: {} {}: {} {}", route.method, route.path, answer.status, answer.text);
                assert_eq!(refused, !open, "{asked}");
                let known = answer.status != 401 || route.path.contains("/auth/") || route.path == "/metrics";
                assert!(known, "{asked}");
                assert!(answer.status < 500 || route.path == "/readyz", "{asked}");
            }
        }
    });
}

#[test]
fn what_changes_something_takes_a_key_or_a_version() {
    with_world(async |world| {
        let people = [(&world.console, world.bearer_of("ada").await), (&world.operator, world.operator_bearer().await)];
        let mut unkeyed = Vec::new();
        for (host, bearer) in people {
            // What is gone stays gone.
            let changes = |route: &&Route| !["GET", "DELETE"].contains(&route.method.as_str()) && route.path != LEAVES;
            for route in routes(host).await.iter().filter(changes) {
                let named = format!("{} {}", route.method, route.path);
                let (auth, json) = (("authorization", bearer.as_str()), ("content-type", "application/json"));
                let answer = send(host, &route.method, &nowhere(&route.path), &[auth, json], b"{}").await;
                let asked = ["idempotency_key_required", "if_match_required"].contains(&answer.refusal().1);
                if !asked && !UNKEYED.iter().any(|(end, _)| route.path.ends_with(end)) {
                    unkeyed.push(format!("{named}: {} {}", answer.status, answer.text));
                }
            }
        }
        assert!(unkeyed.is_empty(), "a repeat may do it twice:\n{}", unkeyed.join("\n"));
    });
}
