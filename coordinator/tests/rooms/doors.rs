//! Every route of both doors, taken from their own documents: without a session, with an id that nothing
//! has, with bodies that are none.

use crate::world::{Answer, World, get, send, with_world};
use serde_json::Value;

/// Routes that anybody may call.
const OPEN: &[&str] = &[
    "/healthz",
    "/readyz",
    "/api/v1/openapi.json",
    "/api/v1/auth/personal/login",
    "/api/v1/auth/personal/signup",
    "/api/v1/auth/token/refresh",
    "/api/v1/auth/logout",
    "/ws/terminal/{allocation_id}",
    "/ws/tunnel/{allocation_id}",
];

/// A route of a door.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: bool,
}

/// Every route of a door.
pub(crate) async fn routes(door: &str) -> Vec<Route> {
    let document = get(door, "/api/v1/openapi.json", &[]).await.ok();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if ["get", "put", "post", "delete", "patch"].contains(&method.as_str()) {
                let body = operation["requestBody"] != Value::Null;
                all.push(Route { method: method.to_uppercase(), path: path.clone(), body });
            }
        }
    }
    assert!(all.len() > 10);
    all
}

/// The path with ids of the right form that nothing has.
pub(crate) fn nowhere(path: &str) -> String {
    let prefix = |name: &str| {
        let words = [
            ("allocation", "al"),
            ("node", "nd"),
            ("slot", "sl"),
            ("operation", "op"),
            ("task", if path.contains("/nodes/") { "nt" } else { "op" }),
            ("sku", "ku"),
            ("project", "pj"),
            ("key", "sk"),
            ("token", "bt"),
            ("user", "us"),
            ("session", if path.contains("/account/") { "lo" } else { "se" }),
            ("audit", "ev"),
        ];
        words.iter().find(|(word, _)| name.contains(word)).map_or("zz", |(_, prefix)| prefix)
    };
    // `{id}` is of the noun before it.
    let parts: Vec<&str> = path.split('/').collect();
    let id = |at: usize| {
        let name = if parts[at] == "{id}" { parts[at - 1] } else { parts[at] };
        format!("{}_{}", prefix(name), "0".repeat(26))
    };
    let part = |at: usize| if parts[at].starts_with('{') { id(at) } else { parts[at].to_owned() };
    (0..parts.len()).map(part).collect::<Vec<_>>().join("/")
}

async fn call(door: &str, route: &Route, bearer: Option<&str>, key: &str, body: &str) -> Answer {
    let mut headers = vec![("idempotency-key", key), ("if-match", "\"1\"")];
    headers.extend(bearer.map(|bearer| ("authorization", bearer)));
    if !body.is_empty() {
        headers.push(("content-type", "application/json"));
    }
    send(door, &route.method, &nowhere(&route.path), &headers, body.as_bytes()).await
}

async fn people(world: &World) -> [(String, String); 2] {
    [(world.console.clone(), world.bearer_of("ada").await), (world.operator.clone(), world.operator_bearer().await)]
}

#[test]
fn nothing_is_open_but_what_is_said_to_be() {
    with_world(async |world| {
        for door in [&world.console, &world.operator] {
            for route in routes(door).await.iter().filter(|route| !OPEN.contains(&route.path.as_str())) {
                let answer = call(door, route, None, "k", if route.body { "{}" } else { "" }).await;
                let named = format!("{} {}: {}", route.method, route.path, answer.text);
                assert_eq!(answer.refusal(), (401, "unauthenticated"), "{named}");
            }
        }
    });
}

#[test]
fn unknown_ids_are_not_found() {
    with_world(async |world| {
        for (door, bearer) in people(world).await {
            let with_ids = |route: &&Route| route.path.contains('{') && !route.path.starts_with("/ws/");
            for (n, route) in routes(&door).await.iter().filter(with_ids).enumerate() {
                let body = if route.body { "{}" } else { "" };
                let answer = call(&door, route, Some(&bearer), &format!("unknown-{n}"), body).await;
                let named = format!("{} {}: {} {}", route.method, route.path, answer.status, answer.text);
                // A body that lacks a field is refused before anything is looked up.
                assert!([404, 422].contains(&answer.status), "{named}");
                answer.refusal();
            }
        }
    });
}

#[test]
fn bodies_that_are_none_are_refused_and_nothing_fails_inside() {
    with_world(async |world| {
        for (door, bearer) in people(world).await {
            // Signing out works whatever is sent, and would end the test here.
            let stays = |route: &&Route| !route.path.ends_with("/logout");
            for (n, route) in routes(&door).await.iter().filter(stays).enumerate() {
                let key = format!("bad-{n}");
                for (body, wanted) in [("{\"a\":", (400, "malformed_json")), ("[[1]]", (422, "validation_failed"))] {
                    let answer = call(&door, route, Some(&bearer), &key, body).await;
                    let named = format!("{} {}: {} {}", route.method, route.path, answer.status, answer.text);
                    assert!(answer.status < 500 || route.path == "/readyz", "{named}");
                    if route.body {
                        assert_eq!(answer.refusal(), wanted, "{named}");
                    }
                }
            }
        }
    });
}
