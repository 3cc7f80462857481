//! What is on the node when the agent starts: the root half's cells and the journal's memory, put together.

use super::{Tools, entry::Entry};
use muster_protocol::{ids::AllocationId, report::Phase};
use std::collections::BTreeMap;

/// Every cell known to either.
///
/// # Errors
/// The root half or the journal said no.
pub(super) async fn entries(tools: &Tools) -> anyhow::Result<BTreeMap<AllocationId, Entry>> {
    let mut entries = BTreeMap::new();
    for kept in tools.journal.cells().await? {
        let Ok(allocation) = kept.report.allocation.parse::<AllocationId>() else { continue };
        let mut entry = Entry::new(allocation, kept.report.lease_epoch, Phase::Preparing);
        entry.report = kept.report;
        entry.report.sessions = 0;
        entry.spec = kept.spec;
        entry.log_sent = kept.log_sent;
        entries.insert(allocation, entry);
    }
    let known = tools.root.cells().await?;
    for entry in entries.values_mut() {
        if known.iter().any(|info| info.allocation == entry.allocation) {
            continue;
        }
        match entry.phase() {
            // The agent died between writing it down and asking for it: nothing was built, so it is built now.
            Phase::Preparing if entry.report.step.is_empty() => entry.report.phase = Phase::Unspecified.into(),
            Phase::Ended | Phase::Failed => {}
            _ => entry.lost("cell_ended", "the node restarted, or the cell was removed"),
        }
    }
    entries.retain(|_, entry| entry.phase() != Phase::Unspecified);
    for info in known {
        let entry = entries
            .entry(info.allocation)
            .or_insert_with(|| Entry::new(info.allocation, info.lease_epoch, Phase::Preparing));
        if !matches!(entry.phase(), Phase::Ended | Phase::Failed) {
            entry.learn(&info);
        }
    }
    Ok(entries)
}
