//! `muster completions`.

use super::Muster;
use crate::error::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// For which shell.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell; `source <(muster completions bash)` turns them on.
    shell: Shell,
}

pub(super) fn run(args: &Completions) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Muster::command(), "muster", &mut script);
    crate::output::line(String::from_utf8_lossy(&script).trim_end())
}
