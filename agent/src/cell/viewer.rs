//! One look at a session: how far it has been sent, how far it is acknowledged, and since when it waits.

use super::ring::{Piece, Ring};
use muster_protocol::limits::{SESSION_CREDIT, SESSION_DATA_MAX};
use std::time::{Duration, Instant};

/// Unsent output at which the one writer stops the program.
const BACKLOG_HIGH: u64 = 32 << 10;
/// Untold stdin at which an acknowledgement is sent by itself.
const ACK_STEP: u64 = 16 << 10;
/// Oldest an untold acknowledgement of stdin may get; before that it travels with output.
const ACK_DELAY: Duration = Duration::from_millis(250);

/// A viewer.
#[derive(Debug)]
pub(super) struct Viewer {
    /// Its connection.
    pub(super) conn: u32,
    pub(super) read_only: bool,
    sent: u64,
    acked: u64,
    waits_since: Option<Instant>,
    /// It may wait for so long.
    stall: Duration,
    told_input: u64,
    tell_input_at: Option<Instant>,
    /// The end has been sent.
    pub(super) told_exit: bool,
}

/// What is to be sent next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// These bytes, which begin at the offset.
    Output(u64, Piece<'a>),
    /// The ring has lost the bytes between.
    Skipped { from: u64, to: u64 },
    /// It must take something first.
    Full,
    /// It has everything.
    UpToDate,
}

impl Viewer {
    pub(super) fn new(conn: u32, read_only: bool, offset: u64, input_taken: u64, stall: Duration) -> Self {
        Self {
            conn,
            read_only,
            sent: offset,
            acked: offset,
            waits_since: None,
            stall,
            told_input: input_taken,
            tell_input_at: None,
            told_exit: false,
        }
    }

    /// What to send next.
    pub(super) fn next<'a>(&self, ring: &'a Ring) -> Next<'a> {
        if self.sent < ring.start() {
            return Next::Skipped { from: self.sent, to: ring.start() };
        }
        let credit = SESSION_CREDIT.saturating_sub(self.sent.saturating_sub(self.acked));
        let max = credit.min(u64::from(SESSION_DATA_MAX) - 8) as usize;
        match ring.piece(self.sent, max) {
            None => Next::UpToDate,
            Some(_) if max == 0 => Next::Full,
            Some(piece) => Next::Output(self.sent, piece),
        }
    }

    /// It was sent up to this offset.
    pub(super) fn sent(&mut self, to: u64) {
        self.sent = to;
    }

    /// It says that it has taken everything before `offset`; false if it never was sent that much.
    pub(super) fn ack(&mut self, offset: u64) -> bool {
        if offset > self.sent {
            return false;
        }
        if offset > self.acked {
            self.acked = offset;
            self.waits_since = None;
        }
        true
    }

    /// The program has to wait for it.
    pub(super) fn holds_back(&self, ring: &Ring) -> bool {
        !self.read_only && ring.end() - self.sent.max(ring.start()) >= BACKLOG_HIGH
    }

    /// Notes whether it keeps output waiting.
    pub(super) fn note_waiting(&mut self, waiting: bool, now: Instant) {
        self.waits_since = if waiting { self.waits_since.or(Some(now)) } else { None };
    }

    /// When it is to be detached for taking nothing.
    pub(super) fn stalls_at(&self) -> Option<Instant> {
        self.waits_since.map(|since| since + self.stall)
    }

    /// The program's side has taken stdin up to `taken`.
    pub(super) fn input_taken(&mut self, taken: u64, now: Instant) {
        if self.read_only || taken == self.told_input {
            return;
        }
        let delay = if taken - self.told_input >= ACK_STEP { Duration::ZERO } else { ACK_DELAY };
        let at = now + delay;
        self.tell_input_at = Some(self.tell_input_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// When an acknowledgement of stdin is due at the latest.
    pub(super) fn tells_input_at(&self) -> Option<Instant> {
        self.tell_input_at
    }

    /// An acknowledgement to send now: one that is due, or any while output is sent anyway.
    pub(super) fn take_input_ack(&mut self, taken: u64, with_output: bool, now: Instant) -> Option<u64> {
        let due = self.tell_input_at?;
        if !with_output && due > now {
            return None;
        }
        self.tell_input_at = None;
        self.told_input = taken;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::Source;
    use super::*;

    const STALL: Duration = Duration::from_secs(60);

    fn ring_of(len: usize) -> Ring {
        let mut ring = Ring::new(256 << 10);
        ring.push(Source::Out, &vec![b'x'; len]);
        ring
    }

    #[test]
    fn never_more_in_flight_than_the_credit() {
        let ring = ring_of(200 << 10);
        let mut viewer = Viewer::new(1, false, 0, 0, STALL);
        while let Next::Output(at, piece) = viewer.next(&ring) {
            viewer.sent(at + piece.len() as u64);
        }
        assert_eq!(viewer.next(&ring), Next::Full);
        assert_eq!(viewer.sent, SESSION_CREDIT);
        assert!(viewer.holds_back(&ring));
        assert!(viewer.ack(10));
        assert!(matches!(viewer.next(&ring), Next::Output(at, piece) if at == SESSION_CREDIT && piece.len() == 10));
        assert!(!viewer.ack(SESSION_CREDIT + 1));
    }

    #[test]
    fn a_gap_is_announced_and_then_over() {
        let mut ring = ring_of(200 << 10);
        let mut viewer = Viewer::new(1, true, 0, 0, STALL);
        ring.push(Source::Out, &vec![b'y'; 100 << 10]);
        assert_eq!(viewer.next(&ring), Next::Skipped { from: 0, to: ring.start() });
        assert!(!viewer.holds_back(&ring));
        viewer.sent(ring.start());
        assert!(viewer.ack(ring.start()));
        assert!(matches!(viewer.next(&ring), Next::Output(..)));
    }

    #[test]
    fn acknowledgements_of_stdin_travel_with_output_or_after_a_while() {
        let now = Instant::now();
        let mut viewer = Viewer::new(1, false, 0, 0, STALL);
        assert_eq!(viewer.take_input_ack(0, true, now), None);
        viewer.input_taken(1, now);
        assert_eq!(viewer.take_input_ack(1, false, now), None);
        assert_eq!(viewer.take_input_ack(1, true, now), Some(1));
        viewer.input_taken(1, now);
        assert_eq!(viewer.tells_input_at(), None);
        viewer.input_taken(1 + ACK_STEP, now);
        assert_eq!(viewer.take_input_ack(1 + ACK_STEP, false, now), Some(1 + ACK_STEP));
        viewer.input_taken(2 + ACK_STEP, now);
        assert_eq!(viewer.take_input_ack(2 + ACK_STEP, false, now + ACK_DELAY), Some(2 + ACK_STEP));
    }

    #[test]
    fn only_waiting_without_progress_stalls() {
        let now = Instant::now();
        let mut viewer = Viewer::new(1, false, 0, 0, STALL);
        viewer.note_waiting(true, now);
        viewer.note_waiting(true, now + STALL / 2);
        assert_eq!(viewer.stalls_at(), Some(now + STALL));
        viewer.sent(5);
        viewer.ack(5);
        assert_eq!(viewer.stalls_at(), None);
    }
}
