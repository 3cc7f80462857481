//! What can be done with a node now, by intent, and why not. Pure.

use super::model::{Event, Facets, Health, Lifecycle, Presence, Scheduling, apply};
use crate::base::authz::Verb;
use serde::Serialize;
use utoipa::ToSchema;

/// What an act is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Letting it in.
    Setup,
    /// Changing what is known of it.
    Update,
    /// Running it.
    Maintenance,
    /// Bringing it back.
    Recovery,
    /// What cannot be undone.
    Destructive,
}

/// One act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NodeOperation {
    /// The last word of its verb: `probe`.
    pub name: &'static str,
    /// What it is for.
    pub intent: Intent,
    /// It can be done now.
    pub enabled: bool,
    /// Why not, for people; null if it can.
    pub reason: Option<String>,
}

/// Every act in the order of intents. `may` tells what the role of who asks allows, `open` names the kinds of
/// operation that run on the node.
#[must_use]
pub fn of(may: impl Fn(Verb) -> bool, facets: &Facets, revoked: bool, open: &[String]) -> Vec<NodeOperation> {
    let acts: [(&'static str, Intent, Verb, Option<&'static str>); 10] = [
        ("approve", Intent::Setup, Verb::NodesApprove, pending(facets)),
        ("update", Intent::Update, Verb::NodesUpdate, gone(facets)),
        ("probe", Intent::Maintenance, Verb::NodesProbe, probe(facets, open)),
        ("cordon", Intent::Maintenance, Verb::NodesCordon, moved(facets, Event::Cordon)),
        ("drain", Intent::Maintenance, Verb::NodesDrain, moved(facets, Event::Drain)),
        ("uncordon", Intent::Recovery, Verb::NodesUncordon, moved(facets, Event::Uncordon)),
        ("reactivate", Intent::Recovery, Verb::NodesReactivate, quarantined(facets, revoked)),
        ("reject", Intent::Destructive, Verb::NodesReject, pending(facets)),
        ("revoke", Intent::Destructive, Verb::NodesRevoke, if revoked { Some("It is revoked.") } else { gone(facets) }),
        ("remove", Intent::Destructive, Verb::NodesRemove, gone(facets)),
    ];
    acts.into_iter()
        .map(|(name, intent, verb, reason)| {
            let role = (!may(verb)).then_some("Your role does not allow this.");
            let reason = role.or(reason).map(ToOwned::to_owned);
            NodeOperation { name, intent, enabled: reason.is_none(), reason }
        })
        .collect()
}

/// Why an event does not fit a node, for people.
#[must_use]
pub fn refusal(facets: &Facets, event: Event) -> &'static str {
    let reason = match event {
        Event::Approve | Event::Reject => pending(facets),
        Event::Remove => gone(facets),
        _ => moved(facets, event),
    };
    reason.unwrap_or("It cannot do that now.")
}

fn pending(facets: &Facets) -> Option<&'static str> {
    (facets.lifecycle != Lifecycle::PendingApproval).then_some("It does not wait for approval.")
}

pub(super) fn quarantined(facets: &Facets, revoked: bool) -> Option<&'static str> {
    match facets.health {
        _ if facets.lifecycle == Lifecycle::Removed => Some("It is out of service for good."),
        _ if revoked => Some("Its identity is revoked: enrol the machine again."),
        Health::Quarantined => None,
        _ => Some("It is not quarantined."),
    }
}

fn gone(facets: &Facets) -> Option<&'static str> {
    (facets.lifecycle == Lifecycle::Removed).then_some("It is out of service for good.")
}

fn probe(facets: &Facets, open: &[String]) -> Option<&'static str> {
    match facets {
        _ if facets.lifecycle != Lifecycle::InService => Some("It is not in service."),
        _ if open.iter().any(|kind| kind == super::probe::KIND.name) => Some("A probe of it is running."),
        Facets { presence: Presence::Online, .. } => None,
        _ => Some("Its agent is not connected."),
    }
}

fn moved(facets: &Facets, event: Event) -> Option<&'static str> {
    match apply(facets.lifecycle, facets.scheduling, event) {
        Ok(next) if next != (facets.lifecycle, facets.scheduling) => None,
        _ => Some(match (facets.lifecycle, facets.scheduling) {
            (Lifecycle::InService | Lifecycle::Enrolling, Scheduling::Open) => "It takes new work already.",
            (Lifecycle::InService | Lifecycle::Enrolling, Scheduling::Cordoned) => "It is cordoned.",
            (Lifecycle::InService | Lifecycle::Enrolling, Scheduling::Draining) => "It is draining.",
            (Lifecycle::InService | Lifecycle::Enrolling, Scheduling::Maintenance) => "It is in maintenance.",
            _ => "It is not in service.",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(lifecycle: Lifecycle, presence: Presence, scheduling: Scheduling) -> Vec<(&'static str, String)> {
        let facets = Facets { lifecycle, presence, scheduling, health: Health::Ok };
        let all = of(|_| true, &facets, false, &[]);
        all.into_iter().filter_map(|one| one.reason.map(|reason| (one.name, reason))).collect()
    }

    #[test]
    fn what_cannot_be_done_says_why() {
        let blocked = |found: &[(&'static str, String)]| found.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let open = reasons(Lifecycle::InService, Presence::Online, Scheduling::Open);
        assert_eq!(blocked(&open), ["approve", "uncordon", "reactivate", "reject"]);
        let away = reasons(Lifecycle::InService, Presence::Offline, Scheduling::Cordoned);
        assert_eq!(blocked(&away), ["approve", "probe", "cordon", "reactivate", "reject"]);
        let waits = reasons(Lifecycle::PendingApproval, Presence::Unknown, Scheduling::Open);
        assert_eq!(blocked(&waits), ["probe", "cordon", "drain", "uncordon", "reactivate"]);
        let removed = reasons(Lifecycle::Removed, Presence::Offline, Scheduling::Open);
        assert_eq!(removed.len(), 10, "{removed:?}");
    }
}
