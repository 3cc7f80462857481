//! Two clocks. The wall clock is reported, never trusted: machines wake up in 1970. Trusted time is the last
//! word the coordinator gave, carried on by the kernel's clock since boot, and never before this build.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// The wall clock, ms since 1970; whatever the machine believes.
#[must_use]
pub fn wall_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

/// Milliseconds since boot, sleep included, to a hundredth of a second.
#[must_use]
pub fn boot_ms() -> i64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0);
    (seconds * 1000.0) as i64
}

/// The kernel's id of this boot; empty if unreadable.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// One moment by all clocks there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// [`wall_ms`].
    pub wall_ms: i64,
    /// [`boot_ms`].
    pub boot_ms: i64,
    /// [`boot_id`].
    pub boot_id: String,
}

/// No build of Muster is older: 2025-01-01, ms since 1970.
const NO_BUILD_BEFORE_MS: i64 = 1_735_689_600_000;

/// When this build can be at the earliest: what its packager said (`SOURCE_DATE_EPOCH`), else a day before which
/// there was none.
#[must_use]
pub fn build_floor_ms() -> i64 {
    let said = option_env!("SOURCE_DATE_EPOCH").and_then(|text| text.parse::<i64>().ok());
    said.map_or(NO_BUILD_BEFORE_MS, |seconds| seconds.saturating_mul(1000).max(NO_BUILD_BEFORE_MS))
}

/// A word of the coordinator about the time, as the journal keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word {
    /// What it said, ms since 1970.
    pub coordinator_ms: i64,
    /// [`boot_ms`] at that moment.
    pub boot_ms: i64,
    /// [`boot_id`] of that moment.
    pub boot_id: String,
}

/// What the two clocks of a machine show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// As [`wall_ms`].
    pub wall_ms: i64,
    /// As [`boot_ms`].
    pub boot_ms: i64,
}

/// Where the clocks are read.
#[derive(Clone, Default)]
pub enum Source {
    /// This machine.
    #[default]
    Machine,
    /// Clocks of a machine that is simulated.
    Given(Arc<dyn Fn() -> Reading + Send + Sync>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Machine) { "Machine" } else { "Given" })
    }
}

/// Trusted time, shared by all who need it.
#[derive(Debug, Clone)]
pub struct Clock {
    word: Arc<Mutex<Word>>,
    boot_id: Arc<str>,
    source: Source,
}

impl Clock {
    /// Starts from the word kept in the journal; `boot_id` as [`boot_id`].
    #[must_use]
    pub fn new(kept: Option<Word>, boot_id: &str, source: Source) -> Self {
        Self { word: Arc::new(Mutex::new(kept.unwrap_or_default())), boot_id: boot_id.into(), source }
    }

    /// The wall clock, as [`wall_ms`].
    #[must_use]
    pub fn wall_ms(&self) -> i64 {
        match &self.source {
            Source::Machine => wall_ms(),
            Source::Given(read) => read().wall_ms,
        }
    }

    fn boot_ms(&self) -> i64 {
        match &self.source {
            Source::Machine => boot_ms(),
            Source::Given(read) => read().boot_ms,
        }
    }

    /// Trusted time, ms since 1970: what the coordinator last said and what has passed since, as far as that is known.
    /// It is right as far as the coordinator is, and behind after a reboot until the next word.
    #[must_use]
    pub fn trusted_ms(&self) -> i64 {
        let word = self.word.lock().unwrap_or_else(PoisonError::into_inner);
        trusted(&word, &self.boot_id, self.boot_ms())
    }

    /// This moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment { wall_ms: self.wall_ms(), boot_ms: self.boot_ms(), boot_id: self.boot_id.to_string() }
    }

    /// The coordinator said what time it is: its last word counts, also if it is an earlier time than before, since a
    /// coordinator that was ahead for a moment would lock its nodes out for as long as it was ahead. That is sound: only
    /// a connection whose handshake has proved a key under our CA brings words, each connection is new, so that none
    /// can be played again, and its certificate was good by our time as it was before. Whoever has the coordinator's key
    /// could keep our time where that certificate does not end; but that one we obey in everything else too, and another
    /// CA puts it out, not waiting. Nothing turns time back before this build.
    pub fn hear(&self, coordinator_ms: i64) -> Word {
        let heard = Word { coordinator_ms, boot_ms: self.boot_ms(), boot_id: self.boot_id.to_string() };
        *self.word.lock().unwrap_or_else(PoisonError::into_inner) = heard.clone();
        heard
    }
}

fn trusted(word: &Word, boot_id: &str, boot_ms: i64) -> i64 {
    let since = if word.boot_id == boot_id { (boot_ms - word.boot_ms).max(0) } else { 0 };
    word.coordinator_ms.saturating_add(since).max(build_floor_ms())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_time_runs_on_within_a_boot_and_stands_still_across_one() {
        let start = build_floor_ms() + 1_000_000;
        let word = Word { coordinator_ms: start, boot_ms: 500, boot_id: "a".into() };
        assert_eq!(trusted(&word, "a", 1_500), start + 1_000);
        assert_eq!(trusted(&word, "b", 1_500), start);
        assert_eq!(trusted(&word, "a", 0), start, "a clock since boot that went back is not believed");
    }

    #[test]
    fn nothing_is_before_the_build_and_the_last_word_counts() {
        let clock = Clock::new(None, "a", Source::Given(Arc::new(|| Reading { wall_ms: 0, boot_ms: 7 })));
        assert_eq!(clock.trusted_ms(), build_floor_ms());
        let (truth, ahead) = (build_floor_ms() + 10_000_000, build_floor_ms() + 180_000_000);
        for (word, then) in [(ahead, ahead), (truth, truth), (0, build_floor_ms())] {
            assert_eq!(clock.hear(word).coordinator_ms, word);
            assert_eq!(clock.trusted_ms(), then);
        }
    }
}
