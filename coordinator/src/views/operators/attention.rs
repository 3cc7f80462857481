//! What needs an operator, worst first, from the rows and the live presence. Each item goes when its cause does.

use super::store;
use crate::app::App;
use crate::attention::verbs::Seen;
use crate::attention::{self, Ack};
use crate::base::clock::{rfc3339, rfc3339_opt};
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::nodes::model::{Health, Lifecycle, Presence};
use crate::nodes::store::{Brief, briefs_in};
use crate::nodes::view::brief_facets;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;

/// How long a failed operation asks for a look.
const FAILED_MS: i64 = 24 * 3_600_000;
/// Most items shown; the count says how many there are.
const SHOWN_MAX: usize = 200;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    /// Something does not work.
    Critical,
    /// Something will not work soon, or waits for a person.
    Warning,
    /// A decision that nobody suffers from.
    Info,
}

/// Which part of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Family {
    /// Nodes and their slots.
    Lifecycle,
    /// Leases.
    Allocations,
}

/// One thing that needs an operator.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct AttentionItem {
    /// The same as long as the cause lasts: `offline:nd_…`.
    pub id: String,
    /// Which part of the platform.
    pub family: Family,
    /// `offline`, `quarantined`, `operation_failed`, `release_failed`, `stale`, `needs_approval`,
    /// `certificate_expiring`, `degraded`, `slots_held` or `slots_waiting`.
    pub cause: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The node it is about.
    pub node_id: String,
    /// What operators call it.
    pub node_name: String,
    /// The allocation or operation it is about, if not the node.
    pub subject_id: Option<String>,
    /// One sentence for people.
    pub title: String,
    /// More of it; empty if there is no more.
    pub detail: String,
    /// Since when, as far as known.
    pub since: Option<String>,
    /// Names the failure in logs and audit trail.
    pub correlation_id: Option<String>,
    /// Who of the operators has seen it; null: nobody yet.
    pub seen: Option<SeenBy>,
    #[serde(skip)]
    since_ms: Option<i64>,
}

/// Who has seen an item.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct SeenBy {
    /// Their sign-in name at that time.
    pub by: String,
    /// When.
    pub at: String,
    /// In their words; may be empty.
    pub note: String,
}

impl From<&Ack> for SeenBy {
    fn from(ack: &Ack) -> Self {
        Self { by: ack.user_name.clone(), at: rfc3339(ack.at_ms), note: ack.note.clone() }
    }
}

/// The queue.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Attention {
    /// Worst first; at most 200.
    pub items: Vec<AttentionItem>,
    /// How many there are.
    pub total: i64,
    /// How many of them nobody has seen.
    pub unseen: i64,
    /// When it was put together.
    pub at: String,
}

/// Puts the queue together; `family` narrows it.
///
/// # Errors
/// Only what the store says.
pub(super) fn list_in(tx: &mut Tx, app: &App, now_ms: i64, family: Option<Family>) -> Result<Attention, Problem> {
    let mut items = all_in(tx, app, now_ms)?;
    items.retain(|item| family.is_none_or(|family| family == item.family));
    let acks = attention::acks_in(tx)?;
    for item in &mut items {
        item.seen = acks.get(&item.id).filter(|ack| ack.is_of(item.since_ms, now_ms)).map(SeenBy::from);
    }
    let place = |item: &AttentionItem| (item.seen.is_some(), item.severity, item.cause, item.node_name.clone());
    items.sort_by_cached_key(place);
    let count = |all: usize| i64::try_from(all).unwrap_or(i64::MAX);
    let (total, unseen) = (count(items.len()), count(items.iter().filter(|item| item.seen.is_none()).count()));
    items.truncate(SHOWN_MAX);
    Ok(Attention { items, total, unseen, at: rfc3339(now_ms) })
}

fn all_in(tx: &mut Tx, app: &App, now_ms: i64) -> Result<Vec<AttentionItem>, Problem> {
    let nodes = briefs_in(tx)?;
    let names: HashMap<String, String> = nodes.iter().map(|node| (node.id.to_string(), node.name.clone())).collect();
    let mut items: Vec<_> = nodes.iter().flat_map(|node| of_node(app, now_ms, node)).collect();
    let named = |id: &str| names.get(id).cloned().unwrap_or_else(|| id.to_owned());
    for (node, until) in store::ending_certificates_in(tx, now_ms)? {
        let (id, name) = (node.to_string(), named(&node.to_string()));
        let over = until <= now_ms;
        let title = format!("The certificate of {name} {}", if over { "has ended." } else { "ends soon." });
        let detail = format!("It ends at {}; a node renews it long before, when it is connected.", rfc3339(until));
        items.push(item("certificate_expiring", Severity::Warning, (id, name), title, detail));
    }
    for slots in store::waiting_slots_in(tx)? {
        let (id, name) = (slots.node.to_string(), named(&slots.node.to_string()));
        if slots.held > 0 {
            let title = slots_of(slots.held, &name, "held back");
            let detail = "Find out why, then clear the hold.".to_owned();
            items.push(item("slots_held", Severity::Warning, (id.clone(), name.clone()), title, detail));
        }
        if slots.discovered > 0 {
            let title = slots_of(slots.discovered, &name, "to be approved or rejected");
            items.push(item("slots_waiting", Severity::Info, (id, name), title, String::new()));
        }
    }
    for failed in store::failed_on_nodes_in(tx, now_ms - FAILED_MS)? {
        let title = format!("{} failed on {}.", failed.name, named(&failed.node));
        items.push(broken(Family::Lifecycle, "operation_failed", title, failed, &named));
    }
    for unproved in store::unproved_in(tx)? {
        let title = format!("The release of {} is not proved.", unproved.name);
        items.push(broken(Family::Allocations, "release_failed", title, unproved, &named));
    }
    Ok(items)
}

