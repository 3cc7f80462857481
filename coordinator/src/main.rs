//! `muster-coordinator`: arguments, logging, configuration, then `init` or `serve`.

use anyhow::Context;
use clap::{Parser, Subcommand};
use muster_coordinator::backup::{self, Nodes};
use muster_coordinator::base::log;
use muster_coordinator::config::{BackupArgs, InitArgs, RestoreArgs, ServeArgs};
use muster_coordinator::{init, serve};
use std::io::Read;
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
    /// Write the database, the CA and the keys into one file, while the coordinator goes on
    ///
    /// The file is as secret as the key of the CA that is in it; it is made for its owner alone (mode 0600).
    Backup(BackupArgs),
    /// Make a data directory from a backup, on either engine. Never overwrites one
    ///
    /// A backup does not know which nodes were revoked since. So every node waits until an operator approves it
    /// again; what runs on it runs on. With --trust-nodes all are let in but those named with --revoked.
    Restore(RestoreArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Init(args) => run_init(&args),
        Command::Serve(args) => run_serve(*args),
        Command::Backup(args) => run_backup(&args),
        Command::Restore(args) => run_restore(args),
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
    let fleet = init::init(&args.place.data_dir, args.place.database.as_deref(), &args.operator_username, password)?;
    eprintln!("fleet {fleet} is ready in {}", args.place.data_dir.display());
    eprintln!("next: muster-coordinator serve --data-dir {}", args.place.data_dir.display());
    Ok(())
}

fn run_backup(args: &BackupArgs) -> anyhow::Result<()> {
    let made = backup::backup(&args.place.data_dir, args.place.database.as_deref(), &args.to)?;
    eprintln!("fleet {}: {} rows and the keys are in {}", made.fleet_id, made.rows, args.to.display());
    eprintln!("it holds the key of the CA: keep it as you keep that");
    Ok(())
}

fn run_restore(args: RestoreArgs) -> anyhow::Result<()> {
    let nodes = if args.trust_nodes { Nodes::Trust { revoked: args.revoked } } else { Nodes::Hold };
    let hold = matches!(nodes, Nodes::Hold);
    let place = &args.place;
    let made = backup::restore(&place.data_dir, place.database.as_deref(), &args.from, &nodes)?;
    eprintln!("fleet {}: {} rows are back in {}", made.fleet_id, made.rows, place.data_dir.display());
    eprintln!("next: muster-coordinator serve --data-dir {}", place.data_dir.display());
    if hold {
        eprintln!("then: muster nodes list, and muster nodes approve for each that was not revoked since the backup");
    }
    Ok(())
}

fn run_serve(args: ServeArgs) -> anyhow::Result<()> {
    let config = args.resolve()?;
    log::init(&config.log_filter, config.log_format);
    serve::serve(config)
}
