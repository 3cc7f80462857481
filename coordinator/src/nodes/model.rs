//! What a node is: four facets that never mix, the state derived from them, and the moves between them.

use crate::base::words::words;
use serde::{Deserialize, Serialize};

words! {
    /// Where the node is in its life.
    #[derive(Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "snake_case")]
    Lifecycle {
        /// A machine presented a token and waits for an operator.
        PendingApproval = "pending_approval",
        /// Approved; the first link has not come up yet.
        Enrolling = "enrolling",
        /// Its link has been up.
        InService = "in_service",
        /// Rejected, or taken out of service; its certificates are revoked.
        Removed = "removed",
    }
}

words! {
    /// Whether the coordinator hears from the agent. Says nothing about cells.
    #[derive(Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "snake_case")]
    Presence {
        /// A frame came within [`STALE_MS`].
        Online = "online",
        /// Silent for [`STALE_MS`].
        Stale = "stale",
        /// Silent for [`OFFLINE_MS`].
        Offline = "offline",
        /// The coordinator has just started and has not heard from the agent yet.
        Unknown = "unknown",
    }
}

words! {
    /// Whether new work may be placed on the node.
    #[derive(Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "snake_case")]
    Scheduling {
        /// Yes.
        Open = "open",
        /// No; what runs stays.
        Cordoned = "cordoned",
        /// No; becomes `maintenance` when the last slot is free.
        Draining = "draining",
        /// No, and nothing runs.
        Maintenance = "maintenance",
    }
}

words! {
    /// Whether the hardware can be trusted.
    #[derive(Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "snake_case")]
    Health {
        /// Yes.
        Ok = "ok",
        /// A part does not answer; its slots are held.
        Degraded = "degraded",
        /// Nothing may be placed until an operator has cleared it.
        Quarantined = "quarantined",
    }
}

/// Silence after which a node is stale, ms.
pub const STALE_MS: i64 = 8_000;
/// Silence after which a node is offline, ms.
pub const OFFLINE_MS: i64 = 12_000;
/// Time after the coordinator's start in which silence is no evidence, ms.
pub const UNKNOWN_MS: i64 = 30_000;

const _: () = assert!(STALE_MS < OFFLINE_MS && OFFLINE_MS < UNKNOWN_MS);

/// Presence from the last frame, on one monotonic clock in ms. `last_frame` is none if no frame came since
/// `started`, the coordinator's start.
#[must_use]
pub fn presence(now: i64, started: i64, last_frame: Option<i64>) -> Presence {
    match last_frame {
        Some(at) if now - at < STALE_MS => Presence::Online,
        Some(at) if now - at < OFFLINE_MS => Presence::Stale,
        Some(_) => Presence::Offline,
        None if now - started < UNKNOWN_MS => Presence::Unknown,
        None => Presence::Offline,
    }
}

impl Presence {
    /// What is shown of a node whose presence was settled as `settled` before: one that was offline stays so
    /// until it is heard, whoever restarts meanwhile.
    #[must_use]
    pub fn after(self, settled: Self) -> Self {
        if self == Self::Unknown && settled == Self::Offline { Self::Offline } else { self }
    }
}

/// The four facets together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facets {
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// Whether its agent is heard.
    pub presence: Presence,
    /// Whether new work may come.
    pub scheduling: Scheduling,
    /// Whether its hardware is trusted.
    pub health: Health,
}

impl Facets {
    /// The one word shown as `state`: the first that applies.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self {
            Self { lifecycle: Lifecycle::Removed, .. } => "removed",
            Self { lifecycle: Lifecycle::PendingApproval, .. } => "pending_approval",
            Self { lifecycle: Lifecycle::Enrolling, .. } => "enrolling",
            Self { presence: Presence::Offline, .. } => "offline",
            Self { presence: Presence::Stale, .. } => "stale",
            Self { health: Health::Quarantined, .. } => "quarantined",
            Self { scheduling: Scheduling::Maintenance, .. } => "maintenance",
            Self { scheduling: Scheduling::Draining, .. } => "draining",
            Self { scheduling: Scheduling::Cordoned, .. } => "cordoned",
            Self { .. } => "active",
        }
    }

    /// New work may be placed.
    #[must_use]
    pub fn schedulable(&self) -> bool {
        self.lifecycle == Lifecycle::InService
            && self.presence == Presence::Online
            && self.scheduling == Scheduling::Open
            && self.health != Health::Quarantined
    }
}

/// What can be done to, or happen to, lifecycle and scheduling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// An operator or a policy lets the machine in.
    Approve,
    /// An operator does not.
    Reject,
    /// The first link came up.
    Connected,
    /// No new work.
    Cordon,
    /// New work again.
    Uncordon,
    /// No new work, and maintenance when empty.
    Drain,
    /// The last slot of a draining node came free.
    Drained,
    /// Out of service for good.
    Remove,
}

