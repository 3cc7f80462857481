//! Chance of the simulation itself, one stream a purpose, so that a draw here moves nothing there.

use crate::entropy::split_mix;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A stream of draws.
#[derive(Debug)]
pub struct Dice(AtomicU64);

impl Dice {
    /// The stream of a seed for a purpose.
    #[must_use]
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mixed = purpose
            .bytes()
            .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(AtomicU64::new(mixed))
    }

    fn draw(&self) -> u64 {
        let mut state = self.0.load(Ordering::Relaxed);
        let drawn = split_mix(&mut state);
        self.0.store(state, Ordering::Relaxed);
        drawn
    }

    /// A number from `from` up to, not including, `to`.
    pub fn between(&self, from: u64, to: u64) -> u64 {
        from + self.draw() % (to - from).max(1)
    }

    /// True so many times in a thousand.
    pub fn chance(&self, per_mille: u64) -> bool {
        self.draw() % 1000 < per_mille
    }

    /// A time between two, in ms.
    pub fn ms(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.between(from, to))
    }

    /// One of them.
    pub fn one_of<'a, T>(&self, all: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(all.len()).unwrap_or(0);
        if count == 0 { None } else { all.get(usize::try_from(self.between(0, count)).unwrap_or(0)) }
    }
}
