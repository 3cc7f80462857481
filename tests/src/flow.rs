//! Steps that many tests begin with.

use crate::{Api, World, binary, eventually};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Launches and waits until it is active; gives the allocation as read then.
///
/// # Panics
/// If it fails instead.
pub async fn launch(api: &Api, mut body: Value) -> Value {
    if body.get("ssh_key_ids").is_none() {
        body["ssh_key_ids"] = json!([]);
    }
    let accepted = api.post("/api/v1/allocations", body).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let id = accepted.body["allocation_ids"][0].as_str().expect("an id").to_owned();
    in_state(api, &id, &["active"]).await
}

/// Waits until an allocation is in one of the states.
///
/// # Panics
/// If it ends up failed without that being wanted.
pub async fn in_state(api: &Api, allocation: &str, states: &[&str]) -> Value {
    eventually(&format!("{allocation} is {states:?}"), async || {
        let now = api.get(&format!("/api/v1/allocations/{allocation}")).await.ok();
        let state = now["state"].as_str().expect("a state").to_owned();
        if states.contains(&state.as_str()) {
            return Some(now);
        }
        assert!(!["failed", "release_failed"].contains(&state.as_str()), "{now:#}");
        None
    })
    .await
}

/// Asks for the release and waits for it; gives the cleanup receipt's audit row.
///
/// # Panics
/// If it is not accepted.
pub async fn release(api: &Api, operator: &Api, allocation: &str) -> Value {
    let accepted = api.post(&format!("/api/v1/allocations/{allocation}/release"), json!({})).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let _ = in_state(api, allocation, &["released"]).await;
    receipt(operator, allocation).await
}

/// The cleanup receipt of an allocation, once it is there.
pub async fn receipt(operator: &Api, allocation: &str) -> Value {
    eventually("a cleanup receipt", async || {
        let path = format!("/api/v1/admin/audit-logs?action=allocation.cleanup_receipt&target={allocation}");
        let rows = operator.get(&path).await.ok();
        let found = rows["items"].as_array()?.iter().find(|row| row["action"] == "allocation.cleanup_receipt")?.clone();
        Some(found)
    })
    .await
}

/// Slots of all nodes in a state.
pub async fn slots(operator: &Api, node: &str, state: &str) -> Vec<Value> {
    let list = operator.get(&format!("/api/v1/admin/nodes/{node}/slots")).await.ok();
    list["items"].as_array().into_iter().flatten().filter(|slot| slot["state"] == state).cloned().collect()
}

/// The host's process of an allocation's cell that has this allocation in its command line, if it runs.
#[must_use]
pub fn cell_pids(allocation: &str) -> Vec<i32> {
    let is_cell = |line: &str| line.contains("muster-agent\0cell") && line.contains(allocation);
    std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            is_cell(&String::from_utf8_lossy(&line))
        })
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .collect()
}

/// The one thing of a list that has an id.
///
/// # Panics
/// If it is not there, or twice.
#[must_use]
pub fn only<'a>(list: &'a Value, field: &str, value: &Value) -> &'a Value {
    let found: Vec<_> = list["items"].as_array().expect("a list").iter().filter(|item| item[field] == *value).collect();
    assert_eq!(found.len(), 1, "{field} {value}: {list:#}");
    found[0]
}

/// Waits until a node has a link again.
pub async fn online(operator: &Api, node: &str) -> Value {
    eventually(&format!("{node} is online"), async || {
        let item = operator.get(&format!("/api/v1/admin/nodes/{node}")).await.ok();
        (item["presence"] == "online").then_some(item)
    })
    .await
}

/// An id of the right form that nothing has.
#[must_use]
pub fn nobody(prefix: &str) -> String {
    format!("{prefix}_{}", "0".repeat(26))
}

/// A machine that is no node yet.
#[derive(Debug)]
pub struct Machine {
    /// Its state.
    pub state_dir: PathBuf,
    /// Further environment of its agent.
    pub env: Vec<(String, String)>,
    _dir: tempfile::TempDir,
    running: Option<std::process::Child>,
}

impl Default for Machine {
    fn default() -> Self {
        let dir = tempfile::Builder::new().prefix("muster-machine-").tempdir().expect("a folder");
        Self { state_dir: dir.path().join("state"), env: Vec::new(), _dir: dir, running: None }
    }
}

impl Machine {
    /// Runs `muster-agent enroll` to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn enroll(&self, coordinator: &str, token: &str) -> Output {
        let mut command = self.agent("enroll");
        command.args(["--coordinator", coordinator, "--token", token]);
        command.output().expect("muster-agent starts")
    }

    /// Runs `muster-agent enroll --wait` to its end: with a token that approves, the machine has its certificate.
    ///
    /// # Panics
    /// If it is refused.
    pub fn join(&self, coordinator: &str, token: &str) {
        let mut command = self.agent("enroll");
        command.args(["--wait", "--coordinator", coordinator, "--token", token]);
        let output = command.output().expect("muster-agent starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts `muster-agent run`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run(&mut self) {
        let mut command = self.agent("run");
        let log = std::fs::File::create(self.state_dir.join("agent.log")).expect("a log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.running = Some(command.spawn().expect("muster-agent starts"));
    }

    /// A subcommand of the agent on this machine's state.
    #[must_use]
    pub fn agent(&self, subcommand: &str) -> Command {
        let mut command = Command::new(binary("muster-agent"));
        command.arg(subcommand).arg("--state-dir").arg(&self.state_dir).envs(self.env.iter().cloned());
        command
    }

    /// Everything that stands below the state folder.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    walk(&entry.path(), into);
                } else {
                    into.push(entry.path());
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.state_dir, &mut files);
        files
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(child) = &mut self.running {
            if std::thread::panicking() {
                eprintln!("{}", std::fs::read_to_string(self.state_dir.join("agent.log")).unwrap_or_default());
            }
            crate::signal(i32::try_from(child.id()).expect("a pid"), nix::sys::signal::Signal::SIGTERM);
            let _ = child.wait();
        }
    }
}

impl World {
    /// Id of the n-th node.
    #[must_use]
    pub fn node(&self, number: usize) -> String {
        self.ready().pids.agents[number].node_id.clone()
    }
}
