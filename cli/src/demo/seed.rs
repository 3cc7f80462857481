//! What an operator and a user would do by hand: approve slots, make products of them, sign up.

use super::{
    door::{Door, items},
    fleet::DemoNode,
    layout::Layout,
};
use crate::api::Client;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

const SLOTS_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const GIB: u64 = 1 << 30;

/// Approves everything, puts it on sale, makes the user; gives the names of the SKUs on sale.
pub(super) async fn run(layout: &Layout, client: &mut Client, nodes: &[DemoNode]) -> Result<Vec<String>> {
    // Each with the most of its slots that one node has: what no node could hold is not put on sale.
    let mut wanted: BTreeMap<Product, u64> = BTreeMap::new();
    for node in nodes {
        let id = node.node_id(layout)?;
        let slots = slots_of(client, &id).await?;
        let models = models_of(client, &id).await?;
        let mut here: BTreeMap<Product, u64> = BTreeMap::new();
        for slot in &slots {
            *here.entry(Product::of(slot, &models)).or_default() += 1;
        }
        for (product, count) in here {
            let most = wanted.entry(product).or_default();
            *most = count.max(*most);
        }
    }
    let on_sale = put_on_sale(client, wanted).await?;
    Door::console(layout)?.sign_up().await?;
    Ok(on_sale)
}

/// Waits for the node's slots and approves those that wait for it.
async fn slots_of(client: &mut Client, node: &str) -> Result<Vec<Value>> {
    let began = Instant::now();
    loop {
        let list = client.get(&format!("/api/v1/admin/nodes/{node}/slots")).await?;
        let slots = items(&list).to_vec();
        if !slots.is_empty() {
            for slot in slots.iter().filter(|slot| slot["state"] == "discovered") {
                let id = slot["id"].as_str().context("a slot has an id")?;
                let _ = client.post(&format!("/api/v1/admin/nodes/{node}/slots/{id}/approve"), &json!({})).await?;
            }
            return Ok(slots);
        }
        if began.elapsed() > SLOTS_WITHIN {
            bail!("node {node} reports no slots");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Models of a node's GPUs, by UUID.
async fn models_of(client: &mut Client, node: &str) -> Result<BTreeMap<String, String>> {
    let node = client.get(&format!("/api/v1/admin/nodes/{node}")).await?;
    let gpus = node["gpus"].as_array().map_or(&[][..], Vec::as_slice);
    let pair = |gpu: &Value| Some((gpu["uuid"].as_str()?.to_owned(), gpu["model"].as_str()?.to_owned()));
    Ok(gpus.iter().filter_map(pair).collect())
}

/// What is made of a slot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Product {
    kind: String,
    model: Option<String>,
    profile: Option<String>,
}

impl Product {
    fn of(slot: &Value, models: &BTreeMap<String, String>) -> Self {
        let text = |name: &str| slot[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            kind: text("kind").unwrap_or_default(),
            model: text("gpu_uuid").and_then(|uuid| models.get(&uuid).cloned()),
            profile: text("profile"),
        }
    }

    /// `h100`, `a100-80`, `mig-1g.10gb`, `cpu`.
    fn name(&self) -> String {
        match (&self.profile, &self.model) {
            (Some(profile), _) => format!("mig-{profile}"),
            (None, Some(model)) => short_model(model),
            (None, None) => self.kind.clone(),
        }
    }

    /// Cents an hour for one, near what such machines are rented for: a slice by its share of an H100 of 80 GB.
    fn price(&self) -> i64 {
        const H100: i64 = 249;
        let memory = self.profile.as_deref().and_then(|profile| profile.split(['.', '+']).nth(1));
        let share = memory.and_then(|memory| memory.strip_suffix("gb")?.parse::<i64>().ok());
        let model = self.model.as_deref().map(short_model).unwrap_or_default();
        match (share, model.as_str()) {
            (Some(share), _) => H100 * share / 80,
            (None, "h100") => H100,
            (None, "h200") => 379,
            (None, "b200") => 599,
            (None, "a100-80") => 179,
            (None, "a100-40") => 129,
            (None, "l40s") => 99,
            (None, "") => 4,
            (None, _) => 59,
        }
    }

    fn body(&self, gpus: u64) -> Value {
        let name = if gpus > 1 { format!("{}-x{gpus}", self.name()) } else { self.name() };
        json!({
            "name": name, "kind": self.kind, "gpu_model": self.model, "profile": self.profile, "gpus": gpus,
            "cpu_milli": 1000 * gpus.max(1), "memory_bytes": GIB, "disk_bytes": 2 * GIB, "pids": 512,
        })
    }
}

/// `NVIDIA H100 80GB HBM3` → `h100`, `NVIDIA A100-SXM4-80GB` → `a100-80`.
fn short_model(model: &str) -> String {
    let words = model.replace(['-', '_'], " ").to_lowercase();
    let mut words = words.split_whitespace().filter(|word| *word != "nvidia");
    let name = words.next().unwrap_or("gpu").to_owned();
    let memory = words.find_map(|word| word.strip_suffix("gb").map(str::to_owned));
    match (name.as_str(), memory) {
        ("a100", Some(memory)) => format!("{name}-{memory}"),
        _ => name,
    }
}

async fn put_on_sale(client: &mut Client, products: BTreeMap<Product, u64>) -> Result<Vec<String>> {
    let list = client.get("/api/v1/admin/skus").await?;
    let mut names: BTreeSet<String> =
        items(&list).iter().filter_map(|sku| Some(sku["name"].as_str()?.to_owned())).collect();
    for (product, most) in products {
        let sizes: &[u64] = match product.kind.as_str() {
            "gpu" => &[1, 2, 4],
            _ => &[1],
        };
        for gpus in sizes.iter().filter(|gpus| **gpus <= most) {
            let body = product.body(if product.kind == "cpu" { 0 } else { *gpus });
            let name = body["name"].as_str().unwrap_or_default().to_owned();
            if !names.insert(name) {
                continue;
            }
            let made = client.post("/api/v1/admin/skus", &body).await?;
            let id = made["id"].as_str().context("a SKU has an id")?;
            let version = made["version"].as_i64().unwrap_or_default();
            let price = json!({"price_minor_per_hour": product.price() * i64::try_from(*gpus)?});
            let _ = client.post_at(&format!("/api/v1/admin/skus/{id}/prices"), version, &price).await?;
            if made["state"] != "active" {
                let _ = client.post(&format!("/api/v1/admin/skus/{id}/activate"), &json!({})).await?;
            }
        }
    }
    Ok(names.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::short_model;

    #[test]
    fn models_get_short_names() {
        assert_eq!(short_model("NVIDIA H100 80GB HBM3"), "h100");
        assert_eq!(short_model("NVIDIA A100-SXM4-80GB"), "a100-80");
        assert_eq!(short_model("NVIDIA L40S"), "l40s");
        assert_eq!(short_model("Tesla T4"), "tesla");
    }
}
