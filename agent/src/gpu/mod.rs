//! GPUs of this node, through NVML.

mod types;

pub use types::{CellMount, DevicePath, DeviceSet, GpuConfig, GpuError, GpuInventory, GpuProcess, XidEvent};
