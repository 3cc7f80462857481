//! Frames over QUIC streams, and one connection attempt with a deadline.

use super::socket::Sockets;
use bytes::Bytes;
use muster_pki::client::SERVER_NAME;
use muster_protocol::{
    Frame, FrameDecoder, FrameError, Kind,
    control::{Refused, close},
};
use quinn::{ClientConfig, Connection, ConnectionError, ReadError, RecvStream};
use std::{io, time::Duration};
use tokio::time::timeout;

/// A handshake may take so long, over all retransmissions.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An answer that another machine owes us may take so long.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes taken from a stream at a time.
const PIECE: usize = 64 << 10;

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The coordinator's address is none, or its name does not resolve.
    #[error("{0} is no address to connect to, HOST:PORT: {1}")]
    Address(String, io::Error),
    /// No socket.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No answer in time.
    #[error("no answer from {0}")]
    Silent(String),
    /// The connection ended.
    #[error("{}", said(.0))]
    Connection(#[from] ConnectionError),
    /// The coordinator could not be asked at all.
    #[error("{0}")]
    Connect(#[from] quinn::ConnectError),
    /// It took a stream back.
    #[error("the coordinator reset the stream ({0})")]
    Reset(u64),
    /// It sent bytes that are no frames, or frames out of place.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// It refused the link.
    #[error("refused: {}: {}", .0.code, .0.detail)]
    Refused(Refused),
    /// Another fleet answered: a node is never re-homed silently.
    #[error("this node belongs to fleet {0}, but fleet {1} answered: a node is never re-homed silently")]
    Rehomed(String, String),
    /// It ended a stream that lives as long as the link.
    #[error("the coordinator ended the stream")]
    Ended,
}

/// The end of a connection in words.
fn said(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(closed) => {
            let word = close::word(closed.error_code.into_inner());
            format!("closed by the coordinator: {word}: {}", String::from_utf8_lossy(&closed.reason))
        }
        other => other.to_string(),
    }
}

impl WireError {
    /// The application close code, if the coordinator closed the connection itself.
    #[must_use]
    pub fn close_code(&self) -> Option<u32> {
        match self {
            Self::Connection(ConnectionError::ApplicationClosed(closed)) => {
                u32::try_from(closed.error_code.into_inner()).ok()
            }
            _ => None,
        }
    }
}

impl From<ReadError> for WireError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::Reset(code.into_inner()),
            ReadError::ConnectionLost(error) => Self::Connection(error),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

impl From<quinn::WriteError> for WireError {
    fn from(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::Stopped(code) => Self::Reset(code.into_inner()),
            quinn::WriteError::ConnectionLost(error) => Self::Connection(error),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

/// The reading end of a stream of frames.
#[derive(Debug)]
pub struct FrameReader {
    stream: RecvStream,
    decoder: FrameDecoder,
}

impl FrameReader {
    /// Reads frames from a stream.
    #[must_use]
    pub fn new(stream: RecvStream) -> Self {
        Self { stream, decoder: FrameDecoder::default() }
    }

    /// The next frame of a known kind; none at the end of the stream.
    ///
    /// # Errors
    /// [`WireError`].
    pub async fn next(&mut self) -> Result<Option<Frame>, WireError> {
        loop {
            while let Some(frame) = self.decoder.next()? {
                if !matches!(frame.kind, Kind::Unknown(_)) {
                    return Ok(Some(frame));
                }
            }
            match self.stream.read_chunk(PIECE, true).await? {
                Some(chunk) => self.decoder.push(&chunk.bytes),
                None => return Ok(None),
            }
        }
    }

    /// The stream, and what was read from it and is no frame yet.
    #[must_use]
    pub fn into_parts(self) -> (RecvStream, Bytes) {
        (self.stream, self.decoder.into_rest())
    }
}

/// Connects to the first address of `host:port` that answers.
///
/// # Errors
/// [`WireError`] of the last address.
pub async fn connect(sockets: &Sockets, address: &str, config: ClientConfig) -> Result<Connection, WireError> {
    let mut last = WireError::Silent(address.to_owned());
    let resolved = tokio::net::lookup_host(address).await;
    for found in resolved.map_err(|error| WireError::Address(address.to_owned(), error))? {
        let endpoint = sockets.endpoint(found)?;
        let connecting = endpoint.connect_with(config.clone(), found, SERVER_NAME)?;
        match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => last = error.into(),
            Err(_) => last = WireError::Silent(format!("{address} ({found}) within {CONNECT_TIMEOUT:?}")),
        }
    }
    Err(last)
}
