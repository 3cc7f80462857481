//! GPU instances: profiles, placements, creation, destruction.

use super::arguments::{Out, array, version};
use super::handles::{self, Device, Found};
use super::{Code, exported};
use crate::device_files;
use crate::mig::{self, Refused};
use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlGpuInstance_t, nvmlGpuInstanceInfo_t, nvmlGpuInstancePlacement_t, nvmlGpuInstanceProfileInfo_t,
    nvmlGpuInstanceProfileInfo_v2_t, nvmlGpuInstanceProfileInfo_v3_t,
};

impl From<Refused> for Code {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid => Self::INVALID_ARGUMENT,
            Refused::NoRoom => Self::INSUFFICIENT_RESOURCES,
        }
    }
}

/// A GPU with MIG on.
fn divided(device: nvmlDevice_t, call: &str) -> Result<Device, Code> {
    let device = Device::whole(device, call)?;
    if device.state.mig_enabled { Ok(device) } else { Err(Code::NOT_SUPPORTED) }
}

fn profile_by_id(id: u32) -> Result<usize, Code> {
    mig::by_id(id).ok_or(Code::NOT_SUPPORTED)
}

/// The newest shape of a profile; the older ones are parts of it.
fn profile_info(device: &Device, profile: usize) -> Result<nvmlGpuInstanceProfileInfo_v3_t, Code> {
    let (family, facts) = device.view.facts(device.at, profile).ok_or(Code::NOT_SUPPORTED)?;
    Ok(nvmlGpuInstanceProfileInfo_v3_t {
        version: version::<nvmlGpuInstanceProfileInfo_v3_t>(3),
        id: family.id,
        sliceCount: family.compute,
        instanceCount: family.max,
        multiprocessorCount: facts.multiprocessors,
        copyEngineCount: facts.copy_engines,
        decoderCount: facts.decoders,
        encoderCount: 0,
        jpegCount: facts.jpeg,
        ofaCount: facts.ofa,
        memorySizeMB: facts.memory_mib,
        name: array(&format!("MIG {}", facts.name)),
        capabilities: 0,
    })
}

/// Answers in the shape whose version the caller has put there.
fn versioned(info: nvmlGpuInstanceProfileInfo_v3_t, answer: Out<nvmlGpuInstanceProfileInfo_v2_t>) -> Result<(), Code> {
    // Only the version, which both shapes begin with, is the caller's to set.
    let wanted = answer.as_larger::<u32>().get()?;
    if wanted == version::<nvmlGpuInstanceProfileInfo_v3_t>(3) {
        return answer.as_larger().set(info);
    }
    if wanted != version::<nvmlGpuInstanceProfileInfo_v2_t>(2) {
        return Err(Code::VERSION_MISMATCH);
    }
    answer.set(nvmlGpuInstanceProfileInfo_v2_t {
        version: wanted,
        id: info.id,
        isP2pSupported: 0,
        sliceCount: info.sliceCount,
        instanceCount: info.instanceCount,
        multiprocessorCount: info.multiprocessorCount,
        copyEngineCount: info.copyEngineCount,
        decoderCount: info.decoderCount,
        encoderCount: info.encoderCount,
        jpegCount: info.jpegCount,
        ofaCount: info.ofaCount,
        memorySizeMB: info.memorySizeMB,
        name: info.name,
    })
}

/// Makes an instance, with its capability file.
fn create(device: &Device, profile: usize, start: Option<u32>) -> Result<nvmlGpuInstance_t, Code> {
    if device.state.faults.in_use {
        return Err(Code::IN_USE);
    }
    if device.state.faults.reset_required {
        return Err(Code::RESET_REQUIRED);
    }
    let made = device.change(|state| {
        let start = start.or_else(|| mig::choose(&state.instances, profile)).ok_or(Refused::NoRoom)?;
        let id = mig::create(&mut state.instances, profile, start)?;
        let instance = state.instances.iter().find(|instance| instance.id == id).cloned();
        instance.ok_or(Code::NOT_FOUND)
    })?;
    device_files::make_instance(&device.view.place.dev, device.gpu().minor, &made)?;
    Ok(handles::of_instance(device.at, made.id))
}

