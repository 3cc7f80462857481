//! What a GPU does: memory, utilisation, heat, power, clocks. All of it follows from the process table unless
//! the state says otherwise.

use super::arguments::{Out, version};
use super::handles::Device;
use super::{Code, exported};
use nvml_wrapper_sys::bindings::{
    nvmlBAR1Memory_t, nvmlDevice_t, nvmlMemory_t, nvmlMemory_v2_t, nvmlTemperature_v1_t, nvmlUtilization_t,
};
use std::ffi::c_int;

/// `NVML_CLOCK_GRAPHICS`, `_SM`, `_MEM`, `_VIDEO`.
const CLOCKS: std::ops::RangeInclusive<u32> = 0..=3;
const CLOCK_MEMORY: u32 = 2;
/// Bits of `nvmlClocksEventReasons`: nothing runs.
const REASON_IDLE: u64 = 1;

fn temperature(device: &Device) -> u32 {
    let (idle, full, ..) = device.model().temperature_c;
    device.state.said.temperature_c.unwrap_or_else(|| device.view.between(device.at, idle, full))
}

fn power(device: &Device) -> u32 {
    let (idle, full, _) = device.model().power_mw;
    device.state.said.power_mw.unwrap_or_else(|| device.view.between(device.at, idle, full))
}

fn clock(device: &Device, kind: u32, highest: bool) -> Result<u32, Code> {
    let (idle, full, memory) = device.model().clock_mhz;
    match kind {
        CLOCK_MEMORY => Ok(memory),
        kind if !CLOCKS.contains(&kind) => Err(Code::INVALID_ARGUMENT),
        _ if highest || device.view.utilization(device.at) > 0 => Ok(full),
        _ => Ok(idle),
    }
}

fn reasons(device: &Device) -> u64 {
    let idle = if device.view.utilization(device.at) == 0 { REASON_IDLE } else { 0 };
    device.state.said.throttle_reasons.unwrap_or(idle)
}

fn performance(device: &Device) -> u32 {
    if device.view.utilization(device.at) == 0 && device.model().mig.is_none() { 8 } else { 0 }
}

