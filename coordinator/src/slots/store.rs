//! All SQL about slots and the occupancy of GPUs.

use super::model::{Found, Hold, Place, State};
use crate::base::feed::Change;
use crate::base::http::Problem;
use crate::base::store::{Row, Tx};
use crate::values;
use muster_protocol::desired::SlotKind;
use muster_protocol::ids::{AllocationId, NodeId, SlotId};

/// A slot as stored.
#[derive(Debug, Clone)]
pub struct SlotRow {
    /// Its id.
    pub id: SlotId,
    /// Where it is.
    pub node_id: NodeId,
    /// What it is.
    pub kind: SlotKind,
    /// GPU of a `gpu` or `mig` slot; empty for `cpu`.
    pub gpu_uuid: String,
    /// MIG profile; empty otherwise.
    pub profile: String,
    /// First memory slice, or the number of a `cpu` slot.
    pub start: i64,
    /// Memory slices of a MIG placement.
    pub size: i64,
    /// Bits of its GPU that it occupies.
    pub mask: i64,
    /// Where it is between discovery and retirement.
    pub state: State,
    /// The agent found it in its last inventory.
    pub present: bool,
    /// Why it may not be sold although it is free.
    pub holds: Vec<Hold>,
    /// It has taken its bits from its GPU.
    pub occupies: bool,
    /// The allocation that stands behind it.
    pub allocation_id: Option<AllocationId>,
    /// Lease it is held under.
    pub lease_epoch: i64,
}

impl SlotRow {
    /// Could be reserved if its node takes work.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.state == State::Free && self.present && self.holds.is_empty()
    }

    /// What makes it the same slot on the next look.
    #[must_use]
    pub fn place(&self) -> Place {
        (self.kind.word().to_owned(), self.gpu_uuid.clone(), self.profile.clone(), self.start)
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, node_id, kind, gpu_uuid, profile, start, size, mask, state, present, holds, occupies, \
             allocation_id, lease_epoch FROM slots ",
            $rest
        )
    };
}

fn slot(row: &Row) -> Result<SlotRow, Problem> {
    let kind = row.get::<String>(2)?;
    Ok(SlotRow {
        id: row.get(0)?,
        node_id: row.get(1)?,
        kind: SlotKind::from_word(&kind).ok_or_else(|| Problem::internal(format!("unknown kind of slot {kind}")))?,
        gpu_uuid: row.get(3)?,
        profile: row.get(4)?,
        start: row.get(5)?,
        size: row.get(6)?,
        mask: row.get(7)?,
        state: row.parse(8)?,
        present: row.get(9)?,
        holds: row.json(10)?,
        occupies: row.get(11)?,
        allocation_id: row.get::<String>(12)?.parse().ok(),
        lease_epoch: row.get(13)?,
    })
}

/// A slot, or 404.
pub fn get_in(tx: &mut Tx, id: SlotId) -> Result<SlotRow, Problem> {
    tx.opt(select!("WHERE id = $1"), &values![id], slot)?.ok_or_else(|| Problem::not_found("slot"))
}

/// Every slot of a node: GPUs in the order of their UUIDs, then by place.
pub fn of_node_in(tx: &mut Tx, node: NodeId) -> Result<Vec<SlotRow>, Problem> {
    tx.all(select!("WHERE node_id = $1 ORDER BY kind, gpu_uuid, start, profile LIMIT 4096"), &values![node], slot)
}

/// Slots that were approved and are there, taken or not, for a snapshot of the fleet.
pub fn approved_in(tx: &mut Tx) -> Result<Vec<SlotRow>, Problem> {
    tx.all(
        select!(
            "WHERE state IN ('free', 'reserved', 'leased', 'scrubbing') ORDER BY node_id, gpu_uuid, start LIMIT 1000000"
        ),
        &[],
        slot,
    )
}

/// Slots behind an allocation.
pub fn of_allocation_in(tx: &mut Tx, allocation: AllocationId) -> Result<Vec<SlotRow>, Problem> {
    tx.all(
        select!("WHERE allocation_id = $1 AND allocation_id <> '' ORDER BY id LIMIT 4096"),
        &values![allocation],
        slot,
    )
}

/// Tells followers that slots of a node have changed.
fn changed(tx: &mut Tx, node: NodeId, now_ms: i64) {
    let (id, kind) = (node.to_string(), Change::CHANGED);
    tx.changed(Change { topic: "slots", id, kind, tenant: None, at_ms: now_ms });
}

/// Adds a slot that was found.
pub(super) fn insert_in(tx: &mut Tx, id: SlotId, node: NodeId, found: &Found, now_ms: i64) -> Result<(), Problem> {
    changed(tx, node, now_ms);
    tx.exec(
        "INSERT INTO slots(id, node_id, kind, gpu_uuid, profile, start, size, mask, state, present, holds, \
         occupies, allocation_id, lease_epoch, created_ms, updated_ms) \
         VALUES($1, $2, $3, $4, $5, $6, $7, $8, 'discovered', 1, '[]', 0, '', 0, $9, $9) ON CONFLICT DO NOTHING",
        &values![
            id,
            node,
            found.kind.word(),
            &found.gpu_uuid,
            &found.profile,
            found.start,
            found.size,
            found.mask(),
            now_ms,
        ],
    )?;
    Ok(())
}

