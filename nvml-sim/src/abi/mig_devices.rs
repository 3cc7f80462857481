//! MIG mode, and MIG devices as programs see them.

use super::arguments::Out;
use super::handles::{self, Device};
use super::{Code, exported};
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlDeviceAttributes_t};

/// Sets the mode; the inner code is the activation status.
fn set_mode(device: &Device, on: bool) -> Result<u32, Code> {
    if device.model().mig.is_none() {
        return Err(Code::NOT_SUPPORTED);
    }
    let busy = device.state.faults.in_use || !device.view.processes(device.at).is_empty();
    device.change(|state| {
        if !on && !state.instances.is_empty() {
            return Err(Code::IN_USE);
        }
        state.mig_pending = on;
        if busy {
            return Ok(Code::IN_USE.0);
        }
        if state.faults.reset_required {
            return Ok(Code::RESET_REQUIRED.0);
        }
        state.mig_enabled = on;
        Ok(0)
    })
}

exported! {
    /// NVML's: `NOT_SUPPORTED` on cards that cannot.
    nvmlDeviceGetMigMode(device: nvmlDevice_t, current: Out<u32>, pending: Out<u32>) {
        let device = Device::whole(device, "nvmlDeviceGetMigMode")?;
        if device.model().mig.is_none() {
            return Err(Code::NOT_SUPPORTED);
        }
        current.set(u32::from(device.state.mig_enabled))?;
        pending.set(u32::from(device.state.mig_pending))
    }

    /// NVML's: a busy GPU keeps its mode and says so in `status`.
    nvmlDeviceSetMigMode(device: nvmlDevice_t, mode: u32, status: Out<u32>) {
        let device = Device::whole(device, "nvmlDeviceSetMigMode")?;
        if mode > 1 {
            return Err(Code::INVALID_ARGUMENT);
        }
        status.set(set_mode(&device, mode == 1)?)
    }

    /// NVML's.
    nvmlDeviceIsMigDeviceHandle(device: nvmlDevice_t, mig: Out<u32>) {
        mig.set(u32::from(Device::find(device, "nvmlDeviceIsMigDeviceHandle")?.mig.is_some()))
    }

    /// NVML's: as many as the smallest profile allows.
    nvmlDeviceGetMaxMigDeviceCount(device: nvmlDevice_t, count: Out<u32>) {
        let device = Device::whole(device, "nvmlDeviceGetMaxMigDeviceCount")?;
        count.set(if device.model().mig.is_some() { 7 } else { 0 })
    }

    /// NVML's: only devices whose capabilities this process can open.
    nvmlDeviceGetMigDeviceHandleByIndex(device: nvmlDevice_t, index: u32, mig: Out<nvmlDevice_t>) {
        let device = Device::whole(device, "nvmlDeviceGetMigDeviceHandleByIndex")?;
        if device.model().mig.is_none() {
            return Err(Code::NOT_SUPPORTED);
        }
        let found = device.view.mig_devices(device.at);
        let (instance, compute) = found.get(index as usize).ok_or(Code::NOT_FOUND)?;
        mig.set(handles::of_mig(device.at, instance.id, *compute))
    }

    /// NVML's.
    nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mig: nvmlDevice_t, device: Out<nvmlDevice_t>) {
        let mig = Device::find(mig, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle")?;
        if mig.mig.is_none() {
            return Err(Code::INVALID_ARGUMENT);
        }
        device.set(handles::of_gpu(mig.at))
    }

    /// NVML's.
    nvmlDeviceGetGpuInstanceId(mig: nvmlDevice_t, id: Out<u32>) {
        let mig = Device::find(mig, "nvmlDeviceGetGpuInstanceId")?;
        id.set(mig.mig.ok_or(Code::NOT_SUPPORTED)?.0.id)
    }

    /// NVML's.
    nvmlDeviceGetComputeInstanceId(mig: nvmlDevice_t, id: Out<u32>) {
        let mig = Device::find(mig, "nvmlDeviceGetComputeInstanceId")?;
        id.set(mig.mig.ok_or(Code::NOT_SUPPORTED)?.1)
    }

    /// NVML's: what a MIG device has of the GPU.
    nvmlDeviceGetAttributes_v2(mig: nvmlDevice_t, attributes: Out<nvmlDeviceAttributes_t>) {
        let device = Device::find(mig, "nvmlDeviceGetAttributes_v2")?;
        let (instance, compute) = device.mig.as_ref().ok_or(Code::NOT_SUPPORTED)?;
        let (family, facts) = device.view.facts(device.at, instance.profile).ok_or(Code::NOT_SUPPORTED)?;
        let slices = instance.compute.iter().find(|ci| ci.id == *compute).map_or(0, |ci| ci.slices);
        attributes.set(nvmlDeviceAttributes_t {
            multiprocessorCount: facts.multiprocessors * slices / family.compute,
            sharedCopyEngineCount: facts.copy_engines,
            sharedDecoderCount: facts.decoders,
            sharedEncoderCount: 0,
            sharedJpegCount: facts.jpeg,
            sharedOfaCount: facts.ofa,
            gpuInstanceSliceCount: family.compute,
            computeInstanceSliceCount: slices,
            memorySizeMB: facts.memory_mib,
        })
    }
}
