//! What nodes say about their cells, made into events of allocations. Idempotent; an agent is untrusted, so
//! it can speak of allocations on its own node only, and its words are cut to size.

use super::cells;
use super::effects::{apply_in, receipt_in, wake};
use super::model::{CELL_ENDED, Event, Failure, NODE_LOST, Wish};
use super::progress;
use super::proof;
use super::release::adopt_in;
use super::store::{self, Allocation, Said};
use crate::app::App;
use crate::audit;
use crate::base::http::Problem;
use crate::base::store::{Lane, Tx};
use crate::cx::Cx;
use crate::nodes;
use muster_protocol::facts::{CellLog, Usage};
use muster_protocol::ids::{AllocationId, NodeId};
use muster_protocol::limits::{CELL_LOG_MAX, CELL_LOG_PIECE, CELLS_PER_NODE};
use muster_protocol::report::{CellReport, Phase, Receipt, Report};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Longest words of an agent, characters.
const WORDS_MAX: usize = 400;
/// Longest login name, as Linux has it.
const LOGIN_NAME_MAX: usize = 32;
/// Most words of a list.
const LIST_MAX: usize = 32;
/// Code of a cell that could not be built and whose node did not say why.
const CELL_FAILED: &str = "cell_failed";

/// What each node said last: of each of its cells as it was taken in (the same words again cost nothing), and as a
/// whole. A node's words are kept under its own name, so that none speaks for another, and no more than one report.
#[derive(Debug, Default)]
pub struct Heard {
    taken: Mutex<HashMap<NodeId, HashMap<AllocationId, CellReport>>>,
    nodes: Mutex<HashMap<NodeId, Vec<CellReport>>>,
    asked: Mutex<HashSet<NodeId>>,
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, HashMap<AllocationId, CellReport>>> {
        // Every change under the lock is one call; a panic leaves no half of it.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_news(&self, node: NodeId, id: AllocationId, cell: &CellReport) -> bool {
        self.lock().get(&node).and_then(|cells| cells.get(&id)) != Some(cell)
    }

    fn keep(&self, node: NodeId, cells: Vec<(AllocationId, CellReport)>) {
        let whole = self.on(node);
        let mut heard = self.lock();
        let taken = heard.entry(node).or_default();
        taken.extend(cells);
        taken.retain(|id, _| whole.iter().any(|cell| cell.allocation == id.to_string()));
    }

    fn whole(&self, node: NodeId, cells: &[CellReport]) {
        let cells = cells.iter().take(CELLS_PER_NODE).cloned().collect();
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).insert(node, cells);
    }

    /// What a node said last about all of its cells; nothing before it said anything.
    pub(super) fn on(&self, node: NodeId) -> Vec<CellReport> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(&node).cloned().unwrap_or_default()
    }

    /// Whether the node has yet to be asked for what a restored row remembers.
    pub(super) fn is_first(&self, node: NodeId) -> bool {
        !self.asked.lock().unwrap_or_else(PoisonError::into_inner).contains(&node)
    }

    /// The node was asked.
    pub(super) fn asked(&self, node: NodeId) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(node);
    }

    /// The next report of this node counts, whatever it says.
    pub(super) fn forget(&self, node: NodeId) {
        self.lock().remove(&node);
    }
}

/// Takes in a whole report. One that says nothing new writes nothing.
///
/// # Errors
/// Only what the store says; then the same report is to be given again.
pub async fn report(app: &App, node: NodeId, report: Report) -> Result<(), Problem> {
    app.heard.whole(node, &report.cells);
    proof::missing(app, node, &report).await?;
    let cells: Vec<(AllocationId, CellReport)> = report
        .cells
        .into_iter()
        .filter_map(|cell| Some((cell.allocation.parse().ok()?, cell)))
        .filter(|(id, cell)| app.heard.is_news(node, *id, cell))
        .collect();
    if cells.is_empty() {
        return Ok(());
    }
    for (id, _) in cells.iter().filter(|(_, cell)| cell.unclaimed) {
        tracing::warn!(%node, allocation = %id, "the node has a cell that its document does not name");
    }
    let seen = cells.clone();
    let news = app
        .store
        .read(move |tx| {
            for (id, cell) in &seen {
                if let Some(row) = mine_in(tx, node, *id, cell)?
                    && is_news(&row, cell)
                {
                    return Ok(true);
                }
            }
            for (id, cell) in &seen {
                if is_nobodys_in(tx, node, *id, cell)? && proof::is_open_in(tx, node)? {
                    return Ok(true);
                }
            }
            let strays = cells::store::of_node(tx, node)?;
            Ok(strays.iter().any(|stray| seen.iter().any(|(id, _)| *id == stray.allocation_id)))
        })
        .await?;
    if news {
        let (cx, taken) = (app.node(node), cells.clone());
        app.store
            .on(Lane::Agents)
            .write(move |tx| {
                for (id, cell) in &taken {
                    if let Some(mut row) = mine_in(tx, node, *id, cell)? {
                        take_in(tx, &cx, &mut row, cell)?;
                    } else if let Some(receipt) = receipt_of(cell) {
                        cells::receipt_in(tx, &cx, node, *id, &receipt)?;
                    } else if is_nobodys_in(tx, node, *id, cell)? {
                        proof::keep_work_away_in(tx, &cx, node, *id)?;
                    }
                }
                Ok(audit::unchanged(()))
            })
            .await?;
        wake(app);
    }
    app.heard.keep(node, cells);
    Ok(())
}

