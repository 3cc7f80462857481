//! `muster ssh`: the system's ssh through the coordinator, and the pipe that it goes through.

use super::stdio::{In, Out};
use crate::{
    cmd::Context,
    error::{Error, Problem, Result},
    output::text,
    resolve,
};
use clap::Args;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{convert::Infallible, fs, os::unix::process::CommandExt, process::Command, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Message,
        protocol::{Role, WebSocketConfig},
    },
};

/// Pace of keep-alives.
const PING: Duration = Duration::from_secs(10);
/// Largest piece at once.
const PIECE: usize = 32 << 10;

/// Where to log in.
#[derive(Debug, Args)]
pub struct Ssh {
    /// Be the pipe between ssh and the allocation, for ProxyCommand.
    #[arg(long)]
    stdio: bool,
    /// Id or name of the allocation.
    allocation: String,
    /// More for ssh: options, then `--` and a command.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    rest: Vec<String>,
}

/// Runs it; the exit code is ssh's.
///
/// # Errors
/// What went wrong before ssh ran.
pub async fn run(context: &Context, args: Ssh) -> Result<()> {
    if args.stdio { pipe(context, &args.allocation).await } else { ssh(context, args).await }
}

/// Becomes ssh, with the allocation's host key pinned.
async fn ssh(context: &Context, args: Ssh) -> Result<()> {
    let mut client = context.user()?;
    let id = resolve::allocation(&mut client, &args.allocation).await?;
    let allocation = client.get(&format!("/api/v1/allocations/{id}")).await?;
    let Some(host_key) = allocation["ssh"]["host_key"].as_str() else {
        let state = text(&allocation, "state");
        return Err(Error::client(format!(
            "{id} has no SSH host key (it is {state}); it is there once the allocation is active and was launched with a key"
        )));
    };
    let user = allocation["ssh"]["user"].as_str().unwrap_or("muster");
    let known = context.profile.dir().join("known_hosts");
    fs::create_dir_all(&known)?;
    let known = known.join(&id);
    fs::write(&known, format!("{id} {host_key}\n"))?;
    let muster = std::env::current_exe()?;
    let option = |name: &str, value: &str| format!("{name}={value}");
    let (options, command) = options(&args.rest);
    let failure = Command::new("ssh")
        .args(["-o", &option("ProxyCommand", &format!("{} ssh --stdio {id}", quoted(&muster.to_string_lossy())))])
        .args(["-o", &option("UserKnownHostsFile", &quoted_path(&known.to_string_lossy()))])
        .args(["-o", "GlobalKnownHostsFile=/dev/null"])
        .args(["-o", "StrictHostKeyChecking=yes"])
        .args(["-o", &option("HostKeyAlias", &id)])
        .args(["-o", "CheckHostIP=no"])
        .args(options)
        .arg(format!("{user}@{id}"))
        .args(command)
        .exec();
    Err(Error::client(format!("ssh: {failure}")))
}

/// Options that ssh takes before its destination, and the command; a `--` between them is not passed on.
fn options(rest: &[String]) -> (&[String], &[String]) {
    const WITH_VALUE: &str = "BbcDEeFIiJLlmOopQRSWw";
    let mut index = 0;
    while let Some(option) = rest.get(index).filter(|text| text.starts_with('-') && text.len() > 1) {
        if option == "--" {
            return (&rest[..index], &rest[index + 1..]);
        }
        index += 1;
        // `-p 22` takes the next word, `-p22` and `-v` do not.
        if option.len() == 2 && option.chars().nth(1).is_some_and(|letter| WITH_VALUE.contains(letter)) {
            index += 1;
        }
    }
    rest.split_at(index.min(rest.len()))
}

fn quoted(path: &str) -> String {
    // ProxyCommand goes through a shell, and ssh itself replaces %.
    format!("'{}'", path.replace('\'', r"'\''").replace('%', "%%"))
}

fn quoted_path(path: &str) -> String {
    format!("\"{}\"", path.replace('%', "%%"))
}

