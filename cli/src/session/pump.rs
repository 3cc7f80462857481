//! Moves bytes and control frames between this process and one session, across any number of connections.

use super::{
    escape::Ask,
    input::{Heard, Input, READ},
    resend::Resend,
    stdio::Out,
    tty,
    wire::{Hear, Say, passes},
};
use crate::{
    api::Client,
    error::{Error, Problem, Result},
    http::Stream,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{
    SinkExt, StreamExt,
    future::{Either, select},
    stream::{SplitSink, SplitStream},
};
use std::{cell::RefCell, collections::VecDeque, pin::pin, time::Duration};
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Bytes, Message,
        error::ProtocolError,
        protocol::{Role, WebSocketConfig},
    },
};

/// Pace of keep-alives.
const PING: Duration = Duration::from_secs(10);
/// A connection that is this long without a sign of life is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// Said of a connection that is gone without a goodbye.
const BROKE: &str = "the connection broke";
/// How long an attach may take.
const READY: Duration = Duration::from_secs(20);

/// The connection of one attach.
pub type Socket = WebSocketStream<Stream>;

/// Which session, and how it is begun.
#[derive(Debug, Clone)]
pub struct Target {
    /// Id of the allocation.
    pub allocation: String,
    /// The command; empty: the login shell.
    pub command: Vec<String>,
    /// With a terminal.
    pub tty: bool,
}

/// What lasts longer than a connection.
#[derive(Debug, Default)]
pub struct State {
    /// To come back to.
    pub session_id: Option<String>,
    /// Offset of the next output byte; `None` before there was any connection.
    pub received: Option<u64>,
    resend: Resend,
    control: VecDeque<Say>,
    eof: Option<Eof>,
    tty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Eof {
    Due,
    Sent,
}

/// How a connection ended.
#[derive(Debug)]
pub enum End {
    /// The command ended.
    Exit {
        /// With this code.
        code: i32,
        /// Because of this, if not by itself.
        reason: String,
    },
    /// The person left.
    Left,
    /// Nobody reads stdout any more.
    Unread,
    /// The connection broke; the session may be there.
    Lost(String),
    /// The coordinator ended the attach for good.
    Over(Error),
}

impl State {
    /// For a session with a terminal, perhaps one begun elsewhere; [`State::default`] is for one without.
    #[must_use]
    pub fn of(session_id: Option<String>) -> Self {
        Self { session_id, tty: true, ..Self::default() }
    }

    /// Takes in what happened; returns how this side ends if it wants to.
    pub fn hear(&mut self, heard: Heard) -> Option<End> {
        match heard {
            Heard::Typed(bytes) => self.resend.push(&bytes),
            // A terminal has no end of input of its own: its end is what a person would type.
            Heard::End if self.tty => self.resend.push(b"\x04"),
            Heard::End => self.eof = Some(Eof::Due),
            Heard::Resize => {
                if let Some((cols, rows)) = tty::size() {
                    self.control.push_back(Say::Resize { cols, rows });
                }
            }
            Heard::Signal(name) => self.control.push_back(Say::Signal { name: name.to_owned() }),
            Heard::Ask(Ask::Help) => eprint!("\r\n~.  detach, the session runs on\r\n~~  send ~\r\n~?  this\r\n"),
            Heard::Ask(Ask::Detach) | Heard::Leave => return Some(End::Left),
        }
        None
    }

    /// Whether stdin may be read.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.resend.room() > READ
    }

    fn ready(&mut self, session_id: String, offset: u64, input_offset: u64) -> Result<()> {
        if self.session_id.is_some() && self.received.is_none() {
            // Begun elsewhere: what others typed is none of ours.
            self.resend = Resend::starting_at(input_offset);
        }
        self.resend.resume(input_offset).map_err(|error| Error::Network(error.to_string()))?;
        self.session_id = Some(session_id);
        self.received = Some(offset);
        self.control.clear();
        if self.eof.is_some() {
            self.eof = Some(Eof::Due);
        }
        Ok(())
    }

