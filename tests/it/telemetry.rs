//! The room `telemetry` through its door: stretches of time that are none, and figures over a crash.

use muster_tests::{
    Cut, World, eventually,
    flow::{nobody, online},
};
use serde_json::Value;
use std::time::Duration;

#[tokio::test]
async fn stretches_are_checked_and_figures_come_back_after_a_crash() {
    let world = World::start().await;
    let (operator, node) = (world.operator().await, world.node(0));
    let path = format!("/api/v1/admin/nodes/{node}/metrics");
    for bad in [
        "from=now",
        "to=x",
        "step=0",
        "step=-1",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "step=9223372036854775807",
    ] {
        operator.get(&format!("{path}?{bad}")).await.refused(422, "validation_failed");
    }
    let years = "from=1970-01-01T00:00:00Z&to=2070-01-01T00:00:00Z";
    operator.get(&format!("{path}?{years}")).await.refused(422, "validation_failed");
    for kind in ["metrics", "xids"] {
        operator.get(&format!("/api/v1/admin/nodes/{}/{kind}", nobody("nd"))).await.refused(404, "not_found");
    }
    let measured = async || {
        let shown = operator.get(&path).await.ok();
        let known = |series: &Value| series["points"].as_array().is_some_and(|all| all.iter().any(Value::is_number));
        let gpus = shown["series"].as_array()?.iter().filter(|series| series["gpu_uuid"].is_string()).any(known);
        gpus.then_some(shown)
    };
    let _ = eventually("GPUs are measured", measured).await;
    world.crash().await;
    let _ = online(&operator, &node).await;
    let after = eventually("GPUs are measured again", measured).await;
    // What nobody measured, because nobody listened, is null and never zero.
    let points = after["series"][0]["points"].as_array().expect("points");
    assert!(points.iter().any(Value::is_null), "{after:#}");
    assert!(points.len() <= 3600);
}

/// The cut of the row AGT-14.
const CUT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_link_that_was_cut_for_a_minute_leaves_no_gap() {
    let world = World::start().await;
    let (operator, node) = (world.operator().await, world.node(0));
    let path = format!("/api/v1/admin/nodes/{node}/metrics?step=10");
    // Whole steps of ten seconds by a clock that all share, from the first that is full.
    let points = async |from: &str, to: &str| {
        let shown = operator.get(&format!("{path}&from={from}&to={to}")).await.ok();
        let of = |series: &&Value| series["name"] == "utilization_percent" || series["name"] == "cpu_milli";
        let all: Vec<Value> = shown["series"].as_array().expect("series").iter().filter(of).cloned().collect();
        assert!(all.len() >= 9, "eight GPUs and the machine: {shown:#}");
        all
    };
    eventually("eight GPUs are sampled", async || {
        let shown = operator.get(&format!("/api/v1/admin/nodes/{node}")).await.ok();
        shown["gpus"].as_array()?.iter().all(|gpu| gpu["sampled_at"].is_string()).then_some(())
    })
    .await;
    let begin = std::time::SystemTime::now() + Duration::from_secs(1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let cut = Cut::of(&world.ready().quic_addr);
    tokio::time::sleep(CUT).await;
    drop(cut);
    let _ = online(&operator, &node).await;
    let end = std::time::SystemTime::now();
    let (from, to) = (rfc3339(begin), rfc3339(end));
    let gapless = eventually("what was measured meanwhile has come", async || {
        let all = points(&from, &to).await;
        let full = |series: &Value| series["points"].as_array().is_some_and(|all| all.iter().all(Value::is_number));
        all.iter().all(full).then_some(all)
    })
    .await;
    assert!(gapless.iter().all(|series| series["points"].as_array().map_or(0, Vec::len) >= 6), "{gapless:#?}");
}

/// To the second.
fn rfc3339(time: std::time::SystemTime) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{}", time.duration_since(std::time::UNIX_EPOCH).expect("now").as_secs())])
        .arg("+%Y-%m-%dT%H:%M:%SZ")
        .output()
        .expect("date");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
