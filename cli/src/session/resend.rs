//! Typed bytes that the session has not yet said it took.
//!
//! The session counts the bytes of stdin it has taken since it began. What lies beyond that count is kept
//! here and sent again after a reconnect from exactly that count, so no byte is lost or doubled.

use std::collections::VecDeque;

/// Most bytes kept; stdin is not read while so much is unacknowledged.
pub const KEPT_MAX: usize = 256 << 10;
/// Largest piece sent at once.
const PIECE: usize = 16 << 10;

/// The unacknowledged end of stdin.
#[derive(Debug, Default)]
pub struct Resend {
    /// Offset of the first kept byte.
    base: u64,
    kept: VecDeque<u8>,
    /// How many of the kept bytes were sent on this connection.
    sent: usize,
}

/// The session says it took less than it said before, or more than it was ever sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session counts {said} bytes of input, this side has {from} to {to}")]
pub struct OutOfStep {
    /// What it says.
    pub said: u64,
    /// What it has already said.
    pub from: u64,
    /// All that was typed.
    pub to: u64,
}

impl Resend {
    /// Bytes that may still be added.
    #[must_use]
    pub fn room(&self) -> usize {
        KEPT_MAX.saturating_sub(self.kept.len())
    }

    /// Adds typed bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.kept.extend(bytes);
    }

    /// Whether there is something to send.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.sent < self.kept.len()
    }

    /// Whether all was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The next piece to send; it counts as sent on this connection.
    pub fn take(&mut self) -> Vec<u8> {
        let end = self.kept.len().min(self.sent + PIECE);
        let piece = self.kept.range(self.sent..end).copied().collect();
        self.sent = end;
        piece
    }

    /// The session took all bytes before `offset`.
    ///
    /// # Errors
    /// [`OutOfStep`] if it cannot have.
    pub fn acknowledged(&mut self, offset: u64) -> Result<(), OutOfStep> {
        let end = self.base + self.kept.len() as u64;
        if offset > end {
            return Err(OutOfStep { said: offset, from: self.base, to: end });
        }
        // An older count than the last one says nothing new.
        let taken = usize::try_from(offset.saturating_sub(self.base)).unwrap_or(usize::MAX);
        self.kept.drain(..taken);
        self.sent = self.sent.saturating_sub(taken);
        self.base += taken as u64;
        Ok(())
    }

    /// A new connection begins, and the session took all bytes before `offset`: the rest is sent again.
    ///
    /// # Errors
    /// [`OutOfStep`] if it cannot have.
    pub fn resume(&mut self, offset: u64) -> Result<(), OutOfStep> {
        if offset < self.base {
            return Err(OutOfStep { said: offset, from: self.base, to: self.base + self.kept.len() as u64 });
        }
        self.acknowledged(offset)?;
        self.sent = 0;
        Ok(())
    }

    /// Begins at `offset` of a session that others have typed into before.
    #[must_use]
    pub fn starting_at(offset: u64) -> Self {
        Self { base: offset, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Event {
        Type(Vec<u8>),
        Send,
        Deliver(usize),
        Acknowledge,
        Cut,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..60).prop_map(Event::Type),
            Just(Event::Send),
            (1usize..80).prop_map(Event::Deliver),
            Just(Event::Acknowledge),
            Just(Event::Cut),
        ]
    }

    proptest! {
        /// Typing, sending, partial delivery, acknowledgements and cuts in any order: the session gets every
        /// byte once, in order.
        #[test]
        fn no_byte_is_lost_or_doubled(events in proptest::collection::vec(event(), 0..200)) {
            let mut resend = Resend::default();
            let (mut typed, mut taken) = (Vec::new(), Vec::new());
            let mut wire: VecDeque<u8> = VecDeque::new();
            for event in events {
                match event {
                    Event::Type(bytes) => { typed.extend_from_slice(&bytes); resend.push(&bytes); }
                    Event::Send => if resend.has_unsent() { wire.extend(resend.take()); },
                    Event::Deliver(count) => { let count = count.min(wire.len()); taken.extend(wire.drain(..count)); }
                    Event::Acknowledge => resend.acknowledged(taken.len() as u64).unwrap(),
                    Event::Cut => { wire.clear(); resend.resume(taken.len() as u64).unwrap(); }
                }
                prop_assert!(typed.starts_with(&taken));
            }
            wire.clear();
            resend.resume(taken.len() as u64).unwrap();
            while resend.has_unsent() { taken.extend(resend.take()); }
            resend.acknowledged(taken.len() as u64).unwrap();
            prop_assert!(resend.is_empty());
            prop_assert_eq!(taken, typed);
        }
    }

    #[test]
    fn impossible_counts_are_said() {
        let mut resend = Resend::starting_at(10);
        resend.push(b"abc");
        assert!(resend.acknowledged(14).is_err());
        assert!(resend.resume(9).is_err());
        assert!(resend.resume(12).is_ok());
        assert_eq!(resend.take(), b"c");
    }
}
