//! After a restore, or when a node shows that the database is older than itself: which of the remembered cells are there. Their nodes say it, and only then are they asked for
//! again, so that what was released since the backup does not come back.

use super::effects::{apply_in, wake};
use super::model::{Event, Failure, NOT_FOUND_AFTER_RESTORE};
use super::store::{self, Allocation};
use crate::app::App;
use crate::audit;
use crate::base::http::Problem;
use crate::base::store::{Lane, Recorded, Tx};
use crate::cx::Cx;
use crate::nodes::model::Scheduling;
use crate::{links, nodes};
use muster_protocol::ids::{AllocationId, NodeId};
use muster_protocol::report::Report;
use std::collections::BTreeSet;

/// Marks every cell that shall exist as not proved; for a restore.
///
/// # Errors
/// Only what the store says.
pub fn restored_in(tx: &mut Tx) -> Result<u64, Problem> {
    store::want_proof(tx)
}

/// The node has shown the cell: it is asked for again.
pub(super) fn shown_in(tx: &mut Tx, cx: &Cx, row: &mut Allocation) -> Result<(), Problem> {
    if row.proof_wanted {
        row.proof_wanted = false;
        store::save(tx, row, cx.now_ms)?;
        links::touch_in(tx, row.node_id)?;
    }
    Ok(())
}

/// Ends what is remembered and is not in a whole report. Only a node that follows the newest document is asked: one that has just started may have more cells than it has found yet.
///
/// # Errors
/// Only what the store says; then the same report is to be given again.
pub(super) async fn missing(app: &App, node: NodeId, report: &Report) -> Result<(), Problem> {
    if !app.heard.is_first(node) {
        return Ok(());
    }
    let newest = app.store.read(move |tx| links::generation_in(tx, node)).await?;
    if newest.is_none() || report.generation < newest {
        return Ok(());
    }
    let cells: BTreeSet<AllocationId> = report.cells.iter().filter_map(|cell| cell.allocation.parse().ok()).collect();
    let missing = move |tx: &mut Tx| -> Result<Vec<Allocation>, Problem> {
        let mut rows = store::on_node(tx, node)?;
        rows.retain(|row| row.proof_wanted && !cells.contains(&row.id));
        Ok(rows)
    };
    let look = missing.clone();
    if !app.store.read(move |tx| look(tx).map(|rows| rows.is_empty())).await? {
        let cx = app.node(node);
        let end = move |tx: &mut Tx| -> Result<Recorded<()>, Problem> {
            for mut row in missing(tx)? {
                end_in(tx, &cx, &mut row)?;
            }
            Ok(audit::unchanged(()))
        };
        app.store.on(Lane::Agents).write(end).await?;
        wake(app);
    }
    app.heard.asked(node);
    Ok(())
}

/// Whether a node with a cell that no allocation stands behind may still get new work.
pub(super) fn is_open_in(tx: &mut Tx, node: NodeId) -> Result<bool, Problem> {
    let node = nodes::store::find_in(tx, node)?;
    Ok(node.is_some_and(|node| node.facets.scheduling == Scheduling::Open))
}

/// A cell that no allocation stands behind uses slots that nobody knows: its node gets no new work until an operator
/// has looked.
pub(super) fn keep_work_away_in(tx: &mut Tx, cx: &Cx, node: NodeId, cell: AllocationId) -> Result<(), Problem> {
    let reason = "a cell runs on the node that no allocation stands behind";
    close_in(tx, cx, node, audit::Event::new("cells.unclaimed", cell).after(&node).reason(reason))
}

/// No new work for a node, for the reason of this event; nothing if it gets none already.
pub(super) fn close_in(tx: &mut Tx, cx: &Cx, node: NodeId, why: audit::Event) -> Result<(), Problem> {
    if is_open_in(tx, node)? {
        audit::note(tx, cx, why)?;
        nodes::verbs::change_in(tx, cx, node, nodes::model::Event::Cordon, "nodes.cordon")?;
    }
    Ok(())
}

fn end_in(tx: &mut Tx, cx: &Cx, row: &mut Allocation) -> Result<(), Problem> {
    let detail = "The database went back to an earlier state, and the node has no such cell: it was released since.";
    let failure = Failure { code: NOT_FOUND_AFTER_RESTORE.to_owned(), detail: detail.to_owned() };
    row.proof_wanted = false;
    apply_in(tx, cx, row, &Event::Broken(failure)).map(|_| ())
}
