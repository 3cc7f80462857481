//! `muster-agent`: one binary, one subcommand per process it can be.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else, so that PID 1 of a cell touches as little of this binary as it can.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == "cell") {
        return muster_agent::cell::main(arguments);
    }
    ExitCode::from(2)
}
