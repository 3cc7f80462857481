//! ECC counters, remapped rows and fields by number.

use super::arguments::Out;
use super::handles::Device;
use super::{Code, exported};
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlFieldValue_t, nvmlValue_t};
use std::ffi::c_int;

/// `NVML_MEMORY_ERROR_TYPE_CORRECTED` and `_UNCORRECTED`.
fn ecc(device: &Device, kind: u32) -> Result<u64, Code> {
    match kind {
        0 => Ok(device.state.ecc_corrected),
        1 => Ok(device.state.ecc_uncorrected),
        _ => Err(Code::INVALID_ARGUMENT),
    }
}

/// A field's value by NVML's number.
fn field(device: &Device, id: u32) -> Result<u64, Code> {
    let state = &device.state;
    match id {
        1 | 2 => Ok(1),
        3 | 5 => Ok(state.ecc_corrected),
        4 | 6 => Ok(state.ecc_uncorrected),
        142 => Ok(u64::from(state.remapped_rows.0)),
        143 => Ok(u64::from(state.remapped_rows.1)),
        144 => Ok(u64::from(state.faults.reset_required)),
        145 => Ok(0),
        184 => Ok(u64::from(device.model().resetless_mig)),
        230 => Ok(u64::from(state.faults.reset_required)),
        _ => Err(Code::NOT_SUPPORTED),
    }
}

exported! {
    /// NVML's: every simulated card has ECC, on.
    nvmlDeviceGetEccMode(device: nvmlDevice_t, current: Out<u32>, pending: Out<u32>) {
        Device::whole(device, "nvmlDeviceGetEccMode")?;
        current.set(1)?;
        pending.set(1)
    }

    /// NVML's: volatile and aggregate counters are the same, since nothing reloads the driver.
    nvmlDeviceGetTotalEccErrors(device: nvmlDevice_t, kind: u32, counter: u32, count: Out<u64>) {
        let device = Device::whole(device, "nvmlDeviceGetTotalEccErrors")?;
        if counter > 1 {
            return Err(Code::INVALID_ARGUMENT);
        }
        count.set(ecc(&device, kind)?)
    }

    /// NVML's: all errors are in device memory.
    nvmlDeviceGetMemoryErrorCounter(device: nvmlDevice_t, kind: u32, _counter: u32, place: u32, count: Out<u64>) {
        let device = Device::whole(device, "nvmlDeviceGetMemoryErrorCounter")?;
        count.set(if place == 2 { ecc(&device, kind)? } else { 0 })
    }

    /// NVML's: not on cards without MIG, nor while instances exist.
    nvmlDeviceGetRemappedRows(
        device: nvmlDevice_t,
        corrected: Out<u32>,
        uncorrected: Out<u32>,
        pending: Out<u32>,
        failed: Out<u32>,
    ) {
        let device = Device::whole(device, "nvmlDeviceGetRemappedRows")?;
        if device.model().mig.is_none() || !device.state.instances.is_empty() {
            return Err(Code::NOT_SUPPORTED);
        }
        let (cor, unc) = device.state.remapped_rows;
        corrected.set(cor)?;
        uncorrected.set(unc)?;
        pending.set(u32::from(device.state.faults.reset_required))?;
        failed.set(0)
    }

    /// NVML's: each field has its own return code.
    nvmlDeviceGetFieldValues(device: nvmlDevice_t, count: c_int, values: Out<nvmlFieldValue_t>) {
        let device = Device::whole(device, "nvmlDeviceGetFieldValues")?;
        let count = usize::try_from(count).map_err(|_| Code::INVALID_ARGUMENT)?;
        for index in 0..count {
            let mut value = values.get_at(index)?;
            match field(&device, value.fieldId) {
                Ok(number) => {
                    value.nvmlReturn = 0;
                    // NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
                    value.valueType = 3;
                    value.value = nvmlValue_t { ullVal: number };
                }
                Err(code) => value.nvmlReturn = code.0,
            }
            values.set_at(index, value)?;
        }
        Ok(())
    }
}
