//! `scrub {allocation, slots}`: looks again at what an ended cell left behind, and removes what can be removed.

use super::{Bench, result};
use crate::{cells::again, journal::KeptResult, root::Request};
use muster_protocol::{desired::Slot, ids::AllocationId};
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
struct Arguments {
    allocation: AllocationId,
    #[serde(default)]
    slots: Vec<Slot>,
}

pub(super) async fn run(bench: &Bench, arguments: &str, step: &impl Fn(&str)) -> KeptResult {
    let arguments: Arguments = match serde_json::from_str(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return result("failed", format!("bad arguments: {error}")),
    };
    step("scrub");
    match again(&bench.tools, arguments.allocation, &arguments.slots).await {
        Ok(receipt) => {
            if receipt.clean {
                // Its record was kept for this look; with nothing left it is not needed any more.
                let forgotten = bench.tools.root.ask(Request::CellForget { allocation: arguments.allocation }).await;
                if let Err(error) = forgotten {
                    tracing::warn!(%error, "the root half still keeps the record of a scrubbed cell");
                }
            }
            let (code, detail) = if receipt.clean {
                ("ok", "nothing is left".to_owned())
            } else {
                ("failed", receipt.leftovers.join(", "))
            };
            KeptResult { result_json: json!({ "receipt": receipt }).to_string(), ..result(code, detail) }
        }
        Err(detail) => result("failed", detail),
    }
}
