//! The GPUs that can be simulated, with the figures that their drivers report.

/// A product.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// The word in scenarios: `h100`.
    pub key: &'static str,
    /// The name that NVML reports.
    pub name: &'static str,
    /// Memory in MiB as NVML reports it.
    pub memory_mib: u64,
    /// Part of it that the driver keeps, MiB.
    pub reserved_mib: u64,
    /// PCI device and vendor id.
    pub pci_device_id: u32,
    /// PCI subsystem id.
    pub pci_subsystem_id: u32,
    /// `nvmlDeviceArchitecture_t`.
    pub architecture: u32,
    /// `nvmlBrandType_t`.
    pub brand: u32,
    /// CUDA compute capability.
    pub compute: (i32, i32),
    /// CUDA cores.
    pub cores: u32,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Power in mW: idle, default limit, lowest limit.
    pub power_mw: (u32, u32, u32),
    /// Degrees Celsius: idle, under load, slowdown, shutdown.
    pub temperature_c: (u32, u32, u32, u32),
    /// MHz: SM idle, SM highest, memory.
    pub clock_mhz: (u32, u32, u32),
    /// PCIe generation at width 16.
    pub pcie_generation: u32,
    /// NVLinks.
    pub nvlinks: u32,
    /// BAR1 in MiB.
    pub bar1_mib: u64,
    /// MIG profiles; none without MIG.
    pub mig: Option<&'static [ProfileFacts; 7]>,
    /// Whether MIG mode changes without a reset.
    pub resetless_mig: bool,
}

/// What a product gives to a MIG profile. The order is that of [`crate::mig::PROFILES`].
#[derive(Debug, Clone, Copy)]
pub struct ProfileFacts {
    /// `1g.10gb+me`.
    pub name: &'static str,
    /// Memory in MiB as NVML reports it.
    pub memory_mib: u64,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Copy engines.
    pub copy_engines: u32,
    /// Video decoders.
    pub decoders: u32,
    /// JPEG engines.
    pub jpeg: u32,
    /// Optical flow engines.
    pub ofa: u32,
}

const fn facts(name: &'static str, memory_mib: u64, engines: [u32; 5]) -> ProfileFacts {
    let [multiprocessors, copy_engines, decoders, jpeg, ofa] = engines;
    ProfileFacts { name, memory_mib, multiprocessors, copy_engines, decoders, jpeg, ofa }
}

static A100_40_MIG: [ProfileFacts; 7] = [
    facts("1g.5gb", 4864, [14, 1, 0, 0, 0]),
    facts("1g.5gb+me", 4864, [14, 1, 1, 1, 1]),
    facts("1g.10gb", 9856, [14, 1, 1, 0, 0]),
    facts("2g.10gb", 9856, [28, 2, 1, 0, 0]),
    facts("3g.20gb", 19968, [42, 3, 2, 0, 0]),
    facts("4g.20gb", 19968, [56, 4, 2, 0, 0]),
    facts("7g.40gb", 40192, [98, 7, 5, 1, 1]),
];

static A100_80_MIG: [ProfileFacts; 7] = [
    facts("1g.10gb", 9728, [14, 1, 0, 0, 0]),
    facts("1g.10gb+me", 9728, [14, 1, 1, 1, 1]),
    facts("1g.20gb", 19968, [14, 1, 1, 0, 0]),
    facts("2g.20gb", 19968, [28, 2, 1, 0, 0]),
    facts("3g.40gb", 40192, [42, 3, 2, 0, 0]),
    facts("4g.40gb", 40192, [56, 4, 2, 0, 0]),
    facts("7g.80gb", 80896, [98, 7, 5, 1, 1]),
];

static H100_MIG: [ProfileFacts; 7] = [
    facts("1g.10gb", 9984, [16, 1, 1, 1, 0]),
    facts("1g.10gb+me", 9984, [16, 1, 1, 1, 1]),
    facts("1g.20gb", 20096, [26, 1, 1, 1, 0]),
    facts("2g.20gb", 20096, [32, 2, 2, 2, 0]),
    facts("3g.40gb", 40448, [60, 3, 3, 3, 0]),
    facts("4g.40gb", 40448, [64, 4, 4, 4, 0]),
    facts("7g.80gb", 81152, [132, 8, 7, 7, 1]),
];

// The memory of 3g and 4g and the SMs of 1g.35gb are not published; they follow the H100's proportions.
static H200_MIG: [ProfileFacts; 7] = [
    facts("1g.18gb", 16384, [16, 1, 1, 1, 0]),
    facts("1g.18gb+me", 16384, [16, 1, 1, 1, 1]),
    facts("1g.35gb", 33280, [26, 1, 1, 1, 0]),
    facts("2g.35gb", 33280, [32, 2, 2, 2, 0]),
    facts("3g.71gb", 71424, [60, 3, 3, 3, 0]),
    facts("4g.71gb", 71424, [64, 4, 4, 4, 0]),
    facts("7g.141gb", 143360, [132, 8, 7, 7, 1]),
];

