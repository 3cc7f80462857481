//! Compute instances in a GPU instance.

use super::arguments::{Out, array, version};
use super::handles::{self, Found};
use super::{Code, exported};
use crate::{device_files, mig};
use nvml_wrapper_sys::bindings::{
    nvmlComputeInstance_t, nvmlComputeInstanceInfo_t, nvmlComputeInstancePlacement_t, nvmlComputeInstanceProfileInfo_t,
    nvmlComputeInstanceProfileInfo_v2_t, nvmlComputeInstanceProfileInfo_v3_t, nvmlGpuInstance_t,
};

/// Slices of a compute profile that exists in this instance. Compute profile ids are their numbers.
fn slices(found: &Found, profile: u32) -> Result<u32, Code> {
    let slices = mig::compute_slices(profile).ok_or(Code::NOT_SUPPORTED)?;
    if slices > found.instance.family().compute || profile == 7 { Err(Code::NOT_SUPPORTED) } else { Ok(slices) }
}

/// The newest shape of a compute profile; the older ones are parts of it.
fn profile_info(found: &Found, profile: u32) -> Result<nvmlComputeInstanceProfileInfo_v3_t, Code> {
    let slices = slices(found, profile)?;
    let device = &found.device;
    let (family, facts) = device.view.facts(device.at, found.instance.profile).ok_or(Code::NOT_SUPPORTED)?;
    let part = if slices == family.compute { String::new() } else { format!("{slices}c.") };
    Ok(nvmlComputeInstanceProfileInfo_v3_t {
        version: version::<nvmlComputeInstanceProfileInfo_v3_t>(3),
        id: profile,
        sliceCount: slices,
        instanceCount: family.compute / slices,
        multiprocessorCount: facts.multiprocessors * slices / family.compute,
        sharedCopyEngineCount: facts.copy_engines,
        sharedDecoderCount: facts.decoders,
        sharedEncoderCount: 0,
        sharedJpegCount: facts.jpeg,
        sharedOfaCount: facts.ofa,
        name: array(&format!("MIG {part}{}", facts.name)),
        capabilities: 0,
    })
}

/// Makes a compute instance, with its capability file.
fn create(found: &Found, profile: u32, start: Option<u32>) -> Result<nvmlComputeInstance_t, Code> {
    let slices = slices(found, profile)?;
    if found.device.state.faults.in_use {
        return Err(Code::IN_USE);
    }
    let (id, instance) = found.change(|instance| {
        let id = mig::create_compute(instance, slices, start)?;
        Ok((id, instance.clone()))
    })?;
    device_files::make_instance(&found.device.view.place.dev, found.device.gpu().minor, &instance)?;
    Ok(handles::of_compute(found.device.at, instance.id, id))
}

