//! All SQL of allocations, their slots and their logs.

use super::model::{Failure, Lease};
use crate::base::feed::Change;
use crate::base::http::Problem;
use crate::base::store::{Row, Tx, Value};
use crate::catalog::{Price, price_at};
use crate::values;
use muster_protocol::desired::{Size, Slot, SlotKind};
use muster_protocol::ids::{AllocationId, NodeId, OperationId, ProjectId, SkuId, SlotId, SshKeyId, TenantId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a cell is made of, fixed at launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// From the SKU.
    pub size: Size,
    /// Environment of every session.
    pub env: BTreeMap<String, String>,
    /// Batch command.
    pub command: Option<Vec<String>>,
    /// Ends the command after so many seconds.
    pub max_runtime_s: Option<u64>,
    /// Of the request that launched it.
    pub correlation_id: String,
}

/// Who may log in by SSH: ids for people, lines for the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// Ids of the keys.
    pub ids: Vec<SshKeyId>,
    /// Lines of `authorized_keys`.
    pub lines: Vec<String>,
}

/// What the node said last about a cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Step in words while the cell is built or ended.
    pub step: String,
    /// `cell`, `userns`, `none`.
    pub isolation: String,
    /// Limits not enforced.
    pub not_enforced: Vec<String>,
    /// `type base64`.
    pub ssh_host_key: String,
    /// Who logs in there; empty is `muster`.
    pub ssh_user: String,
}

/// A row of `allocations`.
#[derive(Debug, Clone)]
pub struct Allocation {
    /// Its id.
    pub id: AllocationId,
    /// The host name inside.
    pub name: String,
    /// Whose.
    pub tenant_id: TenantId,
    /// Whose.
    pub project_id: ProjectId,
    /// Who launched it.
    pub user_id: UserId,
    /// What was sold.
    pub sku_id: SkuId,
    /// Its name then.
    pub sku_name: String,
    /// What an hour of it cost then; none: it had no price.
    pub price: Option<Price>,
    /// Where it is.
    pub node_id: NodeId,
    /// Its launch.
    pub operation_id: OperationId,
    /// Its last release.
    pub release_operation_id: Option<OperationId>,
    /// What events move.
    pub lease: Lease,
    /// Fences an older lease of the same slots.
    pub lease_epoch: i64,
    /// What the cell is made of.
    pub spec: Spec,
    /// Who may log in; none: no SSH.
    pub keys: Option<Keys>,
    /// What open sessions are told when it ends.
    pub end_reason: String,
    /// What the node said last.
    pub said: Said,
    /// Names the act or report that made it fail.
    pub failure_correlation: Option<String>,
    /// JSON of the receipt.
    pub receipt: Option<String>,
    /// The whole log is stored.
    pub log_complete: bool,
    /// The coordinator was restored from a backup, and the node has yet to say whether the cell is there.
    pub proof_wanted: bool,
    /// When it was asked for.
    pub created_ms: i64,
    /// When it ran first.
    pub active_ms: Option<i64>,
    /// Since when it is degraded, while it is.
    pub degraded_ms: Option<i64>,
    /// The boot of the node in which its cell began; empty before it ran.
    pub boot_id: String,
    /// When its end was asked for.
    pub release_ms: Option<i64>,
    /// When its state became final.
    pub ended_ms: Option<i64>,
    /// How long its node has seen it stand, ms; none before the node said it.
    pub used_ms: Option<i64>,
}

/// All columns, in the order of [`read`].
macro_rules! columns {
    () => {
        "id, name, tenant_id, project_id, user_id, sku_id, sku_name, node_id, operation_id, release_operation_id, \
         state, wish, lease_epoch, spec, ssh_keys, release_on_exit, end_reason, step, isolation, not_enforced, \
         ssh_host_key, exit_code, failure_code, failure_detail, failure_correlation, receipt, log_complete, \
         created_ms, active_ms, release_ms, ended_ms, degraded_ms, boot_id, \
         (SELECT CAST(SUM(used_ms) AS BIGINT) FROM allocation_usage WHERE allocation_id = allocations.id), proof_wanted, \
         price_currency, price_minor_per_hour, ssh_user"
    };
}

/// `SELECT` of all columns with a tail, as one static text.
macro_rules! select {
    ($tail:literal) => {
        concat!("SELECT ", columns!(), " FROM allocations ", $tail)
    };
}

