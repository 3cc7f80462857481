//! What a slot is: a state, holds beside it, and the bits of its GPU that it occupies.

use crate::base::words::words;
use muster_protocol::{desired::SlotKind, inventory::FoundSlot};
use serde::{Deserialize, Serialize};

words! {
    /// Where a slot is between discovery and retirement.
    #[derive(Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "snake_case")]
    State {
        /// The agent found it (or found it changed); an operator decides.
        Discovered = "discovered",
        /// An operator does not want it.
        Rejected = "rejected",
        /// May be reserved, unless it is held.
        Free = "free",
        /// Promised to an allocation whose cell is not running yet.
        Reserved = "reserved",
        /// In use.
        Leased = "leased",
        /// The cell ends; the receipt has not come yet.
        Scrubbing = "scrubbing",
        /// The hardware is no longer there.
        Retired = "retired",
    }
}

impl State {
    /// An allocation stands behind it.
    #[must_use]
    pub fn is_occupied(self) -> bool {
        matches!(self, Self::Reserved | Self::Leased | Self::Scrubbing)
    }
}

/// What can happen to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// An operator or a policy lets it be sold.
    Approve,
    /// An operator does not.
    Reject,
    /// Promised to an allocation.
    Reserve,
    /// The agent runs the cell.
    Lease,
    /// The allocation ends, or never came to run.
    Scrub,
    /// The receipt says clean, or the allocation never reached the node.
    Clean,
    /// The agent found it with another shape.
    Change,
    /// The agent no longer finds it.
    Gone,
    /// The agent finds it again.
    Back,
}

/// The event does not fit the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a slot that is {} cannot do that", .0.word())]
pub struct Refused(pub State);

/// The state after an event.
///
/// # Errors
/// [`Refused`] if the event does not fit. Hardware that goes while an allocation stands behind the slot is
/// refused here: the caller looks again when the slot is free.
pub fn apply(state: State, event: Event) -> Result<State, Refused> {
    use State::{Discovered, Free, Leased, Rejected, Reserved, Retired, Scrubbing};
    match (state, event) {
        (Discovered | Rejected | Free, Event::Approve) => Ok(Free),
        (Discovered | Rejected | Free, Event::Reject) => Ok(Rejected),
        (Free, Event::Reserve) => Ok(Reserved),
        (Reserved | Leased, Event::Lease) => Ok(Leased),
        (Reserved | Leased | Scrubbing, Event::Scrub) => Ok(Scrubbing),
        (Reserved | Scrubbing, Event::Clean) => Ok(Free),
        (Discovered | Rejected | Free, Event::Change) => Ok(Discovered),
        (Discovered | Rejected | Free | Retired, Event::Gone) => Ok(Retired),
        (Retired, Event::Back) => Ok(Discovered),
        (other, Event::Back) => Ok(other),
        (other, _) => Err(Refused(other)),
    }
}

/// Why a slot may not be sold although it is free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hold {
    /// `quarantine`.
    pub kind: String,
    /// Machine-readable: `cleanup_failed`, `gpu_error`, `operator`.
    pub code: String,
    /// For people.
    pub reason: String,
    /// When it was set, RFC 3339.
    pub since: String,
}

/// A slot as the agent says it found it, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: SlotKind,
    /// GPU of a `gpu` or `mig` slot; empty for `cpu`.
    pub gpu_uuid: String,
    /// MIG profile; empty otherwise.
    pub profile: String,
    /// First memory slice, or the number of a `cpu` slot.
    pub start: i64,
    /// Memory slices of a MIG placement; 0 otherwise.
    pub size: i64,
    /// Memory slices of the whole GPU; 0 for `cpu`.
    pub gpu_slices: i64,
}

/// Most memory slices of a GPU that a mask can hold: the sign bit of a stored integer stays clear.
pub const SLICES_MAX: u32 = 62;
/// Longest name an agent may give a GPU or a profile, in bytes.
pub const NAME_MAX: usize = 96;

