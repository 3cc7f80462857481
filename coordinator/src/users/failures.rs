//! Counters of failed credentials (sign-ins, enrolments). In memory: a restart forgives.
//!
//! An account waits after ten wrong passwords in a minute; an address after wrong passwords for ten different
//! accounts, or sixty in all. So one account under attack does not lock out the colleagues behind the same
//! address, and trying one password on many accounts is noticed all the same.

use crate::base::http::Problem;
use crate::base::limits;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Failures of the last minute. Only wrong credentials count, never malformed requests.
#[derive(Debug, Default)]
pub struct Failures {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    accounts: HashMap<String, VecDeque<i64>>,
    addresses: HashMap<IpAddr, VecDeque<(i64, String)>>,
}

fn window_ms() -> i64 {
    i64::try_from(limits::LOGIN_WINDOW.as_millis()).unwrap_or(i64::MAX)
}

fn fresh(at: i64, now_ms: i64) -> bool {
    now_ms - at < window_ms()
}

/// 429 until the oldest failure that counts is a minute old.
fn wait(oldest: i64, now_ms: i64) -> Problem {
    let wait_ms = (oldest + window_ms() - now_ms).max(1);
    Problem::rate_limited(u64::try_from((wait_ms + 999) / 1000).unwrap_or(1))
}

impl Failures {
    /// 429 with `Retry-After` when the account (any name of who tries) or the address has had its failures of
    /// this minute.
    pub fn check(&self, account: &str, address: Option<IpAddr>, now_ms: i64) -> Result<(), Problem> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = seen.accounts.get(account) {
            let times: Vec<i64> = times.iter().copied().filter(|at| fresh(*at, now_ms)).collect();
            if times.len() >= limits::LOGIN_FAILURES {
                return Err(wait(times[0], now_ms));
            }
        }
        let Some(failed) = address.and_then(|address| seen.addresses.get(&address)) else { return Ok(()) };
        let failed: Vec<&(i64, String)> = failed.iter().filter(|(at, _)| fresh(*at, now_ms)).collect();
        let accounts: BTreeSet<&str> = failed.iter().map(|(_, account)| account.as_str()).collect();
        match failed.first() {
            Some((oldest, _))
                if accounts.len() >= limits::LOGIN_FAILURES || failed.len() >= limits::LOGIN_ADDRESS_FAILURES =>
            {
                Err(wait(*oldest, now_ms))
            }
            _ => Ok(()),
        }
    }

    /// Counts a failure.
    pub fn count(&self, account: &str, address: Option<IpAddr>, now_ms: i64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget(now_ms);
        let times = seen.accounts.entry(account.to_owned()).or_default();
        times.push_back(now_ms);
        if times.len() > limits::LOGIN_FAILURES {
            times.pop_front();
        }
        let Some(address) = address else { return };
        let failed = seen.addresses.entry(address).or_default();
        failed.push_back((now_ms, account.to_owned()));
        if failed.len() > limits::LOGIN_ADDRESS_FAILURES {
            failed.pop_front();
        }
    }

    /// Forgets an account's failures after it signed in.
    pub fn forgive(&self, account: &str) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).accounts.remove(account);
    }
}

impl Seen {
    /// Keeps the memory bounded.
    fn forget(&mut self, now_ms: i64) {
        if self.accounts.len() + self.addresses.len() < limits::LOGIN_KEYS {
            return;
        }
        self.accounts.retain(|_, times| times.back().is_some_and(|at| fresh(*at, now_ms)));
        self.addresses.retain(|_, failed| failed.back().is_some_and(|(at, _)| fresh(*at, now_ms)));
        if self.accounts.len() + self.addresses.len() >= limits::LOGIN_KEYS {
            // Still full of fresh failures: an attack from everywhere, which no counter of ours stops.
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[test]
    fn the_eleventh_failure_of_an_account_waits() {
        let failures = Failures::default();
        for n in 0..10 {
            assert!(failures.check("a", HERE, n * 1000).is_ok());
            failures.count("a", HERE, n * 1000);
        }
        let refused = failures.check("a", HERE, 10_000).unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.code()), (429, "rate_limited"));
        assert!(failures.check("a", None, 10_000).is_err(), "from elsewhere too");
        assert!(failures.check("b", HERE, 10_000).is_ok(), "the colleague is not locked out");
        assert!(failures.check("a", HERE, 60_001).is_ok(), "the first failure is a minute old");
        failures.forgive("a");
        assert!(failures.check("a", HERE, 10_000).is_ok());
    }

    #[test]
    fn trying_many_accounts_makes_the_address_wait() {
        let failures = Failures::default();
        for n in 0..10 {
            let account = format!("a{n}");
            assert!(failures.check(&account, HERE, n).is_ok());
            failures.count(&account, HERE, n);
        }
        assert!(failures.check("another", HERE, 10).is_err());
        assert!(failures.check("another", None, 10).is_ok());
        assert!(failures.check("another", HERE, 60_000).is_ok());
    }
}
