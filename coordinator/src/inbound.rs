//! The gate from agents: one function a kind of message, each handing it to its room.

use crate::app::App;
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::{allocations, nodes, slots, telemetry};
use muster_protocol::facts::{Fact, FactBody};
use muster_protocol::ids::NodeId;
use muster_protocol::inventory::Inventory;
use muster_protocol::report::Report;
use muster_protocol::telemetry::Sample;

/// The machine, its GPUs and the slots found in them. An inventory that is known writes nothing.
///
/// # Errors
/// Only what the store says; then the same inventory is to be given again.
pub async fn inventory(app: &App, node: NodeId, inventory: Inventory) -> Result<(), Problem> {
    let cx = app.node(node);
    let known = inventory.clone();
    let news = app
        .store
        .read(move |tx| Ok(nodes::link::is_news_in(tx, node, &known)? || slots::link::is_news_in(tx, node, &known)?))
        .await?;
    if !news {
        return Ok(());
    }
    app.store
        .ingest(move |tx| {
            nodes::link::inventory_in(tx, &cx, node, &inventory)?;
            slots::link::inventory_in(tx, &cx, node, &inventory)
        })
        .await?;
    app.nudges.slots.notify();
    Ok(())
}

/// State of every cell of a node, and of the document it holds.
///
/// # Errors
/// Only what the store says; then the same report is to be given again.
pub async fn report(app: &App, node: NodeId, report: Report) -> Result<(), Problem> {
    allocations::link::report(app, node, report).await
}

/// A node has followed documents that this database does not know.
///
/// # Errors
/// Only what the store says.
pub fn outrun_in(tx: &mut Tx, cx: &Cx, node: NodeId) -> Result<(), Problem> {
    allocations::link::outrun_in(tx, cx, node)
}

/// A sample taken at `at_ms` by our clock. Memory alone.
pub fn sample(app: &App, node: NodeId, at_ms: i64, sample: Sample) {
    app.telemetry.ingest(node, at_ms, sample);
}

/// One fact, inside the transaction that moves the node's cursor.
///
/// # Errors
/// Only what the store says; then the fact comes again.
pub fn fact_in(tx: &mut Tx, cx: &Cx, node: NodeId, epoch: &str, fact: &Fact) -> Result<(), Problem> {
    match &fact.body {
        Some(FactBody::Xid(xid)) => telemetry::link::xid_in(tx, cx, node, epoch, fact.number, xid),
        Some(FactBody::Log(log)) => allocations::link::log_in(tx, node, log),
        Some(FactBody::Usage(usage)) => allocations::link::usage_in(tx, node, epoch, usage),
        Some(FactBody::Cell(_)) | None => Ok(()),
    }
}

/// Wakes who may wait for facts that were just committed.
pub fn after_facts(app: &App) {
    app.nudges.operations.notify();
}
