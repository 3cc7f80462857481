//! Stdin of a session: numbered bytes on their way from a viewer into the PTY or pipe.
//!
//! Bytes count once the program's side has taken them. What was received and not taken is forgotten when
//! another viewer comes, who is told the offset and sends on from there: so nothing is lost or doubled, and
//! nothing typed by one viewer is mixed into what another types.

use muster_protocol::limits::SESSION_CREDIT;
use std::collections::VecDeque;

/// The viewer broke the numbering or its credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InputError {
    #[error("input from {offset} leaves a gap after {received}")]
    Gap { offset: u64, received: u64 },
    #[error("more than {SESSION_CREDIT} bytes of input are unacknowledged")]
    OverCredit,
}

/// Stdin so far.
#[derive(Debug, Default)]
pub(super) struct Input {
    taken: u64,
    waiting: VecDeque<u8>,
    /// No more will come after what waits.
    ended: bool,
}

impl Input {
    /// Bytes the program's side has taken since the session began.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Adds bytes of a viewer; those already here are dropped by their offset.
    pub(super) fn offer(&mut self, offset: u64, bytes: &[u8]) -> Result<(), InputError> {
        let received = self.taken + self.waiting.len() as u64;
        let known = received.checked_sub(offset).ok_or(InputError::Gap { offset, received })?;
        let new = bytes.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default();
        if self.waiting.len() + new.len() > SESSION_CREDIT as usize {
            return Err(InputError::OverCredit);
        }
        if !self.ended {
            self.waiting.extend(new);
        }
        Ok(())
    }

    /// What waits to be taken, oldest first.
    pub(super) fn waiting(&self) -> &[u8] {
        let (first, second) = self.waiting.as_slices();
        if first.is_empty() { second } else { first }
    }

    /// The program's side took `count` bytes.
    pub(super) fn took(&mut self, count: usize) {
        self.waiting.drain(..count);
        self.taken += count as u64;
        if self.waiting.is_empty() && self.waiting.capacity() > 4096 {
            self.waiting = VecDeque::new();
        }
    }

    /// Nobody reads any more: what waits counts as taken, so that no viewer waits for it.
    pub(super) fn discard(&mut self) {
        self.took(self.waiting.len());
    }

    /// Another viewer types from here on.
    pub(super) fn restart(&mut self) {
        self.waiting.clear();
    }

    /// No more stdin after what waits.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// All of stdin has been taken and no more comes.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A viewer that is cut at any moment and resends from what it is told loses and doubles nothing.
        #[test]
        fn any_cut_and_resend_gives_the_same_bytes(
            steps in proptest::collection::vec((1usize..50, 0usize..60, 0u64..20, any::<bool>()), 1..80),
        ) {
            let all: Vec<u8> = (0..=u8::MAX).cycle().take(2000).collect();
            let mut input = Input::default();
            let mut program = Vec::new();
            let mut sent = 0usize;
            for (send, take, back, cut) in steps {
                if cut {
                    input.restart();
                    sent = input.taken() as usize;
                }
                let from = sent.saturating_sub(back as usize);
                let to = (from + send).min(all.len());
                input.offer(from as u64, &all[from..to]).unwrap();
                sent = sent.max(to);
                let count = input.waiting().len().min(take);
                program.extend_from_slice(&input.waiting()[..count]);
                input.took(count);
                prop_assert_eq!(input.taken(), program.len() as u64);
                prop_assert_eq!(&program[..], &all[..program.len()]);
            }
        }
    }

    #[test]
    fn gaps_and_too_much_are_refused() {
        let mut input = Input::default();
        assert_eq!(input.offer(1, b"x"), Err(InputError::Gap { offset: 1, received: 0 }));
        let credit = vec![0; SESSION_CREDIT as usize];
        input.offer(0, &credit).unwrap();
        assert_eq!(input.offer(SESSION_CREDIT, b"x"), Err(InputError::OverCredit));
        input.offer(0, &credit).unwrap();
        input.end();
        assert!(!input.is_over());
        input.discard();
        assert!(input.is_over());
    }
}
