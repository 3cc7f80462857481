//! Live streams over a real Muster: a task that is followed across a crash, and figures of a running workload.

use muster_tests::{Events, World, eventually, flow::launch, signal};
use nix::sys::signal::Signal;
use serde_json::json;

#[tokio::test]
async fn a_task_is_followed_across_a_crash_without_gap_or_repeat() {
    let world = World::start().await;
    let user = world.user().await;
    let agent = world.ready().pids.agents[0].clone();
    let mut tab = Events::open(&user, "/api/v1/events/stream?topics=operations,allocations", None).await;
    assert_eq!(tab.next().await.expect("an event").name, "ready");
    signal(agent.pid, Signal::SIGSTOP);
    let accepted = user.post("/api/v1/allocations", json!({"sku": "h100", "ssh_key_ids": []})).await.ok();
    let operation = accepted["operation_id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/tasks/{operation}/stream");
    let mut task = Events::open(&user, &path, None).await;
    let mut lines = vec![task.next().await.expect("a line"), task.next().await.expect("a line")];
    let seen = tab.next().await.expect("a change");
    assert_eq!(seen.name, "change", "{seen:?}");

    world.crash().await;
    // What had been sent is read to where it broke off.
    while let Some(line) = task.next().await {
        lines.push(line);
    }
    signal(agent.pid, Signal::SIGCONT);
    // Places in the feed are of one start of the coordinator; lines of a task are kept.
    let mut tab = Events::open(&user, "/api/v1/events/stream?topics=operations", Some(&seen.id)).await;
    assert_eq!(tab.next().await.expect("an event").name, "resync");
    let last = lines.last().map(|line| line.id.clone());
    let mut task = Events::open(&user, &path, last.as_deref()).await;
    while let Some(line) = task.next().await {
        lines.push(line);
    }
    let ids: Vec<usize> = lines.iter().map(|line| line.id.parse().expect("a number")).collect();
    assert_eq!(ids, (1..=lines.len()).collect::<Vec<_>>(), "{lines:#?}");
    let end = lines.last().expect("lines");
    assert_eq!((end.name.as_str(), &end.data["detail"]), ("ended", &json!("succeeded")), "{lines:#?}");
    assert_eq!(user.stream(&path, Some(&end.id)).await.status(), 204);
    let allocation = accepted["allocation_ids"][0].as_str().expect("an id");
    let released = user.post(&format!("/api/v1/allocations/{allocation}/release"), json!({})).await.ok();
    loop {
        let event = tab.next().await.expect("it goes on");
        if event.data["id"] == released["operation_id"] {
            break;
        }
    }
}

#[tokio::test]
async fn figures_of_a_workload_are_fresh_and_its_own() {
    let world = World::start().await;
    let (user, stranger) = (world.user().await, world.stranger().await);
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let config = user.get("/api/v1/metrics/config").await.ok();
    assert_eq!((&config["steps"][0]["step_s"], &config["steps"][0]["kept_s"]), (&json!(1), &json!(900)), "{config:#}");
    let path = config["stream"].as_str().expect("an address").replace("{workload_id}", &id);
    assert_eq!(stranger.stream(&path, None).await.status(), 404);
    let mut stream = Events::open(&user, &path, None).await;
    assert_eq!(stream.next().await.expect("an event").name, "ready");
    let sample = stream.next().await.expect("figures");
    assert_eq!((sample.name.as_str(), &sample.data["id"]), ("sample", &json!(id)));

    let path = format!("/api/v1/events/stream?topics=metrics:{id}");
    assert_eq!(stranger.stream(&path, None).await.status(), 404);
    let mut stream = Events::open(&user, &path, None).await;
    assert_eq!(stream.next().await.expect("an event").name, "ready");
    let (mut last_to, mut measured) = (None::<String>, 0);
    while measured < 3 {
        let event = stream.next().await.expect("figures");
        assert_eq!((event.name.as_str(), &event.data["id"]), ("metrics", &json!(id)));
        if let Some(to) = last_to {
            assert_eq!(event.data["from"], to.as_str(), "no second twice, none left out");
        }
        last_to = event.data["to"].as_str().map(str::to_owned);
        let series = event.data["series"].as_array().expect("series");
        let used = series.iter().find(|series| series["name"] == "memory_used_bytes" && series["gpu_uuid"].is_null());
        let newest = used.and_then(|series| series["points"].as_array()?.last()?.as_f64());
        measured += usize::from(newest.is_some());
    }
    // Signing out ends it, and nothing more comes.
    assert_eq!(user.post("/api/v1/auth/logout", json!({})).await.status, 204);
    let end = eventually("the end", async || {
        loop {
            match stream.next().await {
                Some(event) if event.name == "end" => return Some(event),
                Some(_) => {}
                None => return None,
            }
        }
    })
    .await;
    assert_eq!(end.data["reason"], "signed_out");
    assert_eq!(stream.next().await, None);
}
