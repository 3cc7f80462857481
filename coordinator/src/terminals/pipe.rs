//! Moves the bytes of a session between its WebSocket and its QUIC stream.
//!
//! Two loops in one task. Up: stdin, acknowledgements and words of the client. Down: output, in the order it
//! came. Nothing here waits for a timer before it passes bytes on: what is there is written, and further
//! frames join the same write only if they are there already.

use super::model::{Ending, Say, Word};
use super::offsets::{after, believable};
use super::socket::{Socket, broken};
use crate::base::limits;
use crate::links::wire::{FrameReader, send};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use muster_protocol::frame::{encode, encode_numbered};
use muster_protocol::limits::{SESSION_CREDIT, SESSION_DATA_MAX};
use muster_protocol::session::{
    SessionAck, SessionEof, SessionError, SessionExit, SessionResize, SessionSignal, SessionSkipped,
};
use muster_protocol::{Frame, Kind};
use quinn::SendStream;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

/// Output after which the cell is told that it was taken.
const OUTPUT_ACK: u64 = 16 << 10;
/// Stdin after which the client is told that it was taken.
const INPUT_ACK: u64 = 64 << 10;
/// Largest piece of stdin in one frame.
const INPUT_PIECE: usize = SESSION_DATA_MAX as usize - 8;

type Sink = SplitSink<Socket, Message>;

/// How an attach went.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) ending: Ending,
    pub(super) exit_code: Option<i32>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

/// What both loops see.
struct Shared {
    quic: tokio::sync::Mutex<SendStream>,
    /// Offset of the next stdin byte, and of the first that the cell has not taken.
    input_sent: AtomicU64,
    input_taken: AtomicU64,
    credit: Notify,
    /// Offset of the next output byte, and of the first that the client has not taken, once it says so.
    output_sent: AtomicU64,
    output_taken: AtomicU64,
    windowed: AtomicBool,
    window: Notify,
    /// Answers of the up loop, written by the down loop.
    says: Mutex<VecDeque<String>>,
    speak: Notify,
    began: Instant,
    /// When the client was last heard, in ms since `began`.
    heard: AtomicU64,
}

/// One attach to a session that is ready.
pub(super) struct Pipe {
    pub(super) writer: SendStream,
    pub(super) reader: FrameReader,
    pub(super) offset: u64,
    pub(super) input_offset: u64,
}

impl Pipe {
    /// Runs until either side ends.
    pub(super) async fn run(self, socket: &mut Option<Socket>, told: impl Future<Output = Ending>) -> Outcome {
        let Some((sink, stream)) = socket.take().map(StreamExt::split) else {
            return Outcome { ending: Ending::Internal, exit_code: None, bytes_in: 0, bytes_out: 0 };
        };
        let shared = Shared {
            quic: tokio::sync::Mutex::new(self.writer),
            input_sent: AtomicU64::new(self.input_offset),
            input_taken: AtomicU64::new(self.input_offset),
            credit: Notify::new(),
            output_sent: AtomicU64::new(self.offset),
            output_taken: AtomicU64::new(self.offset),
            windowed: AtomicBool::new(false),
            window: Notify::new(),
            says: Mutex::default(),
            speak: Notify::new(),
            began: Instant::now(),
            heard: AtomicU64::new(0),
        };
        let (mut up, mut down) = (Up::new(stream, &shared), Down::new(sink, self.reader, &shared));
        let ending = {
            let (up, down, told) = (pin!(up.run()), pin!(down.run()), pin!(told));
            tokio::select! {
                ending = down => ending,
                ending = up => ending,
                ending = told => ending,
            }
        };
        let exit_code = down.exit_code;
        *socket = up.stream.reunite(down.sink).ok();
        Outcome {
            ending,
            exit_code,
            bytes_in: shared.input_sent.load(Relaxed) - self.input_offset,
            bytes_out: shared.output_sent.load(Relaxed) - self.offset,
        }
    }
}

