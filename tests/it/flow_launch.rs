//! From a SKU to a running cell and back to a free slot with a receipt.

use muster_tests::{
    Terminal, World, eventually,
    flow::{launch, release, slots},
};
use serde_json::json;

#[tokio::test]
async fn launch_use_release() {
    let world = World::start().await;
    let (user, operator) = (world.user().await, world.operator().await);
    let node = world.node(0);
    let allocation = launch(&user, json!({"sku": "h100", "name": "first"})).await;
    let id = allocation["id"].as_str().expect("an id").to_owned();
    assert_eq!(allocation["node_id"], node.as_str());
    assert_eq!(allocation["slots"].as_array().map(Vec::len), Some(1));
    assert_eq!(slots(&operator, &node, "leased").await.len(), 1);

    let mut terminal = Terminal::open(&user, &id).await;
    let seen = terminal.run("ls /dev/nvidia[0-9]* | wc -l; id -un; hostname").await;
    assert_eq!(seen, "1\nmuster\nfirst");

    let receipt = release(&user, &operator, &id).await;
    assert_eq!(receipt["after"]["clean"], true, "{receipt:#}");
    let _ =
        eventually("the slot is free", async || (slots(&operator, &node, "free").await.len() == 8).then_some(())).await;
    let again = user.post(&format!("/api/v1/allocations/{id}/release"), json!({})).await;
    again.refused(409, "invalid_state");
}

#[tokio::test]
async fn a_launch_shows_its_steps() {
    let world = World::start().await;
    let user = world.user().await;
    let accepted = user.post("/api/v1/allocations", json!({"sku": "h100", "ssh_key_ids": []})).await.ok();
    let operation = accepted["operation_id"].as_str().expect("an id").to_owned();
    let done = eventually("the operation succeeds", async || {
        let now = user.get(&format!("/api/v1/operations/{operation}")).await.ok();
        assert_ne!(now["state"], "failed", "{now:#}");
        (now["state"] == "succeeded").then_some(now)
    })
    .await;
    let steps = done["steps"].as_array().expect("steps");
    assert!(steps.len() >= 3, "{done:#}");
    assert!(steps.iter().all(|step| step["state"] == "completed" && step["ended_at"].is_string()), "{done:#}");
    assert_eq!(done["subject"]["id"], accepted["allocation_ids"][0], "{done:#}");
}

#[tokio::test]
async fn mig_and_whole_gpus_share_a_node() {
    let world = World::with_nodes(2).await;
    let user = world.user().await;
    let skus = user.get("/api/v1/skus").await.ok();
    let mig =
        skus["items"].as_array().expect("SKUs").iter().find(|sku| sku["kind"] == "mig").expect("a MIG SKU").clone();
    let slice = launch(&user, json!({"sku": mig["id"]})).await;
    let whole = launch(&user, json!({"sku": "a100-80"})).await;
    assert_eq!(slice["node_id"], whole["node_id"], "{slice:#} {whole:#}");
    assert!(slice["slots"][0]["profile"].is_string(), "{slice:#}");
    let mut terminal = Terminal::open(&user, slice["id"].as_str().expect("an id")).await;
    let seen = terminal.run("ls /dev/nvidia-caps | wc -l; echo $CUDA_VISIBLE_DEVICES").await;
    assert!(seen.starts_with("2\nMIG-"), "{seen}");
}
