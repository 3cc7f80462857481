//! `muster terminal`: an interactive terminal that survives the network, the coordinator and the agent.

use super::{
    input::Input,
    pump::{End, State, Target, attach, pump},
    stdio::Out,
    tty::Raw,
    wire::passes,
};
use crate::{
    api::Client,
    cmd::Context,
    error::{Error, Result, exit},
    resolve,
};
use clap::Args;
use std::{
    cell::RefCell,
    pin::pin,
    time::{Duration, Instant},
};

/// Longest pause between two tries to come back.
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// Which allocation, and what to run in it.
///
/// The session is kept when this side goes away, and comes back by itself after a network loss or a restart of
/// the coordinator or the agent: nothing typed or printed in between is lost. After a newline, `~.` detaches,
/// `~~` sends `~`, `~?` shows these sequences.
#[derive(Debug, Args)]
pub struct Terminal {
    /// Id or name of the allocation.
    allocation: String,
    /// Come back to this session; its output is shown from the oldest byte kept.
    #[arg(long, value_name = "SESSION", conflicts_with = "command")]
    session: Option<String>,
    /// Another escape character, or `none`.
    #[arg(long, value_name = "CHAR", default_value = "~", value_parser = escape)]
    escape: Escape,
    /// Give up coming back after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    patience: u64,
    /// A command instead of the login shell.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Escape(Option<u8>);

fn escape(text: &str) -> Result<Escape, String> {
    match text.as_bytes() {
        b"none" => Ok(Escape(None)),
        [byte] if byte.is_ascii_graphic() => Ok(Escape(Some(*byte))),
        _ => Err("one visible character, or none".into()),
    }
}

/// Runs it; the exit code is the remote's.
///
/// # Errors
/// [`Error::Exit`] with the remote's code, or what went wrong here.
pub async fn run(context: &Context, args: Terminal) -> Result<()> {
    let mut client = context.user()?;
    let allocation = resolve::allocation(&mut client, &args.allocation).await?;
    let target = Target { allocation, command: args.command, tty: true };
    interactive(&mut client, &target, args.session, args.escape.0, Duration::from_secs(args.patience)).await
}

/// A session with a terminal, until it ends or is left.
///
/// # Errors
/// As [`run`].
pub async fn interactive(
    client: &mut Client,
    target: &Target,
    session: Option<String>,
    escape: Option<u8>,
    patience: Duration,
) -> Result<()> {
    let state = RefCell::new(State::of(session));
    let mut socket = attach(client, target, &state).await?;
    let raw = Raw::enter()?;
    // Only a person at a keyboard types escape sequences.
    let mut input = Input::interactive(escape.filter(|_| raw.is_some()))?;
    let (out, err) = (Out::stdout()?, Out::stderr()?);
    loop {
        let why = match pump(socket, &state, &mut input, &out, &err).await {
            End::Lost(why) => why,
            other => return leave(other, raw, target, &state),
        };
        eprint!("\r\n[{why}; coming back, ~. detaches]\r\n");
        client.disconnect();
        socket = match come_back(client, target, &state, &mut input, patience).await {
            Ok(socket) => socket,
            Err(end) => return leave(end, raw, target, &state),
        };
        eprint!("\r\n[back]\r\n");
    }
}

/// Tries until it works, the person leaves, or there is no use in trying.
async fn come_back(
    client: &mut Client,
    target: &Target,
    state: &RefCell<State>,
    input: &mut Input,
    patience: Duration,
) -> Result<super::pump::Socket, End> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        let failure = {
            let mut attempt = pin!(attach(client, target, state));
            loop {
                let room = state.borrow().has_room();
                tokio::select! {
                    done = &mut attempt => match done {
                        Ok(socket) => return Ok(socket),
                        Err(error) => break error,
                    },
                    heard = input.next(room) => {
                        let left = state.borrow_mut().hear(heard);
                        if let Some(end) = left { return Err(end); }
                    }
                }
            }
        };
        client.disconnect();
        if !worth_another_try(&failure) || began.elapsed() > patience {
            return Err(End::Over(failure));
        }
        let mut sleep = pin!(tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)));
        loop {
            let room = state.borrow().has_room();
            tokio::select! {
                () = &mut sleep => break,
                heard = input.next(room) => {
                    let left = state.borrow_mut().hear(heard);
                    if let Some(end) = left { return Err(end); }
                }
            }
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn worth_another_try(error: &Error) -> bool {
    match error {
        Error::Network(_) => true,
        Error::Api(problem) => passes(&problem.code) || problem.status >= 500 || problem.status == 429,
        _ => false,
    }
}

fn leave(end: End, raw: Option<Raw>, target: &Target, state: &RefCell<State>) -> Result<()> {
    let was_raw = raw.is_some();
    drop(raw);
    match end {
        End::Exit { code, reason } => {
            if was_raw && !reason.is_empty() {
                eprintln!("\n[ended: {reason}]");
            }
            match u8::try_from(code).unwrap_or(exit::SESSION) {
                0 => Ok(()),
                code => Err(Error::Exit(code)),
            }
        }
        End::Left => {
            let session = state.borrow().session_id.clone().unwrap_or_default();
            eprintln!("\n[detached; come back with: muster terminal {} --session {session}]", target.allocation);
            Ok(())
        }
        End::Unread => Err(Error::Exit(exit::SESSION)),
        End::Lost(why) => Err(Error::Network(why)),
        End::Over(error) => {
            if was_raw {
                eprintln!();
            }
            Err(error)
        }
    }
}
