//! `muster-agent doctor`: checks of this machine, each with the next step if it is not well.

use crate::{
    args,
    config::Config,
    gpu, host,
    identity::{Identity, Stage},
    link::{socket::Sockets, wire},
    privileges, root, status,
    tasks::counted,
};
use muster_pki::{
    client::{self, TimeSource},
    files,
};
use serde::Serialize;
use std::{os::unix::fs::MetadataExt, path::Path};

/// Less free space than this counts as none, bytes.
const DISK_FULL: u64 = 64 << 20;
/// Less free space than this where homes lie is a warning, bytes.
const DISK_LOW: u64 = 5 << 30;
/// A wall clock further off than this is a warning, ms.
const SKEW_WARNS_MS: i64 = 60_000;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Well.
    Pass,
    /// It works, less well than it could.
    Warn,
    /// It does not work.
    Fail,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What to do; empty at `pass`.
    pub next: String,
}

/// All checks.
#[derive(Debug, Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, name: &'static str, outcome: Outcome, found: impl Into<String>, next: impl Into<String>) {
        self.0.push(Check { name, outcome, found: found.into(), next: next.into() });
    }

    fn pass(&mut self, name: &'static str, found: impl Into<String>) {
        self.add(name, Outcome::Pass, found, "");
    }

    fn warn(&mut self, name: &'static str, found: impl Into<String>, next: impl Into<String>) {
        self.add(name, Outcome::Warn, found, next);
    }

    fn fail(&mut self, name: &'static str, found: impl Into<String>, next: impl Into<String>) {
        self.add(name, Outcome::Fail, found, next);
    }
}

/// Runs `doctor`; true if nothing failed.
///
/// # Errors
/// The configuration makes no sense.
pub fn command(arguments: &args::Status) -> anyhow::Result<bool> {
    let state_dir = std::path::absolute(&arguments.common.state_dir)?;
    let config = Config::load(arguments.common.config.as_deref(), &state_dir)?;
    let mut checks = Checks::default();
    // Before anything starts a thread: it forks to try what the kernel permits.
    isolation(&mut checks, &config, &state_dir);
    let identity = files_of(&mut checks, &state_dir);
    disk(&mut checks, &state_dir);
    gpus(&mut checks, &config);
    if let Some(identity) = &identity {
        let address = config.coordinator.as_deref().unwrap_or(&identity.coordinator);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(coordinator(&mut checks, &state_dir, identity, address));
    }
    running(&mut checks, &state_dir);
    let well = checks.0.iter().all(|check| check.outcome != Outcome::Fail);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "ok": well, "checks": checks.0 }))?);
    } else {
        print!("{}", text(&checks.0));
    }
    Ok(well)
}

fn text(checks: &[Check]) -> String {
    let line = |check: &Check| {
        let word = match check.outcome {
            Outcome::Pass => "pass",
            Outcome::Warn => "WARN",
            Outcome::Fail => "FAIL",
        };
        let next =
            if check.next.is_empty() { String::new() } else { format!("\n                    next: {}", check.next) };
        format!("{word}  {:<12}  {}{next}\n", check.name, check.found)
    };
    checks.iter().map(line).collect()
}

fn isolation(checks: &mut Checks, config: &Config, state_dir: &Path) {
    match root::root_config(config, state_dir, privileges::own_ids()) {
        Ok(settings) => {
            let found = root::detect(&settings);
            let level = settings.level.word();
            if settings.level == root::Level::Cell
                && settings.settings.network
                && let Some(why) = root::dropped_on_the_way()
            {
                checks.warn(
                    "network",
                    format!("cells may have no way out: {why}"),
                    "let them through: iptables -I FORWARD -i 'mv+' -j ACCEPT; iptables -I FORWARD -o 'mv+' -j ACCEPT",
                );
            }
            if found.not_enforced.is_empty() {
                checks.pass("isolation", format!("level {level}, every limit is enforced"));
            } else {
                let words = found.not_enforced.join(", ");
                checks.warn("isolation", format!("level {level}, not enforced: {words}"), found.notes.join("; "));
            }
        }
        Err(error) => checks.fail("isolation", format!("{error:#}"), "see docs/operate, or run as root"),
    }
}

fn files_of(checks: &mut Checks, state_dir: &Path) -> Option<Identity> {
    let enroll = "muster-agent enroll --coordinator HOST:PORT --token TOKEN";
    let identity = match Identity::load(state_dir) {
        Ok(Some(identity)) => identity,
        Ok(None) => {
            checks.fail("identity", format!("nothing in {}", state_dir.display()), enroll);
            return None;
        }
        Err(error) => {
            checks.fail("identity", format!("{error:#}"), "restore the state directory, or enroll anew in another one");
            return None;
        }
    };
    match identity.stage {
        Stage::Pending => checks.warn(
            "identity",
            format!("{} waits for approval", identity.node_id),
            format!("muster nodes approve {}", identity.node_id),
        ),
        Stage::Issued => checks.pass("identity", format!("{} of fleet {}", identity.node_id, identity.fleet_id)),
    }
    match std::fs::metadata(state_dir.join("node.key")).map(|key| key.mode() & 0o777) {
        Ok(0o600) => checks.pass("key", "only its owner can read it"),
        Ok(mode) => checks.fail(
            "key",
            format!("its mode is {mode:o}"),
            "chmod 600 node.key, and enroll anew if others use this machine",
        ),
        Err(error) => checks.fail("key", error.to_string(), "run doctor as the agent's user, or enroll anew"),
    }
    if identity.stage == Stage::Issued {
        match files::load_node_certificate(state_dir) {
            Ok(Some(_)) => checks.pass("certificate", "there is one; the agent renews it by itself"),
            Ok(None) => {
                checks.warn("certificate", "there is none", "start the agent: it asks for the next by proof of its key")
            }
            Err(error) => checks.fail(
                "certificate",
                error.to_string(),
                "remove node.pem: the agent asks for the next by proof of its key",
            ),
        }
    }
    Some(identity)
}