/// Every product there is.
pub static MODELS: [Model; 6] = [
    Model {
        key: "t4",
        name: "Tesla T4",
        memory_mib: 15360,
        reserved_mib: 448,
        pci_device_id: 0x1EB8_10DE,
        pci_subsystem_id: 0x12A2_10DE,
        architecture: 6,
        brand: 2,
        compute: (7, 5),
        cores: 2560,
        multiprocessors: 40,
        power_mw: (9_800, 70_000, 60_000),
        temperature_c: (34, 68, 93, 96),
        clock_mhz: (300, 1590, 5001),
        pcie_generation: 3,
        nvlinks: 0,
        bar1_mib: 256,
        mig: None,
        resetless_mig: false,
    },
    Model {
        key: "l40s",
        name: "NVIDIA L40S",
        memory_mib: 46068,
        reserved_mib: 592,
        pci_device_id: 0x26B9_10DE,
        pci_subsystem_id: 0x1851_10DE,
        architecture: 8,
        brand: 14,
        compute: (8, 9),
        cores: 18176,
        multiprocessors: 142,
        power_mw: (33_000, 350_000, 100_000),
        temperature_c: (30, 66, 88, 91),
        clock_mhz: (210, 2520, 9001),
        pcie_generation: 4,
        nvlinks: 0,
        bar1_mib: 65_536,
        mig: None,
        resetless_mig: false,
    },
    Model {
        key: "a100-40",
        name: "NVIDIA A100-SXM4-40GB",
        memory_mib: 40960,
        reserved_mib: 593,
        pci_device_id: 0x20B0_10DE,
        pci_subsystem_id: 0x134F_10DE,
        architecture: 7,
        brand: 14,
        compute: (8, 0),
        cores: 6912,
        multiprocessors: 108,
        power_mw: (52_000, 400_000, 100_000),
        temperature_c: (31, 62, 89, 92),
        clock_mhz: (210, 1410, 1215),
        pcie_generation: 4,
        nvlinks: 12,
        bar1_mib: 65_536,
        mig: Some(&A100_40_MIG),
        resetless_mig: false,
    },
    Model {
        key: "a100-80",
        name: "NVIDIA A100-SXM4-80GB",
        memory_mib: 81920,
        reserved_mib: 854,
        pci_device_id: 0x20B2_10DE,
        pci_subsystem_id: 0x147F_10DE,
        architecture: 7,
        brand: 14,
        compute: (8, 0),
        cores: 6912,
        multiprocessors: 108,
        power_mw: (61_000, 400_000, 100_000),
        temperature_c: (32, 63, 89, 92),
        clock_mhz: (210, 1410, 1593),
        pcie_generation: 4,
        nvlinks: 12,
        bar1_mib: 131_072,
        mig: Some(&A100_80_MIG),
        resetless_mig: false,
    },
    Model {
        key: "h100",
        name: "NVIDIA H100 80GB HBM3",
        memory_mib: 81559,
        reserved_mib: 551,
        pci_device_id: 0x2330_10DE,
        pci_subsystem_id: 0x16C1_10DE,
        architecture: 9,
        brand: 14,
        compute: (9, 0),
        cores: 16896,
        multiprocessors: 132,
        power_mw: (71_000, 700_000, 200_000),
        temperature_c: (29, 64, 87, 90),
        clock_mhz: (345, 1980, 2619),
        pcie_generation: 5,
        nvlinks: 18,
        bar1_mib: 131_072,
        mig: Some(&H100_MIG),
        resetless_mig: true,
    },
    Model {
        key: "h200",
        name: "NVIDIA H200",
        memory_mib: 143_771,
        reserved_mib: 603,
        pci_device_id: 0x2335_10DE,
        pci_subsystem_id: 0x18BE_10DE,
        architecture: 9,
        brand: 14,
        compute: (9, 0),
        cores: 16896,
        multiprocessors: 132,
        power_mw: (76_000, 700_000, 200_000),
        temperature_c: (30, 65, 87, 90),
        clock_mhz: (345, 1980, 3201),
        pcie_generation: 5,
        nvlinks: 18,
        bar1_mib: 262_144,
        mig: Some(&H200_MIG),
        resetless_mig: true,
    },
];

/// The product with a key.
#[must_use]
pub fn by_key(key: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.key == key)
}

impl Model {
    /// Index in [`crate::mig::PROFILES`] of a profile by its name.
    #[must_use]
    pub fn profile(&self, name: &str) -> Option<usize> {
        self.mig?.iter().position(|facts| facts.name == name)
    }
}
