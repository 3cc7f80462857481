//! `muster-coordinator`: arguments, logging, configuration, then `init` or `serve`.

use anyhow::Context;
use clap::{Parser, Subcommand};
use muster_coordinator::base::log;
use muster_coordinator::config::ServeArgs;
use muster_coordinator::{init, serve};
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

/// The coordinator of a Muster GPU cloud: the one server that nodes, users and operators talk to.
///
/// Start with `muster-coordinator init --data-dir DIR --operator-username NAME --operator-password-stdin`, which
/// makes the database, the CA and the first operator. Then `muster-coordinator serve --data-dir DIR`.
/// Users talk to the console door, staff to the operator door, agents to the QUIC port.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a data directory: database, CA, fleet name, first operator. Never overwrites one
    Init(InitArgs),
    /// Serve the console door, the operator door and the agents until SIGTERM
    ///
    /// Settings come from flags, then MUSTER_* variables, then the TOML file of --config, then defaults.
    /// Doors speak plain HTTP on loopback only; on any other address give --tls (built-in CA) or own files.
    Serve(Box<ServeArgs>),
}

#[derive(Debug, clap::Args)]
struct InitArgs {
    /// Folder to make; its database must not exist yet
    #[arg(long, env = "MUSTER_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Sign-in name of the first operator
    #[arg(long, value_name = "NAME")]
    operator_username: String,
    /// Read the first operator's password from standard input (one line)
    #[arg(long, required = true)]
    operator_password_stdin: bool,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Init(args) => run_init(&args),
        Command::Serve(args) => run_serve(*args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("muster-coordinator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_init(args: &InitArgs) -> anyhow::Result<()> {
    let mut text = String::new();
    std::io::stdin().take(64 * 1024).read_to_string(&mut text).context("cannot read the password")?;
    let password = text.lines().next().unwrap_or_default();
    let fleet = init::init(&args.data_dir, &args.operator_username, password)?;
    eprintln!("fleet {fleet} is ready in {}", args.data_dir.display());
    eprintln!("next: muster-coordinator serve --data-dir {}", args.data_dir.display());
    Ok(())
}

fn run_serve(args: ServeArgs) -> anyhow::Result<()> {
    let config = args.resolve()?;
    log::init(&config.log_filter, config.log_format);
    serve::serve(config)
}
