//! Starting, ending, versions, counting GPUs.

use super::arguments::{Out, Text};
use super::handles::{self, Device};
use super::{Code, exported};
use crate::place::Place;
use crate::view::View;
use nvml_wrapper_sys::bindings::nvmlDevice_t;
use std::ffi::{c_char, c_int};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

struct Library {
    users: usize,
    view: Option<Arc<View>>,
}

static LIBRARY: Mutex<Library> = Mutex::new(Library { users: 0, view: None });

fn held() -> MutexGuard<'static, Library> {
    LIBRARY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The view of this process.
///
/// # Errors
/// The library is not initialised.
pub fn view() -> Result<Arc<View>, Code> {
    held().view.clone().ok_or(Code::UNINITIALIZED)
}

fn start() -> Result<(), Code> {
    let mut library = held();
    if library.view.is_none() {
        let place = Place::locate().ok_or(Code::DRIVER_NOT_LOADED)?;
        library.view = Some(Arc::new(View::open(place).map_err(|_| Code::DRIVER_NOT_LOADED)?));
    }
    library.users += 1;
    Ok(())
}

fn by_uuid(uuid: &str) -> Result<nvmlDevice_t, Code> {
    let view = view()?;
    for at in &view.visible {
        if view.scenario.gpus[*at].uuid == uuid {
            return Ok(handles::of_gpu(*at));
        }
        let mig = view.mig_devices(*at);
        if let Some((instance, compute)) = mig.iter().find(|(i, ci)| view.mig_uuid(*at, i, *ci) == uuid) {
            return Ok(handles::of_mig(*at, instance.id, *compute));
        }
    }
    Err(Code::NOT_FOUND)
}

/// A GPU by what `is` says of it; a lost one is said to be lost.
fn by(is: impl Fn(&View, usize) -> bool) -> Result<nvmlDevice_t, Code> {
    let view = view()?;
    let at = view.visible.iter().copied().find(|at| is(&view, *at)).ok_or(Code::NOT_FOUND)?;
    if view.gpu_state(at).faults.lost { Err(Code::GPU_IS_LOST) } else { Ok(handles::of_gpu(at)) }
}

exported! {
    /// NVML's.
    nvmlInit() {
        start()
    }

    /// NVML's.
    nvmlInit_v2() {
        start()
    }

    /// NVML's.
    nvmlInitWithFlags(_flags: u32) {
        start()
    }

    /// NVML's.
    nvmlShutdown() {
        let mut library = held();
        library.users = library.users.checked_sub(1).ok_or(Code::UNINITIALIZED)?;
        if library.users == 0 {
            library.view = None;
        }
        Ok(())
    }

    /// NVML's.
    nvmlSystemGetDriverVersion(version: Out<c_char>, length: u32) {
        version.text(length, &view()?.scenario.driver_version)
    }

    /// NVML's.
    nvmlSystemGetNVMLVersion(version: Out<c_char>, length: u32) {
        version.text(length, &view()?.scenario.nvml_version)
    }

    /// NVML's.
    nvmlSystemGetCudaDriverVersion(version: Out<c_int>) {
        version.set(view()?.scenario.cuda_version)
    }

    /// NVML's.
    nvmlSystemGetCudaDriverVersion_v2(version: Out<c_int>) {
        version.set(view()?.scenario.cuda_version)
    }

    /// NVML's.
    nvmlSystemGetProcessName(pid: u32, name: Out<c_char>, length: u32) {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).map_err(|_| Code::NOT_FOUND)?;
        let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
        name.text(length, &String::from_utf8_lossy(first))
    }

    /// NVML's: there are no S-class units.
    nvmlUnitGetCount(count: Out<u32>) {
        count.set(0)
    }

    /// NVML's.
    nvmlDeviceGetCount_v2(count: Out<u32>) {
        count.set(view()?.visible.len() as u32)
    }

    /// NVML's.
    nvmlDeviceGetHandleByIndex_v2(index: u32, device: Out<nvmlDevice_t>) {
        let at = *view()?.visible.get(index as usize).ok_or(Code::INVALID_ARGUMENT)?;
        device.set(by(|_, other| other == at)?)
    }

    /// NVML's.
    nvmlDeviceGetHandleByUUID(uuid: Text, device: Out<nvmlDevice_t>) {
        device.set(by_uuid(&uuid.read()?)?)
    }

    /// NVML's.
    nvmlDeviceGetHandleBySerial(serial: Text, device: Out<nvmlDevice_t>) {
        let serial = serial.read()?;
        device.set(by(|view, at| view.scenario.gpus[at].serial == serial)?)
    }

    /// NVML's.
    nvmlDeviceGetHandleByPciBusId_v2(bus_id: Text, device: Out<nvmlDevice_t>) {
        let wanted = bus_id.read()?.to_ascii_uppercase();
        let tail = wanted.split_once(':').map(|(_, tail)| tail.to_owned()).ok_or(Code::INVALID_ARGUMENT)?;
        device.set(by(|view, at| format!("{:02X}:00.0", view.scenario.gpus[at].bus) == tail)?)
    }

    /// NVML's.
    nvmlDeviceGetIndex(device: nvmlDevice_t, index: Out<u32>) {
        let device = Device::find(device, "nvmlDeviceGetIndex")?;
        let place = match &device.mig {
            None => device.view.visible.iter().position(|at| *at == device.at),
            Some((instance, ci)) => {
                device.view.mig_devices(device.at).iter().position(|(i, c)| i.id == instance.id && c == ci)
            }
        };
        index.set(place.ok_or(Code::NOT_FOUND)? as u32)
    }
}
