//! What agents say about their nodes, as changes of rows. An unchanged node costs no write.

use super::facts::{Facts, text};
use super::model::{Event, Health, Lifecycle, Presence, apply};
use super::store::{self, NodeRow};
use super::verbs;
use crate::app::App;
use crate::audit;
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use muster_protocol::control::Hello;
use muster_protocol::ids::NodeId;
use muster_protocol::inventory::Inventory;

/// What is kept of a hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Kernel boot id.
    pub boot_id: String,
    /// Random at the creation of the agent's journal.
    pub journal_epoch: String,
    /// Starts of the agent on that journal.
    pub join_sequence: i64,
    /// Version of the agent.
    pub agent_version: String,
    /// SHA-256 of what the agent knows the machine by, hex; empty if unknown.
    pub machine_sha256: String,
}

impl Greeting {
    /// What is kept of a hello, cut to size.
    #[must_use]
    pub fn of(hello: &Hello) -> Self {
        Self {
            boot_id: text(&hello.boot_id),
            journal_epoch: text(&hello.journal_epoch),
            join_sequence: i64::try_from(hello.join_sequence).unwrap_or(i64::MAX),
            agent_version: text(&hello.agent_version),
            machine_sha256: if hello.machine_sha256.len() == 32 {
                hex::encode(&hello.machine_sha256)
            } else {
                String::new()
            },
        }
    }

    fn stands_in(&self, node: &NodeRow) -> bool {
        node.facets.lifecycle == Lifecycle::InService
            && node.facets.presence == Presence::Online
            && node.boot_id == self.boot_id
            && node.journal_epoch == self.journal_epoch
            && node.join_sequence == self.join_sequence
            && node.agent_version == self.agent_version
            && node.machine_sha256 == self.machine_sha256
    }

    /// Why this hello cannot come from the machine that the node was until now; none if it can.
    fn clone_of(&self, node: &NodeRow) -> Option<&'static str> {
        if !node.machine_sha256.is_empty()
            && !self.machine_sha256.is_empty()
            && node.machine_sha256 != self.machine_sha256
        {
            return Some("another machine came with this node's identity");
        }
        let rewound = node.journal_epoch == self.journal_epoch && self.join_sequence < node.join_sequence;
        rewound.then_some("an older copy of this node's state came with its identity")
    }
}

/// Takes in a hello: none if there is no such node, it may not connect, or it is another machine than the node is.
///
/// # Errors
/// Only what the store says.
pub async fn greeted(app: &App, id: NodeId, greeting: Greeting) -> Result<Option<NodeRow>, Problem> {
    let Some(node) = app.store.read(move |tx| store::find_in(tx, id)).await? else { return Ok(None) };
    if apply(node.facets.lifecycle, node.facets.scheduling, Event::Connected).is_err() || node.revoked_ms.is_some() {
        return Ok(None);
    }
    if greeting.stands_in(&node) {
        return Ok(Some(node));
    }
    let cx = app.node(id);
    app.store.ingest(move |tx| greet_in(tx, &cx, id, &greeting)).await
}

/// A clone changes nothing but the node's health: which of the two machines is the node, an operator says.
fn greet_in(tx: &mut Tx, cx: &Cx, id: NodeId, greeting: &Greeting) -> Result<Option<NodeRow>, Problem> {
    let mut node = store::get_in(tx, id)?;
    if let Some(reason) = greeting.clone_of(&node) {
        verbs::set_health_in(tx, cx, id, Health::Quarantined, reason)?;
        return Ok(None);
    }
    if node.facets.lifecycle != Lifecycle::InService {
        verbs::change_in(tx, cx, id, Event::Connected, "nodes.connected")?;
        node = store::get_in(tx, id)?;
    }
    if !greeting.machine_sha256.is_empty() {
        node.machine_sha256.clone_from(&greeting.machine_sha256);
    }
    if !node.boot_id.is_empty() && node.boot_id != greeting.boot_id {
        let event = audit::Event::new("nodes.rebooted", id).before(&node.boot_id).after(&greeting.boot_id);
        audit::note(tx, cx, event)?;
    }
    node.boot_id.clone_from(&greeting.boot_id);
    node.journal_epoch.clone_from(&greeting.journal_epoch);
    node.join_sequence = greeting.join_sequence;
    node.agent_version.clone_from(&greeting.agent_version);
    node.last_seen_ms = Some(cx.now_ms);
    node.facets.presence = Presence::Online;
    store::save_hello_in(tx, &node, cx.now_ms)?;
    Ok(Some(node))
}

/// An inventory says something of the machine that is not in its row.
///
/// # Errors
/// Only what the store says.
pub fn is_news_in(tx: &mut Tx, id: NodeId, inventory: &Inventory) -> Result<bool, Problem> {
    Ok(store::get_in(tx, id)?.facts != Facts::of(inventory))
}

/// Takes in what an inventory says of the machine. False if it was known.
///
/// # Errors
/// Only what the store says.
pub fn inventory_in(tx: &mut Tx, cx: &Cx, id: NodeId, inventory: &Inventory) -> Result<bool, Problem> {
    let node = store::get_in(tx, id)?;
    let facts = Facts::of(inventory);
    if facts == node.facts {
        return Ok(false);
    }
    store::save_facts_in(tx, id, &facts)?;
    let health = if facts.gpu_state == "degraded" { Health::Degraded } else { Health::Ok };
    // What an operator or a clone check decided is not taken back by the agent's word.
    if node.facets.health != Health::Quarantined {
        verbs::set_health_in(tx, cx, id, health, if health == Health::Ok { "" } else { &facts.gpu_detail })?;
    }
    audit::note(tx, cx, audit::Event::new("nodes.inventory", id).after(&Changed::of(&facts)))?;
    Ok(true)
}

#[derive(serde::Serialize)]
struct Changed<'a> {
    gpu_state: &'a str,
    gpus: usize,
    driver_version: &'a str,
}

impl<'a> Changed<'a> {
    fn of(facts: &'a Facts) -> Self {
        Self { gpu_state: &facts.gpu_state, gpus: facts.gpus.len(), driver_version: &facts.driver_version }
    }
}

/// What a node that may not connect waits for, as a word and a sentence: an operator's decision, after a restore or
/// about two machines with one identity. None: it waits for nothing.
///
/// # Errors
/// Only what the store says.
pub async fn waits(app: &App, id: NodeId) -> Result<Option<(&'static str, &'static str)>, Problem> {
    let node = app.store.read(move |tx| store::find_in(tx, id)).await?.filter(|node| node.revoked_ms.is_none());
    Ok(node.and_then(|node| match (node.facets.lifecycle, node.facets.health) {
        (Lifecycle::PendingApproval, _) => Some(("pending_approval", "the node waits for an operator's approval")),
        (Lifecycle::Enrolling | Lifecycle::InService, Health::Quarantined) => {
            Some(("duplicate_identity", "another machine is this node: an operator decides which one stays"))
        }
        _ => None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_cut_to_size() {
        let hello = Hello {
            boot_id: "b".repeat(9_999),
            join_sequence: u64::MAX,
            machine_sha256: vec![1; 5],
            ..Hello::default()
        };
        let greeting = Greeting::of(&hello);
        assert!(greeting.boot_id.len() < 300);
        assert_eq!((greeting.join_sequence, greeting.machine_sha256.as_str()), (i64::MAX, ""));
    }
}
