//! `muster-agent`: one binary, one subcommand per process it can be.

use clap::Parser;
use muster_agent::{args, doctor, enrol::EnrolError, enroll_command, log, root, run_command, status};
use std::process::ExitCode;

/// Exit code when the coordinator will not have this node: starting again changes nothing, and systemd is told so.
const NOT_LET_IN: u8 = 78;

fn main() -> ExitCode {
    // Before anything else, so that PID 1 of a cell touches as little of this binary as it can.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == "cell") {
        return muster_agent::cell::main(arguments);
    }
    let cli = args::Cli::parse();
    let result = match cli.command {
        args::Command::Enroll(arguments) => {
            log::start("warn");
            on_runtime(enroll_command::run(arguments))
        }
        args::Command::Run(arguments) => {
            log::start("info");
            run_command::run(&arguments)
        }
        args::Command::Status(arguments) => status::command(&arguments.common.state_dir, arguments.json),
        args::Command::Doctor(arguments) => {
            log::start("error");
            match doctor::command(&arguments) {
                Ok(true) => Ok(()),
                Ok(false) => return ExitCode::FAILURE,
                Err(error) => Err(error),
            }
        }
        args::Command::Root(arguments) => {
            log::start("info");
            root::run(&arguments)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("muster-agent: {error:#}");
            let is_final = error.downcast_ref::<EnrolError>().is_some_and(EnrolError::is_final);
            if is_final { ExitCode::from(NOT_LET_IN) } else { ExitCode::FAILURE }
        }
    }
}

/// One thread carries all of it: a terminal's byte never crosses from one core to another.
fn on_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
