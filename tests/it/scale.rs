//! Lists of a large fleet: every row once, in pages, narrowed and counted.

use muster_tests::{
    Api, World,
    flow::{launch, release},
    seed::{Seed, seed},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const SEED: Seed = Seed { nodes: 5_000, allocations: 10_000 };

/// Walks all pages; ids in order, and the total that the first page names.
async fn walk(api: &Api, path: &str) -> (Vec<String>, Value) {
    let (mut ids, mut total, mut cursor) = (Vec::new(), Value::Null, None::<String>);
    loop {
        let sign = if path.contains('?') { '&' } else { '?' };
        let at = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
        let page = api.get(&format!("{path}{sign}limit=200{at}")).await.ok();
        let items = page["items"].as_array().expect("items");
        ids.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        if total.is_null() {
            total = page["total"].clone();
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return (ids, total),
        }
    }
}

#[tokio::test]
async fn a_large_fleet_is_listed_whole_and_narrowed_by_the_server() {
    let world = World::start().await;
    let (user, operator) = (world.user().await, world.operator().await);
    let first = launch(&user, json!({"sku": "h100"})).await;
    let _ = release(&user, &operator, first["id"].as_str().expect("an id")).await;
    seed(&world.ready().data_dir.join("muster.db"), SEED).expect("seeded");

    let (nodes, total) = walk(&operator, "/api/v1/admin/nodes").await;
    assert_eq!(nodes.iter().collect::<BTreeSet<_>>().len(), nodes.len(), "each once");
    assert_eq!((nodes.len(), &total), (SEED.nodes as usize + 1, &json!(SEED.nodes + 1)));
    // A state is looked for as it is shown, also of nodes that were not heard since the coordinator's start.
    let (offline, total) = walk(&operator, "/api/v1/admin/nodes?state=offline").await;
    assert_eq!((offline.len(), &total), (SEED.nodes as usize, &json!(SEED.nodes)));
    assert_eq!(operator.get("/api/v1/admin/nodes?state=cordoned").await.ok()["total"], 0);
    let overview = operator.get("/api/v1/admin/overview").await.ok();
    assert_eq!(overview["nodes"], json!({"active": 1, "offline": SEED.nodes}));
    assert_eq!(operator.get("/api/v1/admin/attention").await.ok()["total"], SEED.nodes);
    for path in ["/api/v1/allocations", "/api/v1/admin/allocations"] {
        let api = if path.contains("admin") { &operator } else { &user };
        let (all, total) = walk(api, path).await;
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "each once");
        assert_eq!((all.len(), &total), (SEED.allocations as usize + 1, &json!(SEED.allocations + 1)), "{path}");
        let (failed, total) = walk(api, &format!("{path}?state=failed")).await;
        assert_eq!((failed.len(), &total), (SEED.allocations as usize / 5, &json!(SEED.allocations / 5)));
        let (found, total) = walk(api, &format!("{path}?q=TRAIN-0012")).await;
        assert_eq!((found.len(), &total), (10, &json!(10)), "{found:?}");
    }
    let refused = user.get("/api/v1/allocations?limit=201").await;
    refused.refused(422, "validation_failed");
}
