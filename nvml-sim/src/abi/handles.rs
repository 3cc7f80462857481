//! Handles are tagged numbers, never pointers that anyone follows: kind, GPU, GPU instance, compute instance.

use super::Code;
use super::library;
use crate::mig::{ComputeInstance, Instance};
use crate::models::Model;
use crate::scenario::Gpu;
use crate::state::GpuState;
use crate::view::View;
use nvml_wrapper_sys::bindings::{nvmlComputeInstance_t, nvmlDevice_t, nvmlGpuInstance_t};
use std::sync::Arc;
use std::time::Duration;

const GPU: usize = 1;
const MIG: usize = 2;
const GPU_INSTANCE: usize = 3;
const COMPUTE_INSTANCE: usize = 4;
/// How often a call to a hanging GPU looks whether the fault has ended.
const HANG_LOOK: Duration = Duration::from_millis(50);

/// What a handle means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meaning {
    kind: usize,
    at: usize,
    gpu_instance: u32,
    compute: u32,
}

fn pack(kind: usize, at: usize, gpu_instance: u32, compute: u32) -> usize {
    kind << 28 | at << 16 | (gpu_instance as usize) << 8 | compute as usize
}

fn unpack(handle: usize) -> Result<Meaning, Code> {
    let meaning = Meaning {
        kind: handle >> 28,
        at: handle >> 16 & 0xfff,
        gpu_instance: (handle >> 8 & 0xff) as u32,
        compute: (handle & 0xff) as u32,
    };
    if (GPU..=COMPUTE_INSTANCE).contains(&meaning.kind) { Ok(meaning) } else { Err(Code::INVALID_ARGUMENT) }
}

/// Handle of a GPU.
#[must_use]
pub fn of_gpu(at: usize) -> nvmlDevice_t {
    pack(GPU, at, 0, 0) as nvmlDevice_t
}

/// Handle of a MIG device.
#[must_use]
pub fn of_mig(at: usize, gpu_instance: u32, compute: u32) -> nvmlDevice_t {
    pack(MIG, at, gpu_instance, compute) as nvmlDevice_t
}

/// Handle of a GPU instance.
#[must_use]
pub fn of_instance(at: usize, gpu_instance: u32) -> nvmlGpuInstance_t {
    pack(GPU_INSTANCE, at, gpu_instance, 0) as nvmlGpuInstance_t
}

/// Handle of a compute instance.
#[must_use]
pub fn of_compute(at: usize, gpu_instance: u32, compute: u32) -> nvmlComputeInstance_t {
    pack(COMPUTE_INSTANCE, at, gpu_instance, compute) as nvmlComputeInstance_t
}

/// A GPU or MIG device as a call has found it: not lost, not hanging.
#[derive(Debug)]
pub struct Device {
    /// The process's view.
    pub view: Arc<View>,
    /// Place in the scenario.
    pub at: usize,
    /// State of the GPU at the time of the call.
    pub state: GpuState,
    /// The MIG device's instance and compute id; none for a whole GPU.
    pub mig: Option<(Instance, u32)>,
}

impl Device {
    /// The device behind a handle, for the function `call`.
    ///
    /// # Errors
    /// The handle is none, the GPU is lost, or scripted not to support the call.
    pub fn find(handle: nvmlDevice_t, call: &str) -> Result<Self, Code> {
        let meaning = unpack(handle as usize)?;
        let mut device = Self::open(meaning.at, call)?;
        if meaning.kind == MIG {
            let instance = device.state.instances.iter().find(|instance| instance.id == meaning.gpu_instance);
            let instance = instance.ok_or(Code::NOT_FOUND)?.clone();
            if !instance.compute.iter().any(|ci| ci.id == meaning.compute) {
                return Err(Code::NOT_FOUND);
            }
            device.mig = Some((instance, meaning.compute));
        } else if meaning.kind != GPU {
            return Err(Code::INVALID_ARGUMENT);
        }
        Ok(device)
    }

    /// As [`Device::find`], for calls that only whole GPUs answer.
    ///
    /// # Errors
    /// Also if the handle is a MIG device's.
    pub fn whole(handle: nvmlDevice_t, call: &str) -> Result<Self, Code> {
        let device = Self::find(handle, call)?;
        if device.mig.is_some() { Err(Code::NOT_SUPPORTED) } else { Ok(device) }
    }

