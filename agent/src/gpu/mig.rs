//! MIG instances and geometry of one GPU, through the raw calls that the safe wrapper lacks.

use muster_protocol::inventory::MigInstance;
use nvml_wrapper::Device;
use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try};
use nvml_wrapper_sys::bindings::{
    NVML_GPU_INSTANCE_PROFILE_4_SLICE, NVML_GPU_INSTANCE_PROFILE_7_SLICE, nvmlDevice_t, nvmlGpuInstanceInfo_t,
    nvmlGpuInstancePlacement_t,
};

/// Placements of one profile at most.
const PLACEMENTS_MAX: usize = 64;

/// MIG devices of a GPU, in index order. Indices have holes.
fn devices<'a>(gpu: &Device<'a>) -> Result<Vec<Device<'a>>, NvmlError> {
    let mut found = Vec::new();
    for index in 0..gpu.mig_device_count()? {
        match gpu.mig_device_by_index(index) {
            Ok(device) => found.push(device),
            Err(NvmlError::NotFound | NvmlError::InvalidArg) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The MIG device with a UUID. Handles die with their instance, so it is looked for each time.
pub(super) fn device<'a>(gpu: &Device<'a>, uuid: &str) -> Result<Option<Device<'a>>, NvmlError> {
    for device in devices(gpu)? {
        if device.uuid()? == uuid {
            return Ok(Some(device));
        }
    }
    Ok(None)
}

/// The GPU instances that have a compute instance, by placement.
pub(super) fn instances(gpu: &Device<'_>) -> Result<Vec<MigInstance>, NvmlError> {
    let mut found: Vec<MigInstance> = Vec::new();
    for device in devices(gpu)? {
        let instance = instance(gpu, &device)?;
        // A second compute instance shares its placement with the first; a slot is a placement.
        if !found.iter().any(|other| other.gpu_instance == instance.gpu_instance) {
            found.push(instance);
        }
    }
    found.sort_by_key(|instance| instance.start);
    Ok(found)
}

fn instance(gpu: &Device<'_>, device: &Device<'_>) -> Result<MigInstance, NvmlError> {
    let lib = gpu.nvml().lib();
    // SAFETY: both handles are used only in this call, while the library is initialised.
    let (gpu_handle, handle) = unsafe { (gpu.handle(), device.handle()) };
    let (mut gpu_instance, mut compute_instance) = (0, 0);
    // SAFETY: the handle is a MIG device's, the number writable.
    nvml_try(unsafe { nvml_sym(lib.nvmlDeviceGetGpuInstanceId.as_ref())?(handle, &raw mut gpu_instance) })?;
    // SAFETY: the handle is a MIG device's, the number writable.
    nvml_try(unsafe { nvml_sym(lib.nvmlDeviceGetComputeInstanceId.as_ref())?(handle, &raw mut compute_instance) })?;
    let mut of = std::ptr::null_mut();
    // SAFETY: the handle is the parent's, the instance handle writable.
    nvml_try(unsafe { nvml_sym(lib.nvmlDeviceGetGpuInstanceById.as_ref())?(gpu_handle, gpu_instance, &raw mut of) })?;
    // SAFETY: all-zero is a valid value of this plain C struct.
    let mut info: nvmlGpuInstanceInfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the instance handle was just given, the struct is writable.
    nvml_try(unsafe { nvml_sym(lib.nvmlGpuInstanceGetInfo.as_ref())?(of, &raw mut info) })?;
    Ok(MigInstance {
        uuid: device.uuid()?,
        profile: profile_of(&device.name()?).to_owned(),
        start: info.placement.start,
        size: info.placement.size,
        gpu_instance,
        compute_instance,
        memory_total_bytes: device.memory_info().ok().map(|memory| memory.total),
    })
}

/// `3g.40gb` of `NVIDIA H100 80GB HBM3 MIG 3g.40gb` or `… MIG 1c.3g.40gb`.
fn profile_of(name: &str) -> &str {
    let profile = name.rsplit_once(" MIG ").map_or(name, |(_, profile)| profile);
    match profile.split_once("c.") {
        Some((count, rest)) if count.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => profile,
    }
}

/// Memory slices of a GPU that can do MIG: as NVML says while MIG is on, else by product.
pub(super) fn slices(gpu: &Device<'_>, model: &str, enabled: bool) -> u32 {
    let known = slices_of(model);
    let said = enabled.then(|| placed_slices(gpu)).flatten();
    if let Some(said) = said.filter(|said| *said != known) {
        tracing::warn!(model, said, known, "NVML and the table of MIG geometry disagree; NVML is believed");
        return said;
    }
    known
}

/// The table: 8 memory slices but for the products with 4.
fn slices_of(model: &str) -> u32 {
    if model.contains("A30") || model.contains("RTX PRO") { 4 } else { 8 }
}

/// End of the largest placement of the profile that is the whole GPU.
fn placed_slices(gpu: &Device<'_>) -> Option<u32> {
    // SAFETY: the handle is used only in this call, while the library is initialised.
    let handle = unsafe { gpu.handle() };
    [NVML_GPU_INSTANCE_PROFILE_7_SLICE, NVML_GPU_INSTANCE_PROFILE_4_SLICE].into_iter().find_map(|number| {
        let id = gpu.profile_info(number).ok()?.id;
        placements(gpu, handle, id).ok()?.iter().map(|placement| placement.start + placement.size).max()
    })
}

/// The safe wrapper's own call for this always answers an empty list.
fn placements(
    gpu: &Device<'_>,
    handle: nvmlDevice_t,
    profile: u32,
) -> Result<Vec<nvmlGpuInstancePlacement_t>, NvmlError> {
    let call = nvml_sym(gpu.nvml().lib().nvmlDeviceGetGpuInstancePossiblePlacements_v2.as_ref())?;
    let mut count = 0;
    // SAFETY: without an array NVML writes only the count.
    nvml_try(unsafe { call(handle, profile, std::ptr::null_mut(), &raw mut count) })?;
    let mut placements = vec![nvmlGpuInstancePlacement_t { start: 0, size: 0 }; PLACEMENTS_MAX.max(count as usize)];
    // SAFETY: the array has room for at least as many as NVML has just counted.
    nvml_try(unsafe { call(handle, profile, placements.as_mut_ptr(), &raw mut count) })?;
    placements.truncate(count as usize);
    Ok(placements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_stand_at_the_end_of_names() {
        assert_eq!(profile_of("NVIDIA H100 80GB HBM3 MIG 3g.40gb"), "3g.40gb");
        assert_eq!(profile_of("NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb"), "3g.20gb");
        assert_eq!(profile_of("NVIDIA A100-SXM4-40GB MIG 1g.5gb+me"), "1g.5gb+me");
    }

    #[test]
    fn the_table_knows_the_products_with_four_slices() {
        assert_eq!(slices_of("NVIDIA A30"), 4);
        assert_eq!(slices_of("NVIDIA H200"), 8);
        assert_eq!(slices_of("NVIDIA A100-SXM4-80GB"), 8);
    }
}