exported! {
    /// NVML's first shape.
    nvmlDeviceGetGpuInstanceProfileInfo(device: nvmlDevice_t, profile: u32, info: Out<nvmlGpuInstanceProfileInfo_t>) {
        let device = divided(device, "nvmlDeviceGetGpuInstanceProfileInfo")?;
        let full = profile_info(&device, mig::by_number(profile).ok_or(Code::NOT_SUPPORTED)?)?;
        info.set(nvmlGpuInstanceProfileInfo_t {
            id: full.id,
            isP2pSupported: 0,
            sliceCount: full.sliceCount,
            instanceCount: full.instanceCount,
            multiprocessorCount: full.multiprocessorCount,
            copyEngineCount: full.copyEngineCount,
            decoderCount: full.decoderCount,
            encoderCount: full.encoderCount,
            jpegCount: full.jpegCount,
            ofaCount: full.ofaCount,
            memorySizeMB: full.memorySizeMB,
        })
    }

    /// NVML's second and third shape.
    nvmlDeviceGetGpuInstanceProfileInfoV(device: nvmlDevice_t, profile: u32, info: Out<nvmlGpuInstanceProfileInfo_v2_t>) {
        let device = divided(device, "nvmlDeviceGetGpuInstanceProfileInfoV")?;
        versioned(profile_info(&device, mig::by_number(profile).ok_or(Code::NOT_SUPPORTED)?)?, info)
    }

    /// NVML's, by profile id.
    nvmlDeviceGetGpuInstanceProfileInfoByIdV(device: nvmlDevice_t, id: u32, info: Out<nvmlGpuInstanceProfileInfo_v2_t>) {
        let device = divided(device, "nvmlDeviceGetGpuInstanceProfileInfoByIdV")?;
        versioned(profile_info(&device, profile_by_id(id)?)?, info)
    }

    /// NVML's: every placement of the profile, free or not.
    nvmlDeviceGetGpuInstancePossiblePlacements_v2(
        device: nvmlDevice_t,
        id: u32,
        placements: Out<nvmlGpuInstancePlacement_t>,
        count: Out<u32>,
    ) {
        divided(device, "nvmlDeviceGetGpuInstancePossiblePlacements_v2")?;
        let family = &mig::PROFILES[profile_by_id(id)?];
        count.set(family.starts.len() as u32)?;
        // Without an array the caller asks for the count; with one it has that much room.
        for (index, start) in family.starts.iter().enumerate() {
            let placement = nvmlGpuInstancePlacement_t { start: *start, size: family.size };
            if placements.set_at(index, placement).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// NVML's.
    nvmlDeviceGetGpuInstanceRemainingCapacity(device: nvmlDevice_t, id: u32, count: Out<u32>) {
        let device = divided(device, "nvmlDeviceGetGpuInstanceRemainingCapacity")?;
        count.set(mig::remaining(&device.state.instances, profile_by_id(id)?))
    }

    /// NVML's: the driver chooses the placement.
    nvmlDeviceCreateGpuInstance(device: nvmlDevice_t, id: u32, instance: Out<nvmlGpuInstance_t>) {
        let device = divided(device, "nvmlDeviceCreateGpuInstance")?;
        instance.set(create(&device, profile_by_id(id)?, None)?)
    }

    /// NVML's: the caller chooses the placement.
    nvmlDeviceCreateGpuInstanceWithPlacement(
        device: nvmlDevice_t,
        id: u32,
        placement: Out<nvmlGpuInstancePlacement_t>,
        instance: Out<nvmlGpuInstance_t>,
    ) {
        let device = divided(device, "nvmlDeviceCreateGpuInstanceWithPlacement")?;
        let profile = profile_by_id(id)?;
        let placement = placement.get()?;
        if placement.size != mig::PROFILES[profile].size {
            return Err(Code::INVALID_ARGUMENT);
        }
        instance.set(create(&device, profile, Some(placement.start))?)
    }

    /// NVML's: the instances of one profile; the array has room for the profile's maximum.
    nvmlDeviceGetGpuInstances(device: nvmlDevice_t, id: u32, instances: Out<nvmlGpuInstance_t>, count: Out<u32>) {
        let device = divided(device, "nvmlDeviceGetGpuInstances")?;
        let profile = profile_by_id(id)?;
        let found: Vec<u32> =
            device.state.instances.iter().filter(|i| i.profile == profile).map(|i| i.id).collect();
        for (index, id) in found.iter().enumerate() {
            instances.set_at(index, handles::of_instance(device.at, *id))?;
        }
        count.set(found.len() as u32)
    }

    /// NVML's.
    nvmlDeviceGetGpuInstanceById(device: nvmlDevice_t, id: u32, instance: Out<nvmlGpuInstance_t>) {
        let found = Found::by_id(divided(device, "nvmlDeviceGetGpuInstanceById")?, id)?;
        instance.set(handles::of_instance(found.device.at, id))
    }

    /// NVML's.
    nvmlGpuInstanceGetInfo(instance: nvmlGpuInstance_t, info: Out<nvmlGpuInstanceInfo_t>) {
        let found = Found::instance(instance, "nvmlGpuInstanceGetInfo")?;
        let family = found.instance.family();
        info.set(nvmlGpuInstanceInfo_t {
            device: handles::of_gpu(found.device.at),
            id: found.instance.id,
            profileId: family.id,
            placement: nvmlGpuInstancePlacement_t { start: found.instance.start, size: family.size },
        })
    }

    /// NVML's: not while it has compute instances or processes.
    nvmlGpuInstanceDestroy(instance: nvmlGpuInstance_t) {
        let found = Found::instance(instance, "nvmlGpuInstanceDestroy")?;
        if found.device.state.faults.in_use || found.device.view.instance_busy(found.device.at, found.instance.id) {
            return Err(Code::IN_USE);
        }
        found.device.change(|state| {
            let place = state.instances.iter().position(|i| i.id == found.instance.id).ok_or(Code::NOT_FOUND)?;
            if !state.instances[place].compute.is_empty() {
                return Err(Code::IN_USE);
            }
            state.instances.remove(place);
            Ok(())
        })
    }
}
