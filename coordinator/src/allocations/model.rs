//! What an allocation is: a state for people, a wish for its node, and what moves them. Pure.
//!
//! The state says what became of the lease. The wish says what the desired document asks for: the cell
//! (`wanted`), its end (`ending`, a tombstone), or nothing (`gone`, the receipt is stored). Slots follow the
//! wish: they are free again at `gone` and never before.

use crate::base::words::words;
words! {
    /// What became of the lease.
    State {
        /// Its slots are reserved; the node has not begun.
        Requested = "requested",
        /// The node builds its cell.
        Provisioning = "provisioning",
        /// Its cell runs.
        Active = "active",
        /// Its cell ran when its node was last heard.
        Degraded = "degraded",
        /// Its cell is being ended.
        Releasing = "releasing",
        /// Its cell is gone and its slots are free.
        Released = "released",
        /// It never ran, or its cell ended by itself.
        Failed = "failed",
        /// The node has not proved in time that the cell is gone.
        ReleaseFailed = "release_failed",
    }
}

words! {
    /// What the node's desired document says of the cell.
    Wish {
        /// It shall exist.
        Wanted = "wanted",
        /// It shall end.
        Ending = "ending",
        /// Nothing: its receipt is stored.
        Gone = "gone",
    }
}

impl State {
    /// Nothing changes any more, as far as people are concerned.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Released | Self::Failed)
    }

    /// It has not run yet.
    #[must_use]
    pub fn is_starting(self) -> bool {
        matches!(self, Self::Requested | Self::Provisioning)
    }
}

/// The part of an allocation that events move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What became of it.
    pub state: State,
    /// What its node shall do.
    pub wish: Wish,
    /// Ends by itself when its command has ended.
    pub release_on_exit: bool,
    /// Of the command.
    pub exit_code: Option<i32>,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// Why an allocation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A word scripts may rely on.
    pub code: String,
    /// For people.
    pub detail: String,
}

/// What happens to an allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The node builds its cell.
    Preparing,
    /// PID 1 of its cell answers.
    Running,
    /// Its command has ended with this code; the cell stands.
    Exited(i32),
    /// The cell could not be built, or ended although it was wanted.
    Broken(Failure),
    /// The node proved that nothing of the cell is left, or said what is.
    Receipt,
    /// A person, or the end of the command, gives it back.
    Release,
    /// The node did not bring it up in time.
    TooLate,
    /// The node did not prove its end in time.
    ReleaseTooLate,
    /// The node has not been heard for long.
    NodeLost,
    /// It has been lost for longer than the operators' policy waits.
    LostForGood,
    /// An operator says that the node will not come back: no proof will come.
    Abandon,
}

/// The event does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an allocation that is {} cannot do that", .0.word())]
pub struct Refused(pub State);

/// Code of an allocation whose cell ended although it was wanted.
pub(super) const CELL_ENDED: &str = "cell_ended";
/// Code of an allocation that a backup remembered and its node did not.
pub(super) const NOT_FOUND_AFTER_RESTORE: &str = "not_found_after_restore";
/// Code of an allocation whose node is gone for good.
pub(super) const NODE_LOST: &str = "node_lost";
/// Code of an allocation that did not come up in time.
pub(super) const PROVISIONING_DEADLINE: &str = "provisioning_deadline";

impl Lease {
    /// A new one: slots reserved, cell wanted.
    #[must_use]
    pub fn new(release_on_exit: bool) -> Self {
        Self { state: State::Requested, wish: Wish::Wanted, release_on_exit, exit_code: None, failure: None }
    }

    /// The lease after an event; the same one if the event says nothing new.
    ///
    /// # Errors
    /// [`Refused`] for acts of people that do not fit the state. What a node says is never refused: it is
    /// news, or it is not.
    pub fn apply(&self, event: &Event) -> Result<Self, Refused> {
        let mut next = self.clone();
        match event {
            Event::Preparing if self.state == State::Requested => next.state = State::Provisioning,
            Event::Running if self.may_run() => next.state = State::Active,
            Event::Exited(code) if self.wish == Wish::Wanted => {
                if self.may_run() {
                    next.state = State::Active;
                }
                next.exit_code = Some(*code);
                if self.release_on_exit {
                    next.end(State::Releasing);
                }
            }
            Event::Broken(failure) if self.wish == Wish::Wanted => next.fail(failure.clone()),
            Event::Receipt if self.wish == Wish::Ending => {
                next.wish = Wish::Gone;
                if matches!(self.state, State::Releasing | State::ReleaseFailed) {
                    next.state = State::Released;
                }
            }
            Event::Release => match self.state {
                State::Requested | State::Provisioning | State::Active | State::Degraded | State::ReleaseFailed => {
                    next.end(State::Releasing);
                }
                State::Releasing | State::Released | State::Failed => return Err(Refused(self.state)),
            },
            Event::TooLate if self.state.is_starting() => next.fail(Failure {
                code: PROVISIONING_DEADLINE.to_owned(),
                detail: "The node did not bring it up in time.".to_owned(),
            }),
            Event::ReleaseTooLate if self.state == State::Releasing => next.state = State::ReleaseFailed,
            Event::NodeLost if self.state == State::Active => next.state = State::Degraded,
            // Its tombstone stays: should the node come back, the cell ends, and its receipt frees the slots.
            Event::LostForGood if self.state == State::Degraded => next.fail(Failure {
                code: NODE_LOST.to_owned(),
                detail: "Its node has been lost for longer than the operators wait.".to_owned(),
            }),
            Event::Abandon if self.wish == Wish::Gone => return Err(Refused(self.state)),
            Event::Abandon => {
                match self.state {
                    State::Releasing | State::ReleaseFailed => next.state = State::Released,
                    State::Failed => {}
                    _ => next
                        .fail(Failure { code: NODE_LOST.to_owned(), detail: "Its node is gone for good.".to_owned() }),
                }
                next.wish = Wish::Gone;
            }
            _ => {}
        }
        Ok(next)
    }

