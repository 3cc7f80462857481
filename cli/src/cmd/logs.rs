//! `muster logs`.

use super::Context;
use crate::{
    api::Client,
    error::{Error, Result},
    resolve,
};
use clap::Args;
use std::{
    io::Write,
    time::{Duration, Instant},
};

/// Whose output.
#[derive(Debug, Args)]
pub struct Logs {
    /// Id or name of the allocation.
    allocation: String,
    /// Go on until the command ends, over broken connections and restarts.
    #[arg(long, short)]
    follow: bool,
}

/// How long a follower tries to come back without having got a byte.
const PATIENCE: Duration = Duration::from_secs(300);
/// Pause between two tries.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) async fn run(context: &Context, args: Logs) -> Result<()> {
    if context.json {
        return Err(Error::client(
            "the output of a command is no JSON document, but what it printed: leave --json out",
        ));
    }
    let mut client = context.user()?;
    let id = resolve::allocation(&mut client, &args.allocation).await?;
    let mut reader = Reader { path: format!("/api/v1/allocations/{id}/logs?follow={}", args.follow), at: None };
    let mut last = Instant::now();
    loop {
        let before = reader.at;
        match reader.read(&mut client).await {
            Err(error) if args.follow && before.or(reader.at).is_some() && may_pass(&error) => {
                if reader.at != before {
                    last = Instant::now();
                } else if last.elapsed() > PATIENCE {
                    return Err(error);
                }
                tokio::time::sleep(AGAIN).await;
            }
            ended => return ended,
        }
    }
}

/// What a later try may not meet again: the way to the coordinator, or the coordinator's to the node.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Network(_) => true,
        Error::Api(problem) => {
            problem.status >= 500 || problem.code.starts_with("node_") || problem.code == "agent_busy"
        }
        _ => false,
    }
}

/// Prints an output, and knows how far it has come.
struct Reader {
    path: String,
    /// The next byte; none before the first answer.
    at: Option<u64>,
}

impl Reader {
    async fn read(&mut self, client: &mut Client) -> Result<()> {
        let response = client.stream(&format!("{}&from={}", self.path, self.at.unwrap_or(0))).await?;
        let first = response.headers().get("muster-log-offset").and_then(|text| text.to_str().ok()?.parse().ok());
        let mut at: u64 = first.unwrap_or(0);
        let lost = at.saturating_sub(self.at.unwrap_or(0));
        if lost > 0 {
            eprintln!("muster: {lost} bytes of output were not kept");
        }
        self.at = Some(at);
        let mut body = response.into_body();
        let mut stdout = std::io::stdout();
        while let Some(piece) = client.piece(&mut body).await? {
            let written = stdout.write_all(&piece).and_then(|()| stdout.flush());
            match written {
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                other => other.map_err(Error::client)?,
            }
            at += piece.len() as u64;
            self.at = Some(at);
        }
        Ok(())
    }
}
