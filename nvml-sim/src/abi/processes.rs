//! Who uses a GPU, in each of the shapes that NVML has had for it.

use super::arguments::Out;
use super::handles::Device;
use super::{Code, exported};
use crate::processes::Listed;
use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlProcessInfo_v1_t, nvmlProcessInfo_v2_t, nvmlProcessUtilizationSample_t,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// What NVML says where there is no instance.
const NO_INSTANCE: u32 = u32::MAX;

fn of(device: &Device) -> Vec<Listed> {
    let mut all = device.view.processes(device.at);
    if let Some((instance, compute)) = &device.mig {
        all.retain(|listed| listed.entry.instance == Some((instance.id, *compute)));
    }
    all
}

/// NVML's way with arrays: the count comes back in any case, the items if they fit.
fn fill<T, U>(count: Out<u32>, into: Out<T>, items: &[U], make: impl Fn(&U) -> T) -> Result<(), Code> {
    let room = count.get()? as usize;
    count.set(items.len() as u32)?;
    if room < items.len() {
        return Err(Code::INSUFFICIENT_SIZE);
    }
    items.iter().enumerate().try_for_each(|(index, item)| into.set_at(index, make(item)))
}

fn old_shape(listed: &Listed) -> nvmlProcessInfo_v1_t {
    nvmlProcessInfo_v1_t { pid: listed.pid, usedGpuMemory: listed.entry.memory }
}

fn new_shape(listed: &Listed) -> nvmlProcessInfo_v2_t {
    let (gpu_instance, compute) = listed.entry.instance.unwrap_or((NO_INSTANCE, NO_INSTANCE));
    nvmlProcessInfo_v2_t {
        pid: listed.pid,
        usedGpuMemory: listed.entry.memory,
        gpuInstanceId: gpu_instance,
        computeInstanceId: compute,
    }
}

fn compute(device: nvmlDevice_t, call: &str, count: Out<u32>, infos: Out<nvmlProcessInfo_v2_t>) -> Result<(), Code> {
    let device = Device::find(device, call)?;
    fill(count, infos, &of(&device), new_shape)
}

/// Nothing draws and nobody runs MPS.
fn nobody(device: nvmlDevice_t, call: &str, count: Out<u32>) -> Result<(), Code> {
    Device::find(device, call)?;
    count.set(0)
}

exported! {
    /// NVML's first shape.
    nvmlDeviceGetComputeRunningProcesses(device: nvmlDevice_t, count: Out<u32>, infos: Out<nvmlProcessInfo_v1_t>) {
        let device = Device::find(device, "nvmlDeviceGetComputeRunningProcesses")?;
        fill(count, infos, &of(&device), old_shape)
    }

    /// NVML's second shape.
    nvmlDeviceGetComputeRunningProcesses_v2(device: nvmlDevice_t, count: Out<u32>, infos: Out<nvmlProcessInfo_v2_t>) {
        compute(device, "nvmlDeviceGetComputeRunningProcesses_v2", count, infos)
    }

    /// NVML's third shape.
    nvmlDeviceGetComputeRunningProcesses_v3(device: nvmlDevice_t, count: Out<u32>, infos: Out<nvmlProcessInfo_v2_t>) {
        compute(device, "nvmlDeviceGetComputeRunningProcesses_v3", count, infos)
    }

    /// NVML's first shape.
    nvmlDeviceGetGraphicsRunningProcesses(device: nvmlDevice_t, count: Out<u32>, _infos: Out<nvmlProcessInfo_v1_t>) {
        nobody(device, "nvmlDeviceGetGraphicsRunningProcesses", count)
    }

    /// NVML's second shape.
    nvmlDeviceGetGraphicsRunningProcesses_v2(device: nvmlDevice_t, count: Out<u32>, _infos: Out<nvmlProcessInfo_v2_t>) {
        nobody(device, "nvmlDeviceGetGraphicsRunningProcesses_v2", count)
    }

    /// NVML's third shape.
    nvmlDeviceGetGraphicsRunningProcesses_v3(device: nvmlDevice_t, count: Out<u32>, _infos: Out<nvmlProcessInfo_v2_t>) {
        nobody(device, "nvmlDeviceGetGraphicsRunningProcesses_v3", count)
    }

    /// NVML's third shape.
    nvmlDeviceGetMPSComputeRunningProcesses_v3(device: nvmlDevice_t, count: Out<u32>, _infos: Out<nvmlProcessInfo_v2_t>) {
        nobody(device, "nvmlDeviceGetMPSComputeRunningProcesses_v3", count)
    }

    /// NVML's: one sample per process, now.
    nvmlDeviceGetProcessUtilization(
        device: nvmlDevice_t,
        samples: Out<nvmlProcessUtilizationSample_t>,
        count: Out<u32>,
        _last_seen_us: u64,
    ) {
        let device = Device::undivided(device, "nvmlDeviceGetProcessUtilization")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
        fill(count, samples, &of(&device), |listed| nvmlProcessUtilizationSample_t {
            pid: listed.pid,
            timeStamp: now,
            smUtil: listed.entry.load,
            memUtil: listed.entry.load * 3 / 5,
            encUtil: 0,
            decUtil: 0,
        })
    }
}