    fn may_run(&self) -> bool {
        self.wish == Wish::Wanted && (self.state.is_starting() || self.state == State::Degraded)
    }

    fn end(&mut self, state: State) {
        self.state = state;
        self.wish = Wish::Ending;
    }

    fn fail(&mut self, failure: Failure) {
        self.end(State::Failed);
        self.failure = Some(failure);
    }

    /// `reserved`, `provisioning`, `placed` or `none`.
    #[must_use]
    pub fn placement(&self) -> &'static str {
        match self.state {
            State::Requested => "reserved",
            State::Provisioning => "provisioning",
            State::Active | State::Degraded | State::Releasing | State::ReleaseFailed => "placed",
            State::Released | State::Failed => "none",
        }
    }

    /// The word people see: provisioning from the reservation on, `exited` after its command has ended.
    #[must_use]
    pub fn display_status(&self) -> &'static str {
        match self.state {
            State::Requested => "provisioning",
            State::Active if self.exit_code.is_some() => "exited",
            other => other.word(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Preparing),
            Just(Event::Running),
            (0i32..3).prop_map(Event::Exited),
            Just(Event::Broken(Failure { code: CELL_ENDED.into(), detail: String::new() })),
            Just(Event::Receipt),
            Just(Event::Release),
            Just(Event::TooLate),
            Just(Event::ReleaseTooLate),
            Just(Event::NodeLost),
            Just(Event::LostForGood),
            Just(Event::Abandon),
        ]
    }

    proptest! {
        #[test]
        fn no_history_leases_twice_or_frees_early(
            release_on_exit: bool,
            events in proptest::collection::vec(any_event(), 0..60),
        ) {
            let mut lease = Lease::new(release_on_exit);
            for event in events {
                let Ok(next) = lease.apply(&event) else {
                    prop_assert!(matches!(event, Event::Release | Event::Abandon), "only acts of people are refused");
                    continue;
                };
                // An end is an end.
                prop_assert!(!lease.state.is_final() || next.state == lease.state);
                prop_assert!(next.wish >= lease.wish, "a cell never comes back");
                // Slots are freed by a receipt, or by an operator who gives the node up.
                let proved = matches!(event, Event::Receipt | Event::Abandon);
                prop_assert!(next.wish != Wish::Gone || lease.wish == Wish::Gone || proved);
                // What runs is wanted, what is wanted has not ended.
                let lives = matches!(next.state, State::Requested | State::Provisioning | State::Active | State::Degraded);
                prop_assert_eq!(lives, next.wish == Wish::Wanted);
                prop_assert_eq!(next.state == State::Failed, next.failure.is_some());
                prop_assert!(next.state != State::Released || next.wish == Wish::Gone);
                lease = next;
            }
        }

        #[test]
        fn every_lease_can_be_brought_to_an_end(events in proptest::collection::vec(any_event(), 0..30)) {
            let mut lease = Lease::new(false);
            for event in events {
                lease = lease.apply(&event).unwrap_or(lease);
            }
            lease = lease.apply(&Event::Release).unwrap_or(lease);
            lease = lease.apply(&Event::Receipt).expect("news of a node");
            prop_assert!(lease.state.is_final() && lease.wish == Wish::Gone);
        }

        #[test]
        fn the_same_news_twice_changes_nothing(events in proptest::collection::vec(any_event(), 0..30), last in any_event()) {
            let mut lease = Lease::new(true);
            for event in events {
                lease = lease.apply(&event).unwrap_or(lease);
            }
            if !matches!(last, Event::Release | Event::Abandon)
                && let Ok(once) = lease.apply(&last) {
                let news = matches!(last, Event::Exited(_) | Event::Broken(_)) && once.wish == Wish::Wanted;
                let twice = once.apply(&last).expect("news of a node");
                prop_assert!(news || twice == once);
            }
        }
    }

    #[test]
    fn a_short_batch_may_be_over_before_it_was_seen_running() {
        let lease = Lease::new(true).apply(&Event::Exited(3)).expect("news");
        assert_eq!((lease.state, lease.wish, lease.exit_code), (State::Releasing, Wish::Ending, Some(3)));
        let lease = lease.apply(&Event::Receipt).expect("news");
        assert_eq!((lease.state, lease.exit_code), (State::Released, Some(3)));
    }

    #[test]
    fn a_killed_cell_is_a_failure_and_its_slots_wait_for_the_receipt() {
        let lease = Lease::new(false).apply(&Event::Running).expect("news");
        let broken = Event::Broken(Failure { code: CELL_ENDED.into(), detail: String::new() });
        let lease = lease.apply(&broken).expect("news");
        assert_eq!((lease.state, lease.wish), (State::Failed, Wish::Ending));
        assert_eq!(lease.apply(&Event::Receipt).expect("news").wish, Wish::Gone);
        assert_eq!(lease.apply(&Event::Release), Err(Refused(State::Failed)));
    }
}
