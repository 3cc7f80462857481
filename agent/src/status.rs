//! What people on the node see: `status.json` in the state directory, written by `run`, read by `status`.

use crate::{
    clock,
    identity::{self, Identity},
    node::Node,
    root::start_time,
};
use muster_pki::files;
use muster_protocol::{inventory::Host, report::Phase};
use serde::{Deserialize, Serialize};
use std::{
    fmt::Write as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::Notify, time::timeout};

/// Name of the file.
const FILE: &str = "status.json";
/// It is written at least this often.
const EVERY: Duration = Duration::from_secs(5);
/// And at most this often.
const AT_MOST: Duration = Duration::from_millis(500);

/// The link as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LinkState {
    /// Not tried yet.
    Starting,
    /// The node waits for its approval.
    Pending,
    /// A try is under way.
    Dialling,
    /// It stands.
    Up {
        /// Level in use.
        level: u32,
    },
    /// It does not, and will be tried again.
    Down {
        /// Why.
        why: String,
    },
}

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Of the `run` half.
    pub pid: u32,
    /// Start of that process in clock ticks since boot: tells a number that was given again.
    pub start_ticks: u64,
    /// Of the agent.
    pub version: String,
    /// Who it is.
    pub node_id: String,
    /// Its fleet.
    pub fleet_id: String,
    /// What operators call it.
    pub name: String,
    /// Where it dials.
    pub coordinator: String,
    /// The link.
    pub link: LinkState,
    /// Since when the link is so, ms since 1970.
    pub link_since_ms: i64,
    /// End of the certificate, ms since 1970.
    pub certificate_not_after_ms: Option<i64>,
    /// The wall clock less trusted time, ms.
    pub clock_skew_ms: i64,
    /// As in the inventory.
    pub gpu_state: String,
    /// GPUs found.
    pub gpus: usize,
    /// Slots found.
    pub slots: usize,
    /// Level of the cells.
    pub isolation: String,
    /// Walls and limits that this machine cannot hold.
    pub not_enforced: Vec<String>,
    /// Cells, each with its phase.
    pub cells: Vec<Cell>,
    /// Node tasks that run.
    pub tasks_running: usize,
    /// When this was written, ms since 1970.
    pub written_ms: i64,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Its allocation.
    pub allocation: String,
    /// Where it is.
    pub phase: String,
    /// Open sessions.
    pub sessions: u32,
    /// The document does not name it.
    pub unclaimed: bool,
}

/// What changes without the rest of the agent being asked; cheap to clone.
#[derive(Debug, Clone)]
pub struct Board {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct Inner {
    link: LinkState,
    since_ms: i64,
    word: Option<Instant>,
}

impl Default for Board {
    fn default() -> Self {
        let inner = Inner { link: LinkState::Starting, since_ms: clock::wall_ms(), word: None };
        Self { inner: Arc::new(Mutex::new(inner)), changed: Arc::default() }
    }
}

impl Board {
    /// The link changed.
    pub fn link(&self, link: LinkState) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.link != link {
            inner.link = link;
            inner.since_ms = clock::wall_ms();
            self.changed.notify_one();
        }
    }

    /// True if the coordinator's time was not written down for that long.
    #[must_use]
    pub fn word_due(&self, every: Duration) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.word.is_none_or(|kept| kept.elapsed() >= every)
    }

    /// The coordinator's time is being written down.
    pub fn word_kept(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).word = Some(Instant::now());
    }
}

/// Writes the file until the agent ends. Aside: a disk that is slow or full is no reason for a terminal to wait.
pub async fn keep(node: Arc<Node>) {
    let mut report = node.cells.report();
    loop {
        let this = Arc::clone(&node);
        if let Err(error) = node.aside.run("status", move || write(&this)).await.and_then(|written| written) {
            tracing::debug!(%error, "status.json cannot be written");
        }
        tokio::time::sleep(AT_MOST).await;
        let changed = async {
            tokio::select! {
                () = node.board.changed.notified() => {}
                _ = report.changed() => {}
            }
        };
        // Nothing changed for a while: written anyway, so that its age tells whether the agent lives.
        let _ = timeout(EVERY, changed).await;
    }
}

fn write(node: &Node) -> std::io::Result<()> {
    put(&node.state_dir, &collect(node))
}

fn put(state_dir: &Path, status: &Status) -> std::io::Result<()> {
    let (path, temporary) = (state_dir.join(FILE), state_dir.join(".status.new"));
    std::fs::write(&temporary, serde_json::to_vec_pretty(status)?)?;
    std::fs::rename(&temporary, path)
}

/// Says in the file that the agent runs and its node waits for approval since then (ms since 1970).
pub fn waits(state_dir: &Path, identity: &Identity, host: &Host, coordinator: &str, since_ms: i64) {
    let status = Status {
        pid: std::process::id(),
        start_ticks: start_of(std::process::id()).unwrap_or(0),
        version: host.agent_version.clone(),
        node_id: identity.node_id.to_string(),
        fleet_id: identity.fleet_id.clone(),
        name: host.name.clone(),
        coordinator: coordinator.to_owned(),
        link: LinkState::Pending,
        link_since_ms: since_ms,
        certificate_not_after_ms: None,
        clock_skew_ms: 0,
        gpu_state: String::new(),
        gpus: 0,
        slots: 0,
        isolation: String::new(),
        not_enforced: Vec::new(),
        cells: Vec::new(),
        tasks_running: 0,
        written_ms: clock::wall_ms(),
    };
    if let Err(error) = put(state_dir, &status) {
        tracing::debug!(%error, "status.json cannot be written");
    }
}

