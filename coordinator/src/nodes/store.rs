//! All SQL about nodes.

use super::facts::Facts;
use super::model::{Facets, Health, Lifecycle, Presence, Scheduling};
use crate::base::feed::Change;
use crate::base::http::{PageQuery, Problem};
use crate::base::store::{Row, Tx};
use crate::values;
use muster_protocol::ids::NodeId;
use std::collections::BTreeMap;

/// A node as stored.
#[derive(Debug, Clone)]
pub struct NodeRow {
    /// Fixed for life.
    pub id: NodeId,
    /// What operators call it.
    pub name: String,
    /// Its facets; presence is the last settled one.
    pub facets: Facets,
    /// Why health is not `ok`; empty if it is.
    pub health_reason: String,
    /// When it was last heard, ms since 1970, as of the last settled presence.
    pub last_seen_ms: Option<i64>,
    /// Operators' labels.
    pub labels: BTreeMap<String, String>,
    /// Counts operators' edits.
    pub version: i64,
    /// SHA-256 of its public key, hex.
    pub key_sha256: String,
    /// The token that let it in.
    pub token_id: String,
    /// Replacements of an expired certificate that are left.
    pub recovery_left: i64,
    /// Set when its key and certificates were revoked.
    pub revoked_ms: Option<i64>,
    /// Tells its machine from a clone, hex; empty if unknown.
    pub machine_sha256: String,
    /// Version of the agent at the last hello.
    pub agent_version: String,
    /// Kernel boot id at the last hello.
    pub boot_id: String,
    /// Journal epoch at the last hello.
    pub journal_epoch: String,
    /// Starts of the agent at the last hello.
    pub join_sequence: i64,
    /// What the agent says of the machine.
    pub facts: Facts,
    /// When a drain ends what still runs there, ms since 1970; none: it waits as long as that takes.
    pub drain_deadline_ms: Option<i64>,
    /// When the token was presented, ms since 1970.
    pub created_ms: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, lifecycle, scheduling, health, health_reason, presence, last_seen_ms, labels, version, \
             key_sha256, token_id, recovery_left, revoked_ms, machine_sha256, agent_version, boot_id, journal_epoch, \
             join_sequence, facts, drain_deadline_ms, created_ms FROM nodes ",
            $rest
        )
    };
}

fn node(row: &Row) -> Result<NodeRow, Problem> {
    Ok(NodeRow {
        id: row.get(0)?,
        name: row.get(1)?,
        facets: Facets {
            lifecycle: row.parse(2)?,
            scheduling: row.parse(3)?,
            health: row.parse(4)?,
            presence: row.parse(6)?,
        },
        health_reason: row.get(5)?,
        last_seen_ms: row.get(7)?,
        labels: row.json(8)?,
        version: row.get(9)?,
        key_sha256: row.get(10)?,
        token_id: row.get(11)?,
        recovery_left: row.get(12)?,
        revoked_ms: row.get(13)?,
        machine_sha256: row.get(14)?,
        agent_version: row.get(15)?,
        boot_id: row.get(16)?,
        journal_epoch: row.get(17)?,
        join_sequence: row.get(18)?,
        facts: row.json(19)?,
        drain_deadline_ms: row.get(20)?,
        created_ms: row.get(21)?,
    })
}

/// Adds a node.
pub fn insert_in(tx: &mut Tx, node: &NodeRow) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO nodes(id, name, lifecycle, scheduling, health, health_reason, presence, last_seen_ms, labels, \
         version, key_sha256, token_id, recovery_left, revoked_ms, machine_sha256, agent_version, boot_id, \
         journal_epoch, join_sequence, facts, drain_deadline_ms, created_ms) \
         VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)",
        &values![
            node.id,
            &node.name,
            node.facets.lifecycle.word(),
            node.facets.scheduling.word(),
            node.facets.health.word(),
            &node.health_reason,
            node.facets.presence.word(),
            node.last_seen_ms,
            json(&node.labels)?,
            node.version,
            &node.key_sha256,
            &node.token_id,
            node.recovery_left,
            node.revoked_ms,
            &node.machine_sha256,
            &node.agent_version,
            &node.boot_id,
            &node.journal_epoch,
            node.join_sequence,
            json(&node.facts)?,
            node.drain_deadline_ms,
            node.created_ms,
        ],
    )?;
    Ok(())
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(Problem::internal)
}

/// A node, if there is one with this id.
pub fn find_in(tx: &mut Tx, id: NodeId) -> Result<Option<NodeRow>, Problem> {
    tx.opt(select!("WHERE id = $1"), &values![id], node)
}

/// A node, or 404.
pub fn get_in(tx: &mut Tx, id: NodeId) -> Result<NodeRow, Problem> {
    find_in(tx, id)?.ok_or_else(|| Problem::not_found("node"))
}

/// What a node is called; none if there is no such node.
pub fn name_in(tx: &mut Tx, id: NodeId) -> Result<Option<String>, Problem> {
    tx.opt("SELECT name FROM nodes WHERE id = $1", &values![id], |row| row.get(0))
}

