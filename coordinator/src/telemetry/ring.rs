//! Rings of samples in memory: one point a second, the last fifteen minutes, null where nothing was measured.

/// Period of a ring in ms.
pub const STEP_MS: i64 = 1_000;
/// Points of a ring.
pub const POINTS: usize = 900;

/// A point that was not measured.
const NULL: u32 = u32::MAX;

/// `N` series on one time axis. Memory grows as used, to `POINTS * N * 4` bytes.
#[derive(Debug, Clone)]
pub struct Ring<const N: usize> {
    points: std::collections::VecDeque<[u32; N]>,
    /// Step of the newest point, in units of [`STEP_MS`] since 1970.
    newest: i64,
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self { points: std::collections::VecDeque::new(), newest: 0 }
    }
}

impl<const N: usize> Ring<N> {
    /// Adds values at a time (ms since 1970). Times before the newest point are dropped; a second point in the
    /// same step replaces the first; a hole becomes nulls.
    pub fn push(&mut self, at_ms: i64, values: [Option<u32>; N]) {
        let step = at_ms.div_euclid(STEP_MS);
        let values = values.map(|value| value.map_or(NULL, |value| value.min(NULL - 1)));
        let gap = step - self.newest;
        if self.points.is_empty() || gap >= POINTS as i64 {
            self.points.clear();
        } else if gap < 0 {
            return;
        } else if gap == 0 {
            self.points.pop_back();
        } else {
            self.points.extend(std::iter::repeat_n([NULL; N], usize::try_from(gap - 1).unwrap_or(0)));
        }
        self.points.push_back(values);
        self.newest = step;
        while self.points.len() > POINTS {
            self.points.pop_front();
        }
    }

    /// One series over `[from_ms, to_ms)`, a mean for each `step_ms`, null where nothing was measured.
    #[must_use]
    pub fn series(&self, index: usize, from_ms: i64, to_ms: i64, step_ms: i64) -> Vec<Option<f64>> {
        let oldest = self.newest + 1 - self.points.len() as i64;
        let at = |step: i64| {
            usize::try_from(step - oldest)
                .ok()
                .and_then(|place| self.points.get(place))
                .map(|point| point[index])
                .filter(|value| *value != NULL)
        };
        let wide = (step_ms / STEP_MS).max(1);
        let first = from_ms.div_euclid(STEP_MS);
        let end = to_ms.div_euclid(STEP_MS);
        let mut out = Vec::new();
        let mut from = first;
        while from < end {
            let (mut sum, mut count) = (0.0, 0u32);
            for value in (from..(from + wide).min(end)).filter_map(at) {
                sum += f64::from(value);
                count += 1;
            }
            out.push((count > 0).then(|| sum / f64::from(count)));
            from += wide;
        }
        out
    }

    /// Time of the newest point, ms since 1970; none if nothing came yet.
    #[must_use]
    pub fn newest_ms(&self) -> Option<i64> {
        (!self.points.is_empty()).then_some(self.newest * STEP_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn holes_are_null_and_never_zero() {
        let mut ring = Ring::<2>::default();
        ring.push(10_000, [Some(1), None]);
        ring.push(13_500, [Some(4), Some(0)]);
        assert_eq!(ring.series(0, 9_000, 15_000, 1_000), [None, Some(1.0), None, None, Some(4.0), None]);
        assert_eq!(ring.series(1, 9_000, 15_000, 1_000), [None, None, None, None, Some(0.0), None]);
        assert_eq!(ring.series(0, 10_000, 14_000, 2_000), [Some(1.0), Some(4.0)]);
    }

    #[test]
    fn the_newest_point_of_a_step_wins_and_the_past_is_closed() {
        let mut ring = Ring::<1>::default();
        ring.push(5_000, [Some(1)]);
        ring.push(5_900, [Some(2)]);
        ring.push(4_000, [Some(9)]);
        assert_eq!(ring.series(0, 4_000, 6_000, 1_000), [None, Some(2.0)]);
        ring.push(5_000 + POINTS as i64 * STEP_MS, [Some(3)]);
        assert_eq!(ring.series(0, 4_000, 6_000, 1_000), [None, None]);
    }

    proptest! {
        #[test]
        fn memory_stays_bounded(times in proptest::collection::vec(0i64..10_000_000, 0..200)) {
            let mut ring = Ring::<1>::default();
            for time in times { ring.push(time, [Some(7)]); }
            prop_assert!(ring.points.len() <= POINTS);
        }
    }
}
