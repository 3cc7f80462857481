//! `muster projects`.

use super::Context;
use crate::{
    api::Client,
    error::Result,
    output::{self, items, text, time},
    resolve,
};
use clap::{Args, Subcommand};
use serde_json::json;

const PATH: &str = "/api/v1/projects";

/// What to do with projects.
#[derive(Debug, Subcommand)]
pub enum Projects {
    /// All of them.
    List,
    /// Make one.
    Create(Create),
    /// Give one another name.
    Rename(Rename),
    /// Launches go there unless said otherwise.
    Default(One),
    /// Delete one in which nothing stands; what ran in it stays in the history.
    Rm(One),
}

/// The new one.
#[derive(Debug, Args)]
pub struct Create {
    /// Its name.
    name: String,
}

/// Which one, and its name.
#[derive(Debug, Args)]
pub struct Rename {
    /// Id or name.
    project: String,
    /// The name it gets.
    name: String,
}

/// Which one.
#[derive(Debug, Args)]
pub struct One {
    /// Id or name.
    project: String,
}

async fn find(client: &mut Client, project: &str) -> Result<String> {
    let id = resolve::named(client, "project", "pj", PATH, project).await?;
    Ok(format!("{PATH}/{id}"))
}

pub(super) async fn run(context: &Context, command: Projects) -> Result<()> {
    let mut client = context.user()?;
    let (done, said) = match command {
        Projects::List => return list(context, &mut client).await,
        Projects::Create(args) => (client.post(PATH, &json!({"name": args.name})).await?, "made"),
        Projects::Rename(args) => {
            let path = find(&mut client, &args.project).await?;
            let version = client.get(&path).await?["version"].as_i64().unwrap_or_default();
            (client.patch(&path, version, &json!({"name": args.name})).await?, "renamed")
        }
        Projects::Default(args) => {
            let path = find(&mut client, &args.project).await?;
            (client.post(&format!("{path}/set-default"), &json!({})).await?, "the default now:")
        }
        Projects::Rm(args) => {
            let path = find(&mut client, &args.project).await?;
            client.delete(&path).await?;
            eprintln!("deleted {}", args.project);
            return Ok(());
        }
    };
    if context.json {
        return output::json(&done);
    }
    eprintln!("{said} {}", text(&done, "name"));
    output::line(&text(&done, "id"))
}

async fn list(context: &Context, client: &mut Client) -> Result<()> {
    let list = client.list(PATH, usize::MAX).await?;
    if context.json {
        return output::json(&list);
    }
    let rows = items(&list).iter().map(|project| {
        let default = if project["is_default"] == true { "default" } else { "" };
        vec![text(project, "name"), text(project, "id"), default.to_owned(), time(project, "created_at")]
    });
    output::table(&["name", "id", "", "made"], rows.collect(), "no projects")
}
