//! `muster nodes`.

use super::Context;
use crate::{
    api::Client,
    error::Result,
    isolation,
    output::{self, bytes, items, text, time},
    progress, resolve,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

const FUSE: &str = "/api/v1/admin/fuse";
/// How many of a node's tasks are looked through for the one of a probe.
const RECENT_TASKS: usize = 50;

/// What to do with machines.
#[derive(Debug, Subcommand)]
pub enum Nodes {
    /// All nodes with their live state.
    List,
    /// One node with its GPUs.
    Show(Node),
    /// Let an enrolling node in.
    Approve(Node),
    /// Refuse an enrolling node.
    Reject(Node),
    /// Ask the agent for its health, and show the answer.
    Probe(Node),
    /// Place nothing new on it.
    Cordon(Node),
    /// Place on it again.
    Uncordon(Node),
    /// Place nothing new on it; it is in maintenance as soon as it is empty.
    Drain(Drain),
    /// Take it out of quarantine: the machine that is connected, or the next to come, is the node.
    Reactivate(Node),
    /// Its newest tasks; with --requeue or --cancel a way out for one that does not move.
    Tasks(Tasks),
    /// The fuse against mass failure: while it is blown, no lost node is given up.
    Fuse,
    /// Reset a blown fuse: the cause is known, and what is gone may be treated as gone.
    ResetFuse(ResetFuse),
}

/// Which tasks, and what to do with one.
#[derive(Debug, Args)]
pub struct Tasks {
    /// Id or name of the node.
    node: String,
    /// Ask the node again for this task; what the node has taken is not run twice.
    #[arg(long, value_name = "NT", conflicts_with = "cancel")]
    requeue: Option<String>,
    /// End this task; without its node it ends at once.
    #[arg(long, value_name = "NT")]
    cancel: Option<String>,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Node {
    /// Id or name.
    node: String,
}

/// Which one, and how long its users have.
#[derive(Debug, Args)]
pub struct Drain {
    /// Id or name.
    node: String,
    /// Release what still runs after this time, like 2h; without it the drain waits as long as that takes.
    #[arg(long, value_name = "TIME", value_parser = super::launch::seconds)]
    deadline: Option<u64>,
}

/// Why.
#[derive(Debug, Args)]
pub struct ResetFuse {
    /// For the audit trail.
    #[arg(long)]
    reason: String,
}

pub(super) async fn run(context: &Context, command: Nodes) -> Result<()> {
    let mut client = context.staff()?;
    match command {
        Nodes::List => list(context, &mut client).await,
        Nodes::Show(args) => show(context, &mut client, &args.node).await,
        Nodes::Approve(args) => act(context, &mut client, &args.node, "approve").await,
        Nodes::Reject(args) => act(context, &mut client, &args.node, "reject").await,
        Nodes::Cordon(args) => act(context, &mut client, &args.node, "cordon").await,
        Nodes::Uncordon(args) => act(context, &mut client, &args.node, "uncordon").await,
        Nodes::Drain(args) => drain(context, &mut client, &args).await,
        Nodes::Reactivate(args) => act(context, &mut client, &args.node, "reactivate").await,
        Nodes::Tasks(args) => tasks(context, &mut client, &args).await,
        Nodes::Fuse => {
            let fuse = client.get(FUSE).await?;
            shown_fuse(context, &fuse)
        }
        Nodes::ResetFuse(args) => {
            let fuse = client.post(&format!("{FUSE}/reset"), &json!({ "reason": args.reason })).await?;
            shown_fuse(context, &fuse)
        }
        Nodes::Probe(args) => probe(context, &mut client, &args.node).await,
    }
}

async fn list(context: &Context, client: &mut Client) -> Result<()> {
    let list = client.list("/api/v1/admin/nodes", usize::MAX).await?;
    if context.json {
        return output::json(&list);
    }
    let rows = items(&list)
        .iter()
        .map(|node| {
            vec![
                text(node, "name"),
                text(node, "id"),
                text(node, "state"),
                text(node, "presence"),
                text(node, "scheduling"),
                text(node, "health"),
                models(node),
                busiest(node),
                text(node, "agent_version"),
            ]
        })
        .collect();
    let head = ["name", "id", "state", "presence", "scheduling", "health", "gpus", "busiest", "agent"];
    output::table(&head, rows, "no nodes yet; `muster tokens create` prints the line that enrols one")
}

/// `8 x H100`, or why there are none.
fn models(node: &Value) -> String {
    let gpus = node["gpus"].as_array().map_or(&[][..], Vec::as_slice);
    match gpus.first() {
        Some(first) => format!("{} x {}", gpus.len(), text(first, "model")),
        None => text(node, "gpu_state"),
    }
}

fn busiest(node: &Value) -> String {
    let gpus = node["gpus"].as_array().map_or(&[][..], Vec::as_slice);
    match gpus.iter().filter_map(|gpu| gpu["utilization_percent"].as_f64()).reduce(f64::max) {
        Some(percent) => format!("{percent:.0} %"),
        None => "-".into(),
    }
}

async fn show(context: &Context, client: &mut Client, wanted: &str) -> Result<()> {
    let id = resolve::node(client, wanted).await?;
    let node = client.get(&format!("/api/v1/admin/nodes/{id}")).await?;
    if context.json {
        return output::json(&node);
    }
    let fact = |name: &'static str| (name, text(&node, name));
    output::facts(&[
        fact("name"),
        fact("id"),
        fact("state"),
        fact("presence"),
        fact("scheduling"),
        fact("health"),
        fact("gpu_state"),
        ("isolation", isolation::said(&node)),
        fact("agent_version"),
        ("drain_deadline", time(&node, "drain_deadline")),
        ("last_seen_at", time(&node, "last_seen_at")),
        fact("boot_id"),
        ("labels", text(&node, "labels")),
        ("backlog", backlog(&node["backlog"])),
    ])?;
    for condition in node["conditions"].as_array().into_iter().flatten() {
        output::line(&format!("! {}: {}", text(condition, "code"), text(condition, "detail")))?;
    }
    let gpus = node["gpus"].as_array().map_or(&[][..], Vec::as_slice);
    if gpus.is_empty() {
        return Ok(());
    }
    output::line("")?;
    let rows = gpus
        .iter()
        .map(|gpu| {
            vec![
                text(gpu, "uuid"),
                text(gpu, "model"),
                format!("{} / {}", bytes(&gpu["memory_used_bytes"]), bytes(&gpu["memory_total_bytes"])),
                unit(gpu, "utilization_percent", 1.0, "%"),
                unit(gpu, "temperature_c", 1.0, "C"),
                unit(gpu, "power_mw", 1000.0, "W"),
                time(gpu, "sampled_at"),
            ]
        })
        .collect();
    output::table(&["gpu", "model", "memory", "busy", "temp", "power", "sampled"], rows, "")
}

/// What was not measured is `-`, never zero.
fn unit(gpu: &Value, name: &str, per: f64, unit: &str) -> String {
    gpu[name].as_f64().map_or_else(|| "-".into(), |value| format!("{:.0} {unit}", value / per))
}

fn shown_fuse(context: &Context, fuse: &Value) -> Result<()> {
    if context.json {
        return output::json(fuse);
    }
    let ids = |name: &str| match fuse[name].as_array().map(Vec::as_slice) {
        None | Some([]) => "-".to_owned(),
        Some(ids) => ids.iter().map(output::show).collect::<Vec<_>>().join(" "),
    };
    output::facts(&[
        ("fuse", text(fuse, "state")),
        ("blown", time(fuse, "blown_at")),
        ("lost together", ids("nodes")),
        ("still missing", ids("missing")),
    ])
}

async fn act(context: &Context, client: &mut Client, wanted: &str, verb: &str) -> Result<()> {
    let id = resolve::node(client, wanted).await?;
    let answer = client.post(&format!("/api/v1/admin/nodes/{id}/{verb}"), &json!({})).await?;
    let said = format!("{} is {}", text(&answer, "name"), text(&answer, "state").replace('_', " "));
    finish(context, client, &answer, &said).await
}

async fn drain(context: &Context, client: &mut Client, args: &Drain) -> Result<()> {
    let id = resolve::node(client, &args.node).await?;
    let body = args.deadline.map_or_else(|| json!({}), |seconds| json!({ "deadline_s": seconds }));
    let answer = client.post(&format!("/api/v1/admin/nodes/{id}/drain"), &body).await?;
    let (name, state) = (text(&answer, "name"), text(&answer, "state"));
    let until = match answer["drain_deadline"].as_str() {
        Some(_) => format!("; what still runs is released at {}", time(&answer, "drain_deadline")),
        None => String::new(),
    };
    finish(context, client, &answer, &format!("{name} is {state}{until}")).await
}

/// `2 tasks, the oldest 40 s old, 1 unknown`.
fn backlog(backlog: &Value) -> String {
    match backlog["count"].as_i64() {
        None | Some(0) => "none".into(),
        Some(count) => {
            let unknown = backlog["unknown"].as_i64().unwrap_or(0);
            let stuck =
                if unknown > 0 { format!(", {unknown} unknown: see `muster nodes tasks`") } else { String::new() };
            format!("{count} tasks, the oldest {} s old{stuck}", text(backlog, "oldest_s"))
        }
    }
}

async fn tasks(context: &Context, client: &mut Client, args: &Tasks) -> Result<()> {
    let id = resolve::node(client, &args.node).await?;
    let path = format!("/api/v1/admin/nodes/{id}/tasks");
    let wish =
        args.requeue.as_ref().map(|task| (task, "requeue")).or(args.cancel.as_ref().map(|task| (task, "cancel")));
    if let Some((task, verb)) = wish {
        let answer = client.post(&format!("{path}/{}/{verb}", crate::api::escape(task)), &json!({})).await?;
        if context.json {
            return output::json(&answer);
        }
        eprintln!("{verb}: {task} is {}", text(&answer, "state"));
        return Ok(());
    }
    let list = client.list(&path, RECENT_TASKS).await?;
    if context.json {
        return output::json(&list);
    }
    let rows = items(&list).iter().map(|task| {
        vec![
            text(task, "id"),
            text(task, "kind"),
            text(task, "state"),
            text(task, "attempt"),
            time(task, "created_at"),
            text(task, "result_code"),
            text(task, if task["result_detail"].is_string() { "result_detail" } else { "progress" }),
        ]
    });
    output::table(&["id", "kind", "state", "offers", "made", "result", "detail"], rows.collect(), "no tasks")
}

/// Asks the agent, waits, and shows what it found. With --json the node task's document, which holds it.
async fn probe(context: &Context, client: &mut Client, wanted: &str) -> Result<()> {
    let id = resolve::node(client, wanted).await?;
    let answer = client.post(&format!("/api/v1/admin/nodes/{id}/probe"), &json!({})).await?;
    let operation = text(&answer, "operation_id");
    let ended = progress::follow(client, &operation).await?;
    let tasks = client.list(&format!("/api/v1/admin/nodes/{id}/tasks"), RECENT_TASKS).await?;
    let task = items(&tasks).iter().find(|task| task["operation_id"] == operation.as_str());
    if context.json {
        output::json(task.unwrap_or(&ended))?;
    } else if let Some(checks) = task.and_then(|task| task["result"]["checks"].as_array()) {
        let rows = checks.iter().map(|check| vec![text(check, "name"), text(check, "state"), text(check, "detail")]);
        output::table(&["check", "state", "detail"], rows.collect(), "")?;
    }
    progress::outcome(&ended)
}

/// Follows the operation of an answer if it started one, and prints what came of it.
async fn finish(context: &Context, client: &mut Client, answer: &Value, said: &str) -> Result<()> {
    let Some(operation) = answer["operation_id"].as_str() else {
        if context.json {
            return output::json(answer);
        }
        eprintln!("{said}");
        return Ok(());
    };
    let ended = progress::follow(client, operation).await?;
    if context.json {
        output::json(&ended)?;
    } else {
        eprintln!("{said}, {}", text(&ended, "state"));
        if !ended["result"].is_null() {
            output::json(&ended["result"])?;
        }
    }
    progress::outcome(&ended)
}
