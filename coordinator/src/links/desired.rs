//! Desired documents: composed when something touched the node, stored when the bytes changed, sent when the
//! agent holds another generation.

use super::store;
use crate::app::App;
use crate::base::http::Problem;
use crate::base::store::{Lane, Tx};
use crate::outbound;
use muster_protocol::control::{Desired, Generation};
use muster_protocol::ids::NodeId;
use sha2::{Digest, Sha256};

/// Marks a node's document as possibly changed; for every room that has a say in it. After the commit, nudge
/// `app.nudges.desired`.
///
/// # Errors
/// Only what the store says.
pub fn touch_in(tx: &mut Tx, node: NodeId) -> Result<(), Problem> {
    store::touch_in(tx, node)
}

/// A node without any document gets one: an agent that holds none has nothing to compare with.
pub(super) async fn ensure(app: &App, node: NodeId) -> Result<(), Problem> {
    if app.store.read(move |tx| store::document_in(tx, node)).await?.is_none() {
        app.store.ingest(move |tx| store::touch_in(tx, node)).await?;
        app.nudges.desired.notify();
    }
    Ok(())
}

/// The document to send to an agent that holds (or was sent) `held`; none if that is the newest.
pub(super) async fn next(app: &App, node: NodeId, held: Option<Generation>) -> Result<Option<Desired>, Problem> {
    let Some(document) = app.store.read(move |tx| store::document_in(tx, node)).await? else { return Ok(None) };
    if held == Some(document.generation) {
        return Ok(None);
    }
    if held.is_some_and(|held| held > document.generation) {
        tracing::error!(%node, "the agent holds a newer document than this database: was it restored without raising the epoch?");
        return Ok(None);
    }
    Ok(Some(document))
}

/// Composes every touched node's document and wakes the links of those that changed.
pub(super) async fn compose(app: App) -> Result<(), Problem> {
    let touched = app.store.read(store::touched_in).await?;
    for node in touched {
        let (epoch, now_ms) = (app.fleet.epoch, app.clock.now_ms());
        match app.store.on(Lane::Agents).ingest(move |tx| compose_in(tx, node, epoch, now_ms)).await {
            Ok(false) => {}
            Ok(true) => {
                if let Some(link) = app.links.get(node) {
                    link.push_desired();
                }
            }
            // One node's trouble must not keep the others from their documents.
            Err(problem) => tracing::error!(%node, "no desired document: {}", problem.log_text()),
        }
    }
    Ok(())
}

fn compose_in(tx: &mut Tx, node: NodeId, fleet_epoch: u64, now_ms: i64) -> Result<bool, Problem> {
    store::untouch_in(tx, node)?;
    let document = outbound::compose(tx, node)?;
    let bytes = serde_json::to_vec(&document).map_err(Problem::internal)?;
    if bytes.len() > muster_protocol::limits::DESIRED_MAX as usize / 2 {
        return Err(Problem::internal(format!("the desired document of {node} is {} bytes long", bytes.len())));
    }
    let sha256 = Sha256::digest(&bytes).to_vec();
    let stored = store::document_in(tx, node)?;
    if stored.as_ref().is_some_and(|old| old.sha256 == sha256 && old.generation.fleet_epoch == fleet_epoch) {
        return Ok(false);
    }
    let n = stored.filter(|old| old.generation.fleet_epoch == fleet_epoch).map_or(0, |old| old.generation.n) + 1;
    let generation = Generation { fleet_epoch, n };
    store::save_document_in(tx, node, &Desired { generation, document: bytes.into(), sha256 }, now_ms)?;
    Ok(true)
}