impl Found {
    /// Checks what an agent said; none if it makes no sense.
    #[must_use]
    pub fn parse(found: &FoundSlot) -> Option<Self> {
        let kind = SlotKind::from_word(&found.kind)?;
        let name_ok = |name: &str| name.len() <= NAME_MAX && name.bytes().all(|byte| byte.is_ascii_graphic());
        let fits = match kind {
            SlotKind::Cpu => {
                found.gpu_uuid.is_empty() && found.profile.is_empty() && found.size == 0 && found.gpu_slices == 0
            }
            SlotKind::Gpu => {
                !found.gpu_uuid.is_empty() && found.profile.is_empty() && (1..=SLICES_MAX).contains(&found.gpu_slices)
            }
            SlotKind::Mig => {
                !found.gpu_uuid.is_empty()
                    && !found.profile.is_empty()
                    && (1..=SLICES_MAX).contains(&found.gpu_slices)
                    && found.size >= 1
                    && found.start.checked_add(found.size).is_some_and(|end| end <= found.gpu_slices)
            }
        };
        (fits && name_ok(&found.gpu_uuid) && name_ok(&found.profile)).then(|| Self {
            kind,
            gpu_uuid: found.gpu_uuid.clone(),
            profile: found.profile.clone(),
            start: if kind == SlotKind::Gpu { 0 } else { found.start.into() },
            size: if kind == SlotKind::Mig { found.size.into() } else { 0 },
            gpu_slices: found.gpu_slices.into(),
        })
    }

    /// Memory slices of the GPU that the slot occupies; 0 for `cpu`.
    #[must_use]
    pub fn mask(&self) -> i64 {
        match self.kind {
            SlotKind::Cpu => 0,
            SlotKind::Gpu => bits(0, self.gpu_slices),
            SlotKind::Mig => bits(self.start, self.size),
        }
    }

    /// What makes it the same slot on the next look.
    #[must_use]
    pub fn place(&self) -> Place {
        (self.kind.word().to_owned(), self.gpu_uuid.clone(), self.profile.clone(), self.start)
    }
}

/// Kind, GPU, profile and start.
pub type Place = (String, String, String, i64);

fn bits(start: i64, size: i64) -> i64 {
    ((1i64 << size) - 1) << start
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVENTS: &[Event] = &[
        Event::Approve,
        Event::Reject,
        Event::Reserve,
        Event::Lease,
        Event::Scrub,
        Event::Clean,
        Event::Change,
        Event::Gone,
        Event::Back,
    ];

    fn found(kind: &str, start: u32, size: u32, slices: u32) -> FoundSlot {
        FoundSlot {
            kind: kind.into(),
            gpu_uuid: if kind == "cpu" { String::new() } else { "GPU-1".into() },
            profile: if kind == "mig" { "1g.10gb".into() } else { String::new() },
            start,
            size,
            gpu_slices: slices,
        }
    }

    proptest! {
        #[test]
        fn nothing_is_sold_unapproved_or_twice(events in proptest::collection::vec(0..EVENTS.len(), 0..60)) {
            let mut state = State::Discovered;
            let mut approved = false;
            for event in events.into_iter().map(|index| EVENTS[index]) {
                let before = state;
                let Ok(next) = apply(state, event) else { continue };
                match event {
                    Event::Approve => approved = true,
                    Event::Reject | Event::Change | Event::Gone => approved = false,
                    _ => {}
                }
                // An occupied slot is freed by a clean end alone, and is not reserved again.
                prop_assert!(!before.is_occupied() || next.is_occupied() || event == Event::Clean);
                prop_assert!(event != Event::Reserve || before == State::Free);
                prop_assert!(next != State::Reserved || approved);
                // A cell that ran is scrubbed before its slot is free.
                prop_assert!(before != State::Leased || next != State::Free);
                state = next;
            }
        }

        #[test]
        fn what_an_agent_says_never_panics_and_masks_fit(kind in "cpu|gpu|mig|x", start in any::<u32>(), size in any::<u32>(), slices in any::<u32>()) {
            if let Some(found) = Found::parse(&found(&kind, start, size, slices)) {
                prop_assert!(found.mask() >= 0);
                prop_assert!(found.gpu_slices == 0 || found.mask() < 1i64 << found.gpu_slices);
            }
        }
    }

    #[test]
    fn masks_of_neighbours_do_not_touch() {
        let low = Found::parse(&found("mig", 0, 4, 8)).unwrap();
        let high = Found::parse(&found("mig", 4, 4, 8)).unwrap();
        let whole = Found::parse(&found("gpu", 0, 0, 8)).unwrap();
        assert_eq!(low.mask() & high.mask(), 0);
        assert_eq!(low.mask() | high.mask(), whole.mask());
        assert_eq!(Found::parse(&found("cpu", 3, 0, 0)).unwrap().mask(), 0);
        assert!(Found::parse(&found("mig", 6, 4, 8)).is_none());
        assert!(Found::parse(&found("mig", u32::MAX, 4, 8)).is_none());
        assert!(Found::parse(&found("gpu", 0, 0, 63)).is_none());
    }
}
