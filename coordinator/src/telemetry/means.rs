//! Means of samples over minutes and hours: stretches of them as stored, and the series of a long span. Pure.
//!
//! A point is the mean of what was measured in it, null where nothing was. A minute is the mean of its seconds, an
//! hour that of its minutes; so each can be computed again from the finer one while that is kept.

use super::memory::Span;
use std::collections::BTreeMap;
use std::ops::Range;

/// A minute, ms.
pub(super) const MINUTE_MS: i64 = 60_000;
/// An hour, ms.
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;

/// A width of points, how many stand in one row, and how long rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    /// Width of a point.
    pub step_ms: i64,
    /// Points of one row.
    pub points: usize,
    /// Rows that ended before are forgotten.
    pub kept_ms: i64,
}

/// Minutes of a day.
pub(super) const MINUTES: Level = Level { step_ms: MINUTE_MS, points: 60, kept_ms: 25 * HOUR_MS };
/// Hours of a month.
pub(super) const HOURS: Level = Level { step_ms: HOUR_MS, points: 24, kept_ms: 31 * 24 * HOUR_MS };

impl Level {
    /// Length of one row.
    pub(super) const fn row_ms(self) -> i64 {
        self.step_ms * self.points as i64
    }

    /// Begin of the row that a time falls into.
    pub(super) const fn row_of(self, at_ms: i64) -> i64 {
        at_ms - at_ms.rem_euclid(self.row_ms())
    }
}

/// What was measured at one point, a value a series; in the units of the rings.
pub(super) type Point = Vec<Option<f32>>;

/// The points of one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stretch {
    level: Level,
    series: usize,
    points: Vec<Option<f32>>,
}

impl Stretch {
    pub(super) fn empty(level: Level, series: usize) -> Self {
        Self { level, series, points: vec![None; level.points * series] }
    }

    /// A stretch of stored bytes; an empty one if they are of another shape.
    pub(super) fn parse(level: Level, series: usize, bytes: &[u8]) -> Self {
        let mut stretch = Self::empty(level, series);
        if bytes.len() == stretch.points.len() * 4 {
            for (point, bytes) in stretch.points.iter_mut().zip(bytes.as_chunks().0) {
                *point = Some(f32::from_le_bytes(*bytes)).filter(|value| value.is_finite());
            }
        }
        stretch
    }

    /// Four bytes a value, NaN where nothing was measured.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.points.iter().flat_map(|point| point.unwrap_or(f32::NAN).to_le_bytes()).collect()
    }

    /// Sets the point at an index; what was not measured this time stays as it was.
    pub(super) fn set(&mut self, index: usize, point: &[Option<f32>]) {
        for (place, value) in self.points.iter_mut().skip(index * self.series).zip(point) {
            *place = value.or(*place);
        }
    }

    /// The mean of all points.
    pub(super) fn mean(&self) -> Point {
        let mean = |series| mean_of(self.points.iter().skip(series).step_by(self.series).flatten().copied());
        (0..self.series).map(mean).collect()
    }

    /// Every point with its time, where anything was measured.
    pub(super) fn each(&self, from_ms: i64) -> impl Iterator<Item = (i64, Point)> {
        let step = self.level.step_ms;
        let timed = self.points.chunks(self.series).zip(0i64..);
        let timed = timed.filter(|(point, _)| point.iter().any(Option::is_some));
        timed.map(move |(point, index)| (from_ms + index * step, point.to_vec()))
    }
}

fn mean_of(values: impl Iterator<Item = f32>) -> Option<f32> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + f64::from(value), count + 1));
    (count > 0).then(|| (sum / f64::from(count)) as f32)
}

/// The points of one GPU, cell or machine, by level and time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Points {
    /// By the begin of the minute.
    pub minutes: BTreeMap<i64, Point>,
    /// By the begin of the hour.
    pub hours: BTreeMap<i64, Point>,
    /// Minutes of which only a part may lie within the span that is asked for, and only that part is in them.
    pub recent: BTreeMap<i64, Point>,
    /// Only what lies wholly within the span counts, since before and after it the same GPU may have been somebody
    /// else's.
    pub strict: bool,
}

impl Points {
    /// Takes in a row.
    pub(super) fn add(&mut self, from_ms: i64, stretch: &Stretch) {
        let points = if stretch.level == HOURS { &mut self.hours } else { &mut self.minutes };
        points.extend(stretch.each(from_ms));
    }

    /// One series over a span: for each step the mean of its minutes, and of its hours where minutes are no longer
    /// kept; such an hour stands for each shorter step in it.
    pub(super) fn series(&self, index: usize, span: Span) -> Vec<Option<f64>> {
        let step = span.step_ms.max(MINUTE_MS);
        let mut out = Vec::new();
        let mut at = span.from_ms;
        while at < span.to_ms {
            let end = (at + step).min(span.to_ms);
            let (mut sum, mut weight) = (0.0, 0.0);
            for (value, minutes) in self.minutes_of(index, at..end, span).chain(self.hours_of(index, at..end, span)) {
                sum += f64::from(value) * minutes;
                weight += minutes;
            }
            out.push((weight > 0.0).then(|| sum / weight));
            at += step;
        }
        out
    }

    fn minutes_of(&self, index: usize, step: Range<i64>, span: Span) -> impl Iterator<Item = (f32, f64)> {
        let known = move |at: i64| self.counts(at, MINUTE_MS, span) && self.minutes.contains_key(&at);
        let stored = self.minutes.range(step.clone()).filter(move |(at, _)| known(**at));
        let begun = self.recent.range(step).filter(move |(at, _)| !known(**at));
        stored.chain(begun).filter_map(move |(_, point)| Some((point.get(index).copied().flatten()?, 1.0)))
    }