    /// As [`Device::whole`], for calls that GPUs in MIG mode do not answer either.
    ///
    /// # Errors
    /// Also if MIG is on.
    pub fn undivided(handle: nvmlDevice_t, call: &str) -> Result<Self, Code> {
        let device = Self::whole(handle, call)?;
        if device.state.mig_enabled { Err(Code::NOT_SUPPORTED) } else { Ok(device) }
    }

    fn open(at: usize, call: &str) -> Result<Self, Code> {
        let view = library::view()?;
        if !view.visible.contains(&at) {
            return Err(Code::INVALID_ARGUMENT);
        }
        let mut state = view.gpu_state(at);
        while state.faults.hang {
            std::thread::sleep(HANG_LOOK);
            state = view.gpu_state(at);
        }
        if state.faults.slow_ms > 0 {
            std::thread::sleep(Duration::from_millis(state.faults.slow_ms));
        }
        if state.faults.lost {
            return Err(Code::GPU_IS_LOST);
        }
        if state.faults.not_supported.iter().any(|name| name == call) {
            return Err(Code::NOT_SUPPORTED);
        }
        Ok(Self { view, at, state, mig: None })
    }

    /// What the scenario says.
    #[must_use]
    pub fn gpu(&self) -> &Gpu {
        &self.view.scenario.gpus[self.at]
    }

    /// The product.
    #[must_use]
    pub fn model(&self) -> &'static Model {
        self.view.model(self.at)
    }

    /// Changes the GPU's state.
    ///
    /// # Errors
    /// The change's, or `NO_PERMISSION` where the state is read-only.
    pub fn change<T>(&self, with: impl FnOnce(&mut GpuState) -> Result<T, Code>) -> Result<T, Code> {
        self.view.change(self.at, with)?
    }
}

/// A GPU instance as a call has found it.
#[derive(Debug)]
pub struct Found {
    /// Its GPU.
    pub device: Device,
    /// The instance.
    pub instance: Instance,
}

impl Found {
    /// The GPU instance behind a handle.
    ///
    /// # Errors
    /// As [`Device::find`], or the instance is gone.
    pub fn instance(handle: nvmlGpuInstance_t, call: &str) -> Result<Self, Code> {
        let meaning = unpack(handle as usize)?;
        if meaning.kind != GPU_INSTANCE {
            return Err(Code::INVALID_ARGUMENT);
        }
        Self::by_id(Device::open(meaning.at, call)?, meaning.gpu_instance)
    }

    /// The compute instance behind a handle.
    ///
    /// # Errors
    /// As [`Found::instance`].
    pub fn compute(handle: nvmlComputeInstance_t, call: &str) -> Result<(Self, ComputeInstance), Code> {
        let meaning = unpack(handle as usize)?;
        if meaning.kind != COMPUTE_INSTANCE {
            return Err(Code::INVALID_ARGUMENT);
        }
        let found = Self::by_id(Device::open(meaning.at, call)?, meaning.gpu_instance)?;
        let compute = found.instance.compute.iter().find(|ci| ci.id == meaning.compute).cloned();
        compute.map(|compute| (found, compute)).ok_or(Code::NOT_FOUND)
    }

    /// An instance of a GPU by its id.
    ///
    /// # Errors
    /// There is none.
    pub fn by_id(device: Device, id: u32) -> Result<Self, Code> {
        let instance = device.state.instances.iter().find(|instance| instance.id == id).cloned();
        instance.map(|instance| Self { device, instance }).ok_or(Code::NOT_FOUND)
    }

    /// Changes this instance.
    ///
    /// # Errors
    /// As [`Device::change`], or it is gone.
    pub fn change<T>(&self, with: impl FnOnce(&mut Instance) -> Result<T, Code>) -> Result<T, Code> {
        let id = self.instance.id;
        self.device.change(|state| {
            let instance = state.instances.iter_mut().find(|instance| instance.id == id);
            with(instance.ok_or(Code::NOT_FOUND)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_come_back_as_what_they_were() {
        let handle = of_compute(31, 13, 6) as usize;
        assert_eq!(unpack(handle), Ok(Meaning { kind: COMPUTE_INSTANCE, at: 31, gpu_instance: 13, compute: 6 }));
        assert_eq!(unpack(0), Err(Code::INVALID_ARGUMENT));
        assert_eq!(unpack(usize::MAX), Err(Code::INVALID_ARGUMENT));
    }
}
