//! `muster-agent`, the part of Muster that runs on every GPU node.
//!
//! Two halves: `run` has the network and no rights, [`root`] has rights and no network; every allocation is a
//! [`cell`] process that outlives both. In reading order of the `run` half: [`config`], [`clock`] and
//! [`journal`] are what it knows, [`supervise`] starts what it does; [`enrol`] makes the machine a node, [`link`]
//! keeps it in touch; [`desired`], [`reconcile`] and [`cells`] make what should be so; [`sessions`] are pipes to
//! the cells, [`tasks`] single acts, [`telemetry`] what is measured.

pub mod args;
mod birth;
pub mod cell;
pub mod cells;
pub mod chance;
pub mod clock;
pub mod config;
pub mod desired;
pub mod doctor;
pub mod enrol;
pub mod enroll_command;
pub mod gpu;
pub mod host;
pub mod identity;
pub mod journal;
pub mod link;
pub mod log;
pub mod node;
pub mod notify;
pub mod privileges;
pub mod reconcile;
pub mod root;
pub mod run_command;
pub mod sessions;
pub mod status;
pub mod supervise;
pub mod tasks;
pub mod telemetry;
