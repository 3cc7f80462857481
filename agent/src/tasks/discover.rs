//! `discover`: looks for GPUs and MIG instances anew. What is found goes out with the inventory, as after every look.

use super::{Bench, counted, result};
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
    let said = format!("{}: {}, {} on them", found.gpu_state, counted(gpus, "GPU"), counted(slots, "slot"));
    KeptResult { result_json, ..result("ok", said) }
}