/// A node has followed documents that this database does not know: nothing that is remembered of it is believed until
/// the node says so, and it gets no new work until an operator has looked.
///
/// # Errors
/// Only what the store says.
pub fn outrun_in(tx: &mut Tx, cx: &Cx, node: NodeId) -> Result<(), Problem> {
    store::want_proof_of(tx, node)?;
    let reason = "the node has followed documents that the database does not know: it went back to an earlier state";
    proof::close_in(tx, cx, node, audit::Event::new("nodes.database_older", node).reason(reason))
}

/// The allocation a report is about, if it is on this node and its receipt is not stored yet. A report of an
/// older lease says nothing about the present one.
fn mine_in(tx: &mut Tx, node: NodeId, id: AllocationId, cell: &CellReport) -> Result<Option<Allocation>, Problem> {
    let row = store::find(tx, id)?;
    Ok(row.filter(|row| {
        row.node_id == node
            && row.lease.wish != Wish::Gone
            && (cfg!(feature = "plant-lease-epoch") || u64::try_from(row.lease_epoch).ok() == Some(cell.lease_epoch))
    }))
}

/// A cell that no allocation stands behind. One that has ended here is shown once more by an agent that died before
/// its root half had forgotten it: it is on its way out and uses nothing.
fn is_nobodys_in(tx: &mut Tx, node: NodeId, id: AllocationId, cell: &CellReport) -> Result<bool, Problem> {
    let leaves = matches!(cell.phase(), Phase::Ending | Phase::Ended | Phase::Failed);
    Ok(cell.unclaimed && !(leaves && store::find(tx, id)?.is_some_and(|row| row.node_id == node)))
}

fn is_news(row: &Allocation, cell: &CellReport) -> bool {
    row.proof_wanted
        || !cell.receipt_json.is_empty()
        || said(row, cell) != row.said
        || events(row, cell).iter().any(|event| row.lease.apply(event).is_ok_and(|next| next != row.lease))
}

/// Cuts an agent's words to one printable line.
pub(super) fn words(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect()
}

/// What the node says now, over what it said before.
fn said(row: &Allocation, cell: &CellReport) -> Said {
    let mut said = row.said.clone();
    said.step = words(&cell.step);
    if ["cell", "userns", "none"].contains(&cell.isolation.as_str()) {
        said.isolation.clone_from(&cell.isolation);
        said.not_enforced = cell.not_enforced.iter().take(LIST_MAX).map(|word| words(word)).collect();
    }
    let key_ok = |key: &str| {
        let parts: Vec<&str> = key.split(' ').collect();
        parts.len() == 2
            && parts.iter().all(|part| {
                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+/=@.".contains(&byte))
            })
    };
    if cell.ssh_host_key.len() <= 4096 && key_ok(&cell.ssh_host_key) {
        said.ssh_host_key.clone_from(&cell.ssh_host_key);
    }
    if is_login_name(&cell.ssh_user) {
        said.ssh_user.clone_from(&cell.ssh_user);
    }
    said
}

/// Whether it is a name of POSIX that no shell and no ssh could take for anything else.
fn is_login_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    name.len() <= LOGIN_NAME_MAX && name.bytes().all(plain) && name.bytes().next().is_some_and(|first| first != b'-')
}

/// The events in a report, in the order in which they happened.
fn events(row: &Allocation, cell: &CellReport) -> Vec<Event> {
    let detail = |fallback: &str| match (cell.failure_code.as_str(), cell.failure_detail.as_str()) {
        ("", "") => fallback.to_owned(),
        (code, "") => words(code),
        (_, detail) => words(detail),
    };
    match cell.phase() {
        Phase::Unspecified => vec![],
        Phase::Preparing => vec![Event::Preparing],
        Phase::Running => vec![Event::Running],
        Phase::Exited => vec![Event::Exited(cell.exit_code.unwrap_or(-1))],
        Phase::Ending => vec![],
        Phase::Ended if row.lease.wish == Wish::Wanted => {
            let detail = detail("Its first process ended.");
            vec![Event::Broken(Failure { code: CELL_ENDED.to_owned(), detail })]
        }
        Phase::Failed if row.lease.wish == Wish::Wanted => {
            let known = !cell.failure_code.is_empty()
                && cell.failure_code.len() <= 64
                && cell
                    .failure_code
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            let code = if known { cell.failure_code.clone() } else { CELL_FAILED.to_owned() };
            vec![Event::Broken(Failure { code, detail: detail("The node could not build it.") })]
        }
        Phase::Ended | Phase::Failed => vec![],
    }
}

