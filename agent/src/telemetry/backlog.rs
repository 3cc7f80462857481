//! Samples on their way: the newest as they are, older ones as means of ten seconds, so that a link that was down
//! leaves no hole in them. In memory and bounded; what leaves it unsent is counted.

use super::mean::mean;
use muster_protocol::{limits::SAMPLES_PER_BATCH, telemetry::Sample};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Samples that wait as they are; beyond it the oldest are summed up.
const FRESH_MAX: usize = 12;
/// Length of a mean.
const WINDOW: Duration = Duration::from_secs(10);
/// Means that are kept: fifteen minutes, which is as far back as a coordinator shows them.
const MEANS_MAX: usize = 90;

/// Samples of a stretch of time, the first taken at `at`.
#[derive(Debug, Clone)]
struct Stretch {
    at: Instant,
    /// One for a sample as it is.
    samples: Vec<Sample>,
    /// From the first sample to the end of the last.
    span: Duration,
}

#[derive(Debug, Default)]
struct Queue {
    means: VecDeque<Stretch>,
    fresh: VecDeque<Stretch>,
    /// Sent and not confirmed.
    on_the_way: Vec<Stretch>,
    lost: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Backlog {
    queue: Mutex<Queue>,
    news: Notify,
    period: Mutex<Duration>,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { queue: Mutex::default(), news: Notify::new(), period: Mutex::new(Duration::from_secs(1)) }
    }
}

/// A sample as it is sent: how long ago it was taken, and itself.
pub(crate) type Aged = (Duration, Sample);