/// Moves a slot on from a state. False if it had moved meanwhile.
pub(super) fn save_state_in(tx: &mut Tx, slot: &SlotRow, next: State, now_ms: i64) -> Result<bool, Problem> {
    changed(tx, slot.node_id, now_ms);
    let rows = tx.exec(
        "UPDATE slots SET state = $3, updated_ms = $4 WHERE id = $1 AND state = $2",
        &values![slot.id, slot.state.word(), next.word(), now_ms],
    )?;
    Ok(rows == 1)
}

/// Stores what an inventory said of a slot that was known.
pub(super) fn save_found_in(tx: &mut Tx, id: SlotId, present: bool, size: i64, mask: i64) -> Result<(), Problem> {
    tx.exec("UPDATE slots SET present = $2, size = $3, mask = $4 WHERE id = $1", &values![id, present, size, mask])?;
    Ok(())
}

/// Stores the holds of a slot.
pub(super) fn save_holds_in(tx: &mut Tx, slot: &SlotRow, holds: &[Hold], now_ms: i64) -> Result<(), Problem> {
    changed(tx, slot.node_id, now_ms);
    let holds = serde_json::to_string(holds).map_err(Problem::internal)?;
    tx.exec("UPDATE slots SET holds = $2, updated_ms = $3 WHERE id = $1", &values![slot.id, holds, now_ms])?;
    Ok(())
}

/// Reserves a slot if it is available now.
pub(super) fn reserve_in(
    tx: &mut Tx,
    slot: &SlotRow,
    allocation: AllocationId,
    lease_epoch: i64,
    now_ms: i64,
) -> Result<bool, Problem> {
    changed(tx, slot.node_id, now_ms);
    let rows = tx.exec(
        "UPDATE slots SET state = 'reserved', allocation_id = $2, lease_epoch = $3, updated_ms = $4 \
         WHERE id = $1 AND state = 'free' AND present = 1 AND holds = '[]'",
        &values![slot.id, allocation, lease_epoch, now_ms],
    )?;
    Ok(rows == 1)
}

/// Takes the allocation off a slot that came free.
pub(super) fn detach_in(tx: &mut Tx, id: SlotId) -> Result<(), Problem> {
    tx.exec("UPDATE slots SET allocation_id = '' WHERE id = $1", &values![id])?;
    Ok(())
}

/// Takes a slot's bits of its GPU. False if one of them is taken.
pub(super) fn take_bits_in(tx: &mut Tx, slot: &SlotRow) -> Result<bool, Problem> {
    if slot.mask != 0 {
        let rows = tx.exec(
            "UPDATE gpus SET used = used | $3 WHERE node_id = $1 AND uuid = $2 AND used & $3 = 0",
            &values![slot.node_id, &slot.gpu_uuid, slot.mask],
        )?;
        if rows != 1 {
            return Ok(false);
        }
    }
    tx.exec("UPDATE slots SET occupies = 1 WHERE id = $1", &values![slot.id])?;
    Ok(true)
}

/// Gives a slot's bits back.
pub(super) fn give_bits_in(tx: &mut Tx, slot: &SlotRow) -> Result<(), Problem> {
    let rows = tx.exec("UPDATE slots SET occupies = 0 WHERE id = $1 AND occupies = 1", &values![slot.id])?;
    if rows == 1 && slot.mask != 0 {
        tx.exec(
            "UPDATE gpus SET used = used & ~CAST($3 AS BIGINT) WHERE node_id = $1 AND uuid = $2",
            &values![slot.node_id, &slot.gpu_uuid, slot.mask],
        )?;
    }
    Ok(())
}

/// A GPU with so many slices; bits in use stay.
pub(super) fn save_gpu_in(tx: &mut Tx, node: NodeId, gpu: &str, slices: i64) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO gpus(node_id, uuid, slices, used) VALUES($1, $2, $3, 0) \
         ON CONFLICT (node_id, uuid) DO UPDATE SET slices = excluded.slices",
        &values![node, gpu, slices],
    )?;
    Ok(())
}

/// Slices and used bits of a node's GPUs.
pub fn gpus_in(tx: &mut Tx, node: NodeId) -> Result<Vec<(String, i64, i64)>, Problem> {
    tx.all("SELECT uuid, slices, used FROM gpus WHERE node_id = $1 ORDER BY uuid LIMIT 1024", &values![node], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
}

/// Draining nodes without a slot that an allocation stands behind.
pub(super) fn drained_in(tx: &mut Tx) -> Result<Vec<NodeId>, Problem> {
    tx.all(
        "SELECT n.id FROM nodes n WHERE n.scheduling = 'draining' AND NOT EXISTS (SELECT 1 FROM slots s \
         WHERE s.node_id = n.id AND s.state IN ('reserved', 'leased', 'scrubbing')) ORDER BY n.id LIMIT 1000",
        &[],
        |row| row.get(0),
    )
}