    fn next_message(&mut self) -> Option<Message> {
        if let Some(say) = self.control.pop_front() {
            return Some(text(&say));
        }
        if self.resend.has_unsent() {
            return Some(Message::Binary(self.resend.take().into()));
        }
        if self.eof == Some(Eof::Due) {
            self.eof = Some(Eof::Sent);
            return Some(text(&Say::Eof));
        }
        None
    }
}

fn text(say: &Say) -> Message {
    Message::text(serde_json::to_string(say).unwrap_or_default())
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::Network(format!("the connection broke: {error}"))
}

/// Attaches in one trip: the handshake brings the sign-in, the first frame the command.
///
/// # Errors
/// What the coordinator refuses, or the network.
pub async fn attach(client: &mut Client, target: &Target, state: &RefCell<State>) -> Result<Socket> {
    let (session_id, after) = {
        let state = state.borrow();
        (state.session_id.clone(), state.received)
    };
    let (stream, read) = client.signed_websocket(&format!("/ws/terminal/{}", target.allocation)).await?;
    let config = WebSocketConfig::default().read_buffer_size(64 << 10).write_buffer_size(0);
    let mut socket = WebSocketStream::from_partially_read(stream, read.into(), Role::Client, Some(config)).await;
    let size = if target.tty { tty::size() } else { None };
    let auth = Say::Auth {
        token: None,
        command: target.command.clone(),
        tty: target.tty,
        session_id,
        after,
        cols: size.map(|size| size.0),
        rows: size.map(|size| size.1),
    };
    socket.send(text(&auth)).await.map_err(broken)?;
    match timeout(READY, ready(&mut socket, state)).await {
        Ok(done) => done.map(|()| socket),
        Err(_) => Err(Error::Network("the session did not open within 20 s".into())),
    }
}

async fn ready(socket: &mut Socket, state: &RefCell<State>) -> Result<()> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(words))) => match serde_json::from_str(&words)? {
                Hear::SessionReady { session_id, offset, input_offset, .. } => {
                    return state.borrow_mut().ready(session_id, offset, input_offset);
                }
                Hear::Error { code, detail, correlation_id } => return Err(refused(code, detail, correlation_id)),
                _ => {}
            },
            Some(Ok(Message::Close(frame))) => {
                let said =
                    frame.map_or_else(String::new, |frame| format!("{} {}", u16::from(frame.code), frame.reason));
                return Err(broken(format!("closed by the coordinator {said}")));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(broken(error)),
            None => return Err(broken("closed")),
        }
    }
}

fn refused(code: String, detail: String, correlation_id: String) -> Error {
    let status = if passes(&code) { 503 } else { 409 };
    let detail = if detail.is_empty() { sentence(&code).to_owned() } else { detail };
    let correlation_id = Some(correlation_id).filter(|id| !id.is_empty());
    Error::Api(Box::new(Problem { status, code, detail: Some(detail), correlation_id, ..Problem::default() }))
}

fn sentence(code: &str) -> &'static str {
    match code {
        "node_offline" => "the node is not connected",
        "node_timeout" => "the node did not answer in time",
        "agent_busy" => "the node's agent has too much to do",
        "session_limit" => "there are too many sessions",
        "session_gone" => "the session is over",
        "superseded" => "the session was opened elsewhere",
        "revoked" => "the sign-in or its rights have ended; the session runs on",
        "stalled" => "output was not read for a minute",
        "released" => "the allocation was released",
        _ => "the session ended",
    }
}

/// Moves bytes both ways until the connection or the session ends.
pub async fn pump(socket: Socket, state: &RefCell<State>, input: &mut Input, out: &Out, err: &Out) -> End {
    let (sink, stream) = socket.split();
    let wake = Notify::new();
    let up = pin!(up(sink, state, input, &wake));
    let down = pin!(down(stream, state, out, err, &wake));
    match select(down, up).await {
        Either::Left((end, _)) => end,
        // What came before the break is still taken: the count of received bytes must be exact.
        Either::Right((End::Lost(_), down)) => down.await,
        Either::Right((end, _)) => end,
    }
}

