//! Figures of a long stretch: what was measured by the second is written as means before memory forgets it, is the
//! same when it is computed again, and gaps stay gaps.

use crate::fleet::Operator;
use crate::world::{World, with_world};
use muster_coordinator::telemetry;
use muster_protocol::ids::NodeId;
use muster_protocol::telemetry::{GpuSample, HostSample, Sample};
use serde_json::{Value, json};

/// A whole hour: the clock of the world begins within one.
const HOUR_MS: i64 = 3_600_000;

fn time(ms: i64) -> String {
    muster_coordinator::base::clock::rfc3339(ms).replace('+', "%2B")
}

/// Series of a node by their name.
async fn series(operator: &Operator<'_>, node: NodeId, from_ms: i64, to_ms: i64, step: i64, name: &str) -> Vec<Value> {
    let (from, to) = (time(from_ms), time(to_ms));
    let path = format!("/api/v1/admin/nodes/{node}/metrics?from={from}&to={to}&step={step}");
    let all = operator.get(&path).await.ok();
    assert_eq!(all["step"], step);
    let found = all["series"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned();
    found.map(|one| one["points"].as_array().unwrap().clone()).unwrap_or_default()
}

/// One second of a node with a GPU; the load of the GPU is told, that of the machine is twice as much.
fn tell(world: &World, node: NodeId, at_ms: i64, percent: Option<u32>) {
    let sample = Sample {
        host: Some(HostSample { cpu_milli: percent.map(|percent| u64::from(percent) * 2), ..HostSample::default() }),
        gpus: vec![GpuSample { uuid: "GPU-1".into(), utilization_percent: percent, ..GpuSample::default() }],
        ..Sample::default()
    };
    world.app.telemetry.ingest(node, at_ms, sample);
}

#[test]
fn means_outlive_the_seconds_and_gaps_stay_gaps() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (_, issued) = operator.issued().await;
        let node: NodeId = issued.node_id.parse().unwrap();
        let begin = world.app.clock.now_ms() / HOUR_MS * HOUR_MS + HOUR_MS;
        world.pass_ms(begin - world.app.clock.now_ms());
        // Twenty minutes by the second: 0..59 in each minute; nothing is measured in the third one.
        for minute in 0..20i64 {
            for second in 0..60u32 {
                let at = begin + minute * 60_000 + i64::from(second) * 1000;
                tell(world, node, at, (minute != 2).then_some(second));
            }
            world.pass_ms(60_000);
            if minute % 5 == 4 {
                telemetry::tick::roll(&world.app).await.unwrap();
            }
        }
        let operator = Operator::new(world).await;
        let end = begin + 20 * 60_000;
        let seconds = series(&operator, node, begin, begin + 60_000, 1, "utilization_percent").await;
        assert!(seconds.iter().all(Value::is_null), "the first minute is forgotten by the second");
        let minutes = series(&operator, node, begin, end, 60, "utilization_percent").await;
        let mean = |minute| if minute == 2 { Value::Null } else { json!(29.5) };
        assert_eq!(minutes, (0..20).map(mean).collect::<Vec<_>>());
        let host = series(&operator, node, begin, end, 300, "cpu_milli").await;
        assert_eq!(host, [json!(59.0), json!(59.0), json!(59.0), json!(59.0)]);
        // Once more writes nothing: all is as it was.
        let commits = world.commits();
        telemetry::tick::roll(&world.app).await.unwrap();
        let before = commits();
        telemetry::tick::roll(&world.app).await.unwrap();
        assert_eq!(commits(), before);
    });
}

#[test]
fn minutes_are_kept_a_day_and_hours_a_month() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (_, issued) = operator.issued().await;
        let node: NodeId = issued.node_id.parse().unwrap();
        let begin = world.app.clock.now_ms() / HOUR_MS * HOUR_MS + HOUR_MS;
        world.pass_ms(begin - world.app.clock.now_ms());
        for second in 0..600 {
            tell(world, node, begin + second * 1000, Some(if second < 300 { 10 } else { 20 }));
        }
        world.pass_ms(600_000);
        telemetry::tick::roll(&world.app).await.unwrap();
        let look = async |step| {
            let operator = Operator::new(world).await;
            series(&operator, node, begin, begin + HOUR_MS, step, "utilization_percent").await
        };
        let kept = |values: &[Value]| values.iter().filter(|value| !value.is_null()).count();
        assert_eq!(kept(&look(60).await), 10);
        // The hour is what its minutes say.
        assert_eq!(look(3600).await, [json!(15.0)]);
        world.app.telemetry.forget(node);
        world.pass_ms(27 * HOUR_MS);
        telemetry::tick::turn(world.app.clone()).await.unwrap();
        let minutes = look(60).await;
        assert_eq!((kept(&minutes), &minutes[0]), (60, &json!(15.0)), "the hour stands for its minutes");
        assert_eq!(look(3600).await, [json!(15.0)]);
        world.pass_ms(32 * 24 * HOUR_MS);
        telemetry::tick::turn(world.app.clone()).await.unwrap();
        assert_eq!(look(3600).await, Vec::<Value>::new(), "nothing of the machine is left");
    });
}

#[test]
fn a_restart_and_a_node_that_is_silent_lose_nothing_that_was_written() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let (_, issued) = operator.issued().await;
        let node: NodeId = issued.node_id.parse().unwrap();
        let begin = world.app.clock.now_ms() / HOUR_MS * HOUR_MS + HOUR_MS;
        world.pass_ms(begin - world.app.clock.now_ms() + 120_000);
        for second in 0..120 {
            tell(world, node, begin + second * 1000, Some(10));
        }
        telemetry::tick::roll(&world.app).await.unwrap();
        // What is in memory is gone, as after a crash; then the node is heard again.
        world.app.telemetry.forget(node);
        let operator = Operator::new(world).await;
        let look = async || series(&operator, node, begin, begin + 300_000, 60, "utilization_percent").await;
        assert_eq!(look().await, [json!(10.0), json!(10.0), Value::Null, Value::Null, Value::Null]);
        world.pass_ms(120_000);
        tell(world, node, begin + 180_000, Some(30));
        assert_eq!(
            look().await,
            [json!(10.0), json!(10.0), Value::Null, json!(30.0), Value::Null],
            "the latest from memory"
        );
        telemetry::tick::roll(&world.app).await.unwrap();
        world.app.telemetry.forget(node);
        assert_eq!(look().await, [json!(10.0), json!(10.0), Value::Null, json!(30.0), Value::Null]);
    });
}
