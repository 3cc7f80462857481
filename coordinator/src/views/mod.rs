//! Views: what several rooms know, put together for one page. Reads all rooms and writes none.
//!
//! Invariant: a tenant sees figures of a GPU only for the time in which it leased the whole of it.

pub mod http;
mod lease;
pub mod operators;
mod store;
pub mod stream;
mod workloads;
