//! `muster launch`.

use super::{Context, tokens::pairs};
use crate::{
    api::Client,
    error::{Error, Result},
    isolation,
    output::{self, items, text},
    progress, resolve,
};
use clap::Args;
use serde_json::{Map, Value, json};

/// What to take, and what to run in it.
///
/// Without a command the allocation stays until `muster release`. With one, the command runs by itself;
/// `--release-on-exit` gives the machine back when it ends, and `muster logs` works after that.
#[derive(Debug, Args)]
pub struct Launch {
    /// Id or name of the SKU, as `muster skus list` shows it.
    #[arg(long)]
    sku: String,
    /// Name, for people.
    #[arg(long)]
    name: Option<String>,
    /// How many allocations.
    #[arg(long)]
    count: Option<u64>,
    /// Environment of the command and of every session; may be given several times.
    #[arg(long, value_name = "K=V")]
    env: Vec<String>,
    /// Label; may be given several times.
    #[arg(long, value_name = "K=V")]
    label: Vec<String>,
    /// Id or name of a key that may log in; may be given several times; all own keys if left out.
    #[arg(long, value_name = "KEY", conflicts_with = "no_ssh")]
    ssh_key: Vec<String>,
    /// Let nobody log in by SSH.
    #[arg(long)]
    no_ssh: bool,
    /// End the command after this time, like 90s, 30m or 12h.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    max_runtime: Option<u64>,
    /// Release the allocation when its command ends.
    #[arg(long, requires = "command")]
    release_on_exit: bool,
    /// Id or name of the project; the default project if left out.
    #[arg(long)]
    project: Option<String>,
    /// Wait until it is active, showing the steps.
    #[arg(long)]
    wait: bool,
    /// A command that runs by itself.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) async fn run(context: &Context, args: Launch) -> Result<()> {
    let mut client = context.user()?;
    let wait = args.wait;
    let batch = !args.command.is_empty();
    let name = args.name.clone();
    let body = body(&mut client, args).await?;
    let answer = client.post("/api/v1/allocations", &body).await?;
    let ids: Vec<String> =
        answer["allocation_ids"].as_array().map_or(&[][..], Vec::as_slice).iter().map(output::show).collect();
    let estimate = &answer["estimate"];
    if let (false, Some(price)) = (context.json, output::price(&estimate["currency"], &estimate["hourly_minor"])) {
        eprintln!("costs {price} an hour");
    }
    if !wait {
        if context.json {
            return output::json(&answer);
        }
        eprintln!("follow it with `muster operations watch {}`", text(&answer, "operation_id"));
        return ids.iter().try_for_each(|id| output::line(id));
    }
    let ended = progress::follow(&mut client, &text(&answer, "operation_id")).await?;
    if context.json {
        output::json(&answer)?;
    } else {
        for id in &ids {
            output::line(id)?;
        }
    }
    progress::outcome(&ended)?;
    if let (false, Some(id)) = (context.json, ids.first()) {
        // One launch is on one node, and so are its walls.
        let allocation = client.get(&format!("/api/v1/allocations/{id}")).await.unwrap_or_default();
        if let Some(words) = isolation::weak(&allocation) {
            eprintln!("isolation: {words}");
        }
        let what = name.as_ref().filter(|_| ids.len() == 1).unwrap_or(id);
        let next = if batch { format!("muster logs {what} --follow") } else { format!("muster terminal {what}") };
        eprintln!("next: {next}");
    }
    Ok(())
}

async fn body(client: &mut Client, args: Launch) -> Result<Value> {
    let mut body = Map::new();
    body.insert("sku".into(), json!(args.sku));
    if let Some(name) = args.name {
        body.insert("name".into(), json!(name));
    }
    if let Some(count) = args.count {
        body.insert("count".into(), json!(count));
    }
    if !args.env.is_empty() {
        body.insert("env".into(), pairs(&args.env, "--env")?);
    }
    if !args.label.is_empty() {
        body.insert("labels".into(), pairs(&args.label, "--label")?);
    }
    if args.no_ssh {
        body.insert("ssh_key_ids".into(), json!([]));
    } else if !args.ssh_key.is_empty() {
        body.insert("ssh_key_ids".into(), json!(keys(client, &args.ssh_key).await?));
    }
    if let Some(seconds) = args.max_runtime {
        body.insert("max_runtime_s".into(), json!(seconds));
    }
    if args.release_on_exit {
        body.insert("release_on_exit".into(), json!(true));
    }
    if let Some(project) = args.project {
        let id = resolve::named(client, "project", "pj", "/api/v1/projects", &project).await?;
        body.insert("project_id".into(), json!(id));
    }
    if !args.command.is_empty() {
        body.insert("command".into(), json!(args.command));
    }
    Ok(Value::Object(body))
}

async fn keys(client: &mut Client, wanted: &[String]) -> Result<Vec<String>> {
    let list = client.list("/api/v1/ssh-keys", usize::MAX).await?;
    wanted
        .iter()
        .map(|wanted| {
            let known = items(&list).iter().find(|key| key["id"] == wanted.as_str() || key["name"] == wanted.as_str());
            known.map(|key| text(key, "id")).ok_or_else(|| Error::NotFound(format!("no key is called {wanted}")))
        })
        .collect()
}

/// Seconds from a number with an optional unit.
pub(super) fn seconds(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("{text}: not a time like 30m"))?;
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        unit => return Err(format!("{text}: unknown unit {unit}")),
    };
    number.checked_mul(unit).ok_or_else(|| format!("{text}: too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("30m"), Ok(1_800));
        assert_eq!(seconds("2d"), Ok(172_800));
        for bad in ["", "m", "1.5h", "3w"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
