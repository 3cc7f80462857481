//! Signing up and in, tokens and cookies, roles, and bad input at both doors.

use crate::world::{OPERATOR, get, post, send, with_world};

const LOGIN: &str = "/api/v1/auth/personal/login";
const REFRESH: &str = "/api/v1/auth/token/refresh";

#[test]
fn signing_up_makes_a_tenant_with_one_default_project() {
    with_world(async |world| {
        let ada = world.bearer_of("ada").await;
        let projects = get(&world.console, "/api/v1/projects", &[("authorization", &ada)]).await.ok();
        assert_eq!(projects["items"].as_array().unwrap().len(), 1);
        assert_eq!(projects["items"][0]["is_default"], true);
        let me = get(&world.console, "/api/v1/me", &[("authorization", &ada)]).await.ok();
        assert_eq!(me["default_project"]["id"], projects["items"][0]["id"]);
        assert_eq!((me["door"].as_str(), me["csrf_token"].as_str()), (Some("console"), None));
        let again =
            post(&world.console, "/api/v1/auth/personal/signup", &[], r#"{"username":"ADA","password":"long enough"}"#);
        assert_eq!(again.await.refusal(), (409, "username_taken"));
        let weak =
            post(&world.console, "/api/v1/auth/personal/signup", &[], r#"{"username":"bob","password":"short"}"#);
        assert_eq!(weak.await.refusal(), (422, "weak_password"));
        let nowhere = post(
            &world.operator,
            "/api/v1/auth/personal/signup",
            &[],
            r#"{"username":"bob","password":"long enough"}"#,
        );
        assert_eq!(nowhere.await.refusal(), (404, "not_found"));
    });
}

#[test]
fn doors_do_not_take_each_others_people() {
    with_world(async |world| {
        let ada = world.bearer_of("ada").await;
        let root = world.operator_bearer().await;
        let at = async |host: &str, bearer: &str| get(host, "/api/v1/me", &[("authorization", bearer)]).await;
        assert_eq!(at(&world.operator, &ada).await.refusal(), (403, "operator_token_required"));
        assert_eq!(at(&world.console, &root).await.refusal(), (401, "unauthenticated"));
        let login = r#"{"username":"ada","password":"ada has a password"}"#;
        assert_eq!(post(&world.operator, LOGIN, &[], login).await.refusal(), (403, "operator_role_required"));
        let staff = format!(r#"{{"username":"root","password":"{OPERATOR}"}}"#);
        assert_eq!(post(&world.console, LOGIN, &[], &staff).await.refusal(), (403, "console_role_required"));
        assert_eq!(get(&world.console, "/api/v1/admin/users", &[("authorization", &ada)]).await.status, 404);
    });
}

#[test]
fn a_refresh_token_that_comes_back_ends_the_sign_in() {
    with_world(async |world| {
        let session = world.person("ada").await;
        let with = |token: &str| format!(r#"{{"refresh_token":"{token}"}}"#);
        let first = session["refresh_token"].as_str().unwrap();
        let next = post(&world.console, REFRESH, &[], &with(first)).await.ok();
        let bearer = format!("Bearer {}", next["access_token"].as_str().unwrap());
        assert_eq!(get(&world.console, "/api/v1/me", &[("authorization", &bearer)]).await.status, 200);
        let foreign = post(&world.operator, REFRESH, &[], &with(next["refresh_token"].as_str().unwrap())).await;
        assert_eq!(foreign.refusal(), (401, "unauthenticated"), "a token is good at its door only");
        assert_eq!(post(&world.console, REFRESH, &[], &with(first)).await.refusal(), (401, "refresh_reused"));
        let newer = post(&world.console, REFRESH, &[], &with(next["refresh_token"].as_str().unwrap())).await;
        assert_eq!(newer.status, 401, "the newer one stops working too");
        assert_eq!(get(&world.console, "/api/v1/me", &[("authorization", &bearer)]).await.status, 401);
        assert_eq!(post(&world.console, REFRESH, &[], &with(first)).await.refusal(), (401, "refresh_reused"));
        assert_eq!(post(&world.console, REFRESH, &[], &with("garbage")).await.refusal(), (401, "unauthenticated"));
    });
}

#[test]
fn tokens_end_with_time_and_with_signing_out() {
    with_world(async |world| {
        let session = world.person("ada").await;
        let bearer = format!("Bearer {}", session["access_token"].as_str().unwrap());
        let me = async || get(&world.console, "/api/v1/me", &[("authorization", &bearer)]).await.status;
        world.pass_ms(session["expires_in"].as_i64().unwrap() * 1000 - 1);
        assert_eq!(me().await, 200);
        world.pass_ms(1);
        assert_eq!(me().await, 401);
        let other = world.bearer_of("bob").await;
        let out = post(&world.console, "/api/v1/auth/logout", &[("authorization", &other)], "").await;
        assert_eq!(out.status, 204);
        assert_eq!(get(&world.console, "/api/v1/me", &[("authorization", &other)]).await.status, 401);
        assert_eq!(post(&world.console, "/api/v1/auth/logout", &[], "").await.status, 204);
    });
}

#[test]
fn cookies_need_their_csrf_token_and_their_own_origin() {
    with_world(async |world| {
        world.person("ada").await;
        let login = r#"{"username":"ada","password":"ada has a password","session":"cookie"}"#;
        let evil = [("origin", "https://evil.example")];
        assert_eq!(post(&world.console, LOGIN, &evil, login).await.refusal(), (403, "csrf"));
        let session = post(&world.console, LOGIN, &[], login).await;
        let cookie = session.headers["set-cookie"].clone();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.starts_with("muster-console=")
        );
        let cookie = cookie.split(';').next().unwrap();
        let session = session.ok();
        assert!(session["access_token"].is_null() && session["refresh_token"].is_null());
        let csrf = session["csrf_token"].as_str().unwrap();
        let me = get(&world.console, "/api/v1/me", &[("cookie", cookie)]).await.ok();
        assert_eq!(me["csrf_token"], csrf);
        let path = "/api/v1/account/sessions/revoke-others";
        let with = async |headers: &[(&str, &str)]| {
            let mut all = vec![("cookie", cookie)];
            all.extend(headers);
            post(&world.console, path, &all, "").await
        };
        assert_eq!(with(&[]).await.refusal(), (403, "csrf"));
        assert_eq!(with(&[("x-csrf-token", "wrong")]).await.refusal(), (403, "csrf"));
        assert_eq!(with(&[("x-csrf-token", csrf), evil[0]]).await.refusal(), (403, "csrf"));
        let own = format!("http://{}", world.console);
        assert_eq!(with(&[("x-csrf-token", csrf), ("origin", &own)]).await.ok()["ended"], 1);
        let cross = [("cookie", cookie.replace("console", "operator"))];
        let cross: Vec<(&str, &str)> = cross.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(get(&world.operator, "/api/v1/me", &cross).await.status, 403);
        let smuggled = format!("Bearer {}", cookie.split('=').nth(1).unwrap());
        assert_eq!(get(&world.console, "/api/v1/me", &[("authorization", &smuggled)]).await.status, 401);
    });
}

#[test]
fn guessing_is_slowed_down_but_typing_errors_are_not() {
    with_world(async |world| {
        world.person("ada").await;
        for _ in 0..15 {
            assert_eq!(post(&world.console, LOGIN, &[], r#"{"username":7}"#).await.refusal().0, 422);
        }
        let guess = r#"{"username":"ada","password":"a wrong guess"}"#;
        for _ in 0..10 {
            assert_eq!(post(&world.console, LOGIN, &[], guess).await.refusal(), (401, "bad_credentials"));
        }
        let right = r#"{"username":"ada","password":"ada has a password"}"#;
        let limited = post(&world.console, LOGIN, &[], right).await;
        assert_eq!(limited.refusal(), (429, "rate_limited"));
        assert!(limited.headers["retry-after"].parse::<u64>().unwrap() >= 1);
        world.pass_ms(60_000);
        assert_eq!(post(&world.console, LOGIN, &[], right).await.status, 200);
    });
}

#[test]
fn step_up_opens_the_password_for_five_minutes() {
    with_world(async |world| {
        let ada = world.bearer_of("ada").await;
        let auth = [("authorization", ada.as_str())];
        let change = r#"{"current":"ada has a password","new":"another password"}"#;
        let path = "/api/v1/account/security/password";
        assert_eq!(post(&world.console, path, &auth, change).await.refusal(), (403, "step_up_required"));
        let step_up = "/api/v1/auth/step-up";
        let wrong = post(&world.console, step_up, &auth, r#"{"password":"a wrong guess"}"#).await;
        assert_eq!(wrong.refusal(), (401, "bad_credentials"));
        let right = r#"{"password":"ada has a password"}"#;
        assert_eq!(post(&world.console, step_up, &auth, right).await.status, 200);
        world.pass_ms(300_000);
        assert_eq!(post(&world.console, path, &auth, change).await.refusal(), (403, "step_up_required"));
        assert_eq!(post(&world.console, step_up, &auth, right).await.status, 200);
        assert_eq!(post(&world.console, path, &auth, change).await.status, 204);
        let login = r#"{"username":"ada","password":"another password"}"#;
        assert_eq!(post(&world.console, LOGIN, &[], login).await.status, 200);
    });
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    with_world(async |world| {
        let ada = world.bearer_of("ada").await;
        let auth = ("authorization", ada.as_str());
        let keys = "/api/v1/ssh-keys";
        let body = async |text: &str| post(&world.console, keys, &[auth], text).await;
        assert_eq!(body(r#"{"public_key":"#).await.refusal(), (400, "malformed_json"));
        let json_type = ("content-type", "application/json");
        let no_utf8 = send(&world.console, "POST", keys, &[auth, json_type], b"{\"public_key\":\"\xff\"}").await;
        assert_eq!(no_utf8.refusal(), (400, "malformed_json"));
        assert_eq!(body(r#"{"public_key":7}"#).await.refusal(), (422, "validation_failed"));
        assert_eq!(body(r#"{"name":"x"}"#).await.json["errors"][0]["field"], "public_key");
        let huge = format!(r#"{{"public_key":"{}"}}"#, "a".repeat(1 << 20));
        assert_eq!(body(&huge).await.refusal(), (413, "payload_too_large"));
        let private = body(r#"{"public_key":"-----BEGIN OPENSSH PRIVATE KEY-----\nsecret"}"#).await;
        assert_eq!(private.json["errors"][0]["code"], "private_key_pasted");
        assert!(!private.text.contains("secret"));
        let plain = send(&world.console, "POST", keys, &[auth, ("content-type", "text/plain")], b"{}").await;
        assert_eq!(plain.refusal(), (415, "unsupported_media_type"));
        let foreign = format!("{keys}/sk_{}", "0".repeat(26));
        for path in [foreign.as_str(), "/api/v1/ssh-keys/garbage", "/api/v1/ssh-keys/nd_1"] {
            assert_eq!(send(&world.console, "DELETE", path, &[auth], b"").await.refusal(), (404, "not_found"));
        }
        assert_eq!(send(&world.console, "PUT", keys, &[auth], b"").await.refusal(), (405, "method_not_allowed"));
        assert_eq!(
            get(&world.console, "/api/v1/ssh-keys?limit=0", &[auth]).await.refusal(),
            (422, "validation_failed")
        );
        assert_eq!(
            get(&world.console, "/api/v1/ssh-keys?cursor=x", &[auth]).await.refusal(),
            (422, "validation_failed")
        );
        let list = get(&world.console, keys, &[auth]).await.ok();
        assert_eq!(list["items"].as_array().unwrap().len(), 0);
    });
}

#[test]
fn a_key_is_its_owners_alone() {
    with_world(async |world| {
        let (ada, bob) = (world.bearer_of("ada").await, world.bearer_of("bob").await);
        let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl laptop";
        let body = format!(r#"{{"public_key":"{line}"}}"#);
        let add = async |who: &str| post(&world.console, "/api/v1/ssh-keys", &[("authorization", who)], &body).await;
        let key = add(&ada).await.ok();
        assert_eq!(key["name"], "laptop");
        assert_eq!(add(&ada).await.refusal(), (409, "duplicate"));
        let bobs = add(&bob).await.ok();
        assert_ne!(key["id"], bobs["id"]);
        let path = format!("/api/v1/ssh-keys/{}", key["id"].as_str().unwrap());
        let delete = async |who: &str| send(&world.console, "DELETE", &path, &[("authorization", who)], b"").await;
        assert_eq!(delete(&bob).await.refusal(), (404, "not_found"));
        assert_eq!(delete(&ada).await.status, 204);
        assert_eq!(delete(&ada).await.refusal(), (404, "not_found"));
    });
}