fn take_in(tx: &mut Tx, cx: &Cx, row: &mut Allocation, cell: &CellReport) -> Result<(), Problem> {
    proof::shown_in(tx, cx, row)?;
    let said = said(row, cell);
    let mut told = false;
    if said != row.said {
        row.said = said;
        store::save(tx, row, cx.now_ms)?;
        told = true;
    }
    for event in events(row, cell) {
        let event = over_a_reboot_in(tx, row, event)?;
        told &= !apply_in(tx, cx, row, &event)?;
        adopt_in(tx, cx, row)?;
    }
    if told {
        progress::follow_in(tx, cx, row)?;
    }
    match receipt_of(cell) {
        Some(receipt) => receipt_in(tx, cx, row, &receipt),
        None => Ok(()),
    }
}

/// A cell that ended because its node restarted did not end by itself.
fn over_a_reboot_in(tx: &mut Tx, row: &Allocation, event: Event) -> Result<Event, Problem> {
    let Event::Broken(failure) = event else { return Ok(event) };
    let rebooted = failure.code == CELL_ENDED && !row.boot_id.is_empty() && {
        let boot_id = nodes::store::get_in(tx, row.node_id)?.boot_id;
        !boot_id.is_empty() && boot_id != row.boot_id
    };
    let lost =
        || Failure { code: NODE_LOST.to_owned(), detail: "Its node restarted, which ended its cell.".to_owned() };
    Ok(Event::Broken(if rebooted { lost() } else { failure }))
}

/// The receipt of a cell that is over.
fn receipt_of(cell: &CellReport) -> Option<Receipt> {
    let over = matches!(cell.phase(), Phase::Ended | Phase::Failed) && !cell.receipt_json.is_empty();
    over.then(|| receipt(&cell.receipt_json))
}

/// A receipt as the node wrote it; one that cannot be read proves nothing.
fn receipt(text: &str) -> Receipt {
    let mut receipt: Receipt = serde_json::from_str(text).unwrap_or_else(|_| Receipt {
        leftovers: vec!["the receipt of the node could not be read".to_owned()],
        ..Receipt::default()
    });
    receipt.leftovers.truncate(LIST_MAX);
    receipt.steps.truncate(LIST_MAX);
    for text in &mut receipt.leftovers {
        *text = words(text);
    }
    for step in &mut receipt.steps {
        (step.name, step.detail) = (words(&step.name), words(&step.detail));
    }
    receipt.clean &= receipt.leftovers.is_empty();
    receipt
}

/// Keeps a piece of what a batch command printed, once; beyond the limit of one allocation it is dropped.
///
/// # Errors
/// Only what the store says.
pub fn log_in(tx: &mut Tx, node: NodeId, log: &CellLog) -> Result<(), Problem> {
    let Ok(id) = log.allocation.parse::<AllocationId>() else { return Ok(()) };
    if store::find(tx, id)?.is_none_or(|row| row.node_id != node) || log.bytes.len() > CELL_LOG_PIECE {
        return Ok(());
    }
    if !log.bytes.is_empty() {
        store::add_log(tx, id, log.offset, &log.bytes, CELL_LOG_MAX)?;
    }
    if log.last { store::complete_log(tx, id) } else { Ok(()) }
}

/// Notes how long cells of a node have run. What is another node's, or of another lease, is passed over.
///
/// # Errors
/// Only what the store says.
pub fn usage_in(tx: &mut Tx, node: NodeId, journal_epoch: &str, usage: &Usage) -> Result<(), Problem> {
    for item in usage.items.iter().take(CELLS_PER_NODE) {
        let Ok(id) = item.allocation.parse::<AllocationId>() else { continue };
        let row = store::find(tx, id)?;
        let theirs =
            row.is_some_and(|row| row.node_id == node && u64::try_from(row.lease_epoch).ok() == Some(item.lease_epoch));
        if theirs && let Ok(used_ms) = i64::try_from(item.until_ms) {
            store::used(tx, id, journal_epoch, used_ms)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_name_is_one_word_for_every_shell() {
        for name in ["muster", "root", "_apt", "jane.doe", "Build-2", "1000"] {
            assert!(is_login_name(name), "{name}");
        }
        let long = "x".repeat(LOGIN_NAME_MAX + 1);
        for name in ["", "-oProxyCommand=x", "a b", "a;b", "$(id)", "a@b", "a\n", "ä", &long] {
            assert!(!is_login_name(name), "{name}");
        }
    }
}