exported! {
    /// NVML's: here what the driver keeps counts as used.
    nvmlDeviceGetMemoryInfo(device: nvmlDevice_t, memory: Out<nvmlMemory_t>) {
        let device = Device::find(device, "nvmlDeviceGetMemoryInfo")?;
        let (total, reserved, used) = device.view.memory(device.at, device.mig.as_ref().map(|(i, _)| i));
        memory.set(nvmlMemory_t { total, free: total - reserved - used, used: reserved + used })
    }

    /// NVML's.
    nvmlDeviceGetMemoryInfo_v2(device: nvmlDevice_t, memory: Out<nvmlMemory_v2_t>) {
        let wanted = memory.get()?.version;
        if wanted != version::<nvmlMemory_v2_t>(2) {
            return Err(Code::VERSION_MISMATCH);
        }
        let device = Device::find(device, "nvmlDeviceGetMemoryInfo_v2")?;
        let (total, reserved, used) = device.view.memory(device.at, device.mig.as_ref().map(|(i, _)| i));
        memory.set(nvmlMemory_v2_t { version: wanted, total, reserved, free: total - reserved - used, used })
    }

    /// NVML's.
    nvmlDeviceGetBAR1MemoryInfo(device: nvmlDevice_t, memory: Out<nvmlBAR1Memory_t>) {
        let device = Device::find(device, "nvmlDeviceGetBAR1MemoryInfo")?;
        let (total, used) = (device.model().bar1_mib << 20, 1 << 20);
        memory.set(nvmlBAR1Memory_t { bar1Total: total, bar1Free: total - used, bar1Used: used })
    }

    /// NVML's: a GPU in MIG mode has none, nor have its instances.
    nvmlDeviceGetUtilizationRates(device: nvmlDevice_t, rates: Out<nvmlUtilization_t>) {
        let device = Device::undivided(device, "nvmlDeviceGetUtilizationRates")?;
        let gpu = device.view.utilization(device.at);
        rates.set(nvmlUtilization_t { gpu, memory: gpu * 3 / 5 })
    }

    /// NVML's: nothing encodes.
    nvmlDeviceGetEncoderUtilization(device: nvmlDevice_t, percent: Out<u32>, period_us: Out<u32>) {
        Device::undivided(device, "nvmlDeviceGetEncoderUtilization")?;
        percent.set(0)?;
        period_us.set(167_000)
    }

    /// NVML's: nothing decodes.
    nvmlDeviceGetDecoderUtilization(device: nvmlDevice_t, percent: Out<u32>, period_us: Out<u32>) {
        Device::undivided(device, "nvmlDeviceGetDecoderUtilization")?;
        percent.set(0)?;
        period_us.set(167_000)
    }

    /// NVML's.
    nvmlDeviceGetTemperature(device: nvmlDevice_t, sensor: u32, degrees: Out<u32>) {
        let device = Device::whole(device, "nvmlDeviceGetTemperature")?;
        if sensor != 0 {
            return Err(Code::INVALID_ARGUMENT);
        }
        degrees.set(temperature(&device))
    }

    /// NVML's.
    nvmlDeviceGetTemperatureV(device: nvmlDevice_t, answer: Out<nvmlTemperature_v1_t>) {
        let mut asked = answer.get()?;
        if asked.version != version::<nvmlTemperature_v1_t>(1) {
            return Err(Code::VERSION_MISMATCH);
        }
        let device = Device::whole(device, "nvmlDeviceGetTemperatureV")?;
        if asked.sensorType != 0 {
            return Err(Code::INVALID_ARGUMENT);
        }
        asked.temperature = temperature(&device).cast_signed();
        answer.set(asked)
    }

    /// NVML's: shutdown and slowdown.
    nvmlDeviceGetTemperatureThreshold(device: nvmlDevice_t, threshold: u32, degrees: Out<u32>) {
        let (_, _, slowdown, shutdown) =
            Device::whole(device, "nvmlDeviceGetTemperatureThreshold")?.model().temperature_c;
        match threshold {
            0 => degrees.set(shutdown),
            1 => degrees.set(slowdown),
            _ => Err(Code::NOT_SUPPORTED),
        }
    }

    /// NVML's: these cards have none.
    nvmlDeviceGetFanSpeed(device: nvmlDevice_t, _percent: Out<u32>) {
        Device::whole(device, "nvmlDeviceGetFanSpeed")?;
        Err(Code::NOT_SUPPORTED)
    }

    /// NVML's: these cards have none.
    nvmlDeviceGetFanSpeed_v2(device: nvmlDevice_t, _fan: u32, _percent: Out<u32>) {
        Device::whole(device, "nvmlDeviceGetFanSpeed_v2")?;
        Err(Code::NOT_SUPPORTED)
    }

    /// NVML's.
    nvmlDeviceGetNumFans(device: nvmlDevice_t, fans: Out<u32>) {
        Device::whole(device, "nvmlDeviceGetNumFans")?;
        fans.set(0)
    }

    /// NVML's.
    nvmlDeviceGetPowerUsage(device: nvmlDevice_t, milliwatts: Out<u32>) {
        milliwatts.set(power(&Device::whole(device, "nvmlDeviceGetPowerUsage")?))
    }

    /// NVML's.
    nvmlDeviceGetPowerManagementMode(device: nvmlDevice_t, mode: Out<u32>) {
        Device::whole(device, "nvmlDeviceGetPowerManagementMode")?;
        mode.set(1)
    }

    /// NVML's.
    nvmlDeviceGetPowerManagementLimit(device: nvmlDevice_t, milliwatts: Out<u32>) {
        milliwatts.set(Device::whole(device, "nvmlDeviceGetPowerManagementLimit")?.model().power_mw.1)
    }

    /// NVML's.
    nvmlDeviceGetPowerManagementDefaultLimit(device: nvmlDevice_t, milliwatts: Out<u32>) {
        milliwatts.set(Device::whole(device, "nvmlDeviceGetPowerManagementDefaultLimit")?.model().power_mw.1)
    }

    /// NVML's.
    nvmlDeviceGetEnforcedPowerLimit(device: nvmlDevice_t, milliwatts: Out<u32>) {
        milliwatts.set(Device::whole(device, "nvmlDeviceGetEnforcedPowerLimit")?.model().power_mw.1)
    }

    /// NVML's.
    nvmlDeviceGetPowerManagementLimitConstraints(device: nvmlDevice_t, lowest: Out<u32>, highest: Out<u32>) {
        let (_, full, low) = Device::whole(device, "nvmlDeviceGetPowerManagementLimitConstraints")?.model().power_mw;
        lowest.set(low)?;
        highest.set(full)
    }

    /// NVML's.
    nvmlDeviceGetPowerState(device: nvmlDevice_t, state: Out<u32>) {
        state.set(performance(&Device::whole(device, "nvmlDeviceGetPowerState")?))
    }

    /// NVML's.
    nvmlDeviceGetPerformanceState(device: nvmlDevice_t, state: Out<u32>) {
        state.set(performance(&Device::whole(device, "nvmlDeviceGetPerformanceState")?))
    }

    /// NVML's.
    nvmlDeviceGetClockInfo(device: nvmlDevice_t, kind: u32, mhz: Out<u32>) {
        mhz.set(clock(&Device::whole(device, "nvmlDeviceGetClockInfo")?, kind, false)?)
    }

    /// NVML's.
    nvmlDeviceGetMaxClockInfo(device: nvmlDevice_t, kind: u32, mhz: Out<u32>) {
        mhz.set(clock(&Device::whole(device, "nvmlDeviceGetMaxClockInfo")?, kind, true)?)
    }

    /// NVML's: the clock now, and the highest (which the default boost reaches).
    nvmlDeviceGetClock(device: nvmlDevice_t, kind: u32, id: u32, mhz: Out<u32>) {
        let device = Device::whole(device, "nvmlDeviceGetClock")?;
        match id {
            0 => mhz.set(clock(&device, kind, false)?),
            1..=3 => mhz.set(clock(&device, kind, true)?),
            _ => Err(Code::INVALID_ARGUMENT),
        }
    }

    /// NVML's.
    nvmlDeviceGetCurrentClocksThrottleReasons(device: nvmlDevice_t, bits: Out<u64>) {
        bits.set(reasons(&Device::whole(device, "nvmlDeviceGetCurrentClocksThrottleReasons")?))
    }

    /// NVML's newer name of the same.
    nvmlDeviceGetCurrentClocksEventReasons(device: nvmlDevice_t, bits: Out<u64>) {
        bits.set(reasons(&Device::whole(device, "nvmlDeviceGetCurrentClocksEventReasons")?))
    }

    /// NVML's: every reason there is.
    nvmlDeviceGetSupportedClocksThrottleReasons(device: nvmlDevice_t, bits: Out<u64>) {
        Device::whole(device, "nvmlDeviceGetSupportedClocksThrottleReasons")?;
        bits.set(0x1ff)
    }

    /// NVML's: KiB/s, in proportion to the work.
    nvmlDeviceGetPcieThroughput(device: nvmlDevice_t, counter: u32, kib: Out<u32>) {
        let device = Device::undivided(device, "nvmlDeviceGetPcieThroughput")?;
        if counter > 1 {
            return Err(Code::INVALID_ARGUMENT);
        }
        kib.set(device.view.utilization(device.at) * 1024 * (1 + counter))
    }

    /// NVML's.
    nvmlDeviceGetPcieReplayCounter(device: nvmlDevice_t, replays: Out<u32>) {
        Device::whole(device, "nvmlDeviceGetPcieReplayCounter")?;
        replays.set(0)
    }

    /// NVML's: no card has one.
    nvmlDeviceGetDriverModel_v2(device: nvmlDevice_t, _current: Out<c_int>, _pending: Out<c_int>) {
        Device::whole(device, "nvmlDeviceGetDriverModel_v2")?;
        Err(Code::NOT_SUPPORTED)
    }
}