/// Moves bytes between stdin and stdout and the allocation's SSH entry.
async fn pipe(context: &Context, allocation: &str) -> Result<()> {
    let mut client = context.user()?;
    let id = resolve::allocation(&mut client, allocation).await?;
    let minted = client.post(&format!("/api/v1/allocations/{id}/tunnel-token"), &json!({"target": "ssh"})).await?;
    let (stream, read) = client.websocket(&format!("/ws/tunnel/{id}")).await?;
    let config = WebSocketConfig::default().read_buffer_size(64 << 10).write_buffer_size(0);
    let mut socket = WebSocketStream::from_partially_read(stream, read.into(), Role::Client, Some(config)).await;
    let auth = json!({"t": "auth", "token": minted["token"]});
    socket.send(Message::text(auth.to_string())).await.map_err(|error| Error::Network(error.to_string()))?;
    let (mut sink, mut stream) = socket.split();
    let up = async {
        let stdin = In::stdin()?;
        let mut buffer = vec![0; PIECE];
        let mut ping = interval_at(Instant::now() + PING, PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ended = false;
        loop {
            let message = tokio::select! {
                read = stdin.read(&mut buffer), if !ended => match read? {
                    0 => {
                        // The other side may still have something to say.
                        ended = true;
                        Message::text(json!({"t": "eof"}).to_string())
                    }
                    count => Message::Binary(Bytes::copy_from_slice(&buffer[..count])),
                },
                _ = ping.tick() => Message::Ping(Bytes::new()),
            };
            sink.send(message).await.map_err(|error| Error::Network(error.to_string()))?;
        }
    };
    let down = async {
        let out = Out::stdout()?;
        let mut refusal = None;
        while let Some(message) = stream.next().await {
            match message {
                Ok(Message::Binary(bytes)) => out.write(&bytes).await?,
                Ok(Message::Text(words)) => refusal = refusal.or(refused(&words)),
                Ok(Message::Close(_)) => break,
                Ok(_) => {}
                Err(error) => return Err(refusal.unwrap_or(Error::Network(error.to_string()))),
            }
        }
        refusal.map_or(Ok(()), Err)
    };
    tokio::select! {
        done = down => done,
        ended = up => match ended {
            Ok::<Infallible, Error>(never) => match never {},
            Err(error) => Err(error),
        },
    }
}

fn refused(words: &str) -> Option<Error> {
    let words: Value = serde_json::from_str(words).ok()?;
    if words["t"] != "error" {
        return None;
    }
    let field = |name: &str| words[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let code = field("code").unwrap_or_default();
    let detail = field("detail").or_else(|| Some(format!("no tunnel: {code}")));
    Some(Error::Api(Box::new(Problem {
        status: 503,
        code,
        detail,
        correlation_id: field("correlation_id"),
        ..Problem::default()
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(rest: &[&str]) -> (Vec<String>, Vec<String>) {
        let rest: Vec<String> = rest.iter().map(|text| (*text).to_owned()).collect();
        let (options, command) = options(&rest);
        (options.to_vec(), command.to_vec())
    }

    #[test]
    fn options_stand_before_the_command() {
        assert_eq!(cut(&["id"]), (vec![], vec!["id".into()]));
        assert_eq!(
            cut(&["-v", "-L", "1:h:2", "ls", "-l"]),
            (vec!["-v".into(), "-L".into(), "1:h:2".into()], vec!["ls".into(), "-l".into()])
        );
        assert_eq!(cut(&["-L1:h:2", "-N"]), (vec!["-L1:h:2".into(), "-N".into()], vec![]));
        assert_eq!(
            cut(&["-i", "key", "--", "id", "-un"]),
            (vec!["-i".into(), "key".into()], vec!["id".into(), "-un".into()])
        );
        assert_eq!(cut(&["--", "-x"]), (vec![], vec!["-x".into()]));
        assert_eq!(cut(&["-p"]), (vec!["-p".into()], vec![]));
    }

    #[test]
    fn paths_survive_the_shell_and_ssh() {
        assert_eq!(quoted("/a b/50%/it's"), r"'/a b/50%%/it'\''s'");
    }
}
