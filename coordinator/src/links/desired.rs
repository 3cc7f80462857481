//! Desired documents: composed when something touched the node, stored when the bytes changed, sent when the
//! agent holds another generation.

use super::store;
use crate::app::App;
use crate::audit;
use crate::base::http::Problem;
use crate::base::store::{Lane, Tx};
use crate::{inbound, outbound};
use muster_protocol::control::{Desired, Generation};
use muster_protocol::ids::NodeId;
use sha2::{Digest, Sha256};

/// Generations that are taken over from an agent end here: no fleet gets there by itself.
const GENERATION_MAX: u64 = 1 << 62;

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

/// The newest generation of a node's document.
///
/// # Errors
/// Only what the store says.
pub fn generation_in(tx: &mut Tx, node: NodeId) -> Result<Option<Generation>, Problem> {
    Ok(store::document_in(tx, node)?.map(|document| document.generation))
}

/// An agent that has followed a document which this database does not know shows that the database went back to an
/// earlier state: a file put back by hand, a replica that lagged behind. What it says of the node is doubted as after
/// a restore, and the next document is newer than what the agent holds.
pub(super) async fn catch_up(app: &App, node: NodeId, held: Option<Generation>) -> Result<(), Problem> {
    let Some(held) = held else { return Ok(()) };
    let (fleet_epoch, now_ms) = (app.fleet.epoch, app.clock.now_ms());
    let known = app.store.read(move |tx| generation_in(tx, node)).await?;
    if held <= known.unwrap_or(Generation { fleet_epoch, n: 0 }) {
        return Ok(());
    }
    tracing::error!(%node, "the agent follows a newer document than this database has: it went back to an earlier state");
    if held.fleet_epoch.max(held.n) >= GENERATION_MAX {
        return Ok(());
    }
    let generation = Generation { fleet_epoch: held.fleet_epoch.max(fleet_epoch), n: held.n + 1 };
    let cx = app.node(node);
    let write = move |tx: &mut Tx| {
        inbound::outrun_in(tx, &cx, node)?;
        let document = Composed::of(tx, node)?.numbered(generation);
        store::save_document_in(tx, node, &document, now_ms)?;
        Ok(audit::unchanged(()))
    };
    app.store.on(Lane::Agents).write(write).await
}

/// The document to send to an agent that holds (or was sent) `held`; none if it is no newer.
pub(super) async fn next(app: &App, node: NodeId, held: Option<Generation>) -> Result<Option<Desired>, Problem> {
    let document = app.store.read(move |tx| store::document_in(tx, node)).await?;
    Ok(document.filter(|document| held.is_none_or(|held| held < document.generation)))
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
    let composed = Composed::of(tx, node)?;
    let stored = store::document_in(tx, node)?;
    // Higher than the fleet's only after a database that went back behind a restore.
    let fleet_epoch = stored.as_ref().map_or(fleet_epoch, |old| old.generation.fleet_epoch.max(fleet_epoch));
    let stored = stored.filter(|old| old.generation.fleet_epoch == fleet_epoch);
    if stored.as_ref().is_some_and(|old| old.sha256 == composed.sha256) {
        return Ok(false);
    }
    let generation = Generation { fleet_epoch, n: stored.map_or(0, |old| old.generation.n) + 1 };
    store::save_document_in(tx, node, &composed.numbered(generation), now_ms)?;
    Ok(true)
}

/// A document without its number.
struct Composed {
    bytes: Vec<u8>,
    sha256: Vec<u8>,
}

impl Composed {
    fn of(tx: &mut Tx, node: NodeId) -> Result<Self, Problem> {
        let bytes = serde_json::to_vec(&outbound::compose(tx, node)?).map_err(Problem::internal)?;
        if bytes.len() > muster_protocol::limits::DESIRED_MAX as usize / 2 {
            return Err(Problem::internal(format!("the desired document of {node} is {} bytes long", bytes.len())));
        }
        let sha256 = Sha256::digest(&bytes).to_vec();
        Ok(Self { bytes, sha256 })
    }

    fn numbered(self, generation: Generation) -> Desired {
        Desired { generation, document: self.bytes.into(), sha256: self.sha256 }
    }
}
