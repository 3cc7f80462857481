//! A double of NVIDIA's management library: the C interface of `libnvidia-ml.so.1` over GPUs that are files.
//!
//! A folder holds a scenario (which GPUs), their shared state (MIG instances, faults, XIDs) and placeholder device
//! files, whose locks are the process table. Every process that loads the library sees the same GPUs, and only those
//! whose device file it can open. `docs/gpu-sim.md` tells how to use it.

pub mod abi;
pub mod device_files;
pub mod mig;
pub mod models;
pub mod place;
pub mod processes;
pub mod scenario;
pub mod state;
pub mod view;
