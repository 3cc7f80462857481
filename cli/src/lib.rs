//! `muster`: the command line of users and operators.

pub mod api;
pub mod cmd;
pub mod demo;
pub mod error;
pub mod http;
pub mod isolation;
pub mod output;
pub mod profile;
pub mod progress;
pub mod resolve;
pub mod session;

use clap::Parser;
use cmd::{Context, Muster};
use std::process::ExitCode;

/// Whether the words, as far as they can be read, name a command whose codes are the remote's.
fn runs_a_remote_command() -> bool {
    let verb = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    matches!(verb.as_deref(), Some("terminal" | "exec" | "ssh"))
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    // The demo has an `--operator ADDR` of its own, so its arguments are not read beside the global ones.
    if std::env::args_os().nth(1).is_some_and(|word| word == "demo") {
        return demo::main(std::env::args_os().skip(1));
    }
    let muster = match Muster::try_parse() {
        Ok(muster) => muster,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(match (error.use_stderr(), runs_a_remote_command()) {
                (false, _) => error::exit::OK,
                (true, true) => error::exit::SESSION,
                (true, false) => error::exit::CLIENT,
            });
        }
    };
    let done = Context::new(&muster).and_then(|context| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(cmd::run(&context, muster.command))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report();
            ExitCode::from(error.exit_code())
        }
    }
}
