//! `muster exec`: a command with its own stdin, stdout, stderr and exit code.

use super::{
    input::Input,
    pump::{End, State, Target, attach, pump},
    stdio::Out,
    terminal::interactive,
};
use crate::{
    cmd::Context,
    error::{Error, Result, exit},
    resolve,
};
use clap::Args;
use std::{cell::RefCell, time::Duration};

/// Code of a process that wrote to a pipe which nobody reads, as shells count it: 128 + SIGPIPE.
const UNREAD: u8 = 141;

/// Where and what to run.
///
/// Without --tty the three streams stay apart, signals are passed on, and the command ends with this one.
#[derive(Debug, Args)]
pub struct Exec {
    /// Id or name of the allocation.
    allocation: String,
    /// Give it a terminal.
    #[arg(long, short)]
    tty: bool,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs it; the exit code is the remote's.
///
/// # Errors
/// [`Error::Exit`] with the remote's code, or what went wrong here.
pub async fn run(context: &Context, args: Exec) -> Result<()> {
    let mut client = context.user()?;
    let allocation = resolve::allocation(&mut client, &args.allocation).await?;
    let target = Target { allocation, command: args.command, tty: args.tty };
    if args.tty {
        return interactive(&mut client, &target, None, Some(b'~'), Duration::from_secs(600)).await;
    }
    let state = RefCell::new(State::default());
    let socket = attach(&mut client, &target, &state).await?;
    let mut input = Input::plain()?;
    let (out, err) = (Out::stdout()?, Out::stderr()?);
    match pump(socket, &state, &mut input, &out, &err).await {
        End::Exit { code: 0, .. } => Ok(()),
        End::Exit { code, reason } => {
            if !reason.is_empty() {
                eprintln!("ended: {reason}");
            }
            Err(Error::Exit(u8::try_from(code).unwrap_or(exit::SESSION)))
        }
        End::Unread => Err(Error::Exit(UNREAD)),
        End::Left => Err(Error::Exit(exit::SESSION)),
        End::Lost(why) => Err(Error::Network(format!("{why}; the command ended with it"))),
        End::Over(error) => Err(error),
    }
}
