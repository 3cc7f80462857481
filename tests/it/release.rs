//! What a tenant leaves behind is removed and listed; what cannot be removed takes the slot off sale.

use muster_tests::{
    Terminal, World, eventually,
    flow::{cell_pids, launch, receipt, release, slots},
    is_root, signal, simgpu,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

fn step<'a>(receipt: &'a Value, name: &str) -> &'a Value {
    let steps = receipt["after"]["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no step {name}: {receipt:#}"))
}

#[tokio::test]
async fn planted_leftovers_are_gone_and_listed() {
    assert!(is_root(), "make test needs root");
    let world = World::start().await;
    let (user, operator) = (world.user().await, world.operator().await);
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let mut terminal = Terminal::open(&user, &id).await;
    let plant = "nohup sh -c 'trap \"\" HUP; sleep 1000' >/dev/null 2>&1 & setsid sh -c 'sleep 1001 & sleep 1002' >/dev/null 2>&1 & \
                 echo x > /tmp/left; echo x > /dev/shm/left; echo x > ~/left; ipcmk -M 4096 >/dev/null; ipcs -m | grep -c 0x; echo planted";
    assert!(terminal.run(plant).await.contains("1\nplanted"));
    let receipt = release(&user, &operator, &id).await;
    let details = &receipt["after"];
    assert_eq!(details["clean"], true, "{receipt:#}");
    assert!(details["processes_killed"].as_u64() >= Some(4), "{receipt:#}");
    assert!(details["files_removed"].as_u64() >= Some(3), "{receipt:#}");
    assert!(details["ipc_removed"].as_u64() >= Some(1), "{receipt:#}");
    for name in ["processes", "home", "tmp", "shm", "ipc", "mounts", "cgroup"] {
        assert_eq!(step(&receipt, name)["clean"], true, "{receipt:#}");
    }
    let mounts = std::fs::read_to_string("/proc/mounts").expect("mounts");
    assert!(!mounts.contains(&id), "{mounts}");
}

#[tokio::test]
async fn a_sticky_gpu_handle_quarantines_the_slot() {
    let world = World::start().await;
    let (user, operator) = (world.user().await, world.operator().await);
    let node = world.node(0);
    let allocation = launch(&user, json!({"sku": "h100"})).await;
    let id = allocation["id"].as_str().expect("an id").to_owned();
    let gpu = allocation["slots"][0]["gpu_uuid"].as_str().expect("a GPU").to_owned();
    let agent = world.ready().pids.agents[0].clone();
    let fault = simgpu("simgpu-fault", &agent, &["--gpu", &gpu, "sticky-handle", "on"]);
    assert!(fault.status.success(), "{}", String::from_utf8_lossy(&fault.stderr));
    let mut terminal = Terminal::open(&user, &id).await;
    terminal.type_in("simgpu-use --memory 1GiB --seconds 1000 &\n").await;
    // It says its line once its handle will stick.
    terminal.until("1073741824").await;
    let receipt = release(&user, &operator, &id).await;
    assert_eq!(receipt["after"]["clean"], false, "{receipt:#}");
    eventually("the slot has a hold", async || {
        let list = operator.get(&format!("/api/v1/admin/nodes/{node}/slots")).await.ok();
        let slot = list["items"].as_array()?.iter().find(|slot| slot["gpu_uuid"] == gpu.as_str())?.clone();
        slot["holds"].as_array().is_some_and(|holds| !holds.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_killed_pid_1_fails_the_allocation_and_frees_the_slot() {
    assert!(is_root(), "make test needs root");
    let world = World::start().await;
    let (user, operator) = (world.user().await, world.operator().await);
    let node = world.node(0);
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let pids = cell_pids(&id);
    assert_eq!(pids.len(), 1, "{pids:?}");
    signal(pids[0], Signal::SIGKILL);
    let failed = in_failed(&user, &id).await;
    assert_eq!(failed["failure_reason"]["code"], "cell_ended", "{failed:#}");
    let _ = receipt(&operator, &id).await;
    eventually("the slot is free", async || (slots(&operator, &node, "free").await.len() == 8).then_some(())).await;
    let mounts = std::fs::read_to_string("/proc/mounts").expect("mounts");
    assert!(!mounts.contains(&id), "{mounts}");
}

async fn in_failed(user: &muster_tests::Api, id: &str) -> Value {
    eventually("the allocation has failed", async || {
        let now = user.get(&format!("/api/v1/allocations/{id}")).await.ok();
        (now["state"] == "failed").then_some(now)
    })
    .await
}
