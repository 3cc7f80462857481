//! All that a link needs of this node, in one place.

use crate::{
    cells::Cells, clock::Clock, identity::Identity, journal::Journal, status::Board, tasks::Tasks, telemetry::Backlog,
};
use muster_protocol::inventory::{Host, Inventory};
use std::{path::PathBuf, sync::Arc};
use tokio::sync::{Notify, watch};

/// See the module.
#[derive(Debug)]
pub struct Node {
    /// Who we are.
    pub identity: Identity,
    /// Where key, certificate and journal lie.
    pub state_dir: PathBuf,
    /// `host:port` to dial.
    pub coordinator: String,
    /// This machine.
    pub host: Host,
    /// Trusted time.
    pub clock: Clock,
    /// What is remembered.
    pub journal: Journal,
    /// The cells.
    pub cells: Cells,
    /// Node tasks.
    pub tasks: Tasks,
    /// The inventory, and every change of it.
    pub inventory: watch::Receiver<Arc<Inventory>>,
    /// Samples that wait for a link.
    pub samples: Arc<Backlog>,
    /// Told after every fact that is put into the outbox.
    pub facts: Arc<Notify>,
    /// What people on the node see.
    pub board: Board,
}
