//! The simulation: the product's coordinator and agents in one thread, under one seed, in virtual time.
//!
//! In reading order: [`seed`] runs one; [`world`] puts a [`coordinator`], [`machine`]s with their played [`root`]
//! halves and a [`net`] together; [`load`] is what people ask for, [`faults`] is what goes wrong, [`check`] says
//! what must hold, [`history`] remembers. [`entropy`] and [`dice`] make chance a matter of the seed.

pub mod check;
pub mod coordinator;
pub mod dice;
pub mod disk;
pub mod entropy;
pub mod epilogue;
pub mod faults;
pub mod history;
pub mod load;
pub mod machine;
pub mod net;
pub mod root;
pub mod seed;
pub mod steps;
pub mod template;
pub mod world;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// When every run begins, ms since 1970.
pub const BASE_MS: i64 = 1_800_000_000_000;
/// Where agents dial.
pub const COORDINATOR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 7_443);
