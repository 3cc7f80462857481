//! The fuse against mass failure: many nodes that fall silent together share a cause (a switch, a power feed, us),
//! and what silence would otherwise set off, for one node rightly, must not be done to all of them.
//!
//! ```text
//! intact ── many lost within a minute ──> blown ── most are back for a minute, or an operator resets it ──> intact
//! ```
//!
//! While it is blown no allocation is failed because its node is lost, and no node is given up. That it is blown
//! is a row, so a restart does not forget it; what is counted towards it is in memory.

pub mod http;
pub mod store;
pub mod verbs;

use muster_protocol::ids::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Losses within this time count together, ms. As long must most be back before the fuse resets itself.
pub const WINDOW_MS: i64 = 60_000;
/// Fewer losses are never a mass failure.
pub const LEAST: usize = 3;
/// More losses always are.
pub const MANY: usize = 10;
/// A larger part of the nodes in service is, too, percent.
pub const SHARE_PERCENT: usize = 20;

const _: () = assert!(LEAST < MANY && SHARE_PERCENT < 100);

/// Whether so many nodes of those in service, gone together, are a mass failure.
#[must_use]
pub fn is_mass(gone: usize, in_service: usize) -> bool {
    gone > MANY || (gone >= LEAST && gone * 100 > in_service * SHARE_PERCENT)
}

/// A fuse that is blown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blown {
    /// Since when, ms since 1970.
    pub since_ms: i64,
    /// The nodes that were lost together.
    pub nodes: BTreeSet<NodeId>,
}

/// What a look at the fleet says about the fuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// As it was.
    Same,
    /// It is to be blown, or more nodes are to be counted to those that blew it.
    Blow(Blown),
    /// Most are back: it is to be reset.
    Reset,
}

/// The nodes in service at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Fleet<'a> {
    /// How many there are.
    pub in_service: usize,
    /// Those that are offline.
    pub offline: &'a BTreeSet<NodeId>,
    /// Those that were not at the last look.
    pub fallen: &'a [NodeId],
}

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub struct Memory {
    fallen: BTreeMap<NodeId, i64>,
    was_blown: bool,
    calm_since_ms: Option<i64>,
}

impl Memory {
    /// What the last look asked for is stored.
    pub fn stored(&mut self, blown: bool) {
        self.was_blown = blown;
    }