struct Up<'a> {
    stream: SplitStream<Socket>,
    shared: &'a Shared,
    /// Stdin that the program does not take yet, an empty piece for its end. Words behind it are heard all the
    /// same: the program may wait for one of them, an acknowledgement of its output.
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
}

impl<'a> Up<'a> {
    fn new(stream: SplitStream<Socket>, shared: &'a Shared) -> Self {
        Self { stream, shared, waiting: VecDeque::new(), waiting_bytes: 0 }
    }

    async fn run(&mut self) -> Ending {
        loop {
            let len = self.waiting.front().map_or(0, |bytes| bytes.len().min(INPUT_PIECE));
            let message = tokio::select! {
                biased;
                () = self.shared.credit_for(len), if !self.waiting.is_empty() => None,
                message = self.stream.next(), if self.waiting_bytes < limits::TERMINAL_STDIN => Some(message),
            };
            let done = match message {
                None => self.pass_on(len).await,
                Some(Some(Ok(message))) => self.hear(message).await,
                Some(Some(Err(error))) => return broken(&error),
                Some(None) => return Ending::Left,
            };
            if let Err(ending) = done {
                return ending;
            }
        }
    }

    async fn hear(&mut self, message: Message) -> Result<(), Ending> {
        self.shared.hear();
        match message {
            Message::Binary(bytes) if !bytes.is_empty() => {
                self.waiting_bytes += bytes.len();
                self.waiting.push_back(bytes);
                Ok(())
            }
            Message::Text(text) => self.word(Word::parse(&text)?).await,
            Message::Close(_) => Err(Ending::Left),
            _ => Ok(()),
        }
    }

    /// Sends the first `len` bytes that wait, for which there is credit.
    async fn pass_on(&mut self, len: usize) -> Result<(), Ending> {
        let shared = self.shared;
        let Some(first) = self.waiting.front_mut() else { return Ok(()) };
        let piece = first.split_to(len);
        if first.is_empty() {
            self.waiting.pop_front();
        }
        self.waiting_bytes -= len;
        if piece.is_empty() {
            return shared.send(encode(Kind::SessionEof, &SessionEof {})).await;
        }
        let offset = shared.input_sent.load(Relaxed);
        shared.send(encode_numbered(Kind::SessionInput, offset, &piece)).await?;
        shared.input_sent.store(offset + len as u64, Relaxed);
        Ok(())
    }

    async fn word(&mut self, word: Word) -> Result<(), Ending> {
        let shared = self.shared;
        match word {
            Word::Auth(_) => return Err(Ending::BadFrame),
            Word::Resize { cols, rows } => {
                shared.send(encode(Kind::SessionResize, &SessionResize { cols, rows })).await?;
            }
            Word::Ack { output } => {
                if output > shared.output_sent.load(Relaxed) {
                    return Err(Ending::BadFrame);
                }
                shared.output_taken.fetch_max(output, Relaxed);
                shared.windowed.store(true, Relaxed);
                shared.window.notify_one();
            }
            Word::Ping => shared.say(&Say::Pong),
            Word::Eof => self.waiting.push_back(Bytes::new()),
            Word::Signal { name } => shared.signal(&name).await?,
            Word::Close => {
                shared.signal("HUP").await?;
                sleep(limits::TERMINAL_HANGUP).await;
                // The end of the session, if HUP was enough, has ended this loop by now.
                shared.signal("KILL").await?;
            }
            Word::Unknown => {}
        }
        Ok(())
    }
}

impl Shared {
    async fn send(&self, frame: Bytes) -> Result<(), Ending> {
        send(&mut *self.quic.lock().await, frame).await.map_err(|_| Ending::NodeOffline)
    }

    /// Waits until the cell permits `len` bytes more of stdin. May be dropped while it waits.
    async fn credit_for(&self, len: usize) {
        let after = self.input_sent.load(Relaxed) + len as u64;
        while after - self.input_taken.load(Relaxed) > SESSION_CREDIT {
            self.credit.notified().await;
        }
    }