async fn up(mut sink: SplitSink<Socket, Message>, state: &RefCell<State>, input: &mut Input, wake: &Notify) -> End {
    let mut ping = interval_at(Instant::now() + PING, PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        loop {
            let next = state.borrow_mut().next_message();
            let Some(message) = next else { break };
            if let Err(error) = sink.send(message).await {
                return End::Lost(why(&error));
            }
        }
        let room = state.borrow().has_room();
        tokio::select! {
            heard = input.next(room) => {
                let left = state.borrow_mut().hear(heard);
                if let Some(end) = left {
                    // 1001: this side goes away, the session stays.
                    let _ = timeout(Duration::from_secs(1), sink.close()).await;
                    return end;
                }
            }
            () = wake.notified() => {}
            _ = ping.tick() => {
                if let Err(error) = sink.send(Message::Ping(Bytes::new())).await {
                    return End::Lost(why(&error));
                }
            }
        }
    }
}

async fn down(mut stream: SplitStream<Socket>, state: &RefCell<State>, out: &Out, err: &Out, wake: &Notify) -> End {
    let mut refusal = None;
    loop {
        let message = match timeout(SILENCE, stream.next()).await {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(error))) => return refusal.unwrap_or(End::Lost(why(&error))),
            Ok(None) => return refusal.unwrap_or(End::Lost(BROKE.into())),
            Err(_) => return End::Lost("no sign of life for 30 s".into()),
        };
        let written = match message {
            Message::Binary(bytes) => {
                let written = out.write(&bytes).await;
                count(state, bytes.len());
                written
            }
            Message::Text(words) => match serde_json::from_str(&words) {
                Ok(Hear::Exit { code, reason }) => return End::Exit { code, reason },
                Ok(Hear::Ack { input }) => {
                    if let Err(error) = state.borrow_mut().resend.acknowledged(input) {
                        return End::Over(Error::Network(error.to_string()));
                    }
                    wake.notify_one();
                    Ok(())
                }
                Ok(Hear::Stderr { data }) => {
                    let bytes = STANDARD.decode(data).unwrap_or_default();
                    let written = err.write(&bytes).await;
                    count(state, bytes.len());
                    written
                }
                Ok(Hear::Notice { code, from, to }) => {
                    if code == "output_skipped" {
                        state.borrow_mut().received = Some(to);
                        let said =
                            format!("\r\n[{} bytes of output were too old to be kept]\r\n", to.saturating_sub(from));
                        err.write(said.as_bytes()).await
                    } else {
                        Ok(())
                    }
                }
                Ok(Hear::Error { code, detail, correlation_id }) => {
                    refusal = Some(if passes(&code) {
                        End::Lost(sentence(&code).to_owned())
                    } else {
                        End::Over(refused(code, detail, correlation_id))
                    });
                    Ok(())
                }
                Ok(Hear::SessionReady { .. } | Hear::Unknown) | Err(_) => Ok(()),
            },
            Message::Close(frame) => {
                let said = frame.map_or_else(
                    || "closed".to_owned(),
                    |frame| format!("closed {} {}", u16::from(frame.code), frame.reason),
                );
                return refusal.unwrap_or(End::Lost(said));
            }
            _ => Ok(()),
        };
        if written.is_err() {
            return End::Unread;
        }
    }
}

/// A break in words; a connection that is gone without a goodbye needs no more of them.
fn why(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed
        | tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => BROKE.to_owned(),
        other => other.to_string(),
    }
}

fn count(state: &RefCell<State>, bytes: usize) {
    let mut state = state.borrow_mut();
    state.received = Some(state.received.unwrap_or(0) + bytes as u64);
}