fn disk(checks: &mut Checks, state_dir: &Path) {
    match host::disk(state_dir) {
        Some(disk) if disk.free >= DISK_LOW => checks.pass("disk", format!("{} GiB free for homes", disk.free >> 30)),
        Some(disk) if disk.free < DISK_FULL => checks.fail(
            "disk",
            format!("full: {} MiB free for journal and homes in {}", disk.free >> 20, state_dir.display()),
            "free some: what runs goes on and the link stays, but nothing new can be launched here",
        ),
        Some(disk) => checks.warn(
            "disk",
            format!("only {} MiB free for homes in {}", disk.free >> 20, state_dir.display()),
            "free some, or put the state directory elsewhere (--state-dir)",
        ),
        None => {
            checks.fail("disk", "the file system does not say its size", "check that the state directory is mounted")
        }
    }
}

fn gpus(checks: &mut Checks, config: &Config) {
    let found = gpu::Gpus::start(config.gpu.clone()).inventory();
    let gpus = counted(found.gpus.len(), "GPU");
    let text = format!("{}: {gpus}, driver {}", found.gpu_state, found.driver_version);
    match found.gpu_state.as_str() {
        "ok" => checks.pass("gpu", text),
        "none" => checks.pass("gpu", "no NVIDIA GPU: this node offers CPU slots"),
        "driver_missing" => checks.warn(
            "gpu",
            format!("no driver: {}", found.gpu_detail),
            "install the NVIDIA driver; until then CPU slots are offered",
        ),
        "degraded" => checks.warn(
            "gpu",
            format!("{text}; {}", found.gpu_detail),
            "muster nodes probe, then repair the GPU it names",
        ),
        _ => checks.fail(
            "gpu",
            format!("{text}; {}", found.gpu_detail),
            "nvidia-smi tells more; a reboot loads a mismatched driver anew",
        ),
    }
}

async fn coordinator(checks: &mut Checks, state_dir: &Path, identity: &Identity, address: &str) {
    // At this machine's own time: a clock that is off must not hide behind what the agent remembers.
    let time = TimeSource::new(crate::clock::wall_ms);
    let config = match files::load_node_certificate(state_dir) {
        Ok(Some(known)) => client::enrol_known(&known.roots, time),
        _ => identity
            .pin()
            .map_err(|error| muster_pki::PkiError::Crypto(error.to_string()))
            .and_then(|pin| Ok(client::enrol_pinned(pin)?.0)),
    };
    let tried = match config {
        Ok(config) => wire::connect(&Sockets::Udp, address, config).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match tried {
        Ok(connection) => {
            let ms = connection.rtt().as_secs_f64() * 1e3;
            checks.pass("coordinator", format!("{address} answers, under our CA, in {ms:.1} ms"));
            connection.close(0u32.into(), b"");
        }
        Err(error) => checks.fail(
            "coordinator",
            format!("{address}: {error}"),
            "is it up, is its UDP port open all the way, and is this machine's clock right?",
        ),
    }
}

fn running(checks: &mut Checks, state_dir: &Path) {
    let start = format!("muster-agent run --state-dir {}, or systemctl start muster-agent", state_dir.display());
    let Some(status) = status::read(state_dir) else {
        checks.warn("agent", "it does not run", start);
        return;
    };
    match &status.link {
        status::LinkState::Up { .. } => {
            checks.pass("agent", format!("it runs, pid {}, and its link is up", status.pid))
        }
        status::LinkState::Down { why } => {
            checks.fail("agent", format!("it runs, but has no link: {why}"), "see what it says, and its log")
        }
        _ => checks.warn("agent", format!("it runs, pid {}, and has no link yet", status.pid), "muster-agent status"),
    }
    if status.clock_skew_ms.abs() > SKEW_WARNS_MS {
        let found = format!("this clock is {} s off the coordinator's", status.clock_skew_ms / 1000);
        checks.warn("clock", found, "start a time service (chrony, systemd-timesyncd)");
    } else {
        checks.pass("clock", format!("{} ms off the coordinator's", status.clock_skew_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_is_not_enrolled_is_told_so_with_the_next_step() {
        let folder = tempfile::tempdir().unwrap();
        let mut checks = Checks::default();
        assert!(files_of(&mut checks, folder.path()).is_none());
        let check = &checks.0[0];
        assert_eq!((check.name, check.outcome), ("identity", Outcome::Fail));
        assert!(check.next.contains("enroll"));
        assert!(text(&checks.0).starts_with("FAIL  identity"));
    }
}
