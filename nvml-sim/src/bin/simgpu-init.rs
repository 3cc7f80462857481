//! Makes a folder with simulated GPUs: `simgpu-init DIR --gpu 'h100*8'`.

use clap::Parser;
use nvidia_ml_sim::scenario::{self, Scenario};
use std::path::PathBuf;
use std::process::ExitCode;

/// Makes a folder with simulated GPUs and prints the agent settings that use them.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The folder; with the same GPUs in it already, their state is kept.
    dir: PathBuf,
    /// GPUs by line: `h100*8`, or one with MIG instances: `a100-80:3g.40gb@0,1g.10gb@4`. Models: t4, l40s,
    /// a100-40, a100-80, h100, h200.
    #[arg(long = "gpu", value_name = "LINE", required = true)]
    gpus: Vec<String>,
    /// Makes UUIDs and serials different from those of other folders; the folder's path if not given.
    #[arg(long)]
    seed: Option<String>,
    /// Where the built library and programs are; the folder of this program if not given.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simgpu-init: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), String> {
    let dir = std::path::absolute(&arguments.dir).map_err(|error| error.to_string())?;
    let seed = arguments.seed.unwrap_or_else(|| dir.display().to_string());
    let scenario = arguments.gpus.iter().try_fold(Scenario::new(&seed), |scenario, line| scenario.with_line(line))?;
    let place = scenario::write(&dir, &scenario).map_err(|error| format!("{}: {error}", dir.display()))?;
    let from = match arguments.from {
        Some(from) => from,
        None => std::env::current_exe().map_err(|e| e.to_string())?.parent().map(PathBuf::from).unwrap_or_default(),
    };
    scenario::install(&place, &from).map_err(|error| format!("cannot install: {error}"))?;
    print!("{}", scenario::agent_settings(&place));
    Ok(())
}