fn read(row: &Row) -> Result<Allocation, Problem> {
    let failure = row.get::<Option<String>>(22)?.map(|code| -> Result<_, Problem> {
        Ok(Failure { code, detail: row.get::<Option<String>>(23)?.unwrap_or_default() })
    });
    let keys = row.get::<Option<String>>(14)?;
    Ok(Allocation {
        id: row.get(0)?,
        name: row.get(1)?,
        tenant_id: row.get(2)?,
        project_id: row.get(3)?,
        user_id: row.get(4)?,
        sku_id: row.get(5)?,
        sku_name: row.get(6)?,
        price: price_at(row, 35)?,
        node_id: row.get(7)?,
        operation_id: row.get(8)?,
        release_operation_id: row.get(9)?,
        lease: Lease {
            state: row.parse(10)?,
            wish: row.parse(11)?,
            release_on_exit: row.get(15)?,
            exit_code: row.get(21)?,
            failure: failure.transpose()?,
        },
        lease_epoch: row.get(12)?,
        spec: row.json(13)?,
        keys: keys.map(|text| serde_json::from_str(&text).map_err(Problem::internal)).transpose()?,
        end_reason: row.get(16)?,
        said: Said {
            step: row.get(17)?,
            isolation: row.get(18)?,
            not_enforced: row.json(19)?,
            ssh_host_key: row.get(20)?,
            ssh_user: row.get(37)?,
        },
        failure_correlation: row.get(24)?,
        receipt: row.get(25)?,
        log_complete: row.get(26)?,
        created_ms: row.get(27)?,
        active_ms: row.get(28)?,
        release_ms: row.get(29)?,
        ended_ms: row.get(30)?,
        degraded_ms: row.get(31)?,
        boot_id: row.get(32)?,
        used_ms: row.get(33)?,
        proof_wanted: row.get(34)?,
    })
}

fn json(value: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(Problem::internal)
}

/// Writes a new allocation.
pub(super) fn insert(tx: &mut Tx, row: &Allocation) -> Result<(), Problem> {
    let keys = row.keys.as_ref().map(json).transpose()?;
    tx.exec(
        "INSERT INTO allocations(id, name, tenant_id, project_id, user_id, sku_id, sku_name, node_id, operation_id, \
         state, wish, lease_epoch, spec, ssh_keys, release_on_exit, end_reason, step, isolation, not_enforced, \
         ssh_host_key, ssh_user, boot_id, log_bytes, log_complete, labels_version, proof_wanted, created_ms, price_currency, \
         price_minor_per_hour) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, '', '', '', \
         '[]', '', '', '', 0, 0, 1, 0, $16, $17, $18)",
        &values![
            row.id,
            &row.name,
            row.tenant_id,
            row.project_id,
            row.user_id,
            row.sku_id,
            &row.sku_name,
            row.node_id,
            row.operation_id,
            row.lease.state.word(),
            row.lease.wish.word(),
            row.lease_epoch,
            json(&row.spec)?,
            keys,
            row.lease.release_on_exit,
            row.created_ms,
            row.price.map(|price| price.currency.code()),
            row.price.map(|price| price.minor_per_hour),
        ],
    )?;
    Ok(())
}

/// Writes what events, people and the node change. The caller read the row in the same transaction.
pub(super) fn save(tx: &mut Tx, row: &Allocation, now_ms: i64) -> Result<(), Problem> {
    tx.changed(Change {
        topic: "allocations",
        id: row.id.to_string(),
        kind: Change::CHANGED,
        tenant: Some(row.tenant_id),
        at_ms: now_ms,
    });
    let failure = row.lease.failure.clone();
    tx.exec(
        "UPDATE allocations SET state = $2, wish = $3, end_reason = $4, step = $5, isolation = $6, not_enforced = $7, \
         ssh_host_key = $8, exit_code = CAST($9 AS BIGINT), failure_code = CAST($10 AS TEXT), \
         failure_detail = CAST($11 AS TEXT), failure_correlation = CAST($12 AS TEXT), receipt = CAST($13 AS TEXT), \
         active_ms = CAST($14 AS BIGINT), release_ms = CAST($15 AS BIGINT), ended_ms = CAST($16 AS BIGINT), \
         release_operation_id = CAST($17 AS TEXT), degraded_ms = CAST($18 AS BIGINT), boot_id = $19, \
         proof_wanted = $20, ssh_user = $21 WHERE id = $1",
        &values![
            row.id,
            row.lease.state.word(),
            row.lease.wish.word(),
            &row.end_reason,
            &row.said.step,
            &row.said.isolation,
            json(&row.said.not_enforced)?,
            &row.said.ssh_host_key,
            row.lease.exit_code,
            failure.as_ref().map(|failure| failure.code.clone()),
            failure.as_ref().map(|failure| failure.detail.clone()),
            row.failure_correlation.clone(),
            row.receipt.clone(),
            row.active_ms,
            row.release_ms,
            row.ended_ms,
            row.release_operation_id,
            row.degraded_ms,
            &row.boot_id,
            row.proof_wanted,
            &row.said.ssh_user,
        ],
    )?;
    Ok(())
}