impl Backlog {
    /// Pause between two samples, as the coordinator said last.
    #[must_use]
    pub fn period(&self) -> Duration {
        *self.period.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The coordinator wants a sample each `period`.
    pub fn set_period(&self, period: Duration) {
        *self.period.lock().unwrap_or_else(PoisonError::into_inner) = period;
    }

    /// Takes in a sample that was just taken.
    pub fn push(&self, sample: Sample) {
        let stretch = Stretch { at: Instant::now(), samples: vec![sample], span: self.period() };
        self.lock().push(stretch);
        self.news.notify_one();
    }

    /// The oldest that wait, at most a batch, in order. They are on the way until [`Backlog::confirm`]ed, or put
    /// back by [`Backlog::link_is_new`]. Waits until there is something.
    pub(crate) async fn next(&self) -> Vec<Aged> {
        loop {
            let batch = self.lock().take(Instant::now());
            if !batch.is_empty() {
                return batch;
            }
            self.news.notified().await;
        }
    }

    /// What was on the way has arrived.
    pub fn confirm(&self) {
        self.lock().on_the_way.clear();
    }

    /// What was on the way over an earlier link, and not confirmed, waits again, before everything else.
    pub fn link_is_new(&self) {
        self.lock().put_back();
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Every change under the lock leaves a whole queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, stretch: Stretch) {
        self.fresh.push_back(stretch);
        while self.fresh.len() > FRESH_MAX {
            let Some(oldest) = self.fresh.pop_front() else { break };
            self.sum_up(oldest);
        }
    }

    fn put_back(&mut self) {
        let later = std::mem::take(&mut self.means);
        for stretch in std::mem::take(&mut self.on_the_way) {
            self.sum_up(stretch);
        }
        self.means.extend(later);
        self.bound();
    }

    /// Puts a stretch into the mean of its time.
    fn sum_up(&mut self, stretch: Stretch) {
        let single = stretch.samples.len() == 1 && stretch.samples[0].span_ms == 0;
        match self.means.back_mut() {
            Some(last) if single && stretch.at < last.at + WINDOW && last.samples[0].span_ms == 0 => {
                last.span = (stretch.at + stretch.span) - last.at;
                last.samples.extend(stretch.samples);
            }
            last => {
                if let Some(last) = last {
                    // It grows no more: one sample is kept of it.
                    last.samples = vec![last.sample()];
                }
                self.means.push_back(stretch);
                self.bound();
            }
        }
    }

    fn bound(&mut self) {
        while self.means.len() > MEANS_MAX {
            self.means.pop_front();
            self.lost = self.lost.saturating_add(1);
        }
    }

    fn take(&mut self, now: Instant) -> Vec<Aged> {
        if !self.on_the_way.is_empty() {
            return Vec::new();
        }
        while self.on_the_way.len() < SAMPLES_PER_BATCH
            && let Some(next) = self.means.pop_front().or_else(|| self.fresh.pop_front())
        {
            self.on_the_way.push(next);
        }
        let mut batch: Vec<_> =
            self.on_the_way.iter().map(|stretch| (now.duration_since(stretch.at), stretch.sample())).collect();
        if let Some((_, first)) = batch.first_mut() {
            first.shed = std::mem::take(&mut self.lost);
        }
        batch
    }
}

impl Stretch {
    fn sample(&self) -> Sample {
        match &self.samples[..] {
            [only] => only.clone(),
            many => {
                let span_ms = u32::try_from(self.span.as_millis()).unwrap_or(u32::MAX);
                Sample { span_ms, ..mean(many) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::telemetry::HostSample;

    fn sample(cpu_milli: u64) -> Sample {
        Sample { host: Some(HostSample { cpu_milli: Some(cpu_milli), ..HostSample::default() }), ..Sample::default() }
    }

    const SECOND: Duration = Duration::from_secs(1);

    /// A queue and its time.
    struct Node {
        queue: Queue,
        now: Instant,
    }

    impl Node {
        fn new() -> Self {
            Self { queue: Queue::default(), now: Instant::now() }
        }

        /// One a second, for so long.
        fn pass(&mut self, seconds: u64) {
            for _ in 0..seconds {
                self.queue.push(Stretch { at: self.now, samples: vec![sample(100)], span: SECOND });
                self.now += SECOND;
            }
        }

        fn take(&mut self) -> Vec<Aged> {
            self.queue.take(self.now)
        }
    }

    /// Seconds before now that a batch tells of, each once.
    fn covered(batch: &[Aged]) -> Vec<u64> {
        let each = |(age, sample): &Aged| {
            let long = u64::from(sample.span_ms / 1000).max(1);
            (0..long).map(|second| age.as_secs() - second).collect::<Vec<_>>()
        };
        batch.iter().flat_map(each).collect()
    }

    #[test]
    fn a_minute_without_a_link_leaves_no_second_untold() {
        let mut node = Node::new();
        node.pass(1);
        assert_eq!(node.take().len(), 1);
        node.queue.on_the_way.clear();
        // One is on the way when the link breaks.
        node.pass(1);
        assert_eq!(node.take().len(), 1);
        node.pass(60);
        assert_eq!(node.take().len(), 0, "one batch at a time");
        node.queue.put_back();
        let batch = node.take();
        assert_eq!(covered(&batch), (1..=61).rev().collect::<Vec<_>>());
        assert!(batch.len() < 25, "older ones are summed up: {}", batch.len());
        assert!(batch.iter().all(|(_, sample)| sample.shed == 0));
        // The link breaks again before it is confirmed: nothing is gone, and nothing is twice.
        node.queue.put_back();
        assert_eq!(covered(&node.take()), (1..=61).rev().collect::<Vec<_>>());
        node.queue.on_the_way.clear();
        assert!(node.take().is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_lost_is_counted() {
        let mut node = Node::new();
        node.pass(3600);
        let (mut told, mut shed) = (Vec::new(), 0);
        loop {
            let batch = node.take();
            if batch.is_empty() {
                break;
            }
            shed += batch.iter().map(|(_, sample)| sample.shed).sum::<u32>();
            told.extend(covered(&batch));
            node.queue.on_the_way.clear();
        }
        assert!((900..930).contains(&told.len()), "{}", told.len());
        assert!(told.windows(2).all(|pair| pair[0] == pair[1] + 1), "in order and without a gap");
        assert_eq!(shed as usize, (3600 - told.len()) / 10);
    }
}
