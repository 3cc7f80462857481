//! `muster slots`.

use super::Context;
use crate::{
    api::Client,
    error::{Error, Result},
    output::{self, items, text},
    progress, resolve,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// What to do with slots.
#[derive(Debug, Subcommand)]
pub enum Slots {
    /// The slots of a node, or of all nodes.
    List(List),
    /// Ask a node to look for slots now, instead of when it next does by itself.
    Discover(Of),
    /// Let slots be sold.
    Approve(Choice),
    /// Keep slots from being sold.
    Reject(Choice),
    /// Hold slots back until they are cleared; on a leased one it takes effect when its lease ends.
    Hold(Choice),
    /// Take the holds off slots, so that they can be sold again.
    Clear(Choice),
}

/// Of which node.
#[derive(Debug, Args)]
pub struct List {
    /// Id or name of the node; all of them if left out.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
}

/// On which node.
#[derive(Debug, Args)]
pub struct Of {
    /// Id or name of the node.
    #[arg(long, value_name = "NODE")]
    node: String,
}

/// Which ones.
#[derive(Debug, Args)]
pub struct Choice {
    /// Id or name of the node.
    #[arg(long, value_name = "NODE")]
    node: String,
    /// All slots of the node that wait for it: undecided ones, or held ones with `clear`.
    #[arg(long, conflicts_with = "slots")]
    all: bool,
    /// Why, for the audit trail.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Ids of slots.
    #[arg(required_unless_present = "all")]
    slots: Vec<String>,
}

pub(super) async fn run(context: &Context, command: Slots) -> Result<()> {
    let mut client = context.staff()?;
    match command {
        Slots::List(args) => list(context, &mut client, args.node.as_deref()).await,
        Slots::Discover(args) => discover(context, &mut client, &args.node).await,
        Slots::Approve(args) => decide(context, &mut client, args, "approve").await,
        Slots::Reject(args) => decide(context, &mut client, args, "reject").await,
        Slots::Hold(args) => decide(context, &mut client, args, "quarantine").await,
        Slots::Clear(args) => decide(context, &mut client, args, "clear").await,
    }
}

async fn list(context: &Context, client: &mut Client, wanted: Option<&str>) -> Result<()> {
    let head = ["node", "slot", "kind", "profile", "gpu", "state", "holds"];
    let mut rows = Vec::new();
    let nodes = match wanted {
        Some(wanted) => {
            let id = resolve::node(client, wanted).await?;
            vec![(wanted.to_owned(), id)]
        }
        None => {
            let nodes = client.list("/api/v1/admin/nodes", usize::MAX).await?;
            items(&nodes).iter().map(|node| (text(node, "name"), text(node, "id"))).collect()
        }
    };
    let mut documents = Vec::new();
    for (name, id) in nodes {
        let list = client.list(&format!("/api/v1/admin/nodes/{id}/slots"), usize::MAX).await?;
        for slot in items(&list) {
            rows.push(vec![
                name.clone(),
                text(slot, "id"),
                text(slot, "kind"),
                text(slot, "profile"),
                text(slot, "gpu_uuid"),
                text(slot, "state"),
                holds(slot),
            ]);
        }
        documents.push(list);
    }
    if context.json {
        // Of one node its own document; of all nodes one list of the same form.
        return match (wanted, documents.as_mut_slice()) {
            (Some(_), [only]) => output::json(only),
            (_, all) => {
                let merged: Vec<Value> = all.iter().flat_map(|list| items(list).to_vec()).collect();
                output::json(&json!({"items": merged, "next_cursor": null}))
            }
        };
    }
    output::table(&head, rows, "no slots found")
}

async fn discover(context: &Context, client: &mut Client, wanted: &str) -> Result<()> {
    let id = resolve::node(client, wanted).await?;
    let answer = client.post(&format!("/api/v1/admin/nodes/{id}/slots/discover"), &json!({})).await?;
    let ended = progress::follow(client, &text(&answer, "operation_id")).await?;
    if context.json {
        output::json(&ended)?;
    } else if let Some(step) = ended["steps"].as_array().and_then(|steps| steps.last()) {
        output::line(&text(step, "detail"))?;
    }
    progress::outcome(&ended)
}

/// Why a slot is held back, in words; `-` if it is not.
fn holds(slot: &Value) -> String {
    let holds = slot["holds"].as_array().map_or(&[][..], Vec::as_slice);
    let said: Vec<_> = holds.iter().map(|hold| format!("{}: {}", text(hold, "code"), text(hold, "reason"))).collect();
    if said.is_empty() { "-".to_owned() } else { said.join("; ") }
}

async fn decide(context: &Context, client: &mut Client, args: Choice, verb: &str) -> Result<()> {
    let node = resolve::node(client, &args.node).await?;
    let path = format!("/api/v1/admin/nodes/{node}/slots");
    let chosen = if args.all {
        let list = client.list(&path, usize::MAX).await?;
        let held = |slot: &Value| slot["holds"].as_array().is_some_and(|holds| !holds.is_empty());
        let open = |slot: &&Value| match (verb, slot["state"].as_str()) {
            ("clear", _) => held(slot),
            ("quarantine", state) => state != Some("retired") && !held(slot),
            (_, Some("discovered")) | ("approve", Some("rejected")) => true,
            _ => false,
        };
        items(&list).iter().filter(open).map(|slot| text(slot, "id")).collect()
    } else {
        args.slots
    };
    if chosen.is_empty() {
        eprintln!("no slot of {} waits for a decision", args.node);
    }
    let mut done = Vec::new();
    for slot in &chosen {
        if !resolve::is_id("sl", slot) {
            return Err(Error::client(format!("{slot} is not the id of a slot")));
        }
        done.push(client.post(&format!("{path}/{slot}/{verb}"), &json!({"reason": args.reason})).await?);
    }
    if context.json {
        return output::json(&json!({"items": done, "next_cursor": null}));
    }
    let rows = chosen.iter().zip(&done).map(|(id, slot)| {
        vec![id.clone(), text(slot, "kind"), text(slot, "profile"), text(slot, "state"), holds(slot)]
    });
    let head = ["slot", "kind", "profile", "state", "holds"];
    if done.is_empty() { Ok(()) } else { output::table(&head, rows.collect(), "") }
}
