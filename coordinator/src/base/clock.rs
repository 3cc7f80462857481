//! Wall time from one place, so that a test can hold it still.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Where the coordinator reads the time.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock moved by hand, in ms since 1970.
    Manual(Arc<AtomicI64>),
    /// A clock that runs with the runtime's, which may be virtual, and is set by hand: it shows the number, in ms
    /// since 1970, plus what has passed since the instant.
    Running(tokio::time::Instant, Arc<AtomicI64>),
}

impl Clock {
    /// Milliseconds since 1970, UTC.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Self::Manual(now) => now.load(Ordering::Relaxed),
            Self::Running(since, at) => {
                let passed = i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX);
                at.load(Ordering::Relaxed).saturating_add(passed)
            }
        }
    }
}

/// RFC 3339 in UTC with all three digits of the milliseconds, so that times sort as text: the form of every time in
/// the API. Empty outside of the years 0 to 9999, which it cannot say.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    match OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000) {
        Ok(at) if (0..=9999).contains(&at.year()) => {
            let (year, month, day) = at.to_calendar_date();
            let (hour, minute, second, milli) = at.to_hms_milli();
            format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", u8::from(month))
        }
        _ => String::new(),
    }
}

/// The same for a time that may not be known.
#[must_use]
pub fn rfc3339_opt(ms: Option<i64>) -> Option<String> {
    ms.map(rfc3339)
}

/// Milliseconds since 1970 from RFC 3339 text, or `None` when the text is no time.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip() {
        for ms in [0, 1, 1_700_000_000_123] {
            assert_eq!(parse_rfc3339(&rfc3339(ms)), Some(ms));
        }
        assert_eq!(rfc3339(1_700_000_000_000), "2023-11-14T22:13:20.000Z");
        assert_eq!((rfc3339(i64::MAX).as_str(), rfc3339(-1_000_000_000_000_000).as_str()), ("", ""));
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn times_sort_as_text() {
        let moments = [-1, 0, 900, 986, 1_000, 1_700_000_000_900, 1_700_000_000_986];
        assert!(moments.map(rfc3339).is_sorted(), "{:?}", moments.map(rfc3339));
    }
}