    fn hours_of(&self, index: usize, step: Range<i64>, span: Span) -> impl Iterator<Item = (f32, f64)> {
        // Of a step shorter than an hour: the hour in which it begins.
        let short = span.step_ms < HOUR_MS;
        let from = if short { HOURS.step_ms * step.start.div_euclid(HOUR_MS) } else { step.start };
        let none = move |points: &BTreeMap<i64, Point>, at| points.range(at..at + HOUR_MS).next().is_none();
        let alone = move |at: i64| none(&self.minutes, at) && none(&self.recent, at);
        let hours = self.hours.range(from..step.end);
        let hours = hours.filter(move |(at, _)| self.counts(**at, HOUR_MS, span) && alone(**at));
        hours.filter_map(move |(_, point)| Some((point.get(index).copied().flatten()?, 60.0)))
    }

    fn counts(&self, at: i64, width: i64, span: Span) -> bool {
        !self.strict || (at >= span.from_ms && at + width <= span.to_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stretch(values: &[Option<f32>]) -> Stretch {
        let mut stretch = Stretch::empty(MINUTES, 2);
        for (index, value) in values.iter().enumerate() {
            stretch.set(index, &[*value, None]);
        }
        stretch
    }

    #[test]
    fn what_is_stored_is_read_again_and_other_bytes_are_nothing() {
        let some = stretch(&[Some(1.5), None, Some(0.0)]);
        assert_eq!(Stretch::parse(MINUTES, 2, &some.bytes()), some);
        assert_eq!(Stretch::parse(MINUTES, 3, &some.bytes()), Stretch::empty(MINUTES, 3));
        assert_eq!(some.each(600).map(|(at, _)| at).collect::<Vec<_>>(), [600, 600 + 2 * MINUTE_MS]);
        assert_eq!(some.mean(), [Some(0.75), None]);
    }

    #[test]
    fn a_later_look_fills_holes_and_makes_none() {
        let mut some = stretch(&[Some(1.0), None]);
        some.set(0, &[None, Some(5.0)]);
        some.set(1, &[Some(2.0), None]);
        let points: Vec<_> = some.each(0).map(|(_, point)| point).collect();
        assert_eq!(points, [vec![Some(1.0), Some(5.0)], vec![Some(2.0), None]]);
    }

    #[test]
    fn gaps_stay_gaps_and_hours_stand_in_where_minutes_are_gone() {
        let mut points = Points::default();
        points.hours.insert(0, vec![Some(10.0)]);
        // Its minutes are kept: the hour says nothing of those that were not measured.
        points.hours.insert(HOUR_MS, vec![Some(2.0)]);
        points.minutes.insert(HOUR_MS, vec![Some(1.0)]);
        points.minutes.insert(HOUR_MS + 3 * MINUTE_MS, vec![Some(3.0)]);
        let by = |step_ms| points.series(0, Span { from_ms: 0, to_ms: 3 * HOUR_MS, step_ms });
        assert_eq!(by(HOUR_MS), [Some(10.0), Some(2.0), None]);
        let halves = by(HOUR_MS / 2);
        assert_eq!(halves, [Some(10.0), Some(10.0), Some(2.0), None, None, None]);
        assert_eq!(by(1000).len(), 180, "no finer than a minute");
        let mixed = (10.0 * 60.0 + 1.0 + 3.0) / 62.0;
        assert_eq!(by(3 * HOUR_MS), [Some(mixed)], "an hour weighs as its minutes");
    }

    #[test]
    fn nothing_is_told_of_what_lies_across_the_ends() {
        let mut points = Points { strict: true, ..Points::default() };
        points.hours.insert(0, vec![Some(10.0)]);
        points.minutes.insert(HOUR_MS, vec![Some(7.0)]);
        points.minutes.insert(HOUR_MS + MINUTE_MS, vec![Some(8.0)]);
        let span = |from_ms, to_ms| points.series(0, Span { from_ms, to_ms, step_ms: MINUTE_MS });
        assert!(span(1, HOUR_MS).iter().all(Option::is_none), "the hour began before");
        assert_eq!(span(HOUR_MS + 1, HOUR_MS + 2 * MINUTE_MS + 1), [Some(8.0), None], "a minute did");
        assert_eq!(span(HOUR_MS, HOUR_MS + MINUTE_MS + 1), [Some(7.0), None], "a minute ends after");
        points.recent.insert(HOUR_MS + MINUTE_MS, vec![Some(9.0)]);
        let span = |to_ms| points.series(0, Span { from_ms: HOUR_MS, to_ms, step_ms: MINUTE_MS });
        assert_eq!(span(HOUR_MS + MINUTE_MS + 1), [Some(7.0), Some(9.0)], "but for its part within");
        assert_eq!(span(HOUR_MS + 2 * MINUTE_MS), [Some(7.0), Some(8.0)], "a whole one is known better");
        points.strict = false;
        let span = Span { from_ms: HOUR_MS / 2, to_ms: HOUR_MS + 1, step_ms: HOUR_MS / 2 };
        assert_eq!(points.series(0, span), [Some(10.0), Some(7.0)], "of one's own one may see all");
    }

    proptest! {
        #[test]
        fn an_hour_is_what_its_minutes_say(values in proptest::collection::vec(proptest::option::of(0u16..1000), 60)) {
            let known: Vec<f64> = values.iter().flatten().map(|value| f64::from(*value)).collect();
            let some = stretch(&values.iter().map(|value| value.map(f32::from)).collect::<Vec<_>>());
            let mean = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
            match (some.mean()[0], mean) {
                (Some(stored), Some(again)) => prop_assert!((f64::from(stored) - again).abs() < 1e-3),
                (stored, again) => prop_assert_eq!(stored.is_some(), again.is_some()),
            }
        }
    }
}
