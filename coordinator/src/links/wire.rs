//! Frames over quinn streams: a reader that may be dropped between frames, and a writer with a deadline.

use crate::nodes::Seen;
use bytes::Bytes;
use muster_protocol::{Frame, FrameDecoder, FrameError, Kind};
use quinn::{RecvStream, SendStream};
use std::sync::Arc;
use std::time::Duration;

/// Bytes taken from a stream at once.
const READ_PIECE: usize = 16 << 10;
/// A peer that does not take a control frame for so long is not served any more.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The peer broke the rules.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The stream or its connection is gone.
    #[error("the stream is gone: {0}")]
    Read(#[from] quinn::ReadError),
    /// The stream or its connection is gone.
    #[error("the stream is gone: {0}")]
    Write(#[from] quinn::WriteError),
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    Cut,
    /// The peer let a deadline pass.
    #[error("no answer in time")]
    Deadline,
}

impl WireError {
    /// The peer broke the rules, as opposed to a stream that is gone.
    #[must_use]
    pub fn is_protocol(&self) -> bool {
        matches!(self, Self::Frame(_) | Self::Cut)
    }
}

/// Cuts a stream into frames. [`FrameReader::next`] may be dropped while it waits; nothing is lost.
#[derive(Debug)]
pub struct FrameReader {
    stream: RecvStream,
    decoder: FrameDecoder,
    /// Touched by every frame.
    seen: Option<Arc<Seen>>,
}

impl FrameReader {
    /// Reads `stream` from here on.
    #[must_use]
    pub fn new(stream: RecvStream) -> Self {
        Self { stream, decoder: FrameDecoder::default(), seen: None }
    }

    /// The same, and every frame is a sign of life of a node.
    #[must_use]
    pub fn heard_by(stream: RecvStream, seen: Arc<Seen>) -> Self {
        Self { seen: Some(seen), ..Self::new(stream) }
    }

    /// The next frame of a kind this build knows; none at the end of the stream.
    ///
    /// # Errors
    /// [`WireError`]; the stream is lost after it.
    pub async fn next(&mut self) -> Result<Option<Frame>, WireError> {
        loop {
            while let Some(frame) = self.decoder.next()? {
                if let Some(seen) = &self.seen {
                    seen.touch();
                }
                if !matches!(frame.kind, Kind::Unknown(_)) {
                    return Ok(Some(frame));
                }
            }
            match self.stream.read_chunk(READ_PIECE, true).await? {
                Some(chunk) => self.decoder.push(&chunk.bytes),
                None if self.decoder.pending() == 0 => return Ok(None),
                None => return Err(WireError::Cut),
            }
        }
    }

    /// The next frame, which must come before the deadline.
    ///
    /// # Errors
    /// As [`FrameReader::next`], [`WireError::Deadline`], and [`WireError::Cut`] if the stream ended.
    pub async fn expect_within(&mut self, deadline: Duration) -> Result<Frame, WireError> {
        match tokio::time::timeout(deadline, self.next()).await {
            Ok(frame) => frame?.ok_or(WireError::Cut),
            Err(_) => Err(WireError::Deadline),
        }
    }

    /// Takes the stream back when it turns raw: what was read and not yet cut, and the rest.
    #[must_use]
    pub fn into_raw(self) -> (Bytes, RecvStream) {
        (self.decoder.into_rest(), self.stream)
    }

    /// Tells the peer that nothing more is read.
    pub fn stop(&mut self, code: u32) {
        // Fails only if the stream is already over.
        let _ = self.stream.stop(code.into());
    }
}

/// Writes a whole frame before [`WRITE_DEADLINE`].
///
/// # Errors
/// [`WireError::Write`] or [`WireError::Deadline`].
pub async fn send(stream: &mut SendStream, frame: Bytes) -> Result<(), WireError> {
    match tokio::time::timeout(WRITE_DEADLINE, stream.write_chunk(frame)).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(WireError::Deadline),
    }
}
