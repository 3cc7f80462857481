//! `muster-agent`, the part of Muster that runs on every GPU node.

pub mod cell;
pub mod gpu;
pub mod root;
