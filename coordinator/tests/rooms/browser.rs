//! What a page of another site can make a browser do at a door: nothing.

use crate::world::{OPERATOR, World, get, post, send, with_world};
use std::collections::HashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LOGIN: &str = "/api/v1/auth/personal/login";

/// Signs in as a browser does; the cookie's line and its CSRF token.
async fn sign_in(host: &str, name: &str, password: &str) -> (String, String) {
    let login = format!(r#"{{"username":"{name}","password":"{password}","session":"cookie"}}"#);
    let answer = post(host, LOGIN, &[], &login).await;
    let cookie = answer.headers["set-cookie"].clone();
    (cookie, answer.ok()["csrf_token"].as_str().unwrap().to_owned())
}

/// The first line of the answer to a WebSocket's opening.
async fn knock(host: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut socket = TcpStream::connect(host).await.unwrap();
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    socket.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    let mut bytes = [0; 1024];
    let count = socket.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..count]).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_foreign_page_opens_no_websocket_whatever_cookie_the_browser_adds() {
    with_world(async |world| {
        world.person("ada").await;
        let (cookie, _) = sign_in(&world.console, "ada", "ada has a password").await;
        let cookie = cookie.split(';').next().unwrap();
        let own = format!("http://{}", world.console);
        let tls = format!("https://{}", world.console);
        let operator = format!("http://{}", world.operator);
        for door in ["terminal", "tunnel"] {
            let path = format!("/ws/{door}/al_{}", "0".repeat(26));
            for origin in ["https://evil.example", "null", "http://127.0.0.1", &tls, &operator] {
                let answer = knock(&world.console, &path, &[("origin", origin), ("cookie", cookie)]).await;
                assert_eq!(answer, "HTTP/1.1 403 Forbidden", "{door} from {origin}");
            }
            let answer = knock(&world.console, &path, &[("origin", &own), ("cookie", cookie)]).await;
            assert_eq!(answer, "HTTP/1.1 101 Switching Protocols", "its own page");
            let answer = knock(&world.console, &path, &[]).await;
            assert_eq!(answer, "HTTP/1.1 101 Switching Protocols", "a program, which has no origin");
        }
    });
}

#[test]
fn cookies_are_of_one_door_and_out_of_reach_for_scripts() {
    with_world(async |world| {
        world.person("ada").await;
        let (console, console_csrf) = sign_in(&world.console, "ada", "ada has a password").await;
        let (operator, operator_csrf) = sign_in(&world.operator, "root", OPERATOR).await;
        for cookie in [&console, &operator] {
            for word in ["HttpOnly", "SameSite=Strict", "Path=/"] {
                assert!(cookie.contains(word), "{word}: {cookie}");
            }
        }
        let name = |cookie: &str| cookie.split('=').next().unwrap().to_owned();
        assert_ne!(name(&console), name(&operator), "ports do not tell cookies apart");
        let pair = |cookie: &str| cookie.split(';').next().unwrap().to_owned();
        for (host, cookie, csrf, other) in [
            (&world.console, pair(&console), &console_csrf, &operator_csrf),
            (&world.operator, pair(&operator), &operator_csrf, &console_csrf),
        ] {
            let cookie = ("cookie", cookie.as_str());
            let me = get(host, "/api/v1/me", &[cookie]).await.ok();
            assert_eq!(me["csrf_token"], csrf.as_str());
            let own = format!("http://{host}");
            let act = async |headers: &[(&str, &str)]| {
                let mut all = vec![cookie];
                all.extend(headers);
                post(host, "/api/v1/account/sessions/revoke-others", &all, "").await
            };
            let token = ("x-csrf-token", csrf.as_str());
            assert_eq!(act(&[]).await.refusal(), (403, "csrf"));
            assert_eq!(act(&[("origin", &own)]).await.refusal(), (403, "csrf"));
            assert_eq!(act(&[("x-csrf-token", other), ("origin", &own)]).await.refusal(), (403, "csrf"));
            assert_eq!(act(&[token, ("origin", "https://evil.example")]).await.refusal(), (403, "csrf"));
            assert_eq!(act(&[token, ("origin", "null")]).await.refusal(), (403, "csrf"));
            assert_eq!(act(&[token, ("origin", &own)]).await.status, 200);
        }
    });
}

/// The directives of a policy.
fn policy(text: &str) -> HashMap<&str, Vec<&str>> {
    text.split(';')
        .filter_map(|directive| {
            let mut words = directive.split_whitespace();
            Some((words.next()?, words.collect()))
        })
        .collect()
}

async fn answers(world: &World) -> Vec<(String, HashMap<String, String>)> {
    let mut all = Vec::new();
    for host in [&world.console, &world.operator] {
        for path in ["/", "/workloads", "/admin/operations", "/api/v1/me", "/api/v1/nothing", "/healthz"] {
            let answer = get(host, path, &[("accept", "text/html,application/json")]).await;
            all.push((format!("{host}{path}"), answer.headers));
        }
        let options = send(host, "OPTIONS", "/api/v1/me", &[("origin", "https://evil.example")], b"").await;
        all.push((format!("{host} OPTIONS"), options.headers));
    }
    all
}

#[test]
fn every_answer_tells_browsers_to_run_and_embed_nothing_foreign() {
    with_world(async |world| {
        for (what, headers) in answers(world).await {
            let text = headers.get("content-security-policy").unwrap_or_else(|| panic!("{what} has no policy"));
            let policy = policy(text);
            let scripts = policy.get("script-src").or_else(|| policy.get("default-src")).expect("a rule for scripts");
            assert!(scripts.iter().all(|source| ["'self'", "'none'"].contains(source)), "{what}: {text}");
            assert_eq!(policy["frame-ancestors"], ["'none'"], "{what}");
            assert_eq!(policy["base-uri"], ["'none'"], "{what}");
            let fallback = &policy["default-src"];
            assert!(fallback.iter().all(|source| ["'self'", "'none'"].contains(source)), "{what}: {text}");
            assert_eq!(headers["x-content-type-options"], "nosniff", "{what}");
            assert_eq!(headers["x-frame-options"], "DENY", "{what}");
            assert_eq!(headers["referrer-policy"], "no-referrer", "{what}");
            assert!(!headers.contains_key("access-control-allow-origin"), "{what}");
        }
    });
}
