//! `muster logs`.

use super::Context;
use crate::{
    error::{Error, Result},
    resolve,
};
use clap::Args;
use std::io::Write;

/// Whose output.
#[derive(Debug, Args)]
pub struct Logs {
    /// Id or name of the allocation.
    allocation: String,
    /// Go on until the command ends.
    #[arg(long, short)]
    follow: bool,
}

pub(super) async fn run(context: &Context, args: Logs) -> Result<()> {
    let mut client = context.user()?;
    let id = resolve::allocation(&mut client, &args.allocation).await?;
    let follow = if args.follow { "?follow=true" } else { "" };
    let mut body = client.stream(&format!("/api/v1/allocations/{id}/logs{follow}")).await?.into_body();
    let mut stdout = std::io::stdout();
    while let Some(piece) = client.piece(&mut body).await? {
        let written = stdout.write_all(&piece).and_then(|()| stdout.flush());
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            other => other.map_err(Error::client)?,
        }
    }
    Ok(())
}