/// Replaces who may log in.
pub(super) fn save_keys(tx: &mut Tx, id: AllocationId, keys: Option<&Keys>) -> Result<(), Problem> {
    let keys = keys.map(json).transpose()?;
    tx.exec("UPDATE allocations SET ssh_keys = CAST($2 AS TEXT) WHERE id = $1", &values![id, keys])?;
    Ok(())
}

/// One allocation.
pub(super) fn find(tx: &mut Tx, id: AllocationId) -> Result<Option<Allocation>, Problem> {
    tx.opt(select!("WHERE id = $1"), &values![id], read)
}

/// Allocations of a launch, in the order they were made.
pub(super) fn of_operation(tx: &mut Tx, id: OperationId) -> Result<Vec<Allocation>, Problem> {
    tx.all(select!("WHERE operation_id = $1 ORDER BY id LIMIT 1000"), &values![id], read)
}

/// Allocations that a node's document speaks of, in id order.
pub(super) fn on_node(tx: &mut Tx, node: NodeId) -> Result<Vec<Allocation>, Problem> {
    tx.all(select!("WHERE node_id = $1 AND wish <> 'gone' ORDER BY id LIMIT 2048"), &values![node], read)
}

/// Degraded allocations whose nodes were lost before a time.
pub(super) fn degraded_before(tx: &mut Tx, at_ms: i64) -> Result<Vec<(AllocationId, NodeId)>, Problem> {
    tx.all(
        "SELECT id, node_id FROM allocations WHERE wish <> 'gone' AND state = 'degraded' AND degraded_ms < $1 \
         ORDER BY id LIMIT 1000",
        &values![at_ms],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Nothing that a restored row says is believed until its node has said it, too.
pub(super) fn want_proof(tx: &mut Tx) -> Result<u64, Problem> {
    tx.exec("UPDATE allocations SET proof_wanted = 1 WHERE wish = 'wanted'", &[])
}

/// Nothing that is remembered of a node is believed until it has said it, too.
pub(super) fn want_proof_of(tx: &mut Tx, node: NodeId) -> Result<u64, Problem> {
    tx.exec("UPDATE allocations SET proof_wanted = 1 WHERE wish = 'wanted' AND node_id = $1", &values![node])
}

/// Nodes that carry allocations in a state.
pub(super) fn nodes_with(tx: &mut Tx, state: &str) -> Result<Vec<NodeId>, Problem> {
    tx.all(
        "SELECT DISTINCT node_id FROM allocations WHERE wish <> 'gone' AND state = $1 ORDER BY node_id LIMIT 100000",
        &values![state],
        |row| row.get(0),
    )
}

/// Bytes of what people chose for an allocation, and for all that a node's document speaks of.
pub(super) fn chosen_bytes(tx: &mut Tx, node: NodeId, id: AllocationId) -> Result<(i64, i64), Problem> {
    tx.one(
        "SELECT COALESCE(SUM(CASE WHEN id = $2 THEN size ELSE 0 END), 0), COALESCE(SUM(size), 0) FROM \
         (SELECT id, OCTET_LENGTH(spec) + COALESCE(OCTET_LENGTH(ssh_keys), 0) AS size FROM allocations \
         WHERE node_id = $1 AND wish <> 'gone') AS sized",
        &values![node, id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// What a list may be narrowed to; null fields do not narrow.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    /// Of one tenant.
    pub tenant_id: Option<TenantId>,
    /// Of one person.
    pub user_id: Option<UserId>,
    /// On one node.
    pub node_id: Option<NodeId>,
    /// In one state, or `open`: in one that is no end.
    pub state: Option<String>,
    /// Of one project.
    pub project_id: Option<ProjectId>,
    /// Whose name, id, SKU or node contains this, in lower case.
    pub text: Option<String>,
    /// With a label: `name`, or `name=value`.
    pub label: Option<String>,
}

/// What a text is looked for in.
macro_rules! words {
    () => {
        "(LOWER(name) || ' ' || id || ' ' || LOWER(sku_name) || ' ' || node_id)"
    };
}

/// The conditions of a filter, `$1` to `$7`.
macro_rules! conditions {
    () => {
        concat!(
            "(CAST($1 AS TEXT) IS NULL OR tenant_id = $1) AND (CAST($2 AS TEXT) IS NULL OR user_id = $2) \
             AND (CAST($3 AS TEXT) IS NULL OR node_id = $3) AND (CAST($4 AS TEXT) IS NULL OR state = $4 \
             OR ($4 = 'open' AND ended_ms IS NULL)) AND (CAST($5 AS TEXT) IS NULL OR project_id = $5) \
             AND (CAST($6 AS TEXT) IS NULL OR REPLACE(",
            words!(),
            ", $6, '') <> ",
            words!(),
            ") AND (CAST($7 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM allocation_labels l \
             WHERE l.allocation_id = allocations.id AND (l.name = $7 OR l.name || '=' || l.value = $7)))"
        )
    };
}

impl Filter {
    fn values(&self) -> Vec<Value> {
        let texts = (self.state.clone(), self.text.clone(), self.label.clone());
        values![self.tenant_id, self.user_id, self.node_id, texts.0, self.project_id, texts.1, texts.2].to_vec()
    }
}

/// A page of allocations, newest first.
pub(super) fn list(
    tx: &mut Tx,
    filter: &Filter,
    (at, before, limit): (i64, String, i64),
) -> Result<Vec<Allocation>, Problem> {
    let mut values = filter.values();
    values.extend(values![at, before, limit]);
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM allocations WHERE ",
        conditions!(),
        " AND (created_ms, id) < ($8, $9) ORDER BY created_ms DESC, id DESC LIMIT $10"
    );
    tx.all(sql, &values, read)
}

/// How many allocations a filter leaves.
pub(super) fn count(tx: &mut Tx, filter: &Filter) -> Result<i64, Problem> {
    let sql = concat!("SELECT CAST(COUNT(*) AS BIGINT) FROM allocations WHERE ", conditions!());
    tx.one(sql, &filter.values(), |row| row.get(0))
}

/// Notes how long a node has seen an allocation stand, by one of its journals: what was said before, or is said
/// again, changes nothing.
pub(super) fn used(tx: &mut Tx, id: AllocationId, journal_epoch: &str, used_ms: i64) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO allocation_usage(allocation_id, journal_epoch, used_ms) VALUES($1, $2, $3) \
         ON CONFLICT(allocation_id, journal_epoch) DO UPDATE SET used_ms = excluded.used_ms \
         WHERE allocation_usage.used_ms < excluded.used_ms",
        &values![id, journal_epoch, used_ms],
    )?;
    Ok(())
}

/// Writes the slots of a new allocation.
pub(super) fn insert_slot(tx: &mut Tx, id: AllocationId, slot: &Slot) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO allocation_slots(allocation_id, slot_id, kind, gpu_uuid, profile, start, size) \
         VALUES($1, $2, $3, $4, $5, $6, $7)",
        &values![id, slot.id, slot.kind.word(), slot.gpu_uuid.clone(), slot.profile.clone(), slot.start, slot.size,],
    )?;
    Ok(())
}

