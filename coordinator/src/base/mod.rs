//! Plumbing that knows no noun of the product: the store, the HTTP frame, authorization, supervision,
//! reconcilers, time, randomness, limits.

pub mod authz;
pub mod clock;
pub mod cpu;
pub mod disk;
pub mod feed;
pub mod health;
pub mod http;
pub mod leaves;
pub mod limits;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod notify;
pub mod rng;
pub mod store;
pub mod supervise;
pub mod watchdog;
pub mod words;
pub mod work;
