//! The attaches that are open on this coordinator, so that they can be counted and ended.

use super::model::Ending;
use crate::base::limits;
use muster_protocol::ids::{AllocationId, LoginId, UserId};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// All open attaches. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    all: HashMap<u64, Entry>,
    of_user: HashMap<UserId, usize>,
}

#[derive(Debug)]
struct Entry {
    user: UserId,
    what: Watched,
    end: watch::Sender<Option<Ending>>,
}

/// Where an open attach is, and the sign-in it was opened by.
pub type Watched = (AllocationId, LoginId);

/// One open attach; it is forgotten when this is dropped.
#[derive(Debug)]
pub struct Place {
    registry: Registry,
    key: u64,
    end: watch::Receiver<Option<Ending>>,
}

impl Registry {
    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a person may open one more.
    #[must_use]
    pub fn has_room(&self, user: UserId) -> bool {
        self.open().of_user.get(&user).copied().unwrap_or(0) < limits::TERMINALS_OF_USER
    }

    /// Enters an attach; `None` if the person has too many.
    #[must_use]
    pub fn enter(&self, user: UserId, what: Watched) -> Option<Place> {
        let mut open = self.open();
        let count = open.of_user.entry(user).or_default();
        if *count >= limits::TERMINALS_OF_USER {
            return None;
        }
        *count += 1;
        let key = open.next;
        open.next += 1;
        let (sender, end) = watch::channel(None);
        open.all.insert(key, Entry { user, what, end: sender });
        drop(open);
        Some(Place { registry: self.clone(), key, end })
    }

    /// Where attaches are open, by which sign-ins.
    #[must_use]
    pub fn watched(&self) -> BTreeSet<Watched> {
        self.open().all.values().map(|entry| entry.what).collect()
    }

    /// Ends the attaches that `matches` picks.
    pub fn end(&self, ending: &Ending, matches: impl Fn(&Watched) -> bool) {
        for entry in self.open().all.values().filter(|entry| matches(&entry.what)) {
            entry.end.send_replace(Some(ending.clone()));
        }
    }

    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open().all.len()
    }
}

impl Place {
    /// Waits until this attach is to end, and why.
    pub async fn told_to_end(&self) -> Ending {
        let mut end = self.end.clone();
        match end.wait_for(Option::is_some).await {
            Ok(ending) => ending.clone().unwrap_or(Ending::Internal),
            Err(_) => Ending::Internal,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.registry.open();
        let Some(entry) = open.all.remove(&self.key) else { return };
        if let Some(count) = open.of_user.get_mut(&entry.user) {
            *count -= 1;
            if *count == 0 {
                open.of_user.remove(&entry.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_up_and_down() {
        let registry = Registry::default();
        let user = UserId::new(1, [1; 10]);
        let allocation = (AllocationId::new(1, [2; 10]), LoginId::new(1, [3; 10]));
        let places: Vec<_> =
            (0..limits::TERMINALS_OF_USER).map(|_| registry.enter(user, allocation).unwrap()).collect();
        assert!(!registry.has_room(user));
        assert!(registry.enter(user, allocation).is_none());
        assert!(registry.enter(UserId::new(2, [1; 10]), allocation).is_some());
        drop(places);
        assert!(registry.has_room(user));
        assert_eq!(registry.count(), 0);
    }
}
