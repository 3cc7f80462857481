//! `muster-agent`, the part of Muster that runs on every GPU node.
//!
//! Two halves: `run` has the network and no rights, [`root`] has rights and no network; every allocation is a
//! [`cell`] process that outlives both. In reading order of the `run` half: [`config`], [`clock`] and
//! [`journal`] are what it knows, [`supervise`] starts what it does.

pub mod cell;
pub mod chance;
pub mod clock;
pub mod config;
pub mod gpu;
pub mod journal;
pub mod log;
pub mod root;
pub mod supervise;