    async fn signal(&self, name: &str) -> Result<(), Ending> {
        const KNOWN: [&str; 9] = ["INT", "TERM", "HUP", "QUIT", "KILL", "USR1", "USR2", "TSTP", "CONT"];
        if !KNOWN.contains(&name) {
            return Err(Ending::BadFrame);
        }
        self.send(encode(Kind::SessionSignal, &SessionSignal { name: name.to_owned() })).await
    }

    fn say(&self, say: &Say<'_>) {
        let mut says = self.says.lock().unwrap_or_else(PoisonError::into_inner);
        // A client that asks faster than it reads gets fewer answers.
        if says.len() < limits::TERMINAL_SAYS {
            says.push_back(say.text());
        }
        drop(says);
        self.speak.notify_one();
    }

    fn hear(&self) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(since, Relaxed);
    }

    fn silent_ms(&self) -> u128 {
        self.began.elapsed().as_millis().saturating_sub(u128::from(self.heard.load(Relaxed)))
    }
}

struct Down<'a> {
    sink: Sink,
    reader: FrameReader,
    shared: &'a Shared,
    exit_code: Option<i32>,
    /// Output that the cell was told was taken.
    acked: u64,
    /// Stdin that the client was told was taken.
    told: u64,
    /// Bytes fed and not flushed.
    fed: usize,
}

impl<'a> Down<'a> {
    fn new(sink: Sink, reader: FrameReader, shared: &'a Shared) -> Self {
        let (acked, told) = (shared.output_sent.load(Relaxed), shared.input_taken.load(Relaxed));
        Self { sink, reader, shared, exit_code: None, acked, told, fed: 0 }
    }

