//! Figures of links for `/metrics`.

use crate::base::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// A word of a closed list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Word {
    word: String,
}

/// Kept by the registry of links.
#[derive(Debug, Default)]
pub(super) struct Meters {
    up: Gauge,
    closed: Family<Word, Counter>,
    refused: Counter,
    enrolments: Family<Word, Counter>,
}

impl Meters {
    /// Shows them; once a process.
    pub(super) fn register(&self, metrics: &Metrics) {
        metrics.register("links_up", "Live links of nodes", self.up.clone());
        metrics.register("links_closed", "Connections closed by us, by the word of their code", self.closed.clone());
        metrics.register("links_refused", "Handshakes turned away because too many came", self.refused.clone());
        metrics.register("enrolment_answers", "Answers to enrolments, by status or refusal", self.enrolments.clone());
    }

    /// A handshake was turned away because too many came at once.
    pub(super) fn refused(&self) {
        self.refused.inc();
    }

    pub(super) fn set_up(&self, count: usize) {
        self.up.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(super) fn closed(&self, word: &'static str) {
        self.closed.get_or_create(&Word { word: word.to_owned() }).inc();
    }

    /// `word` is one of the protocol's, never the agent's.
    pub(super) fn enrolment(&self, word: &str) {
        self.enrolments.get_or_create(&Word { word: word.to_owned() }).inc();
    }
}
