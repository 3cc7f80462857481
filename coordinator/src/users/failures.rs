//! Counters of failed sign-ins, by account and by address. In memory: a restart forgives.

use crate::base::http::Problem;
use crate::base::limits;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Failures of the last minute. Only wrong credentials count, never malformed requests.
#[derive(Debug, Default)]
pub struct Failures {
    seen: Mutex<HashMap<String, Vec<i64>>>,
}

fn window_ms() -> i64 {
    i64::try_from(limits::LOGIN_WINDOW.as_millis()).unwrap_or(i64::MAX)
}

impl Failures {
    /// 429 with `Retry-After` when one of the keys has had its failures of this minute.
    pub fn check(&self, keys: &[String], now_ms: i64) -> Result<(), Problem> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            let Some(times) = seen.get(key) else { continue };
            let fresh: Vec<i64> = times.iter().copied().filter(|at| now_ms - at < window_ms()).collect();
            if fresh.len() >= limits::LOGIN_FAILURES as usize {
                let oldest = fresh.first().copied().unwrap_or(now_ms);
                let wait_ms = (oldest + window_ms() - now_ms).max(1);
                return Err(Problem::rate_limited(u64::try_from((wait_ms + 999) / 1000).unwrap_or(1)));
            }
        }
        Ok(())
    }

    /// Counts a failure for each key.
    pub fn count(&self, keys: &[String], now_ms: i64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() + keys.len() > limits::LOGIN_KEYS {
            seen.retain(|_, times| times.last().is_some_and(|at| now_ms - at < window_ms()));
        }
        if seen.len() + keys.len() > limits::LOGIN_KEYS {
            // Still full of fresh failures: an attack from many places. Forgetting all keeps memory bounded.
            seen.clear();
        }
        for key in keys {
            let times = seen.entry(key.clone()).or_default();
            times.retain(|at| now_ms - at < window_ms());
            times.push(now_ms);
        }
    }

    /// Forgets an account's failures after it signed in.
    pub fn forgive(&self, key: &str) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_failure_in_a_minute_waits() {
        let failures = Failures::default();
        let keys = ["account:a".to_owned(), "address:1".to_owned()];
        for n in 0..10 {
            assert!(failures.check(&keys, n * 1000).is_ok());
            failures.count(&keys, n * 1000);
        }
        let refused = failures.check(&keys, 10_000).unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.code()), (429, "rate_limited"));
        assert!(failures.check(&["account:b".to_owned()], 10_000).is_ok());
        assert!(failures.check(&keys, 60_001).is_ok(), "the first failure is a minute old");
        failures.forgive("account:a");
        assert!(failures.check(&keys[..1], 10_000).is_ok());
        assert!(failures.check(&keys, 10_000).is_err(), "the address is not forgiven");
    }
}
