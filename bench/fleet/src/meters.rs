//! What is measured on the nodes' side.

use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Round trips and arrivals that are kept; older ones go first.
const KEPT: usize = 1 << 20;
/// Arrivals are counted in bins of this length.
const BIN: Duration = Duration::from_millis(100);

/// Counters of a whole fleet.
#[derive(Debug)]
pub struct Meters {
    began: Instant,
    /// Links that are up.
    pub up: AtomicU64,
    /// Links that came up.
    pub connects: AtomicU64,
    /// Samples that went out, and that were left out because the link was slow.
    pub samples: [AtomicU64; 2],
    /// Frames of floods.
    pub flood_bytes: AtomicU64,
    round_trips_us: Mutex<Vec<u32>>,
    arrivals: Mutex<Vec<Instant>>,
    failures: Mutex<BTreeMap<String, u64>>,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            up: AtomicU64::new(0),
            connects: AtomicU64::new(0),
            samples: Default::default(),
            flood_bytes: AtomicU64::new(0),
            round_trips_us: Mutex::default(),
            arrivals: Mutex::default(),
            failures: Mutex::default(),
        }
    }
}

/// Figures at a moment.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Since the fleet began.
    pub seconds: f64,
    /// Links that are up.
    pub up: u64,
    /// Links that came up, the first of each node too.
    pub connects: u64,
    /// Samples that went out.
    pub samples: u64,
    /// Samples that were left out because the link was slow.
    pub shed: u64,
    /// Bytes of floods that were taken.
    pub flood_bytes: u64,
    /// Heartbeats that were answered since the last look.
    pub round_trips: usize,
    /// Their median, µs.
    pub median_us: u32,
    /// And 99th percentile, µs.
    pub p99_us: u32,
    /// Memory of this process, KiB.
    pub rss_kib: u64,
    /// Why there was no link, and how often.
    pub failures: BTreeMap<String, u64>,
}

/// How a fleet came back.
#[derive(Debug, Clone, Serialize)]
pub struct Arrivals {
    /// Links that came up.
    pub links: usize,
    /// From the first to the last, ms.
    pub over_ms: u64,
    /// Most within 100 ms.
    pub peak: usize,
    /// Mean within 100 ms.
    pub mean: f64,
    /// The one over the other.
    pub peak_over_mean: f64,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under the lock is one call; a panic leaves no half of it.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Meters {
    /// A link came up.
    pub fn arrived(&self) {
        self.up.fetch_add(1, Relaxed);
        self.connects.fetch_add(1, Relaxed);
        let mut arrivals = lock(&self.arrivals);
        if arrivals.len() < KEPT {
            arrivals.push(Instant::now());
        }
    }

    /// A heartbeat was answered.
    pub fn round_trip(&self, took: Duration) {
        let mut all = lock(&self.round_trips_us);
        if all.len() < KEPT {
            all.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        }
    }

    /// There was no link.
    pub fn failed(&self, why: String) {
        *lock(&self.failures).entry(why).or_default() += 1;
    }

    /// How links came up since the last call.
    #[must_use]
    pub fn arrivals(&self) -> Option<Arrivals> {
        let all = std::mem::take(&mut *lock(&self.arrivals));
        let (first, last) = (*all.first()?, *all.last()?);
        let mut bins =
            vec![0_usize; usize::try_from(last.duration_since(first).as_millis() / BIN.as_millis()).ok()? + 1];
        for at in &all {
            let bin = at.duration_since(first).as_millis() / BIN.as_millis();
            bins[usize::try_from(bin).ok()?] += 1;
        }
        let (peak, mean) = (bins.iter().copied().max().unwrap_or(0), all.len() as f64 / bins.len() as f64);
        let over_ms = u64::try_from(last.duration_since(first).as_millis()).unwrap_or(u64::MAX);
        Some(Arrivals { links: all.len(), over_ms, peak, mean, peak_over_mean: peak as f64 / mean })
    }

    /// Figures now; round trips since the last call.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let mut all = std::mem::take(&mut *lock(&self.round_trips_us));
        all.sort_unstable();
        let at = |share: usize| all.get(all.len() * share / 100).copied().unwrap_or(0);
        Figures {
            seconds: self.began.elapsed().as_secs_f64(),
            up: self.up.load(Relaxed),
            connects: self.connects.load(Relaxed),
            samples: self.samples[0].load(Relaxed),
            shed: self.samples[1].load(Relaxed),
            flood_bytes: self.flood_bytes.load(Relaxed),
            round_trips: all.len(),
            median_us: at(50),
            p99_us: at(99),
            rss_kib: rss_kib(),
            failures: lock(&self.failures).clone(),
        }
    }
}

fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn arrivals_are_counted_by_tenths_of_a_second() {
        let meters = Meters::default();
        assert!(meters.arrivals().is_none());
        (0..30).for_each(|_| meters.arrived());
        let arrivals = meters.arrivals().expect("some");
        assert_eq!((arrivals.links, meters.figures().up), (30, 30));
        assert!(arrivals.peak_over_mean >= 1.0 && arrivals.peak <= 30);
        assert!(meters.arrivals().is_none(), "each is told once");
    }
}
