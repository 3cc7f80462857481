//! What a GPU is: names, numbers, places.

use super::arguments::{Out, array};
use super::handles::Device;
use super::{Code, exported};
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlPciInfo_t};
use std::ffi::{c_char, c_int};

/// Two GPUs on one PCIe switch, on one NUMA node, or apart (`nvmlGpuTopologyLevel_t`).
fn common_ancestor(a: &Device, b: &Device) -> u32 {
    match (a.at == b.at, a.gpu().numa_node == b.gpu().numa_node) {
        (true, _) => 0,
        (false, true) => 40,
        (false, false) => 50,
    }
}

exported! {
    /// NVML's.
    nvmlDeviceGetName(device: nvmlDevice_t, name: Out<c_char>, length: u32) {
        let device = Device::find(device, "nvmlDeviceGetName")?;
        let mig = device.mig.as_ref().and_then(|(instance, _)| device.view.facts(device.at, instance.profile));
        let suffix = mig.map(|(_, facts)| format!(" MIG {}", facts.name)).unwrap_or_default();
        name.text(length, &format!("{}{suffix}", device.model().name))
    }

    /// NVML's.
    nvmlDeviceGetUUID(device: nvmlDevice_t, uuid: Out<c_char>, length: u32) {
        let device = Device::find(device, "nvmlDeviceGetUUID")?;
        match &device.mig {
            None => uuid.text(length, &device.gpu().uuid),
            Some((instance, ci)) => uuid.text(length, &device.view.mig_uuid(device.at, instance, *ci)),
        }
    }

    /// NVML's.
    nvmlDeviceGetSerial(device: nvmlDevice_t, serial: Out<c_char>, length: u32) {
        serial.text(length, &Device::whole(device, "nvmlDeviceGetSerial")?.gpu().serial)
    }

    /// NVML's.
    nvmlDeviceGetMinorNumber(device: nvmlDevice_t, minor: Out<u32>) {
        minor.set(Device::whole(device, "nvmlDeviceGetMinorNumber")?.gpu().minor)
    }

    /// NVML's.
    nvmlDeviceGetBoardId(device: nvmlDevice_t, id: Out<u32>) {
        id.set(Device::whole(device, "nvmlDeviceGetBoardId")?.gpu().bus << 8)
    }

    /// NVML's.
    nvmlDeviceGetMultiGpuBoard(device: nvmlDevice_t, multi: Out<u32>) {
        Device::whole(device, "nvmlDeviceGetMultiGpuBoard")?;
        multi.set(0)
    }

    /// NVML's.
    nvmlDeviceGetVbiosVersion(device: nvmlDevice_t, version: Out<c_char>, length: u32) {
        let device = Device::whole(device, "nvmlDeviceGetVbiosVersion")?;
        version.text(length, if device.model().mig.is_some() { "96.00.74.00.01" } else { "95.02.66.00.02" })
    }

    /// NVML's.
    nvmlDeviceGetBrand(device: nvmlDevice_t, brand: Out<u32>) {
        brand.set(Device::find(device, "nvmlDeviceGetBrand")?.model().brand)
    }

    /// NVML's.
    nvmlDeviceGetArchitecture(device: nvmlDevice_t, architecture: Out<u32>) {
        architecture.set(Device::find(device, "nvmlDeviceGetArchitecture")?.model().architecture)
    }

    /// NVML's.
    nvmlDeviceGetCudaComputeCapability(device: nvmlDevice_t, major: Out<c_int>, minor: Out<c_int>) {
        let compute = Device::find(device, "nvmlDeviceGetCudaComputeCapability")?.model().compute;
        major.set(compute.0)?;
        minor.set(compute.1)
    }

    /// NVML's.
    nvmlDeviceGetNumGpuCores(device: nvmlDevice_t, cores: Out<u32>) {
        cores.set(Device::whole(device, "nvmlDeviceGetNumGpuCores")?.model().cores)
    }

    /// NVML's.
    nvmlDeviceGetNumaNodeId(device: nvmlDevice_t, node: Out<u32>) {
        node.set(Device::whole(device, "nvmlDeviceGetNumaNodeId")?.gpu().numa_node)
    }

    /// NVML's.
    nvmlDeviceGetPciInfo_v3(device: nvmlDevice_t, info: Out<nvmlPciInfo_t>) {
        let device = Device::find(device, "nvmlDeviceGetPciInfo_v3")?;
        let bus = device.gpu().bus;
        info.set(nvmlPciInfo_t {
            busIdLegacy: array(&format!("0000:{bus:02X}:00.0")),
            domain: 0,
            bus,
            device: 0,
            pciDeviceId: device.model().pci_device_id,
            pciSubSystemId: device.model().pci_subsystem_id,
            busId: array(&format!("00000000:{bus:02X}:00.0")),
        })
    }

    /// NVML's: as the card and the slot allow.
    nvmlDeviceGetMaxPcieLinkGeneration(device: nvmlDevice_t, generation: Out<u32>) {
        generation.set(Device::whole(device, "nvmlDeviceGetMaxPcieLinkGeneration")?.model().pcie_generation)
    }

    /// NVML's.
    nvmlDeviceGetCurrPcieLinkGeneration(device: nvmlDevice_t, generation: Out<u32>) {
        generation.set(Device::whole(device, "nvmlDeviceGetCurrPcieLinkGeneration")?.model().pcie_generation)
    }

    /// NVML's.
    nvmlDeviceGetMaxPcieLinkWidth(device: nvmlDevice_t, width: Out<u32>) {
        Device::whole(device, "nvmlDeviceGetMaxPcieLinkWidth")?;
        width.set(16)
    }

    /// NVML's.
    nvmlDeviceGetCurrPcieLinkWidth(device: nvmlDevice_t, width: Out<u32>) {
        Device::whole(device, "nvmlDeviceGetCurrPcieLinkWidth")?;
        width.set(16)
    }

    /// NVML's.
    nvmlDeviceGetTopologyCommonAncestor(one: nvmlDevice_t, two: nvmlDevice_t, level: Out<u32>) {
        let call = "nvmlDeviceGetTopologyCommonAncestor";
        level.set(common_ancestor(&Device::whole(one, call)?, &Device::whole(two, call)?))
    }

    /// NVML's.
    nvmlDeviceGetPersistenceMode(device: nvmlDevice_t, mode: Out<u32>) {
        mode.set(u32::from(Device::whole(device, "nvmlDeviceGetPersistenceMode")?.state.persistence))
    }

    /// NVML's.
    nvmlDeviceSetPersistenceMode(device: nvmlDevice_t, mode: u32) {
        let device = Device::whole(device, "nvmlDeviceSetPersistenceMode")?;
        device.change(|state| {
            state.persistence = mode == 1;
            Ok(())
        })
    }

    /// NVML's: any number of processes may use the GPU.
    nvmlDeviceGetComputeMode(device: nvmlDevice_t, mode: Out<u32>) {
        Device::find(device, "nvmlDeviceGetComputeMode")?;
        mode.set(0)
    }

    /// NVML's: no display.
    nvmlDeviceGetDisplayActive(device: nvmlDevice_t, active: Out<u32>) {
        Device::whole(device, "nvmlDeviceGetDisplayActive")?;
        active.set(0)
    }

    /// NVML's: no display.
    nvmlDeviceGetDisplayMode(device: nvmlDevice_t, mode: Out<u32>) {
        Device::whole(device, "nvmlDeviceGetDisplayMode")?;
        mode.set(0)
    }

    /// NVML's.
    nvmlDeviceGetNvLinkState(device: nvmlDevice_t, link: u32, active: Out<u32>) {
        let device = Device::whole(device, "nvmlDeviceGetNvLinkState")?;
        let links = device.model().nvlinks;
        if links == 0 {
            return Err(Code::NOT_SUPPORTED);
        }
        if link >= links {
            return Err(Code::INVALID_ARGUMENT);
        }
        active.set(u32::from(!device.state.mig_enabled))
    }
}