/// The slots of an allocation, also after its end.
pub(super) fn slots_of(tx: &mut Tx, id: AllocationId) -> Result<Vec<Slot>, Problem> {
    tx.all(
        "SELECT slot_id, kind, gpu_uuid, profile, start, size FROM allocation_slots WHERE allocation_id = $1 \
         ORDER BY slot_id LIMIT 1024",
        &values![id],
        |row| {
            let word = row.get::<String>(1)?;
            let kind = SlotKind::from_word(&word);
            Ok(Slot {
                id: row.get::<SlotId>(0)?,
                kind: kind.ok_or_else(|| Problem::internal(format!("a slot of the unknown kind {word}")))?,
                gpu_uuid: row.get(2)?,
                profile: row.get(3)?,
                start: row.get(4)?,
                size: row.get(5)?,
            })
        },
    )
}

/// Keeps a piece of a log once, as long as there is room for it. False if it was not kept.
pub(super) fn add_log(tx: &mut Tx, id: AllocationId, at: u64, bytes: &[u8], most: usize) -> Result<bool, Problem> {
    let used: Option<usize> =
        tx.opt("SELECT log_bytes FROM allocations WHERE id = $1", &values![id], |row| row.get(0))?;
    if used.is_none_or(|used| used + bytes.len() > most) {
        return Ok(false);
    }
    let added = tx.exec(
        "INSERT INTO allocation_logs(allocation_id, at_byte, bytes) VALUES($1, $2, $3) ON CONFLICT DO NOTHING",
        &values![id, at, bytes],
    )?;
    if added == 1 {
        tx.exec("UPDATE allocations SET log_bytes = log_bytes + $2 WHERE id = $1", &values![id, bytes.len()])?;
    }
    Ok(added == 1)
}

/// No piece follows.
pub(super) fn complete_log(tx: &mut Tx, id: AllocationId) -> Result<(), Problem> {
    tx.exec("UPDATE allocations SET log_complete = 1 WHERE id = $1", &values![id])?;
    Ok(())
}

/// The stored log in order: offset and bytes of each piece.
pub(super) fn log_of(tx: &mut Tx, id: AllocationId) -> Result<Vec<(u64, Vec<u8>)>, Problem> {
    tx.all(
        "SELECT at_byte, bytes FROM allocation_logs WHERE allocation_id = $1 ORDER BY at_byte LIMIT 4096",
        &values![id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}
