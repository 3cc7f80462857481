//! `discover`: looks for GPUs and MIG instances anew. What is found goes out with the inventory, as after every look.

use super::{Bench, result};
use crate::journal::KeptResult;
use serde_json::json;

pub(super) async fn run(bench: &Bench, step: &impl Fn(&str)) -> KeptResult {
    step("gpu");
    let gpus = bench.tools.gpus.clone();
    if let Err(error) = bench.tools.aside.run("discover-gpus", move || gpus.refresh()).await {
        return result("failed", error.to_string());
    }
    let found = bench.tools.gpus.inventory();
    let (gpus, slots) = (found.gpus.len(), found.slots.len());
    let result_json = json!({ "gpu_state": found.gpu_state, "gpu_count": gpus, "slot_count": slots }).to_string();
    KeptResult { result_json, ..result("ok", format!("{}: {gpus} GPUs, {slots} slots on them", found.gpu_state)) }
}
