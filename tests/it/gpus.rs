//! GPUs as operators and tenants see them: figures, faults, what was not measured, and whose instance it is.

use muster_tests::{Api, Terminal, World, eventually, flow::launch, simgpu};
use serde_json::{Value, json};

async fn node(operator: &Api, id: &str) -> Value {
    operator.get(&format!("/api/v1/admin/nodes/{id}")).await.ok()
}

/// The node, once something holds of it.
async fn node_when(operator: &Api, id: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || Some(node(operator, id).await).filter(|node| holds(node))).await
}

fn fault(world: &World, gpu: &str, words: &[&str]) {
    let agent = world.ready().pids.agents[0].clone();
    let done = simgpu("simgpu-fault", &agent, &[&["--gpu", gpu], words].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn figures_follow_the_work_and_what_is_not_said_is_null() {
    let world = World::start().await;
    let (user, operator, id) = (world.user().await, world.operator().await, world.node(0));
    let allocation = launch(&user, json!({"sku": "h100"})).await;
    let gpu = allocation["slots"][0]["gpu_uuid"].as_str().expect("a GPU").to_owned();
    let of = |node: &Value| node["gpus"].as_array()?.iter().find(|item| item["uuid"] == gpu.as_str()).cloned();
    let mut terminal = Terminal::open(&user, allocation["id"].as_str().expect("an id")).await;
    terminal.type_in("simgpu-use --memory 3GiB --load 65 --seconds 1000 &\n").await;
    let busy = |node: &Value| of(node).is_some_and(|gpu| gpu["utilization_percent"] == 65);
    let seen = of(&node_when(&operator, &id, "the work is seen", busy).await).expect("the GPU");
    assert_eq!(
        (&seen["memory_used_bytes"], &seen["memory_total_bytes"]),
        (&json!(3_u64 << 30), &json!(81_559_u64 << 20))
    );
    assert!(seen["sampled_at"].is_string(), "{seen:#}");
    fault(&world, &gpu, &["not-supported", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetTemperature"]);
    let silent = |node: &Value| of(node).is_some_and(|gpu| gpu["power_mw"].is_null() && gpu["temperature_c"].is_null());
    let seen = of(&node_when(&operator, &id, "two figures are null", silent).await).expect("the GPU");
    assert_eq!(seen["utilization_percent"], 65, "the others are still there: {seen:#}");
}

#[tokio::test]
async fn a_gpu_that_hangs_degrades_its_node_and_no_other_gpu() {
    let world = World::start().await;
    let (operator, id) = (world.operator().await, world.node(0));
    let all_fresh = |node: &Value| {
        let gpus = node["gpus"].as_array().map(Vec::as_slice).unwrap_or_default();
        gpus.len() == 8 && gpus.iter().all(|gpu| gpu["sampled_at"].is_string())
    };
    let well = |node: &Value| node["gpu_state"] == "ok" && all_fresh(node);
    let before = node_when(&operator, &id, "eight GPUs are sampled", well).await;
    fault(&world, "3", &["hang", "on"]);
    let broken = |node: &Value| node["gpu_state"] == "degraded" && node["gpus"][3]["sampled_at"].is_null();
    let degraded = node_when(&operator, &id, "GPU 3 is withdrawn", broken).await;
    assert!(degraded["gpus"][3]["error"].is_string(), "{degraded:#}");
    let slots = operator.get(&format!("/api/v1/admin/nodes/{id}/slots")).await.ok();
    assert_eq!(slots["items"].as_array().map(Vec::len), Some(8), "its slot is still there");
    // The other seven are measured on while it hangs.
    let others = [0, 1, 2, 4, 5, 6, 7];
    let newer = |node: &Value| {
        let at = |node: &Value, index: usize| node["gpus"][index]["sampled_at"].as_str().map(str::to_owned);
        broken(node) && others.iter().all(|index| at(node, *index) > at(&degraded, *index))
    };
    let later = node_when(&operator, &id, "the others are sampled on", newer).await;
    assert!(later["gpus"][0]["sampled_at"].as_str() > before["gpus"][0]["sampled_at"].as_str());
    fault(&world, "3", &["clear"]);
    let _ = node_when(&operator, &id, "GPU 3 is back", well).await;
}

#[tokio::test]
async fn a_cell_sees_its_own_mig_instance_and_nothing_else() {
    let world = World::with_nodes(2).await;
    let user = world.user().await;
    let allocation = launch(&user, json!({"sku": "mig-2g.20gb"})).await;
    let mut terminal = Terminal::open(&user, allocation["id"].as_str().expect("an id")).await;
    assert_eq!(terminal.run("simgpu-smi -L | grep -c '^GPU'").await, "1");
    assert_eq!(terminal.run("simgpu-smi -L | grep -c ' MIG '").await, "1");
    assert_eq!(terminal.run("simgpu-smi -L | grep -c 'MIG 2g.20gb'").await, "1");
    assert_eq!(
        terminal.run("[ \"$CUDA_VISIBLE_DEVICES\" = \"$(simgpu-smi -L | grep -o 'MIG-[^)]*')\" ] && echo same").await,
        "same"
    );
    assert_eq!(terminal.run("ls /dev/nvidia-caps | wc -l").await, "2");
    let used = terminal.run("simgpu-use --seconds 2 >/dev/null & sleep 1; simgpu-smi | grep -c '1024 MiB'; wait").await;
    assert!(used.lines().any(|line| line == "1"), "{used}");
}
