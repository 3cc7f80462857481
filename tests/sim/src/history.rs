//! What happened, as far as somebody must answer for it: a hash of everything, the events themselves, and what
//! must never have happened.

use muster_protocol::ids::{AllocationId, NodeId};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// A cell stands.
    Stands(usize, AllocationId, u64),
    /// A cell was ended, with the reason that was given.
    Ended(usize, AllocationId, String),
    /// A cell died by itself.
    Died(usize, AllocationId),
    /// A person or an operator did something, and how it was answered.
    Asked(String, u16, String),
    /// Something broke, or was mended.
    Fault(String),
}

#[derive(Debug)]
struct Inner {
    hash: u64,
    datagrams: u64,
    events: Vec<(u64, Event)>,
    violations: Vec<String>,
    generations: BTreeMap<(NodeId, u64, u64), Vec<u8>>,
    faults: u64,
}

/// See the module.
#[derive(Debug)]
pub struct History {
    began: Instant,
    inner: Mutex<Inner>,
}

impl History {
    /// Nothing yet; time counts from here.
    #[must_use]
    pub fn begin() -> Self {
        let inner = Inner {
            hash: 0xcbf2_9ce4_8422_2325,
            datagrams: 0,
            events: Vec::new(),
            violations: Vec::new(),
            generations: BTreeMap::new(),
            faults: 0,
        };
        Self { began: Instant::now(), inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Virtual ms since the beginning.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A datagram left.
    pub(crate) fn datagram(&self, from: SocketAddr, to: SocketAddr, length: usize) {
        let now = self.now_ms();
        let mut inner = self.lock();
        inner.datagrams += 1;
        let ports = u64::from(from.port()) << 48 | u64::from(to.port()) << 32 | length as u64;
        inner.hash = mix(inner.hash, now, ports);
    }

    /// Something happened.
    pub fn say(&self, event: Event) {
        let now = self.now_ms();
        let mut inner = self.lock();
        let text = format!("{event:?}");
        inner.hash = text.bytes().fold(mix(inner.hash, now, 0), |hash, byte| mix(hash, u64::from(byte), 0));
        inner.faults += u64::from(matches!(event, Event::Fault(_)));
        inner.events.push((now, event));
    }

    /// Something happened that must never happen.
    pub fn never(&self, what: impl Into<String>) {
        let now = self.now_ms();
        let what = what.into();
        let mut inner = self.lock();
        if inner.violations.len() < 20 && !inner.violations.iter().any(|said| said.ends_with(&what)) {
            inner.violations.push(format!("at {now} ms: {what}"));
        }
    }

    /// A node holds these bytes under this generation.
    pub(crate) fn holds(&self, node: NodeId, epoch: u64, n: u64, sha256: Vec<u8>) {
        let known = self.lock().generations.entry((node, epoch, n)).or_insert_with(|| sha256.clone()).clone();
        if known != sha256 {
            self.never(format!("{node} holds other bytes under generation {epoch}.{n}"));
        }
    }

    /// Hash of all that happened, number of datagrams, number of faults.
    #[must_use]
    pub fn totals(&self) -> (u64, u64, u64) {
        let inner = self.lock();
        (inner.hash, inner.datagrams, inner.faults)
    }

    /// What must never have happened.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// Every event, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lock().events.iter().map(|(at, event)| format!("{:>9.3} {event:?}", *at as f64 / 1000.0)).collect()
    }
}

fn mix(hash: u64, a: u64, b: u64) -> u64 {
    (hash ^ a).wrapping_mul(0x0100_0000_01b3).rotate_left(23) ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