exported! {
    /// NVML's first shape.
    nvmlGpuInstanceGetComputeInstanceProfileInfo(
        instance: nvmlGpuInstance_t,
        profile: u32,
        _engines: u32,
        info: Out<nvmlComputeInstanceProfileInfo_t>,
    ) {
        let found = Found::instance(instance, "nvmlGpuInstanceGetComputeInstanceProfileInfo")?;
        let full = profile_info(&found, profile)?;
        info.set(nvmlComputeInstanceProfileInfo_t {
            id: full.id,
            sliceCount: full.sliceCount,
            instanceCount: full.instanceCount,
            multiprocessorCount: full.multiprocessorCount,
            sharedCopyEngineCount: full.sharedCopyEngineCount,
            sharedDecoderCount: full.sharedDecoderCount,
            sharedEncoderCount: full.sharedEncoderCount,
            sharedJpegCount: full.sharedJpegCount,
            sharedOfaCount: full.sharedOfaCount,
        })
    }

    /// NVML's second and third shape.
    nvmlGpuInstanceGetComputeInstanceProfileInfoV(
        instance: nvmlGpuInstance_t,
        profile: u32,
        _engines: u32,
        info: Out<nvmlComputeInstanceProfileInfo_v2_t>,
    ) {
        let found = Found::instance(instance, "nvmlGpuInstanceGetComputeInstanceProfileInfoV")?;
        let full = profile_info(&found, profile)?;
        let wanted = info.as_larger::<u32>().get()?;
        if wanted == full.version {
            return info.as_larger().set(full);
        }
        if wanted != version::<nvmlComputeInstanceProfileInfo_v2_t>(2) {
            return Err(Code::VERSION_MISMATCH);
        }
        info.set(nvmlComputeInstanceProfileInfo_v2_t {
            version: wanted,
            id: full.id,
            sliceCount: full.sliceCount,
            instanceCount: full.instanceCount,
            multiprocessorCount: full.multiprocessorCount,
            sharedCopyEngineCount: full.sharedCopyEngineCount,
            sharedDecoderCount: full.sharedDecoderCount,
            sharedEncoderCount: full.sharedEncoderCount,
            sharedJpegCount: full.sharedJpegCount,
            sharedOfaCount: full.sharedOfaCount,
            name: full.name,
        })
    }

    /// NVML's: how many more fit.
    nvmlGpuInstanceGetComputeInstanceRemainingCapacity(instance: nvmlGpuInstance_t, profile: u32, count: Out<u32>) {
        let found = Found::instance(instance, "nvmlGpuInstanceGetComputeInstanceRemainingCapacity")?;
        let slices = slices(&found, profile)?;
        let mut trial = found.instance.clone();
        let mut fit = 0;
        while mig::create_compute(&mut trial, slices, None).is_ok() {
            fit += 1;
        }
        count.set(fit)
    }

    /// NVML's: every placement of the profile, free or not.
    nvmlGpuInstanceGetComputeInstancePossiblePlacements(
        instance: nvmlGpuInstance_t,
        profile: u32,
        placements: Out<nvmlComputeInstancePlacement_t>,
        count: Out<u32>,
    ) {
        let found = Found::instance(instance, "nvmlGpuInstanceGetComputeInstancePossiblePlacements")?;
        let size = slices(&found, profile)?;
        let starts = mig::compute_starts(found.instance.family().compute, size);
        count.set(starts.len() as u32)?;
        for (index, start) in starts.into_iter().enumerate() {
            if placements.set_at(index, nvmlComputeInstancePlacement_t { start, size }).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// NVML's: the driver chooses the placement.
    nvmlGpuInstanceCreateComputeInstance(
        instance: nvmlGpuInstance_t,
        profile: u32,
        compute: Out<nvmlComputeInstance_t>,
    ) {
        let found = Found::instance(instance, "nvmlGpuInstanceCreateComputeInstance")?;
        compute.set(create(&found, profile, None)?)
    }

    /// NVML's: the caller chooses the placement.
    nvmlGpuInstanceCreateComputeInstanceWithPlacement(
        instance: nvmlGpuInstance_t,
        profile: u32,
        placement: Out<nvmlComputeInstancePlacement_t>,
        compute: Out<nvmlComputeInstance_t>,
    ) {
        let found = Found::instance(instance, "nvmlGpuInstanceCreateComputeInstanceWithPlacement")?;
        let placement = placement.get()?;
        if placement.size != slices(&found, profile)? {
            return Err(Code::INVALID_ARGUMENT);
        }
        compute.set(create(&found, profile, Some(placement.start))?)
    }

    /// NVML's: the compute instances of one profile.
    nvmlGpuInstanceGetComputeInstances(
        instance: nvmlGpuInstance_t,
        profile: u32,
        computes: Out<nvmlComputeInstance_t>,
        count: Out<u32>,
    ) {
        let found = Found::instance(instance, "nvmlGpuInstanceGetComputeInstances")?;
        let size = slices(&found, profile)?;
        let all = found.instance.compute.iter().filter(|ci| ci.slices == size);
        let mut number = 0;
        for ci in all {
            computes.set_at(number, handles::of_compute(found.device.at, found.instance.id, ci.id))?;
            number += 1;
        }
        count.set(number as u32)
    }

    /// NVML's.
    nvmlGpuInstanceGetComputeInstanceById(instance: nvmlGpuInstance_t, id: u32, compute: Out<nvmlComputeInstance_t>) {
        let found = Found::instance(instance, "nvmlGpuInstanceGetComputeInstanceById")?;
        if !found.instance.compute.iter().any(|ci| ci.id == id) {
            return Err(Code::NOT_FOUND);
        }
        compute.set(handles::of_compute(found.device.at, found.instance.id, id))
    }

    /// NVML's.
    nvmlComputeInstanceGetInfo_v2(compute: nvmlComputeInstance_t, info: Out<nvmlComputeInstanceInfo_t>) {
        let (found, ci) = Found::compute(compute, "nvmlComputeInstanceGetInfo_v2")?;
        info.set(nvmlComputeInstanceInfo_t {
            device: handles::of_gpu(found.device.at),
            gpuInstance: handles::of_instance(found.device.at, found.instance.id),
            id: ci.id,
            profileId: mig::compute_number(ci.slices),
            placement: nvmlComputeInstancePlacement_t { start: ci.start, size: ci.slices },
        })
    }

    /// NVML's: not while a process runs in it.
    nvmlComputeInstanceDestroy(compute: nvmlComputeInstance_t) {
        let (found, ci) = Found::compute(compute, "nvmlComputeInstanceDestroy")?;
        let device = &found.device;
        if device.state.faults.in_use || device.view.instance_busy(device.at, found.instance.id) {
            return Err(Code::IN_USE);
        }
        found.change(|instance| {
            instance.compute.retain(|other| other.id != ci.id);
            Ok(())
        })
    }
}
