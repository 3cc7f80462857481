//! Every endpoint of both doors, taken from their own OpenAPI documents: without a session, with an unknown
//! id, with a body that is none. A new endpoint is covered the day it is added.

use muster_tests::{Api, World, fresh_key};
use reqwest::Method;
use serde_json::Value;

/// Endpoints that anybody may call, with why. Changing this list is a security decision.
const OPEN: &[&str] = &[
    "/healthz",                     // liveness
    "/readyz",                      // readiness
    "/api/v1/openapi.json",         // the contract
    "/metrics",                     // has its own token, see `bad_input`
    "/api/v1/auth/personal/login",  // how one gets a session
    "/api/v1/auth/personal/signup", // how one gets an account
    "/api/v1/auth/token/refresh",   // the token is in the body
    "/api/v1/auth/logout",          // leaving always works
    "/ws/terminal/{allocation_id}", // the token is in the first frame
    "/ws/tunnel/{allocation_id}",   // the token is in the first frame
];

#[derive(Debug)]
struct Endpoint {
    method: Method,
    path: String,
    has_body: bool,
}

async fn endpoints(api: &Api) -> Vec<Endpoint> {
    let document = api.get("/api/v1/openapi.json").await.ok();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            let has_body = operation["requestBody"] != Value::Null;
            all.push(Endpoint { method, path: path.clone(), has_body });
        }
    }
    assert!(all.len() > 10, "{all:?}");
    all
}

/// The path with an id of the right form that nothing has.
fn nowhere(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let fill = |at: usize| {
        // `{id}` is of the noun before it.
        let prefix = match if parts[at] == "{id}" { parts[at - 1] } else { parts[at] } {
            _ if !parts[at].starts_with('{') => return parts[at].to_owned(),
            part if part.contains("allocation") => "al",
            part if part.contains("node") => "nd",
            part if part.contains("slot") || part == "{sid}" => "sl",
            part if part.contains("operation") || part.contains("task") || part == "{run}" => "op",
            part if part.contains("sku") => "ku",
            part if part.contains("project") => "pj",
            part if part.contains("key") => "sk",
            part if part.contains("token") => "bt",
            part if part.contains("session") && path.contains("/account/") => "lo",
            part if part.contains("session") => "se",
            part if part.contains("audit") => "ev",
            part if part.contains("user") => "us",
            _ => "zz",
        };
        format!("{prefix}_{}", "0".repeat(26))
    };
    (0..parts.len()).map(fill).collect::<Vec<_>>().join("/")
}

async fn both_doors(world: &World) -> [(Api, Api); 2] {
    let ready = world.ready();
    [
        (Api::anonymous(&ready.console_url), world.user().await),
        (Api::anonymous(&ready.operator_url), world.operator().await),
    ]
}

#[tokio::test]
async fn nothing_is_open_but_what_is_said_to_be() {
    let world = World::with_nodes(0).await;
    for (nobody, _) in both_doors(&world).await {
        for endpoint in endpoints(&nobody).await {
            if OPEN.contains(&endpoint.path.as_str()) {
                continue;
            }
            let key = fresh_key();
            let body = endpoint.has_body.then(|| "{}".to_owned());
            let headers = [("idempotency-key", key.as_str())];
            let answer = nobody.send(endpoint.method.clone(), &nowhere(&endpoint.path), &headers, body).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code()),
                (401, "unauthenticated"),
                "{endpoint:?}: {}",
                answer.text
            );
        }
    }
}

#[tokio::test]
async fn unknown_ids_are_not_found_whatever_the_body() {
    let world = World::with_nodes(0).await;
    for (_, somebody) in both_doors(&world).await {
        for endpoint in endpoints(&somebody).await {
            if !endpoint.path.contains('{') || endpoint.path.starts_with("/ws/") {
                continue;
            }
            let (key, path) = (fresh_key(), nowhere(&endpoint.path));
            let headers = [("idempotency-key", key.as_str()), ("if-match", "\"1\"")];
            let body = endpoint.has_body.then(|| "{}".to_owned());
            let answer = somebody.send(endpoint.method.clone(), &path, &headers, body).await;
            // A body that lacks a field is refused before anything is looked up.
            assert!([404, 422].contains(&answer.status.as_u16()), "{endpoint:?}: {} {}", answer.status, answer.text);
            let garbage = somebody.send(endpoint.method.clone(), &path.replace("_0", "_u"), &headers, None).await;
            assert!(garbage.status.is_client_error(), "{endpoint:?}: {} {}", garbage.status, garbage.text);
        }
    }
}

#[tokio::test]
async fn bodies_that_are_none_are_refused() {
    let world = World::with_nodes(0).await;
    for (_, somebody) in both_doors(&world).await {
        for endpoint in endpoints(&somebody).await.into_iter().filter(|endpoint| endpoint.has_body) {
            let (key, path) = (fresh_key(), nowhere(&endpoint.path));
            let headers = [("idempotency-key", key.as_str()), ("if-match", "\"1\"")];
            let send =
                async |body: &str| somebody.send(endpoint.method.clone(), &path, &headers, Some(body.to_owned())).await;
            let malformed = send("{\"a\":").await;
            assert_eq!(
                (malformed.status.as_u16(), malformed.code()),
                (400, "malformed_json"),
                "{endpoint:?}: {}",
                malformed.text
            );
            let wrong = send("[[1]]").await;
            assert_eq!(wrong.status.as_u16(), 422, "{endpoint:?}: {}", wrong.text);
            assert_eq!(wrong.headers["content-type"], "application/problem+json", "{endpoint:?}");
        }
    }
}

#[tokio::test]
async fn programs_that_stand_beside_the_coordinator_are_downloaded_whole() {
    use sha2::{Digest, Sha256};
    let world = World::with_nodes(0).await;
    Api::anonymous(&world.ready().console_url).get("/api/v1/downloads/muster").await.refused(401, "unauthenticated");
    for (_, somebody) in both_doors(&world).await {
        let list = somebody.get("/api/v1/downloads").await.ok();
        let names: Vec<_> = list["items"].as_array().into_iter().flatten().map(|one| &one["name"]).collect();
        assert_eq!(names, ["muster", "muster-agent"]);
        let muster = &list["items"][0];
        let file =
            reqwest::Client::new().get(format!("{}{}", somebody.base(), muster["href"].as_str().expect("a path")));
        let file = file.bearer_auth(somebody.bearer()).send().await.expect("an answer");
        assert_eq!(file.headers()["content-disposition"], "attachment; filename=\"muster\"");
        let bytes = file.bytes().await.expect("all of it");
        assert_eq!(
            (muster["bytes"].as_u64(), format!("{:x}", Sha256::digest(&bytes))),
            (Some(bytes.len() as u64), muster["sha256"].as_str().expect("a sum").to_owned())
        );
        for none in ["muster-coordinator", "..%2fmuster", "nothing"] {
            somebody.get(&format!("/api/v1/downloads/{none}")).await.refused(404, "not_found");
        }
    }
}