fn collect(node: &Node) -> Status {
    let (link, link_since_ms) = {
        let inner = node.board.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.link.clone(), inner.since_ms)
    };
    let inventory = Arc::clone(&node.inventory.borrow());
    let report = Arc::clone(&node.cells.report().borrow());
    Status {
        pid: std::process::id(),
        start_ticks: start_of(std::process::id()).unwrap_or(0),
        version: node.host.agent_version.clone(),
        node_id: node.identity.node_id.to_string(),
        fleet_id: node.identity.fleet_id.clone(),
        name: node.host.name.clone(),
        coordinator: node.coordinator.clone(),
        link,
        link_since_ms,
        certificate_not_after_ms: certificate_end(&node.state_dir),
        clock_skew_ms: clock::wall_ms() - node.clock.trusted_ms(),
        gpu_state: inventory.gpu_state.clone(),
        gpus: inventory.gpus.len(),
        slots: inventory.slots.len(),
        isolation: inventory.isolation.clone(),
        not_enforced: inventory.not_enforced.clone(),
        cells: report.cells.iter().map(cell).collect(),
        tasks_running: node.tasks.running(),
        written_ms: clock::wall_ms(),
    }
}

fn cell(report: &muster_protocol::report::CellReport) -> Cell {
    let phase = match report.phase() {
        Phase::Unspecified => "unknown",
        Phase::Preparing => "preparing",
        Phase::Running => "running",
        Phase::Exited => "exited",
        Phase::Ending => "ending",
        Phase::Ended => "ended",
        Phase::Failed => "failed",
    };
    Cell {
        allocation: report.allocation.clone(),
        phase: phase.to_owned(),
        sessions: report.sessions,
        unclaimed: report.unclaimed,
    }
}

/// End of the node's certificate, ms since 1970.
#[must_use]
pub fn certificate_end(state_dir: &Path) -> Option<i64> {
    let certificate = files::load_node_certificate(state_dir).ok()??;
    muster_pki::admit::validity(certificate.chain.first()?).map(|(_, end)| end)
}

/// The last status of a running agent; none if none runs.
#[must_use]
pub fn read(state_dir: &Path) -> Option<Status> {
    let status: Status = serde_json::from_slice(&std::fs::read(state_dir.join(FILE)).ok()?).ok()?;
    (start_of(status.pid)? == status.start_ticks).then_some(status)
}

fn start_of(pid: u32) -> Option<u64> {
    start_time(i32::try_from(pid).ok()?)
}

/// Runs `status`.
///
/// # Errors
/// No agent runs here, with what is known and the next step.
pub fn command(state_dir: &Path, json: bool) -> anyhow::Result<()> {
    let identity = identity::require(state_dir)?;
    let Some(status) = read(state_dir) else {
        anyhow::bail!(
            "the agent of node {} does not run; its cells do. Start it: muster-agent run --state-dir {}",
            identity.node_id,
            state_dir.display()
        );
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print!("{}", text(&status));
    }
    Ok(())
}

fn text(status: &Status) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:<13} {value}");
    };
    line("node", format!("{} ({})", status.node_id, status.name));
    line("fleet", status.fleet_id.clone());
    let link = match &status.link {
        LinkState::Starting => "starting".to_owned(),
        LinkState::Pending => "waits for an operator's approval".to_owned(),
        LinkState::Dialling => format!("dialling {}", status.coordinator),
        LinkState::Up { level } => format!("up to {} (level {level})", status.coordinator),
        LinkState::Down { why } => format!("down: {why}"),
    };
    let since = (status.written_ms - status.link_since_ms).max(0) / 1000;
    line("link", format!("{link}, for {since} s"));
    if status.link == LinkState::Pending {
        line("next", format!("muster nodes approve {}", status.node_id));
        return out;
    }
    if let Some(end) = status.certificate_not_after_ms {
        let left = (end - (status.written_ms - status.clock_skew_ms)) / 60_000;
        line("certificate", format!("ends in {} h {} min", left / 60, left % 60));
    }
    line("GPUs", format!("{} ({}), {} slots", status.gpus, status.gpu_state, status.slots));
    let walls = if status.not_enforced.is_empty() {
        String::new()
    } else {
        format!(", not enforced: {}", status.not_enforced.join(", "))
    };
    line("isolation", format!("{}{walls}", status.isolation));
    line("tasks", format!("{} running", status.tasks_running));
    line("cells", status.cells.len().to_string());
    for cell in &status.cells {
        let unclaimed = if cell.unclaimed { ", unclaimed" } else { "" };
        line("", format!("{} {}, {} sessions{unclaimed}", cell.allocation, cell.phase, cell.sessions));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_counts_from_a_change_only() {
        let board = Board::default();
        board.link(LinkState::Up { level: 1 });
        let since = board.inner.lock().unwrap().since_ms;
        board.link(LinkState::Up { level: 1 });
        assert_eq!(board.inner.lock().unwrap().since_ms, since);
        assert!(board.word_due(Duration::from_secs(1)));
        board.word_kept();
        assert!(!board.word_due(Duration::from_secs(1)));
    }

    #[test]
    fn a_status_of_another_process_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()), None);
        std::fs::write(folder.path().join(FILE), "{}").unwrap();
        assert_eq!(read(folder.path()), None);
        assert!(command(folder.path(), true).unwrap_err().to_string().contains("not enrolled"));
    }
}