/// The event does not fit the state; the word is for the problem's detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a node that is {0} cannot do that")]
pub struct Refused(pub &'static str);

/// Lifecycle and scheduling after an event. An event that is already true changes nothing.
///
/// # Errors
/// [`Refused`] if the event does not fit.
pub fn apply(lifecycle: Lifecycle, scheduling: Scheduling, event: Event) -> Result<(Lifecycle, Scheduling), Refused> {
    use Lifecycle::{Enrolling, InService, PendingApproval, Removed};
    use Scheduling::{Cordoned, Draining, Maintenance, Open};
    let admitted = matches!(lifecycle, Enrolling | InService);
    match event {
        Event::Approve if lifecycle == PendingApproval => Ok((Enrolling, scheduling)),
        Event::Reject if lifecycle == PendingApproval => Ok((Removed, scheduling)),
        Event::Connected if admitted => Ok((InService, scheduling)),
        Event::Cordon if admitted && scheduling != Maintenance => Ok((lifecycle, Cordoned)),
        Event::Uncordon if admitted => Ok((lifecycle, Open)),
        Event::Drain if admitted && scheduling != Maintenance => Ok((lifecycle, Draining)),
        Event::Drained if admitted && scheduling == Draining => Ok((lifecycle, Maintenance)),
        Event::Remove if lifecycle != Removed => Ok((Removed, scheduling)),
        _ if lifecycle == InService => Err(Refused(scheduling.word())),
        _ => Err(Refused(lifecycle.word())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVENTS: &[Event] = &[
        Event::Approve,
        Event::Reject,
        Event::Connected,
        Event::Cordon,
        Event::Uncordon,
        Event::Drain,
        Event::Drained,
        Event::Remove,
    ];

    proptest! {
        #[test]
        fn a_removed_node_stays_removed_and_no_one_skips_approval(events in proptest::collection::vec(0..EVENTS.len(), 0..40)) {
            let (mut lifecycle, mut scheduling) = (Lifecycle::PendingApproval, Scheduling::Open);
            let mut approved = false;
            for event in events.into_iter().map(|index| EVENTS[index]) {
                let before = lifecycle;
                if let Ok((next, plan)) = apply(lifecycle, scheduling, event) {
                    approved |= event == Event::Approve;
                    (lifecycle, scheduling) = (next, plan);
                }
                prop_assert!(before != Lifecycle::Removed || lifecycle == Lifecycle::Removed);
                prop_assert!(approved || !matches!(lifecycle, Lifecycle::Enrolling | Lifecycle::InService));
            }
        }

        #[test]
        fn presence_only_falls_with_silence(started in 0i64..1_000, last in proptest::option::of(0i64..100_000), a in 0i64..200_000, b in 0i64..200_000) {
            let rank = |presence| match presence { Presence::Online => 0, Presence::Unknown | Presence::Stale => 1, Presence::Offline => 2 };
            let base = last.unwrap_or(started);
            let (early, late) = (a.min(b), a.max(b));
            prop_assert!(rank(presence(base + early, started, last)) <= rank(presence(base + late, started, last)));
        }
    }

    #[test]
    fn the_first_word_that_applies_is_the_state() {
        let mut facets = Facets {
            lifecycle: Lifecycle::InService,
            presence: Presence::Online,
            scheduling: Scheduling::Cordoned,
            health: Health::Ok,
        };
        assert_eq!((facets.state(), facets.schedulable()), ("cordoned", false));
        facets.health = Health::Quarantined;
        assert_eq!(facets.state(), "quarantined");
        facets.presence = Presence::Stale;
        assert_eq!(facets.state(), "stale");
        facets.lifecycle = Lifecycle::Removed;
        assert_eq!(facets.state(), "removed");
        facets = Facets {
            lifecycle: Lifecycle::InService,
            presence: Presence::Online,
            scheduling: Scheduling::Open,
            health: Health::Degraded,
        };
        assert_eq!((facets.state(), facets.schedulable()), ("active", true));
    }

    #[test]
    fn silence_is_stale_then_offline_and_unknown_after_a_start() {
        assert_eq!(presence(100_000, 0, Some(93_000)), Presence::Online);
        assert_eq!(presence(100_000, 0, Some(92_000)), Presence::Stale);
        assert_eq!(presence(100_000, 0, Some(88_000)), Presence::Offline);
        assert_eq!(presence(29_999, 0, None), Presence::Unknown);
        assert_eq!(presence(30_000, 0, None), Presence::Offline);
    }

    #[test]
    fn words_round_trip() {
        for lifecycle in Lifecycle::ALL {
            assert_eq!(lifecycle.word().parse(), Ok(*lifecycle));
        }
        assert!("fine".parse::<Health>().is_err());
    }
}
