//! `muster operations`.

use super::Context;
use crate::{
    api::Client,
    error::{Error, Result, exit},
    output::{self, items, text, time},
    progress, resolve,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// What to do with operations.
#[derive(Debug, Subcommand)]
pub enum Operations {
    /// Newest first.
    List(List),
    /// One, with its steps.
    Show(Operation),
    /// Show its steps until it ends; the exit code says how it ended.
    Watch(Operation),
    /// Stop it where it can be stopped.
    Cancel(Operation),
    /// Try it again after a failure.
    Retry(Operation),
    /// Staff: end one that stands still, as it would end at its deadline.
    GiveUp(GiveUp),
}

/// Which one, and why.
#[derive(Debug, Args)]
pub struct GiveUp {
    /// Id.
    operation: String,
    /// For the audit trail.
    #[arg(long)]
    reason: String,
}

/// How many.
#[derive(Debug, Args)]
pub struct List {
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Operation {
    /// Id.
    operation: String,
}

pub(super) async fn run(context: &Context, command: Operations) -> Result<()> {
    match command {
        Operations::List(args) => list(context, args.limit).await,
        Operations::Show(args) => {
            let (_, document) = find(context, &args.operation).await?;
            show(context, &document)
        }
        Operations::Watch(args) => {
            let (mut client, document) = find(context, &args.operation).await?;
            let ended = progress::follow(&mut client, &text(&document, "id")).await?;
            if context.json {
                output::json(&ended)?;
            }
            progress::outcome(&ended)
        }
        Operations::Cancel(args) => act(context, &args.operation, "cancel", &json!({})).await,
        Operations::Retry(args) => act(context, &args.operation, "retry", &json!({})).await,
        Operations::GiveUp(args) => act(context, &args.operation, "give-up", &json!({"reason": args.reason})).await,
    }
}

/// Looks behind the user's door first, then, if staff is signed in beside, behind the operator's.
async fn find(context: &Context, wanted: &str) -> Result<(Client, Value)> {
    if !resolve::is_id("op", wanted) {
        return Err(Error::NotFound(format!("{wanted} is not the id of an operation")));
    }
    let path = format!("/api/v1/operations/{wanted}");
    let mut client = context.either()?;
    match client.get(&path).await {
        Err(error) if error.exit_code() == exit::NOT_FOUND && !context.operator => {
            let Ok(mut staff) = context.staff() else { return Err(error) };
            let document = staff.get(&path).await.map_err(|_| error)?;
            Ok((staff, document))
        }
        other => other.map(|document| (client, document)),
    }
}

async fn list(context: &Context, limit: usize) -> Result<()> {
    let list = context.either()?.list("/api/v1/operations", limit).await?;
    if context.json {
        return output::json(&list);
    }
    let rows = items(&list).iter().map(|item| {
        vec![
            text(item, "id"),
            text(item, "kind"),
            text(item, "state"),
            subject(item),
            time(item, "created_at"),
            time(item, "ended_at"),
        ]
    });
    output::table(&["id", "kind", "state", "subject", "created", "ended"], rows.collect(), "no operations")
}

fn subject(item: &Value) -> String {
    if item["subject"].is_object() { text(item, "subject.id") } else { text(item, "subject") }
}

/// Since when it stands still, and who must act.
fn stalled(document: &Value) -> String {
    match document["stalled_since"].is_string() {
        true => {
            let (owner, id) = (text(document, "stalled_owner.kind"), text(document, "stalled_owner.id"));
            format!("since {}, waiting for {owner} {id}", time(document, "stalled_since"))
        }
        false => "-".to_owned(),
    }
}

fn show(context: &Context, document: &Value) -> Result<()> {
    if context.json {
        return output::json(document);
    }
    output::facts(&[
        ("id", text(document, "id")),
        ("kind", text(document, "kind")),
        ("state", text(document, "state")),
        ("subject", subject(document)),
        ("created", time(document, "created_at")),
        ("ended", time(document, "ended_at")),
        ("stalled", stalled(document)),
    ])?;
    if let Err(Error::Failed(reason)) = progress::outcome(document)
        && progress::ended(document)
    {
        output::line(&reason)?;
    }
    let steps = document["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<_> = steps
        .iter()
        .map(|step| {
            vec![
                text(step, "name"),
                text(step, "state"),
                time(step, "started_at"),
                time(step, "ended_at"),
                text(step, "detail"),
            ]
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    output::line("")?;
    output::table(&["step", "state", "started", "ended", "detail"], rows, "")
}

async fn act(context: &Context, wanted: &str, verb: &str, body: &Value) -> Result<()> {
    let (mut client, document) = match verb {
        "give-up" => {
            let mut staff = context.staff()?;
            let document = staff.get(&format!("/api/v1/operations/{wanted}")).await?;
            (staff, document)
        }
        _ => find(context, wanted).await?,
    };
    let path = format!("/api/v1/operations/{}/{verb}", text(&document, "id"));
    let answer = client.post(&path, body).await?;
    if context.json {
        return output::json(&answer);
    }
    match answer["operation_id"].as_str() {
        Some(operation) => output::line(operation),
        None => {
            eprintln!("{wanted}: {}", text(&answer, "state"));
            Ok(())
        }
    }
}
