//! What has changed: the latest changes of this process in one ring, read by whoever follows them.
//!
//! A transaction says what it changes ([`super::store::Tx::changed`]); after its commit the changes get their
//! numbers here. Followers keep a number and nothing else, so a slow one costs no memory: it is told that it
//! missed something when the ring has gone on without it.

use crate::base::limits;
use muster_protocol::ids::TenantId;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The nouns whose changes are told, by the prefix of their ids.
pub const NOUNS: [(&str, &str); 8] = [
    ("op", "operations"),
    ("al", "allocations"),
    ("nd", "nodes"),
    ("bt", "tokens"),
    ("ku", "skus"),
    ("pj", "projects"),
    ("us", "users"),
    ("lo", "logins"),
];

/// One thing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which kind of thing: a word of [`NOUNS`], or `slots`, which go by the id of their node.
    pub topic: &'static str,
    /// Its id.
    pub id: String,
    /// What was done, as in the audit trail; `changed` where that has no word for it.
    pub kind: &'static str,
    /// Whose it is; none: the platform's, which only staff hear of.
    pub tenant: Option<TenantId>,
    /// When, ms since 1970.
    pub at_ms: i64,
}

impl Change {
    /// A change for which the audit trail has no word.
    pub const CHANGED: &'static str = "changed";

    /// The change that an act on `target` is; none for a thing whose changes are not told.
    #[must_use]
    pub fn of(target: &str, kind: &'static str, tenant: Option<TenantId>, at_ms: i64) -> Option<Self> {
        let (prefix, _) = target.split_once('_')?;
        let (_, topic) = NOUNS.iter().find(|(known, _)| *known == prefix)?;
        Some(Self { topic, id: target.to_owned(), kind, tenant, at_ms })
    }
}

/// Words that say little: a better one for the same thing takes their place.
const WEAK: [&str; 3] = [Change::CHANGED, "operations.step", "operations.note"];

/// The changes of one transaction: one a thing, however often it was touched.
#[derive(Debug, Default)]
pub struct Changes {
    all: Vec<Change>,
    places: HashMap<(&'static str, String), usize>,
}

impl Changes {
    /// Adds a change; what is known of the same thing becomes one change with the more telling word.
    pub fn add(&mut self, change: Change) {
        let place = self.places.entry((change.topic, change.id.clone())).or_insert(self.all.len());
        let Some(known) = self.all.get_mut(*place) else { return self.all.push(change) };
        known.tenant = known.tenant.or(change.tenant);
        if WEAK.contains(&known.kind) || !WEAK.contains(&change.kind) {
            known.kind = change.kind;
        }
    }
}

#[derive(Debug, Default)]
struct Ring {
    /// Number of the last change; the first ever is 1.
    head: u64,
    latest: VecDeque<Arc<Change>>,
}

/// The ring. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    head: watch::Sender<u64>,
}

impl Default for Feed {
    fn default() -> Self {
        Self(Arc::new(Shared { ring: Mutex::default(), head: watch::Sender::new(0) }))
    }
}

impl Feed {
    fn lock(&self) -> MutexGuard<'_, Ring> {
        // Every change under the lock is one call; a panic leaves no half of it.
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers what was committed and wakes the followers. Never waits.
    pub fn publish(&self, changes: Changes) {
        if changes.all.is_empty() {
            return;
        }
        let mut ring = self.lock();
        ring.head += changes.all.len() as u64;
        ring.latest.extend(changes.all.into_iter().map(Arc::new));
        let over = ring.latest.len().saturating_sub(limits::FEED_CHANGES);
        ring.latest.drain(..over);
        self.0.head.send_replace(ring.head);
    }

    /// Number of the last change.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.lock().head
    }

    /// Up to `most` changes after a number, with theirs. `None` if the ring does not reach back that far, or
    /// the number is none of this process.
    #[must_use]
    pub fn after(&self, number: u64, most: usize) -> Option<Vec<(u64, Arc<Change>)>> {
        let ring = self.lock();
        let oldest = ring.head - ring.latest.len() as u64;
        if number < oldest || number > ring.head {
            return None;
        }
        let skip = usize::try_from(number - oldest).unwrap_or(usize::MAX);
        Some((number + 1..).zip(ring.latest.iter().skip(skip).take(most).cloned()).collect())
    }

    /// Something that wakes at every change from now on.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.0.head.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: &str, kind: &'static str) -> Change {
        Change::of(id, kind, None, 0).unwrap()
    }

    fn publish(feed: &Feed, id: &str) {
        let mut changes = Changes::default();
        changes.add(change(id, Change::CHANGED));
        feed.publish(changes);
    }

    #[test]
    fn a_thing_is_told_once_a_transaction_with_the_best_word() {
        let mut changes = Changes::default();
        changes.add(change("nd_1", "changed"));
        changes.add(change("nd_1", "nodes.cordon"));
        changes.add(change("nd_1", "changed"));
        changes.add(change("nd_2", "changed"));
        let told: Vec<_> = changes.all.iter().map(|change| (change.id.as_str(), change.kind)).collect();
        assert_eq!(told, [("nd_1", "nodes.cordon"), ("nd_2", "changed")]);
        assert_eq!(Change::of("ev_1", "x", None, 0), None);
        assert_eq!(Change::of("root", "x", None, 0), None);
    }

    #[test]
    fn numbers_have_no_gap_and_what_fell_out_is_missed() {
        let feed = Feed::default();
        assert_eq!(feed.after(0, 9).map(|all| all.len()), Some(0));
        assert!(feed.after(1, 9).is_none(), "a number of another process");
        for n in 0..limits::FEED_CHANGES + 5 {
            publish(&feed, &format!("nd_{n}"));
        }
        assert!(feed.after(4, 9).is_none());
        let mut at = 5;
        let mut seen = 0;
        loop {
            let part = feed.after(at, 1000).unwrap();
            let Some((last, _)) = part.last() else { break };
            assert!(part.iter().zip(at + 1..).all(|((number, _), wanted)| *number == wanted));
            assert_eq!(part[0].1.id, format!("nd_{at}"));
            (at, seen) = (*last, seen + part.len());
        }
        assert_eq!((at, seen), (feed.head(), limits::FEED_CHANGES));
    }
}
