//! `muster audit`.

use super::Context;
use crate::{
    api::escape,
    error::{Error, Result},
    output::{self, items, text, time},
};
use clap::{Args, Subcommand};
use serde_json::Value;

/// What to do with the audit trail.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Events, newest first.
    List(List),
    /// Recompute the chain of hashes; fails at the first event that was changed.
    Verify,
}

/// Which ones.
#[derive(Debug, Args)]
pub struct List {
    /// Only this action, like allocation.cleanup_receipt.
    #[arg(long)]
    action: Option<String>,
    /// Only this target, an id.
    #[arg(long)]
    target: Option<String>,
    /// Only this actor, an id.
    #[arg(long)]
    actor: Option<String>,
    /// Only with this text anywhere: in names, ids, the reason, what was before and after.
    #[arg(long, short)]
    query: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

pub(super) async fn run(context: &Context, command: Audit) -> Result<()> {
    let mut client = context.staff()?;
    match command {
        Audit::List(args) => {
            let wanted =
                [("action", &args.action), ("target", &args.target), ("actor", &args.actor), ("q", &args.query)];
            let query: Vec<_> = wanted
                .iter()
                .filter_map(|(name, value)| value.as_deref().map(|value| format!("{name}={}", escape(value))))
                .collect();
            let path = if query.is_empty() {
                "/api/v1/admin/audit-logs".to_owned()
            } else {
                format!("/api/v1/admin/audit-logs?{}", query.join("&"))
            };
            let list = client.list(&path, args.limit).await?;
            if context.json {
                return output::json(&list);
            }
            let rows = items(&list).iter().map(|event| {
                vec![
                    time(event, "at"),
                    text(event, "action"),
                    text(event, "target"),
                    actor(event),
                    text(event, "outcome"),
                    text(event, "correlation_id"),
                ]
            });
            output::table(
                &["at", "action", "target", "actor", "outcome", "correlation"],
                rows.collect(),
                "no such events",
            )
        }
        Audit::Verify => {
            let verdict = client.get("/api/v1/admin/audit-logs/verify").await?;
            if context.json {
                output::json(&verdict)?;
            }
            if verdict["ok"] != true {
                let at = text(&verdict, "broken_at");
                return Err(Error::Failed(format!("the audit trail was changed: the first wrong event is {at}")));
            }
            if !context.json {
                let (checked, unsealed) = (text(&verdict, "checked"), text(&verdict, "unsealed"));
                eprintln!("the audit trail is whole: {checked} events checked, {unsealed} too new to be in the chain");
                eprintln!("head: {}", text(&verdict, "head"));
            }
            Ok(())
        }
    }
}

/// Who did it, by the name of that time where there was one.
fn actor(event: &Value) -> String {
    match event["actor"]["name"].as_str() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => text(event, "actor.id"),
    }
}