/// Notes that the actor has seen an item of the queue. 404 for one that is not in it.
pub(super) fn ack_in(tx: &mut Tx, app: &App, cx: &Cx, id: &str, seen: &Seen) -> Result<AttentionItem, Problem> {
    let mut item = find_in(tx, app, cx.now_ms, id)?;
    item.seen = Some(SeenBy::from(&attention::verbs::ack_in(tx, cx, id, seen)?));
    Ok(item)
}

/// An item of the queue counts as unseen again. 404 for one that is not in it.
pub(super) fn unack_in(tx: &mut Tx, app: &App, cx: &Cx, id: &str) -> Result<(), Problem> {
    find_in(tx, app, cx.now_ms, id)?;
    attention::verbs::unack_in(tx, cx, id)
}

fn find_in(tx: &mut Tx, app: &App, now_ms: i64, id: &str) -> Result<AttentionItem, Problem> {
    let found = all_in(tx, app, now_ms)?.into_iter().find(|item| item.id == id);
    found.ok_or_else(|| Problem::not_found("item of the queue"))
}

fn slots_of(number: i64, name: &str, what: &str) -> String {
    if number == 1 { format!("1 slot of {name} {what}.") } else { format!("{number} slots of {name} {what}.") }
}

fn item(
    cause: &'static str,
    severity: Severity,
    (node_id, node_name): (String, String),
    title: String,
    detail: String,
) -> AttentionItem {
    AttentionItem {
        id: format!("{cause}:{node_id}"),
        family: Family::Lifecycle,
        cause,
        severity,
        node_id,
        node_name,
        subject_id: None,
        title,
        detail,
        since: None,
        correlation_id: None,
        seen: None,
        since_ms: None,
    }
}

fn broken(
    family: Family,
    cause: &'static str,
    title: String,
    found: store::Broken,
    named: &impl Fn(&str) -> String,
) -> AttentionItem {
    let name = named(&found.node);
    AttentionItem {
        id: format!("{cause}:{}", found.id),
        family,
        subject_id: Some(found.id),
        since: Some(rfc3339(found.at_ms)),
        since_ms: Some(found.at_ms),
        correlation_id: Some(found.correlation_id).filter(|id| !id.is_empty()),
        ..item(cause, Severity::Critical, (found.node, name), title, found.detail)
    }
}

/// What the facets of a node say; a removed one needs nobody.
fn of_node(app: &App, now_ms: i64, node: &Brief) -> Vec<AttentionItem> {
    let facets = brief_facets(app, node);
    let seen_ms = app.board.age_ms(node.id).map(|age| now_ms - age).or(node.last_seen_ms);
    let (name, mut found) = (&node.name, Vec::new());
    let mut add = |cause, severity, title: String, detail: String, since: Option<i64>| {
        let named = (node.id.to_string(), name.clone());
        found.push(AttentionItem {
            since: rfc3339_opt(since),
            since_ms: since,
            ..item(cause, severity, named, title, detail)
        });
    };
    match (facets.lifecycle, facets.presence) {
        (Lifecycle::PendingApproval, _) => {
            let detail = "Compare its fingerprint with what the machine shows, then let it in.".to_owned();
            add(
                "needs_approval",
                Severity::Warning,
                format!("{name} waits for approval."),
                detail,
                Some(node.created_ms),
            );
        }
        (Lifecycle::InService, Presence::Offline) => {
            let detail = "What runs there runs on. Look at the machine, its network and its agent.".to_owned();
            add("offline", Severity::Critical, format!("{name} is offline."), detail, seen_ms);
        }
        (Lifecycle::InService, Presence::Stale) => {
            add("stale", Severity::Warning, format!("{name} has fallen silent."), String::new(), seen_ms);
        }
        _ => {}
    }
    if matches!(facets.lifecycle, Lifecycle::InService | Lifecycle::Enrolling) {
        let reason = node.health_reason.clone();
        match facets.health {
            Health::Quarantined => {
                add("quarantined", Severity::Critical, format!("{name} is quarantined."), reason, None);
            }
            Health::Degraded => add("degraded", Severity::Warning, format!("{name} is degraded."), reason, None),
            Health::Ok => {}
        }
    }
    found
}