/// The node that a key is bound to.
pub fn by_key_in(tx: &mut Tx, key_sha256: &str) -> Result<Option<NodeRow>, Problem> {
    tx.opt(select!("WHERE key_sha256 = $1"), &values![key_sha256], node)
}

/// A page of nodes, oldest first.
pub fn page_in(tx: &mut Tx, query: &PageQuery) -> Result<Vec<NodeRow>, Problem> {
    let (at, id, most) = query.oldest_first()?;
    tx.all(select!("WHERE (created_ms, id) > ($1, $2) ORDER BY created_ms, id LIMIT $3"), &values![at, id, most], node)
}

/// The short row of a node: what its state is derived from, and what it is called.
#[derive(Debug, Clone)]
pub struct Brief {
    /// Fixed for life.
    pub id: NodeId,
    /// What operators call it.
    pub name: String,
    /// Its facets; presence is the last settled one.
    pub facets: Facets,
    /// Why health is not `ok`; empty if it is.
    pub health_reason: String,
    /// When it was last heard, ms since 1970, as of the last settled presence.
    pub last_seen_ms: Option<i64>,
    /// When the token was presented, ms since 1970.
    pub created_ms: i64,
    /// When its identity was revoked, ms since 1970.
    pub revoked_ms: Option<i64>,
}

/// The short rows of all nodes, oldest first, at most [`ALL_MAX`].
pub fn briefs_in(tx: &mut Tx) -> Result<Vec<Brief>, Problem> {
    tx.all(
        "SELECT id, name, lifecycle, scheduling, health, presence, health_reason, last_seen_ms, created_ms, revoked_ms \
         FROM nodes ORDER BY created_ms, id LIMIT 100000",
        &[],
        |row| {
            Ok(Brief {
                id: row.get(0)?,
                name: row.get(1)?,
                facets: Facets {
                    lifecycle: row.parse(2)?,
                    scheduling: row.parse(3)?,
                    health: row.parse(4)?,
                    presence: row.parse(5)?,
                },
                health_reason: row.get(6)?,
                last_seen_ms: row.get(7)?,
                created_ms: row.get(8)?,
                revoked_ms: row.get(9)?,
            })
        },
    )
}

/// How many nodes there are.
pub fn count_in(tx: &mut Tx) -> Result<i64, Problem> {
    tx.one("SELECT CAST(COUNT(*) AS BIGINT) FROM nodes", &[], |row| row.get(0))
}

/// Nodes that are enrolling or in service, at most [`ALL_MAX`].
pub fn admitted_in(tx: &mut Tx) -> Result<Vec<NodeRow>, Problem> {
    tx.all(select!("WHERE lifecycle IN ('enrolling', 'in_service') ORDER BY id LIMIT 100000"), &[], node)
}

/// Most nodes of one fleet that are read at once.
pub const ALL_MAX: usize = 100_000;

/// Id and settled presence of every node in service that may be heard.
pub fn presences_in(tx: &mut Tx) -> Result<Vec<(NodeId, Presence)>, Problem> {
    tx.all(
        "SELECT id, presence FROM nodes WHERE lifecycle = 'in_service' AND revoked_ms IS NULL ORDER BY id LIMIT 100000",
        &[],
        |row| Ok((row.get(0)?, row.parse(1)?)),
    )
}

/// Other nodes that say they are the same machine.
pub fn same_machine_in(tx: &mut Tx, id: NodeId, machine_sha256: &str) -> Result<Vec<NodeId>, Problem> {
    if machine_sha256.is_empty() {
        return Ok(Vec::new());
    }
    tx.all(
        "SELECT id FROM nodes WHERE machine_sha256 = $1 AND id <> $2 AND lifecycle <> 'removed' ORDER BY id LIMIT 20",
        &values![machine_sha256, id],
        |row| row.get(0),
    )
}

/// Nodes whose certificates are worth nothing.
pub fn revoked_in(tx: &mut Tx) -> Result<Vec<NodeId>, Problem> {
    tx.all(
        "SELECT id FROM nodes WHERE revoked_ms IS NOT NULL OR lifecycle = 'removed' ORDER BY id LIMIT 100000",
        &[],
        |row| row.get(0),
    )
}

/// Stores lifecycle and scheduling. A drain that is over has no deadline.
pub fn save_stage_in(tx: &mut Tx, id: NodeId, lifecycle: Lifecycle, scheduling: Scheduling) -> Result<(), Problem> {
    tx.exec(
        "UPDATE nodes SET lifecycle = $2, scheduling = $3, version = version + 1, \
         drain_deadline_ms = CASE WHEN $3 = 'draining' THEN drain_deadline_ms END WHERE id = $1",
        &values![id, lifecycle.word(), scheduling.word()],
    )?;
    Ok(())
}

/// Stores when a drain ends what still runs.
pub fn save_drain_deadline_in(tx: &mut Tx, id: NodeId, deadline_ms: Option<i64>) -> Result<(), Problem> {
    tx.exec("UPDATE nodes SET drain_deadline_ms = $2, version = version + 1 WHERE id = $1", &values![id, deadline_ms])?;
    Ok(())
}

