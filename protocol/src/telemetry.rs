//! Samples: a one-way stream per batch, in order, the first to wait under pressure. What waits long is summed up to
//! means of ten seconds. Absent means not measured.

use prost::Message;

/// What was measured at one moment.
#[derive(Clone, PartialEq, Message)]
pub struct Sample {
    /// The agent's clock when it was taken, ms since 1970.
    #[prost(int64, tag = 1)]
    pub sampled_ms: i64,
    /// The machine.
    #[prost(message, optional, tag = 2)]
    pub host: Option<HostSample>,
    /// GPUs that answered in time; one that hung is absent here and `degraded` in the inventory.
    #[prost(message, repeated, tag = 3)]
    pub gpus: Vec<GpuSample>,
    /// Samples and means that were given up since the last one that was sent.
    #[prost(uint32, tag = 4)]
    pub shed: u32,
    /// Cells.
    #[prost(message, repeated, tag = 5)]
    pub cells: Vec<CellSample>,
    /// Not of one moment but the mean over so many ms from `sampled_ms` on; zero: of that moment.
    #[prost(uint32, tag = 6)]
    pub span_ms: u32,
}

/// The machine at one moment.
#[derive(Clone, PartialEq, Message)]
pub struct HostSample {
    /// CPU in use, thousandths of one CPU.
    #[prost(uint64, optional, tag = 1)]
    pub cpu_milli: Option<u64>,
    /// Memory in use, bytes.
    #[prost(uint64, optional, tag = 2)]
    pub memory_used_bytes: Option<u64>,
    /// Load average of one minute, thousandths.
    #[prost(uint64, optional, tag = 3)]
    pub load1_milli: Option<u64>,
    /// Free bytes where homes are kept.
    #[prost(uint64, optional, tag = 4)]
    pub disk_free_bytes: Option<u64>,
}

/// A GPU at one moment.
#[derive(Clone, PartialEq, Message)]
pub struct GpuSample {
    /// `GPU-…`.
    #[prost(string, tag = 1)]
    pub uuid: String,
    /// SM utilisation in percent.
    #[prost(uint32, optional, tag = 2)]
    pub utilization_percent: Option<u32>,
    /// Memory in use, bytes.
    #[prost(uint64, optional, tag = 3)]
    pub memory_used_bytes: Option<u64>,
    /// Memory, bytes.
    #[prost(uint64, optional, tag = 4)]
    pub memory_total_bytes: Option<u64>,
    /// Degrees Celsius.
    #[prost(uint32, optional, tag = 5)]
    pub temperature_c: Option<u32>,
    /// Power draw in mW.
    #[prost(uint32, optional, tag = 6)]
    pub power_mw: Option<u32>,
    /// SM clock in MHz.
    #[prost(uint32, optional, tag = 7)]
    pub sm_clock_mhz: Option<u32>,
    /// Memory clock in MHz.
    #[prost(uint32, optional, tag = 8)]
    pub memory_clock_mhz: Option<u32>,
    /// NVML's bit set of reasons for lowered clocks.
    #[prost(uint64, optional, tag = 9)]
    pub throttle_reasons: Option<u64>,
    /// Uncorrected ECC errors since the driver was loaded.
    #[prost(uint64, optional, tag = 10)]
    pub ecc_uncorrected: Option<u64>,
    /// Corrected ECC errors since the driver was loaded.
    #[prost(uint64, optional, tag = 11)]
    pub ecc_corrected: Option<u64>,
    /// Memory-controller utilisation in percent.
    #[prost(uint32, optional, tag = 12)]
    pub memory_utilization_percent: Option<u32>,
    /// Compute processes; absent between the rare looks.
    #[prost(uint32, optional, tag = 13)]
    pub processes: Option<u32>,
    /// Fan in percent.
    #[prost(uint32, optional, tag = 14)]
    pub fan_percent: Option<u32>,
}

/// A cell at one moment.
#[derive(Clone, PartialEq, Message)]
pub struct CellSample {
    /// Its allocation.
    #[prost(string, tag = 1)]
    pub allocation: String,
    /// CPU in use, thousandths of one CPU.
    #[prost(uint64, optional, tag = 2)]
    pub cpu_milli: Option<u64>,
    /// Memory in use, bytes.
    #[prost(uint64, optional, tag = 3)]
    pub memory_used_bytes: Option<u64>,
    /// Processes and threads.
    #[prost(uint64, optional, tag = 4)]
    pub pids: Option<u64>,
}
