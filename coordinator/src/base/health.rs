//! Readiness: a set of named latches; ready when all have dropped. Beside it warnings, which hold nothing back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct State {
    waiting: BTreeSet<&'static str>,
    warnings: BTreeMap<&'static str, String>,
}

/// What the coordinator still waits for, and what operators should look at.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<State>>);

/// Holds readiness back until it is dropped.
#[derive(Debug)]
pub struct Latch {
    health: Health,
    name: &'static str,
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is one call; a panic leaves no half of it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Not ready before the returned latch is dropped.
    #[must_use]
    pub fn latch(&self, name: &'static str) -> Latch {
        self.lock().waiting.insert(name);
        Latch { health: self.clone(), name }
    }

    /// What is still waited for; empty when ready.
    #[must_use]
    pub fn waiting(&self) -> Vec<&'static str> {
        self.lock().waiting.iter().copied().collect()
    }

    /// Shows a warning in `/readyz`, in the place of the last of this name; the first one goes to the log.
    pub fn warn(&self, name: &'static str, text: String) {
        if self.lock().warnings.insert(name, text.clone()).is_none() {
            tracing::warn!("{text}");
        }
    }

    /// Takes a warning back.
    pub fn calm(&self, name: &'static str) {
        self.lock().warnings.remove(name);
    }

    /// Warnings, each `code: sentence`.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.lock().warnings.values().cloned().collect()
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        self.health.lock().waiting.remove(self.name);
    }
}
