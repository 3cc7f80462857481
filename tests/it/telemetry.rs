//! The room `telemetry` through its door: stretches of time that are none, and figures over a crash.

use muster_tests::{
    World, eventually,
    flow::{nobody, online},
};
use serde_json::Value;

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
