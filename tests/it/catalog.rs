//! The catalog: drafts, what is offered, what is retired, and what cannot be a SKU.

use muster_tests::{
    Answer, Api, Cli, World, binary, eventually,
    flow::{in_state, launch, nobody, only},
    fresh_key,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;

async fn patch(api: &Api, id: &str, version: Option<&str>, body: Value) -> Answer {
    let path = format!("/api/v1/admin/skus/{id}");
    let headers: Vec<(&str, &str)> = version.map(|version| ("if-match", version)).into_iter().collect();
    api.send(Method::PATCH, &path, &headers, Some(body.to_string())).await
}

#[tokio::test]
async fn bad_input_makes_no_sku() {
    let world = World::start().await;
    let operator = world.operator().await;
    let before = operator.get("/api/v1/admin/skus").await.ok();
    for body in [
        json!({}),
        json!({"name": "a"}),
        json!({"name": "a", "kind": "tpu"}),
        json!({"name": "a b", "kind": "cpu"}),
        json!({"name": "a", "kind": "mig"}),
        json!({"name": "a", "kind": "gpu", "gpus": 0}),
        json!({"name": "a", "kind": "gpu", "profile": "1g.10gb"}),
        json!({"name": "a", "kind": "cpu", "pids": 1}),
        json!({"name": "a", "kind": "cpu", "memory_bytes": -1}),
    ] {
        operator.post("/api/v1/admin/skus", body).await.refused(422, "validation_failed");
    }
    operator.post("/api/v1/admin/skus", json!({"name": "h100", "kind": "cpu"})).await.refused(409, "already_exists");
    assert_eq!(operator.get("/api/v1/admin/skus").await.ok(), before);
    for id in ["ku_00000000000000000000000000", "nonsense"] {
        operator.get(&format!("/api/v1/admin/skus/{id}")).await.refused(404, "not_found");
        operator.post(&format!("/api/v1/admin/skus/{id}/retire"), json!({})).await.refused(404, "not_found");
    }
    let user = world.user().await;
    user.post("/api/v1/admin/skus", json!({"name": "mine", "kind": "cpu"})).await.refused(404, "not_found");
}

#[tokio::test]
async fn drafts_are_invisible_and_retired_ones_are_not_launched() {
    let world = World::start().await;
    let (user, operator) = (world.user().await, world.operator().await);
    let made =
        operator.post("/api/v1/admin/skus", json!({"name": "pair", "kind": "gpu", "gpu_model": "H100", "gpus": 2}));
    let made = made.await.ok();
    let id = made["id"].as_str().expect("an id").to_owned();
    assert_eq!((&made["state"], &made["free"], &made["total"]), (&json!("draft"), &json!(4), &json!(4)), "{made:#}");
    user.get(&format!("/api/v1/skus/{id}")).await.refused(404, "not_found");
    let body = json!({"sku": "pair", "ssh_key_ids": []});
    user.post("/api/v1/allocations", body.clone()).await.refused(404, "not_found");
    let act = |verb: &str| format!("/api/v1/admin/skus/{id}/{verb}");
    assert_eq!(operator.post(&act("activate"), json!({})).await.ok()["state"], "active");
    let allocation = launch(&user, json!({"sku": id})).await;
    assert_eq!((allocation["slots"].as_array().map(Vec::len), &allocation["sku"]), (Some(2), &json!("pair")));
    let shown = user.get(&format!("/api/v1/skus/{id}")).await.ok();
    assert_eq!((&shown["free"], &shown["availability"]), (&json!(3), &json!("available")), "{shown:#}");
    assert_eq!(operator.post(&act("retire"), json!({})).await.ok()["state"], "retired");
    user.post("/api/v1/allocations", body).await.refused(409, "sku_retired");
    let list = user.get("/api/v1/skus").await.ok();
    assert!(list["items"].as_array().expect("SKUs").iter().all(|sku| sku["name"] != "pair"), "{list:#}");
    let still = user.get(&format!("/api/v1/allocations/{}", allocation["id"].as_str().expect("an id"))).await.ok();
    assert_eq!(still["state"], "active");
    let matches = operator.get(&act("matches")).await.ok();
    assert_eq!((&matches["free"], &matches["total"]), (&json!(3), &json!(4)));
}

#[tokio::test]
async fn a_stale_edit_is_refused() {
    let world = World::start().await;
    let operator = world.operator().await;
    let made = operator.post("/api/v1/admin/skus", json!({"name": "draft", "kind": "cpu"})).await.ok();
    let id = made["id"].as_str().expect("an id").to_owned();
    let read = operator.get(&format!("/api/v1/admin/skus/{id}")).await;
    let version = read.headers["etag"].to_str().expect("text").to_owned();
    patch(&operator, &id, None, json!({"pids": 64})).await.refused(428, "if_match_required");
    let edited = patch(&operator, &id, Some(&version), json!({"pids": 64})).await;
    assert_eq!((edited.status.as_u16(), &edited.body["pids"]), (200, &json!(64)), "{}", edited.text);
    patch(&operator, &id, Some(&version), json!({"pids": 65})).await.refused(412, "stale_version");
    let version = edited.headers["etag"].to_str().expect("text").to_owned();
    patch(&operator, &id, Some(&version), json!({"name": "h100"})).await.refused(409, "already_exists");
    patch(&operator, &id, Some(&version), json!({"gpus": 3})).await.refused(422, "validation_failed");
    let offered = operator.post(&format!("/api/v1/admin/skus/{id}/activate"), json!({})).await;
    assert_eq!(offered.status, 200);
    let read = operator.get(&format!("/api/v1/admin/skus/{id}")).await;
    let version = read.headers["etag"].to_str().expect("text").to_owned();
    patch(&operator, &id, Some(&version), json!({"pids": 66})).await.refused(409, "invalid_state");
}

/// Sets a price at a version, with a key.
async fn price(api: &Api, sku: &str, version: &str, key: &str, body: Value) -> Answer {
    let headers = [("idempotency-key", key), ("if-match", version)];
    api.send(Method::POST, &format!("/api/v1/admin/skus/{sku}/prices"), &headers, Some(body.to_string())).await
}

async fn version(operator: &Api, sku: &str) -> String {
    operator.get(&format!("/api/v1/admin/skus/{sku}")).await.etag()
}

async fn named(api: &Api, name: &str) -> Value {
    only(&api.get("/api/v1/skus").await.ok(), "name", &json!(name)).clone()
}

#[tokio::test]
async fn what_runs_keeps_its_price() {
    let world = World::start().await;
    let (user, operator) = (world.user().await, world.operator().await);
    let sku = named(&user, "h100").await;
    let id = sku["id"].as_str().expect("an id").to_owned();
    assert_eq!((&sku["price_minor_per_hour"], &sku["currency"]), (&json!(249), &json!("USD")), "{sku:#}");
    assert_eq!(user.get("/api/v1/home").await.ok()["running_prices"], json!([]));
    let body = json!({"sku": "h100", "count": 2, "ssh_key_ids": []});
    let look = user.post("/api/v1/launch/compute/precheck", body.clone()).await.ok();
    assert_eq!(look["estimate"], json!({"currency": "USD", "hourly_minor": 498}), "{look:#}");
    let launched = user.post("/api/v1/allocations", body).await.ok();
    assert_eq!(launched["estimate"], look["estimate"]);
    let old = json!({"currency": "USD", "minor_per_hour": 249});
    for allocation in launched["allocation_ids"].as_array().expect("ids") {
        let shown = in_state(&user, allocation.as_str().expect("an id"), &["active"]).await;
        assert_eq!(shown["price"], old, "{shown:#}");
    }

    let dearer = json!({"price_minor_per_hour": 300});
    let set = price(&operator, &id, &version(&operator, &id).await, &fresh_key(), dearer).await;
    assert_eq!((set.status.as_u16(), &set.body["state"]), (201, &json!("current")), "{}", set.text);
    assert_eq!(named(&user, "h100").await["price_minor_per_hour"], 300);
    let new = launch(&user, json!({"sku": "h100"})).await;
    assert_eq!(new["price"], json!({"currency": "USD", "minor_per_hour": 300}), "{new:#}");
    let first = launched["allocation_ids"][0].as_str().expect("an id");
    assert_eq!(user.get(&format!("/api/v1/allocations/{first}")).await.ok()["price"], old);
    let home = user.get("/api/v1/home").await.ok();
    assert_eq!(home["running_prices"], json!([{"currency": "USD", "minor_per_hour": 798}]), "{home:#}");

    let history = operator.get(&format!("/api/v1/admin/skus/{id}/prices")).await.ok();
    let shown = |item: &Value| (item["price_minor_per_hour"].clone(), item["state"].clone());
    let items: Vec<_> = history["items"].as_array().expect("prices").iter().map(shown).collect();
    assert_eq!(items, [(json!(300), json!("current")), (json!(249), json!("past"))], "{history:#}");
    let events = operator.get(&format!("/api/v1/admin/audit-logs?action=skus.set_price&target={id}")).await.ok();
    let event = &events["items"][0];
    assert_eq!((&event["before"], &event["after"]["minor_per_hour"]), (&old, &json!(300)), "{events:#}");
}

#[tokio::test]
async fn a_price_is_set_once_for_a_version_that_was_read() {
    let world = World::with_nodes(0).await;
    let operator = world.operator().await;
    let made = operator.post("/api/v1/admin/skus", json!({"name": "priced", "kind": "cpu"})).await.ok();
    let id = made["id"].as_str().expect("an id").to_owned();
    assert_eq!((&made["price_minor_per_hour"], &made["currency"]), (&Value::Null, &json!("USD")), "{made:#}");
    let (read, path) = (version(&operator, &id).await, format!("/api/v1/admin/skus/{id}/prices"));
    let body = json!({"price_minor_per_hour": 5});
    operator.post(&path, body.clone()).await.refused(428, "if_match_required");
    let headers = [("if-match", read.as_str())];
    let unkeyed = operator.send(Method::POST, &path, &headers, Some(body.to_string())).await;
    unkeyed.refused(400, "idempotency_key_required");
    for bad in [
        json!({}),
        json!({"price_minor_per_hour": -1}),
        json!({"price_minor_per_hour": 2.49}),
        json!({"price_minor_per_hour": "5"}),
        json!({"price_minor_per_hour": 1_000_000_000_000_i64}),
        json!({"price_minor_per_hour": 5, "effective_at": "tomorrow"}),
        json!({"price_minor_per_hour": 5, "effective_at": "2020-01-01T00:00:00Z"}),
        json!({"price_minor_per_hour": 5, "effective_at": "9999-01-01T00:00:00Z"}),
        json!({"price_minor_per_hour": 5, "currency": "EUR"}),
    ] {
        price(&operator, &id, &read, &fresh_key(), bad).await.refused(422, "validation_failed");
    }
    for foreign in [nobody("ku"), "nonsense".to_owned()] {
        price(&operator, &foreign, &read, &fresh_key(), body.clone()).await.refused(404, "not_found");
        operator.get(&format!("/api/v1/admin/skus/{foreign}/prices")).await.refused(404, "not_found");
    }
    let user = world.user().await;
    price(&user, &id, &read, &fresh_key(), body.clone()).await.refused(404, "not_found");
    assert_eq!(operator.get(&path).await.ok()["items"], json!([]));

    // What was answered stands after a crash, and the same key sets it once.
    let key = fresh_key();
    let set = price(&operator, &id, &read, &key, body.clone()).await;
    let killed = world.kill_coordinator();
    assert_eq!(set.status, 201, "{}", set.text);
    world.coordinator_is_back(killed).await;
    let again = price(&operator, &id, &read, &key, body.clone()).await;
    assert!(again.is_replayed() && again.body == set.body, "{}", again.text);
    price(&operator, &id, &read, &fresh_key(), body.clone()).await.refused(412, "stale_version");
    assert_eq!(operator.get(&path).await.ok()["items"].as_array().map(Vec::len), Some(1));

    // A retired one may be priced before it is offered again; one for the same time replaces what was to come.
    for act in ["activate", "retire"] {
        let _ = operator.post(&format!("/api/v1/admin/skus/{id}/{act}"), json!({})).await.ok();
    }
    let year: i64 = set.body["created_at"].as_str().and_then(|at| at[..4].parse().ok()).expect("a year");
    let later = format!("{}-01-01T00:00:00.000Z", year + 2);
    for minor in [6, 7] {
        let body = json!({"price_minor_per_hour": minor, "effective_at": later});
        let set = price(&operator, &id, &version(&operator, &id).await, &fresh_key(), body).await.ok();
        assert_eq!((&set["state"], &set["effective_at"]), (&json!("coming"), &json!(later)), "{set:#}");
    }
    let shown = operator.get(&format!("/api/v1/admin/skus/{id}")).await.ok();
    let coming = shown["coming_prices"].as_array().expect("prices").clone();
    assert_eq!((&shown["price_minor_per_hour"], coming.len()), (&json!(5), 1), "{shown:#}");
    assert_eq!(coming[0]["price_minor_per_hour"], 7);
    let page = operator.get(&format!("{path}?limit=2")).await.ok();
    let states = |page: &Value| -> Vec<Value> {
        page["items"].as_array().expect("prices").iter().map(|item| item["state"].clone()).collect()
    };
    assert_eq!(states(&page), ["coming", "replaced"], "{page:#}");
    let next = page["next_cursor"].as_str().expect("a page more");
    assert_eq!(states(&operator.get(&format!("{path}?limit=2&cursor={next}")).await.ok()), ["current"]);
}

#[tokio::test]
async fn prices_are_set_and_read_from_the_command_line() {
    let world = World::start().await;
    let ready = world.ready();
    let staff = Cli::login(&ready.operator_url, &ready.operator.username, &ready.operator.password, true);
    let user = Cli::login(&ready.console_url, &ready.user.username, &ready.user.password, false);
    let create = ["skus", "create", "--name", "priced", "--kind", "gpu", "--price", "2.5", "--activate"];
    let _ = staff.run(&create).ok();
    let listed = user.run(&["skus", "list"]).ok();
    let line = |name: &str| listed.lines().find(|line| line.starts_with(name)).expect("a line").to_owned();
    assert!(line("priced ").contains("2.50 USD") && line("h100 ").contains("2.49 USD"), "{listed}");
    let bad = staff.run(&["skus", "price", "priced", "2.499"]);
    assert!(bad.code == 1 && bad.err.contains("2 digits"), "{bad:?}");
    let past = staff.run(&["skus", "price", "priced", "3", "--from", "2020-01-01T00:00:00Z"]);
    assert!(past.code != 0 && past.err.contains("past"), "{past:?}");
    let launched = user.run(&["launch", "--sku", "priced", "--no-ssh", "--name", "mine", "--count", "2"]);
    assert!(launched.err.contains("costs 5.00 USD an hour"), "{launched:?}");
    let set = staff.run(&["skus", "price", "priced", "3"]);
    assert!(set.code == 0 && set.err.contains("3.00 USD"), "{set:?}");
    let id = launched.ok().lines().next().expect("an id").to_owned();
    let shown = user.run(&["allocations", "show", &id]).ok();
    assert!(shown.contains("2.50 USD an hour"), "{shown}");
}

#[tokio::test]
async fn another_currency_begins_without_prices_and_changes_none_of_what_runs() {
    let mut world = World::start().await;
    let launched = launch(&world.user().await, json!({"sku": "h100"})).await;
    let id = launched["id"].as_str().expect("an id");
    let (before, file) = (world.ready(), world.dir().join("yen.json"));
    world.kill_demo().await;
    let mut yen = tokio::process::Command::new(binary("muster-coordinator"));
    yen.args(["serve", "--currency", "JPY", "--quic", "127.0.0.1:0", "--data-dir"]).arg(world.data_dir());
    yen.args(["--console", "127.0.0.1:0", "--operator", "127.0.0.1:0", "--ready-file"]).arg(&file);
    yen.envs(world.database().map(|database| ("MUSTER_DATABASE", database.url())));
    let _serving = yen.kill_on_drop(true).spawn().expect("a coordinator");
    let ready: Value = eventually("it is up", async || serde_json::from_slice(&fs::read(&file).ok()?).ok()).await;
    let door = |name: &str| ready[name].as_str().expect("an address").to_owned();

    let user = Api::login(&door("console_url"), &before.user.username, &before.user.password).await;
    let sku = named(&user, "h100").await;
    assert_eq!((&sku["price_minor_per_hour"], &sku["currency"]), (&Value::Null, &json!("JPY")), "{sku:#}");
    let staff = Cli::login(&door("operator_url"), &before.operator.username, &before.operator.password, true);
    let bad = staff.run(&["skus", "price", "h100", "2.5"]);
    assert!(bad.code == 1 && bad.err.contains("JPY"), "{bad:?}");
    let _ = staff.run(&["skus", "price", "h100", "250"]).ok();
    assert_eq!(named(&user, "h100").await["price_minor_per_hour"], 250);
    let old = json!({"currency": "USD", "minor_per_hour": 249});
    assert_eq!(user.get(&format!("/api/v1/allocations/{id}")).await.ok()["price"], old);
    assert_eq!(user.get("/api/v1/home").await.ok()["running_prices"], json!([old]));

    let refused = world.coordinator(&["serve", "--currency", "usd"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("ISO 4217"), "{refused:?}");
}
