//! `muster tokens`.

use super::Context;
use crate::{
    error::{Error, Result},
    output::{self, items, text, time},
};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

/// What to do with bootstrap tokens.
#[derive(Debug, Subcommand)]
pub enum Tokens {
    /// Mint one; its text is shown this once.
    Create(Create),
    /// All tokens, without their secrets.
    List,
    /// Make one worthless.
    Revoke(Revoke),
}

/// What the token may do.
#[derive(Debug, Args)]
pub struct Create {
    /// Life in seconds, 1 to 900.
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u64>,
    /// How many nodes may use it.
    #[arg(long, value_name = "N")]
    max_uses: Option<u64>,
    /// Label of the nodes that come with it; may be given several times.
    #[arg(long, value_name = "K=V")]
    label: Vec<String>,
    /// Nodes that come with it need no approval.
    #[arg(long)]
    auto_approve: bool,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Revoke {
    /// Id, as `muster tokens list` shows it.
    id: String,
}

pub(super) async fn run(context: &Context, command: Tokens) -> Result<()> {
    let mut client = context.staff()?;
    match command {
        Tokens::Create(args) => {
            let mut body = Map::new();
            if let Some(ttl) = args.ttl {
                body.insert("ttl_s".into(), ttl.into());
            }
            if let Some(uses) = args.max_uses {
                body.insert("max_uses".into(), uses.into());
            }
            if !args.label.is_empty() {
                body.insert("labels".into(), pairs(&args.label, "--label")?);
            }
            if args.auto_approve {
                body.insert("auto_approve".into(), true.into());
            }
            let token = client.post("/api/v1/admin/bootstrap-tokens", &Value::Object(body)).await?;
            if context.json {
                return output::json(&token);
            }
            if token["command"].is_null() {
                let id = text(&token, "id");
                return Err(Error::Failed(format!(
                    "{id} was minted, but the answer was lost and its secret is kept nowhere: \
                     muster tokens revoke {id}, then mint another"
                )));
            }
            eprintln!("run this on the new node before {}; the token is not shown again:", time(&token, "expires_at"));
            output::line(&text(&token, "command"))
        }
        Tokens::List => {
            let list = client.list("/api/v1/admin/bootstrap-tokens", usize::MAX).await?;
            if context.json {
                return output::json(&list);
            }
            let rows = items(&list).iter().map(|token| {
                let uses = format!("{} / {}", text(token, "uses"), text(token, "max_uses"));
                vec![
                    text(token, "id"),
                    text(token, "state"),
                    uses,
                    time(token, "expires_at"),
                    text(token, "labels"),
                    text(token, "auto_approve"),
                ]
            });
            output::table(&["id", "state", "uses", "expires", "labels", "auto approve"], rows.collect(), "no tokens")
        }
        Tokens::Revoke(args) => {
            let answer =
                client.delete(&format!("/api/v1/admin/bootstrap-tokens/{}", crate::api::escape(&args.id))).await?;
            if context.json && !answer.is_null() {
                return output::json(&answer);
            }
            eprintln!("revoked {}", args.id);
            Ok(())
        }
    }
}

/// `K=V` arguments as an object.
pub(super) fn pairs(given: &[String], flag: &str) -> Result<Value> {
    let mut all = Map::new();
    for pair in given {
        let (name, value) = pair
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| Error::client(format!("{flag} {pair}: not of the form K=V")))?;
        all.insert(name.to_owned(), json!(value));
    }
    Ok(Value::Object(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_equals_signs_in_values() {
        assert_eq!(pairs(&["a=b=c".into(), "d=".into()], "--env").unwrap(), json!({"a": "b=c", "d": ""}));
        assert!(pairs(&["novalue".into()], "--env").is_err());
        assert!(pairs(&["=x".into()], "--env").is_err());
    }
}