    async fn run(&mut self) -> Ending {
        match self.serve().await {
            Ok(never) => match never {},
            Err(ending) => ending,
        }
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Ending> {
        let mut ping = interval_at(Instant::now() + limits::TERMINAL_PING, limits::TERMINAL_PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tell = pin!(sleep(limits::TERMINAL_ACK));
        let mut telling = false;
        loop {
            tokio::select! {
                biased;
                frame = self.reader.next() => {
                    let frame = frame.map_err(|_| Ending::NodeOffline)?.ok_or(Ending::NodeOffline)?;
                    self.take(&frame).await?;
                    self.take_what_is_there().await?;
                    self.flush().await?;
                    self.acknowledge_output().await?;
                }
                () = self.shared.speak.notified() => self.speak().await?,
                () = &mut tell, if telling => {
                    telling = false;
                    self.tell_input().await?;
                    self.flush().await?;
                }
                _ = ping.tick() => {
                    if self.shared.silent_ms() > limits::TERMINAL_SILENCE.as_millis() {
                        return Err(Ending::Left);
                    }
                    self.feed(Message::Ping(Bytes::new())).await?;
                    self.flush().await?;
                }
            }
            if !telling && self.shared.input_taken.load(Relaxed) > self.told {
                telling = true;
                tell.as_mut().reset(Instant::now() + limits::TERMINAL_ACK);
            }
        }
    }

    /// Frames that have come already join the same write, up to a measure.
    async fn take_what_is_there(&mut self) -> Result<(), Ending> {
        while self.fed < limits::TERMINAL_WRITE {
            let Some(frame) = self.reader.next().now_or_never() else { return Ok(()) };
            let frame = frame.map_err(|_| Ending::NodeOffline)?.ok_or(Ending::NodeOffline)?;
            self.take(&frame).await?;
        }
        Ok(())
    }

    async fn take(&mut self, frame: &Frame) -> Result<(), Ending> {
        let malformed = |_| Ending::Internal;
        match frame.kind {
            Kind::SessionOutput => {
                let (offset, bytes) = frame.numbered().map_err(malformed)?;
                let end = self.room_for(offset, bytes.len()).await?;
                self.feed(Message::Binary(bytes)).await?;
                self.shared.output_sent.store(end, Relaxed);
            }
            Kind::SessionErrOutput => {
                let (offset, bytes) = frame.numbered().map_err(malformed)?;
                let end = self.room_for(offset, bytes.len()).await?;
                let data = STANDARD.encode(&bytes);
                self.feed(Message::text(Say::Stderr { data: &data }.text())).await?;
                self.shared.output_sent.store(end, Relaxed);
            }
            Kind::SessionAck => {
                let ack: SessionAck = frame.decode().map_err(malformed)?;
                if ack.offset > self.shared.input_sent.load(Relaxed) {
                    return Err(Ending::Internal);
                }
                self.shared.input_taken.fetch_max(ack.offset, Relaxed);
                self.shared.credit.notify_one();
                if ack.offset.saturating_sub(self.told) >= INPUT_ACK {
                    self.tell_input().await?;
                }
            }
            Kind::SessionSkipped => {
                let gap: SessionSkipped = frame.decode().map_err(malformed)?;
                if !believable(gap.to) {
                    return Err(Ending::Internal);
                }
                let notice = Say::Notice { code: "output_skipped", from: gap.from, to: gap.to };
                self.feed(Message::text(notice.text())).await?;
                self.shared.output_sent.fetch_max(gap.to, Relaxed);
            }
            Kind::SessionExit => {
                let exit: SessionExit = frame.decode().map_err(malformed)?;
                return Err(self.exit(&exit).await);
            }
            Kind::SessionError => {
                let error: SessionError = frame.decode().map_err(malformed)?;
                return Err(Ending::of_cell(&error.code, &error.detail));
            }
            // Nothing else may come here.
            _ => return Err(Ending::Internal),
        }
        Ok(())
    }

    async fn exit(&mut self, exit: &SessionExit) -> Ending {
        self.exit_code = Some(exit.code);
        let said = Say::Exit { code: exit.code, signal: &exit.signal, reason: &exit.reason };
        // All of stdin that will ever be taken was taken.
        let done = async {
            self.tell_input().await?;
            self.feed(Message::text(said.text())).await?;
            self.flush().await
        };
        match done.await {
            Err(ending) => ending,
            Ok(()) if exit.reason == "released" => Ending::Released,
            Ok(()) => Ending::Exited,
        }
    }

    /// Waits until a client that counts has room for `len` bytes; the offset after them.
    async fn room_for(&mut self, offset: u64, len: usize) -> Result<u64, Ending> {
        let shared = self.shared;
        let end = after(shared.output_sent.load(Relaxed), offset, len).ok_or(Ending::Internal)?;
        while shared.windowed.load(Relaxed) && end - shared.output_taken.load(Relaxed) > limits::TERMINAL_IN_FLIGHT {
            // What was fed must get out, or the client will never take it.
            self.flush().await?;
            timeout(limits::TERMINAL_STALL, shared.window.notified()).await.map_err(|_| Ending::Stalled)?;
        }
        Ok(end)
    }

    async fn acknowledge_output(&mut self) -> Result<(), Ending> {
        let offset = self.shared.output_sent.load(Relaxed);
        if offset - self.acked >= OUTPUT_ACK {
            self.acked = offset;
            self.shared.send(encode(Kind::SessionAck, &SessionAck { offset })).await?;
        }
        Ok(())
    }

    async fn tell_input(&mut self) -> Result<(), Ending> {
        let input = self.shared.input_taken.load(Relaxed);
        if input > self.told {
            self.told = input;
            self.feed(Message::text(Say::Ack { input }.text())).await?;
        }
        Ok(())
    }

    async fn speak(&mut self) -> Result<(), Ending> {
        loop {
            let next = self.shared.says.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(text) = next else { return self.flush().await };
            self.feed(Message::text(text)).await?;
        }
    }

    async fn feed(&mut self, message: Message) -> Result<(), Ending> {
        self.fed += message.len();
        taken(self.sink.feed(message)).await
    }

    async fn flush(&mut self) -> Result<(), Ending> {
        self.fed = 0;
        taken(self.sink.flush()).await
    }
}

/// A client that takes nothing for a minute is detached; one that is gone has left.
async fn taken<E>(write: impl Future<Output = Result<(), E>>) -> Result<(), Ending> {
    match timeout(limits::TERMINAL_STALL, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Ending::Left),
        Err(_) => Err(Ending::Stalled),
    }
}
