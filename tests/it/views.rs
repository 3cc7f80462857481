//! The room `views` through its door: home, workloads with their counts, and what happened to one.

use muster_tests::{
    World, eventually,
    flow::{launch, nobody, release},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().expect("a list").iter().filter_map(|item| item["name"].as_str()).collect()
}

#[tokio::test]
async fn workloads_are_counted_found_and_remembered() {
    let world = World::start().await;
    let (user, operator, stranger) = (world.user().await, world.operator().await, world.stranger().await);
    let home = stranger.get("/api/v1/home").await.ok();
    assert_eq!((&home["has_ssh_key"], &home["has_launched"]), (&json!(false), &json!(false)));
    assert_eq!(home["counts"], json!({"active": 0, "attention": 0, "history": 0, "all": 0}));

    let first = launch(&user, json!({"sku": "h100", "name": "Alpha-one"})).await;
    let id = first["id"].as_str().expect("an id");
    let _ = launch(&user, json!({"sku": "h100", "name": "beta"})).await;
    let list = user.get("/api/v1/workloads").await.ok();
    assert_eq!(names(&list), ["beta", "Alpha-one"], "newest first");
    assert_eq!(list["counts"], json!({"active": 2, "attention": 0, "history": 0, "all": 2}));
    assert_eq!(names(&user.get("/api/v1/workloads?q=ALPHA").await.ok()), ["Alpha-one"]);
    assert_eq!(names(&user.get(&format!("/api/v1/workloads?q={id}")).await.ok()), ["Alpha-one"]);
    assert!(names(&user.get("/api/v1/workloads?q=%25").await.ok()).is_empty(), "no pattern is meant");
    let page = user.get("/api/v1/workloads?limit=1").await.ok();
    let cursor = page["next_cursor"].as_str().expect("more");
    assert_eq!(names(&user.get(&format!("/api/v1/workloads?limit=1&cursor={cursor}")).await.ok()), ["Alpha-one"]);
    for bad in ["view=everything", "project_id=x", "limit=0", "cursor=garbage"] {
        user.get(&format!("/api/v1/workloads?{bad}")).await.refused(422, "validation_failed");
    }
    assert!(names(&stranger.get("/api/v1/workloads?view=all").await.ok()).is_empty());

    let _ = release(&user, &operator, id).await;
    assert_eq!(names(&user.get("/api/v1/workloads?view=history").await.ok()), ["Alpha-one"]);
    let home = user.get("/api/v1/home").await.ok();
    assert_eq!(home["counts"], json!({"active": 1, "attention": 0, "history": 1, "all": 2}));
    assert_eq!(home["running"][0]["name"], "beta");

    // Tasks and audit trail in one list, page after page, no line twice.
    let path = format!("/api/v1/workloads/{id}/activity");
    let (mut seen, mut next, mut times) = (Vec::new(), String::new(), Vec::new());
    loop {
        let page = user.get(&format!("{path}?limit=3{next}")).await.ok();
        for line in page["items"].as_array().expect("lines") {
            times.push(line["at"].as_str().expect("a time").to_owned());
            seen.push(line.to_string());
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    assert!(times.is_sorted_by(|a, b| a >= b), "newest first: {times:?}");
    let all = user.get(&format!("{path}?limit=200")).await.ok();
    let once: BTreeSet<_> = all["items"].as_array().expect("lines").iter().map(Value::to_string).collect();
    assert_eq!(seen.iter().cloned().collect::<BTreeSet<_>>(), once);
    for word in ["allocations.create", "allocations.release", "allocation.cleanup_receipt"] {
        assert!(seen.iter().any(|line| line.contains(word)), "no {word} in {seen:#?}");
    }
    stranger.get(&path).await.refused(404, "not_found");
    user.get(&format!("/api/v1/workloads/{}/activity", nobody("al"))).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_failed_workload_asks_for_attention() {
    let world = World::start().await;
    let (user, id) = (world.user().await, launch(&world.user().await, json!({"sku": "h100", "name": "lost"})).await);
    let id = id["id"].as_str().expect("an id");
    for pid in muster_tests::flow::cell_pids(id) {
        muster_tests::signal(pid, nix::sys::signal::Signal::SIGKILL);
    }
    let home = eventually("the end of its cell asks for attention", async || {
        let home = user.get("/api/v1/home").await.ok();
        (home["counts"]["attention"] == 1).then_some(home)
    })
    .await;
    assert_eq!(home["attention"][0]["id"], id);
    assert!(home["attention"][0]["failure_reason"]["detail"].is_string(), "{home:#}");
    assert_eq!(names(&user.get("/api/v1/workloads?view=attention").await.ok()), ["lost"]);
}

#[tokio::test]
async fn a_command_that_ended_badly_asks_for_attention_until_it_is_released_by_hand() {
    let world = World::start().await;
    let user = world.user().await;
    for (name, command, release) in
        [("good", "exit 0", true), ("bad", "exit 3", true), ("bad-and-kept", "exit 4", false)]
    {
        let command = json!(["sh", "-c", command]);
        let body = json!({"sku": "h100", "name": name, "command": command, "release_on_exit": release});
        let _ = user.post("/api/v1/allocations", body).await.ok();
    }
    let asking = async || {
        let list = user.get("/api/v1/workloads?view=attention").await.ok();
        assert_eq!(list["counts"]["attention"], list["total"], "{list:#}");
        list
    };
    let list = eventually("both ask for attention", async || {
        let list = asking().await;
        (names(&list) == ["bad-and-kept", "bad"]).then_some(list)
    })
    .await;
    assert_eq!((&list["items"][0]["exit_code"], &list["items"][1]["exit_code"]), (&json!(4), &json!(3)));
    let kept = list["items"][0]["id"].as_str().expect("an id");
    let _ = user.post(&format!("/api/v1/allocations/{kept}/release"), json!({})).await.ok();
    assert_eq!(names(&asking().await), ["bad"]);
}

#[tokio::test]
async fn labels_are_changed_by_version_and_find_what_carries_them() {
    let world = World::start().await;
    let (user, stranger) = (world.user().await, world.stranger().await);
    let labels = json!({"team": "vision", "run": "7"});
    let first = launch(&user, json!({"sku": "h100", "name": "first", "labels": labels})).await;
    let _ = launch(&user, json!({"sku": "h100", "name": "second", "labels": {"team": "speech"}})).await;
    assert_eq!((&first["labels"], &first["version"]), (&labels, &json!(1)));
    let found = async |filter: &str| {
        let list = user.get(&format!("/api/v1/workloads?label={filter}")).await.ok();
        names(&list).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(found("team").await, ["second", "first"], "by the name alone");
    assert_eq!(found("team%3Dvision").await, ["first"]);
    assert!(found("vision").await.is_empty() && found("team%3Dvis").await.is_empty(), "whole words");
    let in_state = async |state: &str| user.get(&format!("/api/v1/workloads?status={state}")).await;
    assert_eq!(names(&in_state("active").await.ok()), ["second", "first"]);
    assert!(names(&in_state("released").await.ok()).is_empty());
    in_state("nope").await.refused(422, "validation_failed");
    let list = user.get("/api/v1/allocations?label=run%3D7").await.ok();
    assert_eq!((names(&list), &list["total"]), (vec!["first"], &json!(1)));

    let path = format!("/api/v1/allocations/{}", first["id"].as_str().expect("an id"));
    let new = json!({"labels": {"team": "speech"}});
    let read = user.get(&path).await.etag();
    assert_eq!(read, "\"1\"");
    for no_version in ["*", "new", "\"\""] {
        user.patch(&path, no_version, new.clone()).await.refused(400, "if_match_invalid");
    }
    let edited = user.patch(&path, &read, new.clone()).await;
    assert_eq!(edited.etag(), "\"2\"");
    assert_eq!(user.get(&path).await.ok()["labels"], new["labels"], "read-back equals write");
    assert_eq!(found("team%3Dspeech").await, ["second", "first"]);
    assert!(found("run").await.is_empty());
    user.patch(&path, "\"1\"", json!({"labels": {}})).await.refused(412, "stale_version");
    stranger.patch(&path, "\"2\"", new.clone()).await.refused(404, "not_found");
    user.patch(&format!("/api/v1/allocations/{}", nobody("al")), "\"1\"", new).await.refused(404, "not_found");
    for bad in [json!({"": "x"}), json!({"a=b": "x"}), json!({"a": "x".repeat(129)}), json!({"a": "b\nc"})] {
        user.patch(&path, "\"2\"", json!({"labels": bad})).await.refused(422, "validation_failed");
    }
    assert_eq!(user.patch(&path, "\"2\"", json!({"label": {}})).await.status, 422, "a word that is none");
    assert_eq!(user.patch(&path, "\"2\"", json!({})).await.ok()["version"], 2, "nothing to change");
    let trail = world.operator().await.get("/api/v1/admin/audit-logs?action=allocations.update").await.ok();
    assert_eq!((&trail["items"][0]["before"]["labels"], trail["items"].as_array().map(Vec::len)), (&labels, Some(1)));
}
