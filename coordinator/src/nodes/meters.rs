//! Figures of nodes for `/metrics`.

use super::model::Presence;
use crate::base::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Word {
    presence: &'static str,
}

/// Set by the look at every node.
#[derive(Debug)]
pub(super) struct Meters {
    presences: Family<Word, Gauge>,
    fuse: Gauge,
}

impl Meters {
    /// Shows them; once a process.
    pub(super) fn of(metrics: &Metrics) -> Self {
        Self {
            presences: metrics.register("nodes_presence", "Nodes in service, by presence", Family::default()),
            fuse: metrics.gauge("nodes_fuse_blown", "1 while the fuse against mass failure is blown"),
        }
    }

    pub(super) fn presences(&self, of: impl Iterator<Item = Presence>) {
        let mut counts = [0_i64; Presence::ALL.len()];
        of.for_each(|presence| counts[presence as usize] += 1);
        for presence in Presence::ALL {
            self.presences.get_or_create(&Word { presence: presence.word() }).set(counts[*presence as usize]);
        }
    }

    pub(super) fn fuse(&self, blown: bool) {
        self.fuse.set(i64::from(blown));
    }
}
