//! Counters of failed credentials (sign-ins, enrolments). In memory: a restart forgives.
//!
//! An account waits after ten wrong passwords in a minute; an address after wrong passwords for ten different
//! accounts, or sixty in all. So one account under attack does not lock out the colleagues behind the same
//! address, and trying one password on many accounts is noticed all the same. Names are kept as hashes, whatever their
//! length, and the addresses of one IPv6 network (/64, what one host has) count as one.

use crate::base::http::{Problem, auth::token_sha256};
use crate::base::limits;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// Failures of the last minute. Only wrong credentials count, never malformed requests.
#[derive(Debug, Default)]
pub struct Failures {
    seen: Mutex<Seen>,
}

/// Accounts made from each address, within the same minute.
#[derive(Debug, Default)]
pub struct SignUps(Mutex<HashMap<IpAddr, (i64, usize)>>);

impl SignUps {
    /// Counts one more account from an address: 429 with `Retry-After` when it has had its share of this minute.
    pub fn count(&self, address: Option<IpAddr>, now_ms: i64) -> Result<(), Problem> {
        let Some(address) = address.map(host) else { return Ok(()) };
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|_, (since, _)| fresh(*since, now_ms));
        if made.len() >= limits::LOGIN_KEYS {
            return Err(wait(now_ms, now_ms));
        }
        let (since, count) = made.entry(address).or_insert((now_ms, 0));
        if *count >= limits::SIGN_UPS {
            return Err(wait(*since, now_ms));
        }
        *count += 1;
        Ok(())
    }
}

/// SHA-256 of an account's name.
type Account = [u8; 32];

#[derive(Debug, Default)]
struct Seen {
    accounts: HashMap<Account, VecDeque<i64>>,
    addresses: HashMap<IpAddr, VecDeque<(i64, Account)>>,
    /// When what is stale was dropped last.
    swept_ms: i64,
}

/// The address, or its network where one host has many.
fn host(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_none() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
        }
        other => other.to_canonical(),
    }
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
        if let Some(times) = seen.accounts.get(&token_sha256(account)) {
            let times: Vec<i64> = times.iter().copied().filter(|at| fresh(*at, now_ms)).collect();
            if times.len() >= limits::LOGIN_FAILURES {
                return Err(wait(times[0], now_ms));
            }
        }
        let Some(failed) = address.and_then(|address| seen.addresses.get(&host(address))) else { return Ok(()) };
        let failed: Vec<&(i64, Account)> = failed.iter().filter(|(at, _)| fresh(*at, now_ms)).collect();
        let accounts: BTreeSet<&Account> = failed.iter().map(|(_, account)| account).collect();
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
        let account = token_sha256(account);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget(now_ms);
        let times = seen.accounts.entry(account).or_default();
        times.push_back(now_ms);
        if times.len() > limits::LOGIN_FAILURES {
            times.pop_front();
        }
        let Some(address) = address else { return };
        let failed = seen.addresses.entry(host(address)).or_default();
        failed.push_back((now_ms, account));
        if failed.len() > limits::LOGIN_ADDRESS_FAILURES {
            failed.pop_front();
        }
    }

    /// Forgets an account's failures after it signed in.
    pub fn forgive(&self, account: &str) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).accounts.remove(&token_sha256(account));
    }
}

impl Seen {
    /// Keeps the memory bounded.
    fn forget(&mut self, now_ms: i64) {
        let full = self.accounts.len() + self.addresses.len() >= limits::LOGIN_KEYS;
        if !full && fresh(self.swept_ms, now_ms) {
            return;
        }
        self.swept_ms = now_ms;
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
    use std::net::Ipv4Addr;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));

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
    fn one_host_of_many_addresses_is_one_and_is_forgotten_in_time() {
        let failures = Failures::default();
        let address = |n: u128| Some(IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | n)));
        for n in 0..10 {
            assert!(failures.check("x", address(n), 0).is_ok());
            failures.count(&format!("{}{n}", "long".repeat(100_000)), address(n), 0);
        }
        assert!(failures.check("x", address(99), 0).is_err(), "another address of the same network");
        assert!(failures.check("x", address(1 << 64), 0).is_ok(), "another network");
        failures.count("y", None, 120_000);
        let seen = failures.seen.lock().unwrap();
        assert_eq!((seen.accounts.len(), seen.addresses.len()), (1, 0));
    }

    #[test]
    fn an_address_makes_so_many_accounts_a_minute() {
        let made = SignUps::default();
        for _ in 0..limits::SIGN_UPS {
            assert!(made.count(HERE, 0).is_ok());
        }
        assert_eq!(made.count(HERE, 1).unwrap_err().code(), "rate_limited");
        assert!(made.count(Some(IpAddr::V4(Ipv4Addr::BROADCAST)), 1).is_ok());
        assert!(made.count(HERE, 60_000).is_ok());
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
