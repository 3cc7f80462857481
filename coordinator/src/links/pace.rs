//! How fast an agent may talk: a bucket that refills with time. Above it the stream is read more slowly, and
//! QUIC's flow control tells the agent; nothing is lost and nobody else notices.

use std::time::Duration;
use tokio::time::Instant;

/// Bytes that cost one token.
const BYTES: usize = 4096;

/// The bucket of one stream or one kind of stream.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    burst: f64,
    left: f64,
    at: Instant,
}

impl Pace {
    /// A full bucket: so many small frames at once, and so many a second after that.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let burst = f64::from(burst);
        Self { per_second: f64::from(per_second), burst, left: burst, at: Instant::now() }
    }

    /// Pays for a frame of `bytes`; waits while the bucket is empty.
    pub(super) async fn turn(&mut self, bytes: usize) {
        let now = Instant::now();
        let wait = self.pay(bytes, now.duration_since(self.at));
        self.at = now;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes the next turn that is free, and says how long it is until then; takes none that is further off than
    /// `most`.
    pub(super) fn book(&mut self, most: Duration) -> Option<Duration> {
        let now = Instant::now();
        let since = now.duration_since(self.at);
        self.at = now;
        let wait = self.pay(0, since);
        if wait > most {
            self.left += 1.0;
            return None;
        }
        Some(wait)
    }

    /// Pays, and says how long the debt takes to be refilled.
    fn pay(&mut self, bytes: usize, since: Duration) -> Duration {
        let cost = 1.0 + f64::from(u32::try_from(bytes / BYTES).unwrap_or(u32::MAX));
        self.left = (self.left + since.as_secs_f64() * self.per_second).min(self.burst) - cost;
        if self.left >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.left / self.per_second) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_passes_and_a_flood_waits() {
        let mut pace = Pace::new(10, 20);
        let waits: Vec<_> = (0..40).map(|_| pace.pay(100, Duration::ZERO)).collect();
        assert!(waits[..20].iter().all(Duration::is_zero));
        assert!(waits[20..].iter().all(|wait| !wait.is_zero()));
        assert!(pace.pay(100, Duration::from_secs(60)).is_zero());
        assert!(
            Pace::new(10, 20).pay(1 << 20, Duration::ZERO) > Duration::from_secs(20),
            "a megabyte is no small frame"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_booked_in_a_row_and_what_is_turned_away_costs_nothing() {
        let mut pace = Pace::new(10, 20);
        let most = Duration::from_secs(3);
        let booked: Vec<_> = (0..1_000).filter_map(|_| pace.book(most)).collect();
        assert_eq!(booked.len(), 20 + 30);
        assert!(booked[..20].iter().all(Duration::is_zero));
        assert!(booked[20..].windows(2).all(|pair| pair[0] < pair[1] && pair[1] <= most));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((0..1_000).filter_map(|_| pace.book(most)).count(), 10);
    }

    proptest! {
        #[test]
        fn over_time_no_one_is_faster_than_the_rate(frames in proptest::collection::vec((0usize..20_000, 0u64..500), 1..200)) {
            let mut pace = Pace::new(10, 20);
            let (mut spent, mut passed) = (0.0, 0.0);
            for (bytes, pause_ms) in frames {
                let wait = pace.pay(bytes, Duration::from_millis(pause_ms));
                // The wait itself is time that the next turn brings along.
                let next = pace.pay_back(wait);
                spent += 1.0 + (bytes / BYTES) as f64;
                passed += pause_ms as f64 / 1000.0 + next;
            }
            prop_assert!(spent <= 20.0 + 10.0 * passed + 1e-6);
        }
    }

    impl Pace {
        fn pay_back(&mut self, wait: Duration) -> f64 {
            self.left = (self.left + wait.as_secs_f64() * self.per_second).min(self.burst);
            wait.as_secs_f64()
        }
    }
}
