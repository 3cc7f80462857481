//! `muster allocations` and `muster release`.

use super::Context;
use crate::{
    api::escape,
    error::{Error, Result},
    isolation,
    output::{self, items, text, time},
    progress, resolve,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// What to see.
#[derive(Debug, Subcommand)]
pub enum Allocations {
    /// Own allocations, newest first. With --operator those of all users.
    List(List),
    /// One of them.
    Show(Show),
    /// Change the labels of one: `team=vision` sets, `team=` takes away.
    Label(Label),
    /// End one whoever's it is, with a reason that its owner sees (operators).
    ForceRelease(Force),
}

/// Which one to end, and why.
#[derive(Debug, Args)]
pub struct Force {
    /// Id or name.
    allocation: String,
    /// Why; its owner sees it beside your name.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The node will not come back: wait for no proof, and hold its slots back.
    #[arg(long)]
    node_lost: bool,
    /// Return as soon as the release has begun.
    #[arg(long)]
    no_wait: bool,
}

/// Which ones.
#[derive(Debug, Args)]
pub struct List {
    /// Those that are over, too.
    #[arg(long)]
    all: bool,
    /// Only those with this label: its name, or `name=value`.
    #[arg(long)]
    label: Option<String>,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Show {
    /// Id or name.
    allocation: String,
}

/// Which one, and what to change.
#[derive(Debug, Args)]
pub struct Label {
    /// Id or name.
    allocation: String,
    /// `name=value`, or `name=` to take it away.
    #[arg(required = true)]
    labels: Vec<String>,
}

/// Which ones to give back.
#[derive(Debug, Args)]
pub struct Release {
    /// Ids or names.
    #[arg(required = true)]
    allocations: Vec<String>,
    /// Return as soon as the release has begun.
    #[arg(long)]
    no_wait: bool,
}

pub(super) async fn run(context: &Context, command: Allocations) -> Result<()> {
    match command {
        Allocations::List(args) => list(context, &args).await,
        Allocations::Show(args) => show(context, &args.allocation).await,
        Allocations::Label(args) => label(context, &args).await,
        Allocations::ForceRelease(args) => force(context, args).await,
    }
}

async fn list(context: &Context, args: &List) -> Result<()> {
    let (mut client, path) = if context.operator {
        (context.staff()?, "/api/v1/admin/allocations")
    } else {
        (context.user()?, "/api/v1/allocations")
    };
    let filter = args.label.as_deref().map(|label| format!("?label={}", escape(label))).unwrap_or_default();
    let list = client.list(&format!("{path}{filter}"), usize::MAX).await?;
    if context.json {
        return output::json(&list);
    }
    let over = |item: &&Value| args.all || !matches!(item["state"].as_str(), Some("released" | "failed"));
    let rows = items(&list).iter().filter(over).map(|item| {
        vec![
            text(item, "name"),
            text(item, "id"),
            shown_state(item),
            sku(item),
            text(item, "node_id"),
            text(item, "exit_code"),
            time(item, "created_at"),
        ]
    });
    let head = ["name", "id", "state", "sku", "node", "exit", "created"];
    output::table(
        &head,
        rows.collect(),
        "nothing is running; `muster launch` starts something, --all shows what is over",
    )
}

async fn label(context: &Context, args: &Label) -> Result<()> {
    let mut client = context.user()?;
    let id = resolve::allocation(&mut client, &args.allocation).await?;
    let path = format!("/api/v1/allocations/{id}");
    let found = client.get(&path).await?;
    let mut labels = found["labels"].as_object().cloned().unwrap_or_default();
    for change in &args.labels {
        let Some((name, value)) = change.split_once('=') else {
            return Err(Error::client(format!("{change} is no label: write name=value")));
        };
        match value {
            "" => drop(labels.remove(name)),
            value => drop(labels.insert(name.to_owned(), json!(value))),
        }
    }
    let version = found["version"].as_i64().unwrap_or_default();
    let changed = client.patch(&path, version, &json!({ "labels": labels })).await?;
    if context.json {
        return output::json(&changed);
    }
    output::line(&text(&changed, "labels"))
}

fn shown_state(item: &Value) -> String {
    text(item, if item["display_status"].is_null() { "state" } else { "display_status" })
}

fn sku(item: &Value) -> String {
    if item["sku"].is_object() { text(item, "sku.name") } else { text(item, "sku") }
}

fn price_an_hour(price: &Value) -> String {
    let known = output::price(&price["currency"], &price["minor_per_hour"]);
    known.map_or_else(|| "no price set".into(), |price| format!("{price} an hour"))
}

async fn show(context: &Context, wanted: &str) -> Result<()> {
    let mut client = context.user()?;
    let id = resolve::allocation(&mut client, wanted).await?;
    let item = client.get(&format!("/api/v1/allocations/{id}")).await?;
    if context.json {
        return output::json(&item);
    }
    let slots = item["slots"].as_array().map_or(&[][..], Vec::as_slice);
    let slots: Vec<_> = slots
        .iter()
        .map(|slot| {
            [text(slot, "id"), text(slot, "profile"), text(slot, "gpu_uuid")]
                .into_iter()
                .filter(|part| part != "-")
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    let mut facts = vec![
        ("name", text(&item, "name")),
        ("id", text(&item, "id")),
        ("state", shown_state(&item)),
        ("sku", sku(&item)),
        ("price", price_an_hour(&item["price"])),
        ("node", text(&item, "node_id")),
        ("slots", if slots.is_empty() { "-".into() } else { slots.join("; ") }),
        ("isolation", isolation::said(&item)),
        ("created", time(&item, "created_at")),
        ("active", time(&item, "active_at")),
    ];
    if text(&item, "degraded_at") != "-" {
        facts.push(("node lost", time(&item, "degraded_at")));
    }
    for (name, path) in [("exit code", "exit_code"), ("ssh", "ssh.command"), ("host key", "ssh.host_key")] {
        if text(&item, path) != "-" {
            facts.push((name, text(&item, path)));
        }
    }
    if item["forced"].is_object() {
        facts.push(("ended by", format!("{}: {}", text(&item, "forced.by"), text(&item, "forced.reason"))));
    }
    for (name, path) in [("failure", "failure_reason"), ("release failure", "release_failed_reason")] {
        match &item[path] {
            Value::Null => {}
            Value::Object(reason) => {
                let part = |name: &str| reason.get(name).map(output::show).unwrap_or_default();
                facts.push((name, format!("{}: {}", part("code"), part("detail"))));
            }
            other => facts.push((name, output::show(other))),
        }
    }
    output::facts(&facts)
}

async fn force(context: &Context, args: Force) -> Result<()> {
    let mut client = context.staff()?;
    let list = "/api/v1/admin/allocations";
    let id = resolve::any_allocation(&mut client, &args.allocation).await?;
    let body = json!({"reason": args.reason, "node_lost": args.node_lost});
    let answer = client.post(&format!("{list}/{id}/force-release"), &body).await?;
    if context.json {
        output::json(&answer)?;
    }
    match answer["operation_id"].as_str() {
        Some(operation) if !args.no_wait => {
            let ended = progress::follow(&mut client, operation).await?;
            progress::outcome(&ended)?;
            eprintln!("released {id}");
        }
        _ => eprintln!("releasing {id}"),
    }
    Ok(())
}

pub(super) async fn release(context: &Context, args: Release) -> Result<()> {
    let mut client = context.user()?;
    let mut begun = Vec::new();
    let mut failure: Option<Error> = None;
    for wanted in &args.allocations {
        let answer = match resolve::allocation(&mut client, wanted).await {
            Ok(id) => {
                client.post(&format!("/api/v1/allocations/{id}/release"), &json!({})).await.map(|answer| (id, answer))
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(both) => begun.push(both),
            Err(error) => {
                // The others are given back all the same; the last refusal is the command's.
                if let Some(earlier) = failure.replace(error) {
                    earlier.report();
                }
            }
        }
    }
    for (id, answer) in begun {
        if context.json {
            output::json(&answer)?;
        }
        match answer["operation_id"].as_str() {
            Some(operation) if !args.no_wait => {
                let ended = progress::follow(&mut client, operation).await?;
                progress::outcome(&ended)?;
                eprintln!("released {id}");
            }
            _ => eprintln!("releasing {id}"),
        }
    }
    failure.map_or(Ok(()), Err)
}
