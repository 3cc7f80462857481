//! The snapshot as the database has it: nodes with their GPUs and slots. Reads only.

use super::model::{Class, Closed, Gpu, Node, Slot, Snapshot, Status};
use super::wanted;
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::{catalog, nodes};
use muster_protocol::desired::SlotKind;
use muster_protocol::ids::NodeId;

/// Every node that is in service, with what of it could be sold, and what is expected to be asked for.
/// Presence is left to the caller, who knows it live.
pub(super) fn load(tx: &mut Tx) -> Result<(Snapshot, Vec<Class>), Problem> {
    let mut snapshot = Snapshot::default();
    for row in nodes::store::admitted_in(tx)? {
        let gpus = row.facts.gpus.iter().map(|gpu| Gpu {
            uuid: gpu.uuid.clone(),
            model: gpu.model.clone(),
            slices: 1,
            used: 0,
            island: gpu.numa_node.map_or(-1, i64::from),
        });
        let node = Node {
            id: row.id,
            labels: row.labels.clone(),
            closed: closed(&row),
            gpus: gpus.collect(),
            slots: Vec::new(),
        };
        snapshot.nodes.insert(row.id, node);
    }
    occupancy(tx, &mut snapshot)?;
    slots(tx, &mut snapshot)?;
    let skus = catalog::active_in(tx)?;
    let classes = skus.iter().map(|sku| Class { request: wanted(sku), weight: 1 }).collect();
    Ok((snapshot, classes))
}

fn closed(row: &nodes::NodeRow) -> Option<Closed> {
    use nodes::model::{Health, Lifecycle, Scheduling};
    if row.facets.lifecycle != Lifecycle::InService {
        Some(Closed::Inactive)
    } else if row.facets.scheduling != Scheduling::Open {
        Some(Closed::Cordoned)
    } else if row.facets.health == Health::Quarantined {
        Some(Closed::Unhealthy)
    } else {
        None
    }
}

fn occupancy(tx: &mut Tx, snapshot: &mut Snapshot) -> Result<(), Problem> {
    let rows =
        tx.all("SELECT node_id, uuid, slices, used FROM gpus ORDER BY node_id, uuid LIMIT 1000000", &[], |row| {
            Ok((row.get::<NodeId>(0)?, row.get::<String>(1)?, row.get::<u32>(2)?, row.get::<u64>(3)?))
        })?;
    for (node, uuid, slices, used) in rows {
        let Some(node) = snapshot.nodes.get_mut(&node) else { continue };
        match node.gpus.iter_mut().find(|gpu| gpu.uuid == uuid) {
            Some(gpu) => (gpu.slices, gpu.used) = (slices.max(1), used),
            // A GPU the agent no longer lists; its slots are not there either, but a lease may be.
            None => node.gpus.push(Gpu { uuid, model: String::new(), slices: slices.max(1), used, island: -1 }),
        }
    }
    Ok(())
}

fn slots(tx: &mut Tx, snapshot: &mut Snapshot) -> Result<(), Problem> {
    let rows = tx.all(
        "SELECT node_id, id, kind, gpu_uuid, profile, start, size, state, holds FROM slots \
         WHERE present = 1 AND state IN ('discovered', 'free', 'reserved', 'leased', 'scrubbing') \
         ORDER BY node_id, id LIMIT 1000000",
        &[],
        |row| {
            let state = row.get::<String>(7)?;
            let held = row.get::<String>(8)? != "[]";
            let status = match state.as_str() {
                "discovered" => Status::Unapproved,
                "free" if held => Status::Held,
                "free" => Status::Free,
                _ => Status::Busy,
            };
            let slot = Slot {
                id: row.get(1)?,
                kind: SlotKind::from_word(&row.get::<String>(2)?).unwrap_or(SlotKind::Cpu),
                gpu: None,
                profile: row.get(4)?,
                start: row.get(5)?,
                size: row.get(6)?,
                status,
            };
            Ok((row.get::<NodeId>(0)?, row.get::<String>(3)?, slot))
        },
    )?;
    for (node, uuid, mut slot) in rows {
        let Some(node) = snapshot.nodes.get_mut(&node) else { continue };
        if slot.kind != SlotKind::Cpu {
            let Some(index) = node.gpus.iter().position(|gpu| gpu.uuid == uuid) else { continue };
            slot.gpu = Some(index);
        }
        node.slots.push(slot);
    }
    Ok(())
}
