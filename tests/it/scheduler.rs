//! Placement through the doors: closed nodes, slots that must stand together, whole nodes.

use muster_tests::{Api, World, flow::launch};
use serde_json::{Value, json};

async fn on_sale(operator: &Api, body: Value) {
    let made = operator.post("/api/v1/admin/skus", body).await.ok();
    let id = made["id"].as_str().expect("an id");
    let offered = operator.post(&format!("/api/v1/admin/skus/{id}/activate"), json!({})).await;
    assert_eq!(offered.status, 200, "{}", offered.text);
}

#[tokio::test]
async fn a_cordoned_node_takes_nothing_and_says_so() {
    let world = World::start().await;
    let (user, operator) = (world.user().await, world.operator().await);
    let node = world.node(0);
    assert!(operator.post(&format!("/api/v1/admin/nodes/{node}/cordon"), json!({})).await.status.is_success());
    let body = json!({"sku": "h100", "ssh_key_ids": []});
    let refused = user.post("/api/v1/allocations", body.clone()).await;
    refused.refused(409, "sold_out");
    assert_eq!(refused.body["errors"][0]["code"], "node_cordoned", "{}", refused.text);
    let before = user.post("/api/v1/launch/compute/precheck", body.clone()).await.ok();
    assert_eq!((&before["launchable"], &before["blockers"][0]["code"]), (&json!(false), &json!("sold_out")));
    assert!(operator.post(&format!("/api/v1/admin/nodes/{node}/uncordon"), json!({})).await.status.is_success());
    let after = user.post("/api/v1/launch/compute/precheck", body.clone()).await.ok();
    assert_eq!(after["launchable"], true, "{after:#}");
    let _ = launch(&user, body).await;
}

#[tokio::test]
async fn slots_of_one_allocation_stand_on_one_node() {
    let world = World::with_nodes(2).await;
    let (user, operator) = (world.user().await, world.operator().await);
    // Eight on one node and two whole ones on the other.
    on_sale(&operator, json!({"name": "nine", "kind": "gpu", "gpus": 9})).await;
    let body = json!({"sku": "nine", "ssh_key_ids": []});
    let refused = user.post("/api/v1/allocations", body.clone()).await;
    refused.refused(409, "topology_unsatisfied");
    let before = user.post("/api/v1/launch/compute/precheck", body).await.ok();
    assert_eq!(before["blockers"][0]["code"], "topology_unsatisfied", "{before:#}");
    assert_eq!(before["blockers"][0]["detail"], refused.body["detail"], "one evaluator, one answer");
    on_sale(&operator, json!({"name": "any-2", "kind": "gpu", "gpus": 2})).await;
    let pair = launch(&user, json!({"sku": "any-2"})).await;
    assert_eq!(pair["node_id"], world.node(1).as_str(), "the pair fits the smaller node exactly");
}

#[tokio::test]
async fn a_whole_node_is_leased_as_one() {
    let world = World::start().await;
    let (user, operator) = (world.user().await, world.operator().await);
    on_sale(&operator, json!({"name": "node", "kind": "node", "gpu_model": "h100", "gpus": 8})).await;
    let whole = launch(&user, json!({"sku": "node"})).await;
    assert_eq!(whole["slots"].as_array().map(Vec::len), Some(8), "{whole:#}");
    user.post("/api/v1/allocations", json!({"sku": "h100", "ssh_key_ids": []})).await.refused(409, "sold_out");
    user.post("/api/v1/allocations", json!({"sku": "node", "ssh_key_ids": []})).await.refused(409, "sold_out");
}

#[tokio::test]
async fn labels_choose_the_node_and_placements_fill_one_gpu_first() {
    let world = World::with_nodes(4).await;
    let (user, operator) = (world.user().await, world.operator().await);
    for bad in [
        json!({"sku": "h100", "count": 0}),
        json!({"sku": "h100", "count": 100_000}),
        json!({"sku": "h100", "count": -1}),
    ] {
        user.post("/api/v1/allocations", bad).await.refused(422, "validation_failed");
    }
    let many = json!({"sku": "h100", "count": 9, "command": ["true"]});
    user.post("/api/v1/allocations", many).await.refused(409, "sold_out");
    user.post("/api/v1/allocations", json!({"sku": "nowhere", "command": ["true"]})).await.refused(404, "not_found");
    // A SKU with labels goes to the node that carries them, although another has the same GPU.
    let node = world.node(3);
    let path = format!("/api/v1/admin/nodes/{node}");
    let read = operator.get(&path).await.etag();
    let _ = operator.patch(&path, &read, json!({"labels": {"zone": "b"}})).await.ok();
    for (name, zone) in [("in-b", "b"), ("in-c", "c")] {
        let sku = json!({"name": name, "kind": "gpu", "gpu_model": "l40s", "labels": {"zone": zone}});
        let made = operator.post("/api/v1/admin/skus", sku).await.ok();
        let path = format!("/api/v1/admin/skus/{}/activate", made["id"].as_str().expect("an id"));
        let _ = operator.post(&path, json!({})).await.ok();
    }
    assert_eq!(launch(&user, json!({"sku": "in-b"})).await["node_id"], node.as_str());
    user.post("/api/v1/allocations", json!({"sku": "in-c", "command": ["true"]})).await.refused(409, "sold_out");
    // Placements of one GPU are used up before a second GPU is broken into.
    let first = launch(&user, json!({"sku": "mig-3g.40gb"})).await;
    let second = launch(&user, json!({"sku": "mig-2g.20gb"})).await;
    assert_eq!(first["node_id"], second["node_id"]);
}
