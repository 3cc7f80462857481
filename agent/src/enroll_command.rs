//! `muster-agent enroll`: one conversation, then words for a person.

use crate::{
    args,
    clock::{Clock, Source},
    config::{Config, default_state_dir},
    enrol::{self, EnrolError, Standing, Token, Way},
    gpu::Gpus,
    host,
    identity::{self, Identity, Stage},
    link::socket::Sockets,
    privileges,
};
use anyhow::bail;
use muster_pki::{client::TimeSource, files};
use std::path::Path;

/// Runs `enroll`.
///
/// # Errors
/// With the reason for people; the secret is in none of them.
pub async fn run(arguments: args::Enroll) -> anyhow::Result<()> {
    let state_dir = arguments.common.state_dir.as_path();
    let token = Token::parse(&arguments.token)?;
    identity::make_state_dir(state_dir)?;
    if let Some(known) = Identity::load(state_dir)? {
        refuse_rehoming(&known, state_dir)?;
    }
    let config = Config::load(arguments.common.config.as_deref(), state_dir)?;
    let name = arguments.name.or_else(|| config.name.clone());
    let facts = host::facts(name.as_deref(), state_dir);
    let gpus: Vec<_> = Gpus::start(config.gpu.clone()).inventory().gpus.into_iter().map(|gpu| gpu.uuid).collect();
    let clock = Clock::new(None, &facts.boot_id, Source::Machine);
    let way = Way { state_dir, coordinator: &arguments.coordinator, sockets: &Sockets::Udp, clock: &clock };
    let standing = enrol::enroll(way, &token, facts.clone(), gpus).await.map_err(refused)?;
    let user = privileges::target(config.user.as_deref())?;
    let hand_over = || user.as_ref().map_or(Ok(()), |user| privileges::hand_over(state_dir, user));
    hand_over()?;
    tell(&standing);
    if let Some(key) = files::load_node_key(state_dir)? {
        println!("Its key, to be compared before it is approved: {}", key.fingerprint());
    }
    if !arguments.wait || standing.identity.stage == Stage::Issued {
        println!("{}", next(&arguments.common));
        return Ok(());
    }
    let mut wait = standing.retry_after;
    loop {
        tokio::time::sleep(wait).await;
        let coordinator_ms = standing.coordinator_ms;
        let time = TimeSource::new(move || coordinator_ms);
        match enrol::poll(way, &standing.identity, time, facts.clone()).await {
            Ok(now) if now.identity.stage == Stage::Issued => {
                hand_over()?;
                println!("Approved: {} has its certificate.\n{}", now.identity.node_id, next(&arguments.common));
                return Ok(());
            }
            Ok(now) => wait = now.retry_after,
            Err(error) if error.is_final() => {
                Identity::forget(state_dir)?;
                return Err(refused(error));
            }
            Err(error) => eprintln!("still waiting: {error}"),
        }
    }
}

fn refused(error: EnrolError) -> anyhow::Error {
    match error {
        EnrolError::Wire(error) => anyhow::anyhow!("cannot enroll: {error}"),
        error => anyhow::anyhow!("enrolment refused: {error}"),
    }
}

fn refuse_rehoming(known: &Identity, state_dir: &Path) -> anyhow::Result<()> {
    if known.stage == Stage::Pending {
        return Ok(());
    }
    bail!(
        "this machine is already node {} of fleet {}; a node is never re-homed silently. \
         For a second node on this machine give another --state-dir (now {})",
        known.node_id,
        known.fleet_id,
        state_dir.display()
    )
}

/// The line that starts the agent on what was enrolled.
fn next(common: &args::Common) -> String {
    let mut line = "Next: muster-agent run".to_owned();
    let mut add = |flag: &str, path: &Path| line += &format!(" {flag} {}", shell_word(&path.to_string_lossy()));
    if common.state_dir != default_state_dir() {
        add("--state-dir", &common.state_dir);
    }
    if let Some(config) = &common.config {
        add("--config", config);
    }
    line
}

/// A path as a shell takes it for one word.
fn shell_word(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

fn tell(standing: &Standing) {
    let identity = &standing.identity;
    match identity.stage {
        Stage::Issued => println!("This machine is node {} of fleet {}.", identity.node_id, identity.fleet_id),
        Stage::Pending => println!(
            "This machine is node {} of fleet {} and waits for an operator:\n  muster nodes approve {}",
            identity.node_id, identity.fleet_id, identity.node_id
        ),
    }
    if let Some(skew) = standing.skew_ms {
        eprintln!("warning: this machine's clock is {} s off the coordinator's", -skew / 1000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_line_starts_the_agent_that_was_enrolled() {
        let line = |state_dir: &Path, config: Option<&str>| {
            next(&args::Common { state_dir: state_dir.to_owned(), config: config.map(Into::into) })
        };
        assert_eq!(line(&default_state_dir(), None), "Next: muster-agent run");
        assert_eq!(line(Path::new("/tmp/n2"), None), "Next: muster-agent run --state-dir /tmp/n2");
        let both = line(Path::new("it's here"), Some("a.toml"));
        assert_eq!(both, r"Next: muster-agent run --state-dir 'it'\''s here' --config a.toml");
    }
}
