//! The cells as a report tells of them.

use super::entry::Entry;
use muster_protocol::{
    ids::AllocationId,
    limits::REPORT_MAX,
    report::{CellReport, Phase},
};
use prost::Message;
use std::collections::BTreeSet;

/// Kept free in a report for what is around the cells, bytes.
const REPORT_SLACK: usize = 1024;

/// Every cell, together under the cap of a report.
pub(super) fn cells<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    unclaimed: &BTreeSet<AllocationId>,
) -> Vec<CellReport> {
    let mut cells: Vec<_> = entries
        .map(|entry| CellReport { unclaimed: unclaimed.contains(&entry.allocation), ..entry.report.clone() })
        .collect();
    fit(&mut cells);
    cells
}

/// Keeps a report under its cap: receipts that do not fit wait until others have been taken.
fn fit(cells: &mut [CellReport]) {
    let cap = REPORT_MAX as usize - REPORT_SLACK;
    let mut size: usize = cells.iter().map(|cell| cell.encoded_len() + 8).sum();
    for cell in cells.iter_mut().rev() {
        if size <= cap {
            return;
        }
        let before = cell.encoded_len();
        if !cell.receipt_json.is_empty() {
            cell.receipt_json.clear();
            cell.phase = Phase::Ending.into();
        }
        cell.failure_detail.clear();
        size -= before - cell.encoded_len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::report::Report;

    #[test]
    fn a_report_never_grows_over_its_cap() {
        let cell = |n: usize| CellReport {
            allocation: format!("al_{n:026}"),
            phase: Phase::Ended.into(),
            receipt_json: "x".repeat(4000),
            ..CellReport::default()
        };
        let mut cells: Vec<_> = (0..1024).map(cell).collect();
        fit(&mut cells);
        let report = Report { cells: cells.clone(), ..Report::default() };
        assert!(report.encoded_len() <= REPORT_MAX as usize);
        assert!(!cells[0].receipt_json.is_empty(), "the first ones go in whole");
        assert!(cells.iter().all(|cell| cell.receipt_json.is_empty() == (cell.phase() == Phase::Ending)));
    }
}
