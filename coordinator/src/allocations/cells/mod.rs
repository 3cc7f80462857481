//! Cells that no allocation stands behind (after a restore of the coordinator, say): shown to operators, kept
//! until one of them ends them, and ended with a tombstone and a receipt like any other.

pub(super) mod store;

use self::store::Stray;
use super::effects::wake;
use super::link;
use super::model::Wish;
use super::store as rows;
use crate::app::App;
use crate::audit;
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{Problem, StatusCode, answer_in};
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::{links, nodes};
use muster_protocol::ids::{AllocationId, NodeId};
use muster_protocol::report::{CellReport, Phase, Receipt};
use serde::Serialize;
use utoipa::ToSchema;

/// A cell as its node reported it last.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct CellItem {
    /// The allocation it was made for.
    pub allocation_id: String,
    /// `preparing`, `running`, `exited`, `ending`, `ended`, `failed`.
    pub phase: &'static str,
    /// Step in words while it is built or ended.
    pub step: String,
    /// `cell`, `userns`, `none`.
    pub isolation: String,
    /// Open sessions.
    pub sessions: u32,
    /// Its node's document does not name it: it runs on until an operator ends it.
    pub unclaimed: bool,
}

/// The end of a cell that was asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Ending {
    /// The allocation it was made for; its receipt will stand under this id.
    #[schema(value_type = String)]
    pub allocation_id: AllocationId,
}

fn item(cell: CellReport) -> CellItem {
    let phase = match cell.phase() {
        Phase::Unspecified | Phase::Preparing => "preparing",
        Phase::Running => "running",
        Phase::Exited => "exited",
        Phase::Ending => "ending",
        Phase::Ended => "ended",
        Phase::Failed => "failed",
    };
    CellItem {
        phase,
        step: link::words(&cell.step),
        isolation: link::words(&cell.isolation),
        sessions: cell.sessions,
        unclaimed: cell.unclaimed,
        allocation_id: link::words(&cell.allocation),
    }
}

/// The cells of a node, as it reported them since the coordinator's start.
pub(super) async fn list(app: &App, cx: &Cx, node: NodeId) -> Result<Vec<CellItem>, Problem> {
    authz::require(cx, Verb::CellsList, Scope::Platform)?;
    app.store.read(move |tx| nodes::store::get_in(tx, node).map(|_| ())).await?;
    Ok(app.heard.on(node).into_iter().map(item).collect())
}

/// Ends an unclaimed cell. 409 `claimed` if an allocation stands behind it: that is released instead.
pub(super) async fn end(app: &App, cx: &Cx, node: NodeId, id: AllocationId) -> Result<Ending, Problem> {
    authz::require(cx, Verb::CellsEnd, Scope::Platform)?;
    let known = app.heard.on(node).into_iter().find(|cell| cell.allocation == id.to_string());
    let known = known.ok_or_else(|| Problem::not_found("cell"))?;
    let act = cx.clone();
    let answer = app
        .store
        .write(move |tx| {
            nodes::store::get_in(tx, node)?;
            let claimed = rows::find(tx, id)?.is_some_and(|row| row.node_id == node && row.lease.wish != Wish::Gone);
            if claimed {
                return Err(Problem::conflict("claimed", "An allocation stands behind it: release that."));
            }
            let stray = Stray { node_id: node, allocation_id: id, lease_epoch: known.lease_epoch };
            store::insert(tx, &stray, act.now_ms)?;
            links::touch_in(tx, node)?;
            let answer = Ending { allocation_id: id };
            answer_in(tx, &act, StatusCode::ACCEPTED, &answer)?;
            let after = serde_json::json!({ "node_id": node });
            audit::record(tx, &act, audit::Event::new("cells.end", id).after(&after), answer)
        })
        .await?;
    wake(app);
    Ok(answer)
}

/// Stores the receipt of an unclaimed cell whose end was asked for. False if it was not.
pub(super) fn receipt_in(
    tx: &mut Tx,
    cx: &Cx,
    node: NodeId,
    id: AllocationId,
    receipt: &Receipt,
) -> Result<bool, Problem> {
    if !store::end(tx, node, id, cx.now_ms)? {
        return Ok(false);
    }
    links::touch_in(tx, node)?;
    let mut event = audit::Event::new("allocation.cleanup_receipt", id).after(receipt);
    if !receipt.clean {
        event = event.outcome(audit::Outcome::Failed).reason(receipt.leftovers.join("; "));
    }
    audit::note(tx, cx, event)?;
    Ok(true)
}
