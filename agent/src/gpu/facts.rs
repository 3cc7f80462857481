//! What a GPU is, as opposed to what it does, and how the inventory is composed of it.

use super::driver::Driver;
use super::lane::Lane;
use super::mig;
use super::types::GpuInventory;
use muster_protocol::inventory::{FoundSlot, Gpu};
use nvml_wrapper::Device;
use nvml_wrapper::error::NvmlError;
use std::sync::Arc;

/// NVML's highest number of NVLinks of a GPU.
const LINKS_MAX: u32 = 18;
/// `NVML_DEVICE_MIG_ENABLE`.
const MIG_ON: u32 = 1;

/// One GPU.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Facts {
    /// As the inventory has it.
    pub(super) gpu: Gpu,
    /// Memory slices; 1 without MIG.
    pub(super) slices: u32,
}

/// Reads the facts. A call that fails leaves its fact absent; only a GPU without name or UUID is none.
pub(super) fn read(device: &Device<'_>) -> Result<Facts, NvmlError> {
    let model = device.name()?;
    let uuid = device.uuid()?;
    let mig = match device.mig_mode() {
        Ok(mode) => Some(mode.current == MIG_ON),
        Err(error) => absent(error)?,
    };
    let links = (0..LINKS_MAX).map(|link| device.link_wrapper_for(link).is_active());
    let links: Vec<bool> = links.map_while(Result::ok).collect();
    let slices = mig.map_or(1, |enabled| mig::slices(device, &model, enabled));
    let gpu = Gpu {
        uuid,
        index: device.index()?,
        minor: device.minor_number().ok(),
        pci_bus_id: device.pci_info().map(|pci| pci.bus_id).unwrap_or_default(),
        memory_total_bytes: device.memory_info().ok().map(|memory| memory.total),
        mig_enabled: mig,
        mig: if mig == Some(true) { mig::instances(device)? } else { Vec::new() },
        numa_node: device.numa_node_id().ok().and_then(|node| i32::try_from(node).ok()),
        nvlinks: (!links.is_empty()).then(|| links.iter().filter(|active| **active).count() as u32),
        error: String::new(),
        ecc_enabled: device.is_ecc_enabled().ok().map(|ecc| ecc.currently_enabled),
        power_limit_mw: device.enforced_power_limit().ok(),
        model,
    };
    Ok(Facts { gpu, slices })
}

/// An answer that means that the GPU has no such thing; any other error stays one.
fn absent<T>(error: NvmlError) -> Result<Option<T>, NvmlError> {
    match error {
        NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_) => Ok(None),
        error => Err(error),
    }
}

/// The inventory of a driver and its GPUs, without its generation.
pub(super) fn compose(driver: &Driver, lanes: &[Arc<Lane>]) -> GpuInventory {
    let facts: Vec<Facts> = lanes.iter().map(|lane| lane.facts()).collect();
    from_facts(driver, facts)
}

fn from_facts(driver: &Driver, facts: Vec<Facts>) -> GpuInventory {
    let (state, detail) = match driver {
        Driver::None => ("none", "no NVIDIA GPU found".to_owned()),
        Driver::Loading => ("driver_error", "the driver has not answered yet".to_owned()),
        Driver::Missing(why) => ("driver_missing", why.clone()),
        Driver::Error(why) => ("driver_error", why.clone()),
        Driver::Up { .. } => match broken(&facts) {
            None => ("ok", String::new()),
            Some(why) => ("degraded", why),
        },
    };
    let (driver_version, cuda_version) = match driver {
        Driver::Up { version, cuda } => (version.clone(), cuda.clone()),
        _ => Default::default(),
    };
    GpuInventory {
        generation: 0,
        gpu_state: state.into(),
        gpu_detail: detail,
        driver_version,
        cuda_version,
        slots: facts.iter().flat_map(slots).collect(),
        gpus: facts.into_iter().map(|facts| facts.gpu).collect(),
    }
}

/// What is wrong with which GPUs.
fn broken(facts: &[Facts]) -> Option<String> {
    let wrong: Vec<String> = facts
        .iter()
        .filter(|facts| !facts.gpu.error.is_empty())
        .map(|facts| format!("GPU {}: {}", facts.gpu.index, facts.gpu.error))
        .collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

/// A GPU with MIG on gives its instances, any other GPU itself. A GPU that was never read gives nothing; one that
/// answers no more keeps its slots, since it is still there.
fn slots(facts: &Facts) -> Vec<FoundSlot> {
    let gpu = &facts.gpu;
    if gpu.uuid.is_empty() {
        return Vec::new();
    }
    let slot = |kind: &str, profile: &str, start, size| FoundSlot {
        kind: kind.into(),
        gpu_uuid: gpu.uuid.clone(),
        profile: profile.into(),
        start,
        size,
        gpu_slices: facts.slices,
    };
    if gpu.mig_enabled == Some(true) {
        return gpu.mig.iter().map(|mig| slot("mig", &mig.profile, mig.start, mig.size)).collect();
    }
    vec![slot("gpu", "", 0, 0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::inventory::MigInstance;

    fn up() -> Driver {
        Driver::Up { version: "580.95.05".into(), cuda: "13.0".into() }
    }

    fn gpu(uuid: &str) -> Facts {
        Facts { gpu: Gpu { uuid: uuid.into(), ..Gpu::default() }, slices: 1 }
    }

    #[test]
    fn a_divided_gpu_gives_its_instances_and_others_themselves() {
        let mut divided = gpu("GPU-b");
        divided.slices = 8;
        divided.gpu.mig_enabled = Some(true);
        divided.gpu.mig = vec![MigInstance { profile: "3g.40gb".into(), start: 4, size: 4, ..MigInstance::default() }];
        let found = from_facts(&up(), vec![gpu("GPU-a"), divided, gpu("")]).slots;
        let told: Vec<_> =
            found.iter().map(|s| (s.kind.as_str(), s.profile.as_str(), s.start, s.size, s.gpu_slices)).collect();
        assert_eq!(told, [("gpu", "", 0, 0, 1), ("mig", "3g.40gb", 4, 4, 8)]);
    }

    #[test]
    fn a_gpu_in_error_degrades_the_node_and_keeps_its_slot() {
        let mut lost = gpu("GPU-a");
        lost.gpu.error = "the GPU is lost".into();
        let inventory = from_facts(&up(), vec![lost, gpu("GPU-b")]);
        assert_eq!((inventory.gpu_state.as_str(), inventory.slots.len()), ("degraded", 2));
        assert!(inventory.gpu_detail.contains("lost"));
    }

    #[test]
    fn each_state_of_the_driver_has_its_word() {
        for (driver, word) in [
            (Driver::None, "none"),
            (Driver::Missing("x".into()), "driver_missing"),
            (Driver::Error("x".into()), "driver_error"),
            (up(), "ok"),
        ] {
            assert_eq!(from_facts(&driver, Vec::new()).gpu_state, word);
        }
    }
}
