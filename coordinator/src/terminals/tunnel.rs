//! Moves the bytes of a tunnel between its WebSocket and its QUIC stream; QUIC's own windows hold back.

use super::model::{Ending, Word};
use super::pipe::Outcome;
use super::socket::{Socket, broken};
use crate::base::limits;
use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use quinn::{RecvStream, SendStream};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::Message;

/// Largest piece read at once.
const PIECE: usize = 32 << 10;
/// Bytes of one write.
const WRITE: usize = 128 << 10;

/// A tunnel that is ready.
pub(super) struct Tunnel {
    pub(super) writer: SendStream,
    pub(super) reader: RecvStream,
    /// What came right after the answer.
    pub(super) first: Bytes,
}

impl Tunnel {
    /// Runs until either side ends.
    pub(super) async fn run(self, socket: &mut Option<Socket>, told: impl Future<Output = Ending>) -> Outcome {
        let (bytes_in, bytes_out) = (AtomicU64::new(0), AtomicU64::new(0));
        let Some((mut sink, mut stream)) = socket.take().map(StreamExt::split) else {
            return Outcome { ending: Ending::Internal, exit_code: None, bytes_in: 0, bytes_out: 0 };
        };
        let (mut writer, mut reader, first) = (self.writer, self.reader, self.first);
        let alive = AtomicBool::new(true);
        let up = async {
            loop {
                let message = match stream.next().await {
                    Some(Ok(message)) => message,
                    Some(Err(error)) => return broken(&error),
                    None => return Ending::Left,
                };
                alive.store(true, Relaxed);
                match message {
                    Message::Binary(bytes) => {
                        bytes_in.fetch_add(bytes.len() as u64, Relaxed);
                        if writer.write_chunk(bytes).await.is_err() {
                            // The other side has closed; what it said last is still on its way down.
                            std::future::pending::<()>().await;
                        }
                    }
                    Message::Text(text) => match Word::parse(&text) {
                        Ok(Word::Auth(_)) | Err(_) => return Ending::BadFrame,
                        Ok(Word::Eof) => {
                            // The other side may have closed before.
                            let _ = writer.finish();
                        }
                        // Other words of terminals mean nothing to a tunnel.
                        Ok(_) => {}
                    },
                    Message::Close(_) => return Ending::Left,
                    _ => {}
                }
            }
        };
        let down = async {
            let mut ping = interval_at(Instant::now() + limits::TERMINAL_PING, limits::TERMINAL_PING);
            ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut next = (!first.is_empty()).then_some(first);
            loop {
                let mut fed = 0;
                while let Some(bytes) = next.take() {
                    fed += bytes.len();
                    bytes_out.fetch_add(bytes.len() as u64, Relaxed);
                    sent(sink.feed(Message::Binary(bytes))).await?;
                    if fed < WRITE {
                        // What has come already joins the same write.
                        match reader.read_chunk(PIECE, true).now_or_never() {
                            Some(Ok(Some(chunk))) => next = Some(chunk.bytes),
                            Some(other) => return Err(over(sink.flush().await.is_err(), other.is_err())),
                            None => {}
                        }
                    }
                }
                sent(sink.flush()).await?;
                tokio::select! {
                    biased;
                    chunk = reader.read_chunk(PIECE, true) => match chunk {
                        Ok(Some(chunk)) => next = Some(chunk.bytes),
                        other => return Err(over(false, other.is_err())),
                    },
                    _ = ping.tick() => {
                        if !alive.swap(false, Relaxed) {
                            return Err(Ending::Left);
                        }
                        sent(sink.feed(Message::Ping(Bytes::new()))).await?;
                    }
                }
            }
        };
        let ending = {
            let (up, down, told) = (pin!(up), pin!(down), pin!(told));
            tokio::select! {
                ended = down => match ended {
                    Ok::<std::convert::Infallible, Ending>(never) => match never {},
                    Err(ending) => ending,
                },
                ending = up => ending,
                ending = told => ending,
            }
        };
        *socket = stream.reunite(sink).ok();
        Outcome { ending, exit_code: None, bytes_in: bytes_in.into_inner(), bytes_out: bytes_out.into_inner() }
    }
}

fn over(gone: bool, lost: bool) -> Ending {
    match (gone, lost) {
        (true, _) => Ending::Left,
        (false, true) => Ending::NodeOffline,
        (false, false) => Ending::Exited,
    }
}

async fn sent<E>(write: impl Future<Output = Result<(), E>>) -> Result<(), Ending> {
    match timeout(limits::TUNNEL_STALL, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Ending::Left),
        Err(_) => Err(Ending::Stalled),
    }
}
