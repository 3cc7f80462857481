//! `muster-agent`, the part of Muster that runs on every GPU node.
//!
//! Two halves: `run` has the network and no rights, [`root`] has rights and no network; every allocation is a
//! [`cell`] process that outlives both. In reading order of the `run` half: [`config`], [`clock`] and
//! [`journal`] are what it knows, [`supervise`] starts what it does.

pub mod args;
pub mod cell;
pub mod chance;
pub mod clock;
pub mod config;
pub mod enrol;
pub mod enroll_command;
pub mod gpu;
pub mod host;
pub mod identity;
pub mod journal;
pub mod link;
pub mod log;
pub mod root;
pub mod supervise;
