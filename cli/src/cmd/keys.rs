//! `muster keys`.

use super::Context;
use crate::{
    error::{Error, Result},
    output::{self, items, text, time},
    resolve,
};
use clap::{Args, Subcommand};
use serde_json::json;
use std::{io::Read, path::PathBuf};

/// Largest file that may be a public key, in bytes.
const KEY_FILE_MAX: u64 = 64 << 10;

/// What to do with own SSH keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Add a public key from a file, `-` for stdin.
    Add(Add),
    /// All own keys.
    List,
    /// Take a key away.
    Rm(Rm),
}

/// The new one.
#[derive(Debug, Args)]
pub struct Add {
    /// File with the public key, like ~/.ssh/id_ed25519.pub.
    file: PathBuf,
    /// Name; else the key's own comment, else the file's name.
    #[arg(long)]
    name: Option<String>,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Rm {
    /// Id or name.
    key: String,
}

pub(super) async fn run(context: &Context, command: Keys) -> Result<()> {
    match command {
        Keys::Add(args) => add(context, args).await,
        Keys::List => {
            let list = context.user()?.list("/api/v1/ssh-keys", usize::MAX).await?;
            if context.json {
                return output::json(&list);
            }
            let rows = items(&list)
                .iter()
                .map(|key| vec![text(key, "name"), text(key, "id"), text(key, "fingerprint"), time(key, "created_at")]);
            output::table(
                &["name", "id", "fingerprint", "added"],
                rows.collect(),
                "no keys yet; add one with `muster keys add FILE`",
            )
        }
        Keys::Rm(args) => {
            let mut client = context.user()?;
            let id = resolve::named(&mut client, "key", "sk", "/api/v1/ssh-keys", &args.key).await?;
            client.delete(&format!("/api/v1/ssh-keys/{id}")).await?;
            eprintln!("removed {id}");
            Ok(())
        }
    }
}

async fn add(context: &Context, args: Add) -> Result<()> {
    let mut key = String::new();
    let mut read: Box<dyn Read> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(
            std::fs::File::open(&args.file)
                .map_err(|error| Error::client(format!("{}: {error}", args.file.display())))?,
        )
    };
    read.by_ref().take(KEY_FILE_MAX).read_to_string(&mut key)?;
    // A private key must not even leave this machine.
    if key.contains("PRIVATE KEY") {
        return Err(Error::client(format!(
            "{} is a private key; give the file that ends in .pub",
            args.file.display()
        )));
    }
    let key = key.trim();
    let comment = key.split_whitespace().nth(2).map(str::to_owned);
    let file = args.file.file_stem().map(|name| name.to_string_lossy().into_owned()).filter(|name| name != "-");
    let name = args.name.or(comment).or(file).unwrap_or_else(|| "key".into());
    let added = context.user()?.post("/api/v1/ssh-keys", &json!({"name": name, "public_key": key})).await?;
    if context.json {
        return output::json(&added);
    }
    eprintln!("added {} {}", text(&added, "name"), text(&added, "fingerprint"));
    output::line(&text(&added, "id"))
}
