//! What a simulated node says of its cells: each that it is told to have runs, each that it is told to end has
//! ended, with a clean receipt.

use muster_protocol::{
    control::{Desired, Generation},
    desired::Document,
    report::{CellReport, Phase, Receipt, Report},
};

/// What the node holds.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Age of the document.
    pub generation: Option<Generation>,
    /// Its hash.
    pub sha256: Vec<u8>,
    document: Document,
}

impl Held {
    /// Takes a document. False if it cannot be read.
    pub fn take(&mut self, desired: Desired) -> bool {
        let Ok(document) = serde_json::from_slice(&desired.document) else { return false };
        *self = Self { generation: Some(desired.generation), sha256: desired.sha256, document };
        true
    }

    /// The report that follows from it.
    #[must_use]
    pub fn report(&self, sequence: u64, now_ms: i64) -> Report {
        let cell = |allocation: String, lease_epoch, phase: Phase| CellReport {
            allocation,
            lease_epoch,
            phase: phase.into(),
            isolation: "none".into(),
            ..CellReport::default()
        };
        let receipt = Receipt { clean: true, checked_ms: now_ms, ..Receipt::default() };
        let receipt_json = serde_json::to_string(&receipt).unwrap_or_default();
        let wanted = self.document.cells.iter();
        let running = wanted.map(|wanted| cell(wanted.allocation.to_string(), wanted.lease_epoch, Phase::Running));
        let stones = self.document.tombstones.iter();
        let ended = stones.map(|stone| CellReport {
            receipt_json: receipt_json.clone(),
            ..cell(stone.allocation.to_string(), stone.lease_epoch, Phase::Ended)
        });
        Report { generation: self.generation, refusal: String::new(), cells: running.chain(ended).collect(), sequence }
    }
}