    /// One look. `blown` is the fuse as stored.
    pub fn look(&mut self, now_ms: i64, fleet: Fleet<'_>, blown: Option<&Blown>) -> Step {
        if std::mem::replace(&mut self.was_blown, blown.is_some()) && blown.is_none() {
            // An operator has looked at those that are gone: they count no more.
            self.fallen.clear();
        }
        self.fallen.retain(|_, at| (now_ms - WINDOW_MS..=now_ms).contains(at));
        self.fallen.extend(fleet.fallen.iter().map(|node| (*node, now_ms)));
        let Some(blown) = blown else {
            let nodes: BTreeSet<_> = self.fallen.keys().copied().collect();
            return if is_mass(nodes.len(), fleet.in_service) {
                Step::Blow(Blown { since_ms: now_ms, nodes })
            } else {
                Step::Same
            };
        };
        let missing = blown.nodes.iter().filter(|node| fleet.offline.contains(node)).count();
        if is_mass(missing, fleet.in_service) || is_mass(self.fallen.len(), fleet.in_service) {
            self.calm_since_ms = None;
            let mut nodes = blown.nodes.clone();
            nodes.extend(self.fallen.keys());
            let more = nodes.len() > blown.nodes.len();
            return if more { Step::Blow(Blown { since_ms: blown.since_ms, nodes }) } else { Step::Same };
        }
        let calm_since_ms = *self.calm_since_ms.get_or_insert(now_ms);
        if (0..WINDOW_MS).contains(&(now_ms - calm_since_ms)) {
            return Step::Same;
        }
        self.calm_since_ms = None;
        Step::Reset
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node(n: usize) -> NodeId {
        NodeId::new(n as u64, [1; 10])
    }

    /// A fleet that is looked at each second, with the fuse as it would be stored.
    #[derive(Default)]
    struct Trial {
        memory: Memory,
        stored: Option<Blown>,
        offline: BTreeSet<NodeId>,
        now_ms: i64,
    }

    impl Trial {
        fn look(&mut self, in_service: usize, offline: impl IntoIterator<Item = usize>) -> bool {
            self.now_ms += 1_000;
            let offline: BTreeSet<_> = offline.into_iter().map(node).collect();
            let fallen: Vec<_> = offline.difference(&self.offline).copied().collect();
            self.offline = offline;
            let fleet = Fleet { in_service, offline: &self.offline, fallen: &fallen };
            match self.memory.look(self.now_ms, fleet, self.stored.as_ref()) {
                Step::Same => {}
                Step::Blow(blown) => self.stored = Some(blown),
                Step::Reset => self.stored = None,
            }
            self.memory.stored(self.stored.is_some());
            self.stored.is_some()
        }
    }

    #[test]
    fn many_at_once_blow_it_and_a_few_do_not() {
        assert!(!is_mass(2, 2) && is_mass(3, 3) && is_mass(3, 14) && !is_mass(3, 15));
        assert!(!is_mass(10, 10_000) && is_mass(11, 10_000));
        let mut trial = Trial::default();
        assert!(!trial.look(100, 0..5));
        // Another few within the minute make them too many together.
        assert!(trial.look(100, 0..11));
        assert_eq!(trial.stored.as_ref().map(|blown| blown.nodes.len()), Some(11));
        assert!(trial.look(100, 0..40));
        assert_eq!(trial.stored.as_ref().map(|blown| blown.nodes.len()), Some(40), "all that fell are named");
    }

    #[test]
    fn losses_that_come_slowly_do_not_blow_it() {
        let mut trial = Trial::default();
        for second in 0..3_600 {
            assert!(!trial.look(100, 0..second / 10), "one node each ten seconds, at {second} s");
        }
    }

    #[test]
    fn it_resets_when_most_are_back_for_a_minute() {
        let mut trial = Trial::default();
        assert!(trial.look(10, 0..5));
        for _ in 0..200 {
            assert!(trial.look(10, 0..5), "they are still gone");
        }
        for _ in 0..30 {
            assert!(trial.look(10, 0..1));
        }
        assert!(trial.look(10, 0..5), "they fell again");
        let mut seconds = 0;
        while trial.look(10, 0..1) {
            seconds += 1;
            assert!(seconds < 200, "it never resets");
        }
        assert!(seconds >= 59);
    }

    #[test]
    fn an_operator_resets_it_although_they_are_gone_for_good() {
        let mut trial = Trial::default();
        assert!(trial.look(10, 0..5));
        trial.stored = None;
        for _ in 0..200 {
            assert!(!trial.look(10, 0..5), "the same losses blow it once");
        }
        assert!(trial.look(10, 0..8), "others blow it again");
    }

    proptest! {
        #[test]
        fn it_is_blown_only_by_a_mass_failure_and_always(steps in proptest::collection::vec(0usize..30, 1..100)) {
            let (mut trial, mut fell, mut before) = (Trial::default(), Vec::<(i64, usize)>::new(), 0);
            for gone in steps {
                let was = trial.stored.is_some();
                let blown = trial.look(50, 0..gone);
                fell.extend((before..gone).map(|n| (trial.now_ms, n)));
                before = gone;
                let recent = fell.iter().filter(|(at, _)| trial.now_ms - at <= WINDOW_MS).map(|(_, n)| n);
                let mass = is_mass(recent.collect::<BTreeSet<_>>().len(), 50);
                prop_assert!(!mass || blown);
                prop_assert!(mass || was || !blown);
            }
        }
    }
}
