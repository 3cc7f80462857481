//! A disk: how long a write takes, and for how long it is slow.

use crate::dice::Dice;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a trap holds.
const HELD: Duration = Duration::from_secs(60);

/// A disk of one machine. It outlives the processes that write to it.
#[derive(Debug)]
pub struct Disk {
    began: Instant,
    slow_until_ms: AtomicI64,
    stuck_until_ms: AtomicI64,
    writes: AtomicU64,
    trap: Mutex<Option<Trap>>,
    sprung: Notify,
    dice: Dice,
}

/// A write at which whoever writes is to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trap {
    /// Which, counted from the first that the disk ever saw.
    pub write: u64,
    /// When it is done and nobody knows yet; otherwise before it is done.
    pub done: bool,
}

impl Disk {
    /// A disk in order.
    #[must_use]
    pub fn new(seed: u64, whose: &str) -> Arc<Self> {
        let dice = Dice::new(seed, &format!("disk {whose}"));
        Arc::new(Self {
            began: Instant::now(),
            slow_until_ms: AtomicI64::new(0),
            stuck_until_ms: AtomicI64::new(0),
            writes: AtomicU64::new(0),
            trap: Mutex::new(None),
            sprung: Notify::new(),
            dice,
        })
    }

    /// Writes so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Sets a trap; [`Disk::sprung`] says when somebody is in it.
    pub fn set(&self, trap: Trap) {
        *self.trap.lock().unwrap_or_else(PoisonError::into_inner) = Some(trap);
    }

    /// Waits until somebody is in the trap; it holds them for a minute.
    pub async fn sprung(&self) {
        self.sprung.notified().await;
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Slow for so long from now on.
    pub fn slow_for(&self, time: Duration) {
        let until = self.now_ms() + i64::try_from(time.as_millis()).unwrap_or(0);
        self.slow_until_ms.store(until, Ordering::Relaxed);
    }

    /// Does nothing for so long from now on; what was asked for is done then.
    pub fn stuck_for(&self, time: Duration) {
        let until = self.now_ms() + i64::try_from(time.as_millis()).unwrap_or(0);
        self.stuck_until_ms.store(until, Ordering::Relaxed);
    }

    /// How long the next write takes: before it is done, and before its end is known.
    pub fn write(&self) -> (Duration, Duration) {
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let mut trap = self.trap.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = trap.take_if(|trap| trap.write == number) {
            self.sprung.notify_one();
            return if found.done { (Duration::ZERO, HELD) } else { (HELD, Duration::ZERO) };
        }
        drop(trap);
        let stuck = self.stuck_until_ms.load(Ordering::Relaxed) - self.now_ms();
        if let Ok(left @ 1..) = u64::try_from(stuck) {
            return (Duration::from_millis(left), Duration::ZERO);
        }
        if self.now_ms() < self.slow_until_ms.load(Ordering::Relaxed) {
            (self.dice.ms(50, 1_500), self.dice.ms(0, 500))
        } else {
            (self.dice.ms(0, 3), self.dice.ms(0, 2))
        }
    }
}
