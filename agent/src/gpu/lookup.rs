//! From the names in desired documents to GPUs and instances.

use super::lane::Lane;
use super::shared::Shared;
use super::types::{GpuError, GpuInventory};
use muster_protocol::desired::{Slot, SlotKind};
use muster_protocol::inventory::{Gpu, MigInstance};
use std::sync::Arc;

/// A GPU or a part of it.
pub(super) struct Found {
    pub(super) lane: Arc<Lane>,
    /// GPU instance of a MIG UUID.
    pub(super) gpu_instance: Option<u32>,
}

/// The lane behind the UUID of a GPU or a MIG instance.
pub(super) fn find(shared: &Shared, uuid: &str) -> Result<Found, GpuError> {
    let lanes = shared.lanes();
    if lanes.is_empty() {
        return Err(GpuError::NoDriver(shared.inventory().gpu_detail));
    }
    for lane in lanes.iter() {
        let gpu = lane.facts().gpu;
        let instance = gpu.mig.iter().find(|instance| instance.uuid == uuid);
        if gpu.uuid == uuid || instance.is_some() {
            let gpu_instance = instance.map(|instance| instance.gpu_instance);
            return Ok(Found { lane: Arc::clone(lane), gpu_instance });
        }
    }
    Err(GpuError::NotFound(uuid.into()))
}

/// The GPU of a slot and, for a MIG slot, its instance. None for a CPU slot.
pub(super) fn of_slot<'a>(
    inventory: &'a GpuInventory,
    slot: &Slot,
) -> Result<Option<(&'a Gpu, Option<&'a MigInstance>)>, GpuError> {
    if slot.kind == SlotKind::Cpu {
        return Ok(None);
    }
    let uuid = slot.gpu_uuid.as_deref().unwrap_or_default();
    let gpu = inventory.gpus.iter().find(|gpu| !uuid.is_empty() && gpu.uuid == uuid);
    let gpu = gpu.ok_or_else(|| GpuError::NotFound(uuid.into()))?;
    let (profile, start) = (slot.profile.as_deref().unwrap_or_default(), slot.start.unwrap_or_default());
    let no_instance = || GpuError::NoInstance { gpu: uuid.into(), profile: profile.into(), start };
    let divided = gpu.mig_enabled == Some(true);
    if slot.kind == SlotKind::Gpu {
        // A whole GPU was leased, but it is divided now: no device stands for it.
        return if divided { Err(no_instance()) } else { Ok(Some((gpu, None))) };
    }
    let is =
        |mig: &&MigInstance| mig.profile == profile && mig.start == start && slot.size.is_none_or(|s| s == mig.size);
    let instance = gpu.mig.iter().find(is).ok_or_else(no_instance)?;
    Ok(Some((gpu, Some(instance))))
}

/// UUID of what a slot is.
pub(super) fn uuid_of(inventory: &GpuInventory, slot: &Slot) -> Result<Option<String>, GpuError> {
    let found = of_slot(inventory, slot)?;
    Ok(found.map(|(gpu, mig)| mig.map_or_else(|| gpu.uuid.clone(), |mig| mig.uuid.clone())))
}
