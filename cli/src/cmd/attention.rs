//! `muster attention`.

use super::Context;
use crate::{
    error::Result,
    output::{self, items, text, time},
};
use clap::Args;

/// What needs an operator, worst first.
#[derive(Debug, Args)]
pub struct Attention {
    /// Only `lifecycle` (nodes and slots) or `allocations`.
    #[arg(long, value_name = "FAMILY")]
    family: Option<String>,
}

pub(super) async fn run(context: &Context, args: Attention) -> Result<()> {
    let mut client = context.staff()?;
    let filter = args.family.map(|family| format!("?family={}", crate::api::escape(&family))).unwrap_or_default();
    let queue = client.get(&format!("/api/v1/admin/attention{filter}")).await?;
    if context.json {
        return output::json(&queue);
    }
    let rows = items(&queue).iter().map(|item| {
        vec![
            text(item, "severity"),
            text(item, "cause"),
            text(item, "node_name"),
            text(item, "title"),
            time(item, "since"),
            item["seen"]["by"].as_str().unwrap_or_default().to_owned(),
            text(item, "correlation_id"),
        ]
    });
    let head = ["severity", "cause", "node", "what", "since", "seen by", "correlation"];
    output::table(&head, rows.collect(), "nothing waits for an operator")
}
