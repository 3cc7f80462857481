//! The replay ring of a session: its last output, numbered from the first byte it ever wrote.
//!
//! It grows as used to its cap and then forgets the oldest bytes. Stdout and stderr of a command share one
//! numbering; the ring remembers which bytes came from which.

use std::collections::VecDeque;

/// Changes between stdout and stderr that one ring remembers; more, and the oldest output is forgotten.
const RUNS_MAX: usize = 4096;

/// Where output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The terminal, or stdout.
    Out,
    /// Stderr of a command without a terminal.
    Err,
}

/// Output of one source without a break, up to `end`.
#[derive(Debug, Clone, Copy)]
struct Run {
    end: u64,
    source: Source,
}

/// A stretch of one source's output, in two pieces where the ring wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) source: Source,
    pub(super) head: &'a [u8],
    pub(super) tail: &'a [u8],
}

impl Piece<'_> {
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }
}

/// The ring.
#[derive(Debug)]
pub(super) struct Ring {
    bytes: VecDeque<u8>,
    runs: VecDeque<Run>,
    start: u64,
    cap: usize,
}

impl Ring {
    /// An empty ring of at most `cap` bytes.
    pub(super) fn new(cap: usize) -> Self {
        Self { bytes: VecDeque::new(), runs: VecDeque::new(), start: 0, cap }
    }

    /// Offset of the oldest byte it still has.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Offset of the next byte that will be written.
    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Bytes it holds in memory.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends output and forgets what no longer fits.
    pub(super) fn push(&mut self, source: Source, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = self.end() + bytes.len() as u64;
        let kept = &bytes[bytes.len().saturating_sub(self.cap)..];
        self.forget((self.bytes.len() + kept.len()).saturating_sub(self.cap));
        self.bytes.extend(kept);
        self.start = end - self.bytes.len() as u64;
        match self.runs.back_mut() {
            Some(run) if run.source == source => run.end = end,
            _ => self.runs.push_back(Run { end, source }),
        }
        self.trim_runs();
    }

    fn forget(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.start += count as u64;
    }

    fn trim_runs(&mut self) {
        if self.runs.len() > RUNS_MAX {
            let lost = self.runs[0].end.saturating_sub(self.start) as usize;
            self.forget(lost);
        }
        while self.runs.front().is_some_and(|run| run.end <= self.start) {
            self.runs.pop_front();
        }
    }

    /// Output of one source from offset `from`, at most `max` bytes; none at the end or before the start.
    pub(super) fn piece(&self, from: u64, max: usize) -> Option<Piece<'_>> {
        if from < self.start || from >= self.end() {
            return None;
        }
        let run = self.runs[self.runs.partition_point(|run| run.end <= from)];
        let len = usize::try_from(run.end - from).unwrap_or(usize::MAX).min(max);
        let begin = (from - self.start) as usize;
        let (head, tail) = two_slices(&self.bytes, begin, len);
        Some(Piece { source: run.source, head, tail })
    }

    /// The last `count` bytes, whatever their source.
    pub(super) fn last(&self, count: usize) -> (&[u8], &[u8]) {
        let len = count.min(self.bytes.len());
        two_slices(&self.bytes, self.bytes.len() - len, len)
    }

    /// Forgets all but the last `count` bytes.
    pub(super) fn keep_last(&mut self, count: usize) {
        self.forget(self.bytes.len().saturating_sub(count));
        self.trim_runs();
        self.bytes.shrink_to_fit();
    }

    /// Gives back memory that the output does not fill.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }
}

fn two_slices(bytes: &VecDeque<u8>, begin: usize, len: usize) -> (&[u8], &[u8]) {
    let (first, second) = bytes.as_slices();
    let end = begin + len;
    let head = &first[begin.min(first.len())..end.min(first.len())];
    let tail = &second[begin.saturating_sub(first.len())..end.saturating_sub(first.len())];
    (head, tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(ring: &Ring) -> Vec<(u8, Source)> {
        let mut seen = Vec::new();
        let mut at = ring.start();
        while let Some(piece) = ring.piece(at, 7) {
            seen.extend(piece.head.iter().chain(piece.tail).map(|byte| (*byte, piece.source)));
            at += piece.len() as u64;
        }
        assert_eq!(at, ring.end());
        seen
    }

    proptest! {
        #[test]
        fn it_is_the_tail_of_all_that_was_written(
            cap in 1usize..40,
            writes in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..40),
        ) {
            let mut ring = Ring::new(cap);
            let mut all = Vec::new();
            for (err, bytes) in writes {
                let source = if err { Source::Err } else { Source::Out };
                ring.push(source, &bytes);
                all.extend(bytes.into_iter().map(|byte| (byte, source)));
                prop_assert_eq!(ring.end(), all.len() as u64);
                prop_assert_eq!(&whole(&ring)[..], &all[ring.start() as usize..]);
                prop_assert_eq!(ring.len(), all.len().min(cap));
                let (head, tail) = ring.last(5);
                let last: Vec<u8> = head.iter().chain(tail).copied().collect();
                let bytes: Vec<u8> = all.iter().map(|(byte, _)| *byte).collect();
                prop_assert_eq!(&last[..], &bytes[bytes.len() - 5.min(ring.len())..]);
            }
        }
    }

    #[test]
    fn many_changes_of_source_are_bounded() {
        let mut ring = Ring::new(1 << 20);
        for i in 0..3 * RUNS_MAX {
            ring.push(if i % 2 == 0 { Source::Out } else { Source::Err }, b"x");
        }
        assert_eq!(ring.runs.len(), RUNS_MAX);
        assert_eq!(ring.len(), RUNS_MAX);
        assert_eq!(ring.end(), 3 * RUNS_MAX as u64);
        assert!(ring.piece(ring.start() - 1, 1).is_none());
    }
}
