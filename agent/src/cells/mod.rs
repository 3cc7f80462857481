//! The cells of this node: kept as the desired document says, and reported as they are.
//!
//! One task ([`driver`]) owns all that is known; building and ending run beside it as tasks of their own
//! ([`work`]), so that a cell that is slow costs the others nothing.

mod adopt;
mod driver;
mod entry;
mod leftovers;
mod logs;
mod report;
mod stream;
mod usage;
mod watch;
mod work;

use crate::{clock::Clock, gpu::Gpus, journal::Journal, root, supervise::Aside};
use muster_protocol::{
    control::{Desired, Generation},
    ids::AllocationId,
    report::Report,
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{mpsc, watch as watched};

pub use driver::Driver;
pub use stream::Stream;
pub use work::again;

/// Messages that may wait for the driver.
const MESSAGES_WAITING: usize = 256;

/// What the driver works with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The root half.
    pub root: root::Client,
    /// The journal.
    pub journal: Journal,
    /// Trusted time.
    pub clock: Clock,
    /// The GPUs.
    pub gpus: Gpus,
    /// Told after every fact that is put into the outbox.
    pub facts: Arc<tokio::sync::Notify>,
    /// Where blocking work is done.
    pub aside: Aside,
}

/// What the rest of the agent sees of the cells; cheap to clone.
#[derive(Debug, Clone)]
pub struct Cells {
    messages: mpsc::Sender<driver::Message>,
    report: watched::Receiver<Arc<Report>>,
    held: watched::Receiver<Option<(Generation, Vec<u8>)>>,
    sockets: Sockets,
}

/// Sockets of the cells that stand.
type Sockets = Arc<Mutex<BTreeMap<AllocationId, PathBuf>>>;

impl Cells {
    /// A document came over the link.
    pub async fn offer(&self, offered: Desired) {
        // Without a driver the agent is ending.
        let _ = self.messages.send(driver::Message::Offer(offered)).await;
    }

    /// What is, and every change of it.
    #[must_use]
    pub fn report(&self) -> watched::Receiver<Arc<Report>> {
        self.report.clone()
    }

    /// Generation and hash of the document held.
    #[must_use]
    pub fn held(&self) -> Option<(Generation, Vec<u8>)> {
        self.held.borrow().clone()
    }

    /// Where a cell listens, if it stands.
    #[must_use]
    pub fn socket(&self, allocation: &AllocationId) -> Option<PathBuf> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).get(allocation).cloned()
    }

    /// Every cell that stands.
    #[must_use]
    pub fn standing(&self) -> Vec<AllocationId> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}
