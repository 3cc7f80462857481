//! Readiness: a set of named latches; ready when all have dropped.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What the coordinator still waits for.
#[derive(Debug, Clone, Default)]
pub struct Health {
    waiting: Arc<Mutex<BTreeSet<&'static str>>>,
}

/// Holds readiness back until it is dropped.
#[derive(Debug)]
pub struct Latch {
    health: Health,
    name: &'static str,
}

impl Health {
    /// Not ready before the returned latch is dropped.
    #[must_use]
    pub fn latch(&self, name: &'static str) -> Latch {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        Latch { health: self.clone(), name }
    }

    /// What is still waited for; empty when ready.
    #[must_use]
    pub fn waiting(&self) -> Vec<&'static str> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        self.health.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(self.name);
    }
}