/// Draining nodes whose deadline has passed.
pub fn drains_due_in(tx: &mut Tx, now_ms: i64) -> Result<Vec<NodeId>, Problem> {
    tx.all(
        "SELECT id FROM nodes WHERE scheduling = 'draining' AND drain_deadline_ms <= $1 ORDER BY id LIMIT 1000",
        &values![now_ms],
        |row| row.get(0),
    )
}

/// Stores health and its reason. True if that was news.
pub fn save_health_in(tx: &mut Tx, id: NodeId, health: Health, reason: &str) -> Result<bool, Problem> {
    let rows = tx.exec(
        "UPDATE nodes SET health = $2, health_reason = $3 WHERE id = $1 AND (health <> $2 OR health_reason <> $3)",
        &values![id, health.word(), reason],
    )?;
    Ok(rows == 1)
}

/// Stores name and labels if the version is still the one that was read.
pub fn save_labels_in(
    tx: &mut Tx,
    id: NodeId,
    version: i64,
    name: &str,
    labels: &BTreeMap<String, String>,
) -> Result<bool, Problem> {
    let rows = tx.exec(
        "UPDATE nodes SET name = $3, labels = $4, version = version + 1 WHERE id = $1 AND version = $2",
        &values![id, version, name, json(labels)?],
    )?;
    Ok(rows == 1)
}

fn presence_changed(id: NodeId, now_ms: i64) -> Change {
    Change { topic: "nodes", id: id.to_string(), kind: "nodes.presence", tenant: None, at_ms: now_ms }
}

/// Stores a settled presence.
pub fn save_presence_in(
    tx: &mut Tx,
    id: NodeId,
    presence: Presence,
    seen_ms: Option<i64>,
    now_ms: i64,
) -> Result<(), Problem> {
    tx.changed(presence_changed(id, now_ms));
    tx.exec(
        "UPDATE nodes SET presence = $2, last_seen_ms = CASE WHEN CAST($3 AS BIGINT) IS NULL THEN last_seen_ms \
         ELSE CAST($3 AS BIGINT) END WHERE id = $1",
        &values![id, presence.word(), seen_ms],
    )?;
    Ok(())
}

/// Stores what a hello said, and that the node was heard.
pub fn save_hello_in(tx: &mut Tx, node: &NodeRow, now_ms: i64) -> Result<(), Problem> {
    tx.changed(presence_changed(node.id, now_ms));
    tx.exec(
        "UPDATE nodes SET agent_version = $2, boot_id = $3, journal_epoch = $4, join_sequence = $5, \
         machine_sha256 = $6, last_seen_ms = $7, presence = $8 WHERE id = $1",
        &values![
            node.id,
            &node.agent_version,
            &node.boot_id,
            &node.journal_epoch,
            node.join_sequence,
            &node.machine_sha256,
            node.last_seen_ms,
            node.facets.presence.word(),
        ],
    )?;
    Ok(())
}

/// Stores what the agent says of the machine.
pub fn save_facts_in(tx: &mut Tx, id: NodeId, facts: &Facts) -> Result<(), Problem> {
    tx.exec("UPDATE nodes SET facts = $2 WHERE id = $1", &values![id, json(facts)?])?;
    Ok(())
}

/// The next hello says which machine the node is.
pub fn forget_machine_in(tx: &mut Tx, id: NodeId) -> Result<(), Problem> {
    tx.exec("UPDATE nodes SET machine_sha256 = '', join_sequence = 0 WHERE id = $1", &values![id])?;
    Ok(())
}

/// Stores the token of a repeated enrolment and a full recovery budget.
pub fn save_token_in(tx: &mut Tx, id: NodeId, token_id: &str, recovery_left: i64) -> Result<(), Problem> {
    tx.exec("UPDATE nodes SET token_id = $2, recovery_left = $3 WHERE id = $1", &values![id, token_id, recovery_left])?;
    Ok(())
}

/// Takes one recovery from the budget. False if none is left.
pub fn take_recovery_in(tx: &mut Tx, id: NodeId) -> Result<bool, Problem> {
    let taken = tx
        .exec("UPDATE nodes SET recovery_left = recovery_left - 1 WHERE id = $1 AND recovery_left > 0", &values![id])?;
    Ok(taken == 1)
}

/// Makes the node's key and certificates worthless. True if they were not before.
pub fn revoke_in(tx: &mut Tx, id: NodeId, now_ms: i64) -> Result<bool, Problem> {
    let rows = tx.exec(
        "UPDATE nodes SET revoked_ms = $2, version = version + 1 WHERE id = $1 AND revoked_ms IS NULL",
        &values![id, now_ms],
    )?;
    Ok(rows == 1)
}

/// Every node that may connect waits for an operator again; for a restore.
pub fn hold_all_in(tx: &mut Tx) -> Result<u64, Problem> {
    tx.exec(
        "UPDATE nodes SET lifecycle = 'pending_approval', presence = 'offline', version = version + 1 \
         WHERE lifecycle IN ('enrolling', 'in_service') AND revoked_ms IS NULL",
        &[],
    )
}
