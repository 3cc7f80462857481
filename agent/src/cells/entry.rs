//! One cell as the driver knows it.

use crate::{
    reconcile::{Seen, Stage},
    root::{CellInfo, CellState},
};
use muster_protocol::{
    desired,
    ids::AllocationId,
    report::{CellReport, Phase},
};
use std::path::PathBuf;

/// Everything about a cell.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) allocation: AllocationId,
    /// As it is sent.
    pub(super) report: CellReport,
    /// Its line of the document it was built from; none for cells that were found.
    pub(super) spec: Option<desired::Cell>,
    /// Keys that were written last.
    pub(super) keys: Option<Vec<String>>,
    /// Where it listens, while it stands.
    pub(super) socket: Option<PathBuf>,
    /// A task works on it.
    pub(super) busy: bool,
    /// PID 1 went while the task worked.
    pub(super) gone: bool,
    /// Bytes of its batch output that are in the outbox.
    pub(super) log_sent: u64,
}

impl Entry {
    pub(super) fn new(allocation: AllocationId, lease_epoch: u64, phase: Phase) -> Self {
        let report = CellReport {
            allocation: allocation.to_string(),
            lease_epoch,
            phase: phase.into(),
            ..CellReport::default()
        };
        Self { allocation, report, spec: None, keys: None, socket: None, busy: false, gone: false, log_sent: 0 }
    }

    pub(super) fn phase(&self) -> Phase {
        self.report.phase()
    }

    /// True if there is a batch command.
    pub(super) fn is_batch(&self) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.command.is_some())
    }

    pub(super) fn seen(&self) -> Seen {
        let stage = match self.phase() {
            _ if self.busy => Stage::Busy,
            Phase::Ended | Phase::Failed => Stage::Over,
            Phase::Running | Phase::Exited => Stage::Up,
            // No task works on it, so whatever was begun was interrupted.
            Phase::Unspecified | Phase::Preparing | Phase::Ending => Stage::Dead,
        };
        Seen {
            lease_epoch: self.report.lease_epoch,
            stage,
            not_after_ms: self.spec.as_ref().and_then(|spec| spec.not_after_ms),
            keys: self.keys.clone(),
        }
    }

    /// Takes over what the root half says of a cell that stands, or does not any more.
    pub(super) fn learn(&mut self, info: &CellInfo) {
        self.report.lease_epoch = info.lease_epoch;
        self.report.isolation = info.isolation.word().to_owned();
        self.report.not_enforced.clone_from(&info.not_enforced);
        self.report.ssh_host_key.clone_from(&info.ssh_host_key);
        self.report.ssh_user.clone_from(&info.ssh_user);
        self.report.step.clear();
        match info.state {
            CellState::Running => {
                self.socket = Some(info.socket.clone());
                if self.phase() != Phase::Exited {
                    self.report.phase = Phase::Running.into();
                }
            }
            CellState::Dead | CellState::Ended => self.lost("cell_ended", "PID 1 of the cell is gone"),
        }
    }

    /// The cell is gone without having been asked to.
    pub(super) fn lost(&mut self, code: &str, detail: &str) {
        self.socket = None;
        // One that was being ended is gone as it should be, however far its end had come.
        if matches!(self.phase(), Phase::Ending | Phase::Ended | Phase::Failed) {
            return;
        }
        self.report.phase = Phase::Ending.into();
        if self.report.failure_code.is_empty() {
            self.report.failure_code = code.to_owned();
            self.report.failure_detail = detail.to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cell_that_should_have_stood_is_lost() {
        let lost = |phase| {
            let mut entry = Entry::new(AllocationId::new(1, [1; 10]), 1, phase);
            entry.lost("cell_ended", "gone");
            (entry.phase(), entry.report.failure_code)
        };
        assert_eq!(lost(Phase::Running), (Phase::Ending, "cell_ended".to_owned()));
        assert_eq!(lost(Phase::Exited), (Phase::Ending, "cell_ended".to_owned()));
        assert_eq!(lost(Phase::Ending), (Phase::Ending, String::new()), "a release that a crash interrupted");
        assert_eq!(lost(Phase::Ended), (Phase::Ended, String::new()));
    }
}
