//! Faults of the simulated GPUs of a node.

use crate::{Agent, binary};
use std::process::{Command, Output};

/// Runs one of the `simgpu-*` commands on an agent's simulated GPUs.
///
/// # Panics
/// If it cannot be started.
#[must_use]
pub fn simgpu(tool: &str, agent: &Agent, args: &[&str]) -> Output {
    let dir = format!("{}/gpu", agent.state_dir.display());
    Command::new(binary(tool)).args(["--dir", &dir]).args(args).output().expect("the tool starts")
}
