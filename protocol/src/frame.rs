//! A fixed header, then the body: `kind u16 | flags u16 | length u32`, big-endian.
//!
//! Flags are sent as zero and ignored when read. A body longer than the cap of its kind is an error before
//! any of it is read, so that a peer can never make us buffer more than we said.

use crate::kind::Kind;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

/// Bytes before the body.
pub const HEADER_LEN: usize = 8;

/// One message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What the body is.
    pub kind: Kind,
    /// The body, at most [`Kind::cap`] bytes.
    pub body: Bytes,
}

/// Why bytes are not frames, or a body not its message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header announces more than the kind may carry.
    #[error("frame {kind:?} of {len} bytes is over its cap of {cap}")]
    TooLarge {
        /// Kind in the header.
        kind: Kind,
        /// Announced length.
        len: u32,
        /// What the kind may carry.
        cap: u32,
    },
    /// The body is not the message that its kind says.
    #[error("frame {0:?} does not decode")]
    Malformed(Kind),
    /// A kind that may not come at this point of the conversation.
    #[error("frame {0:?} is out of place here")]
    OutOfPlace(Kind),
}

impl Frame {
    /// The body as a message.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] if it does not decode.
    pub fn decode<M: Message + Default>(&self) -> Result<M, FrameError> {
        M::decode(self.body.clone()).map_err(|_| FrameError::Malformed(self.kind))
    }

    /// The body of [`Kind::SessionInput`], [`Kind::SessionOutput`] or [`Kind::SessionErrOutput`]:
    /// the offset of its first byte, and the bytes.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] if it is shorter than an offset.
    pub fn numbered(&self) -> Result<(u64, Bytes), FrameError> {
        if self.body.len() < 8 {
            return Err(FrameError::Malformed(self.kind));
        }
        let mut body = self.body.clone();
        let offset = body.get_u64();
        Ok((offset, body))
    }

    /// Header and body as one piece.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER_LEN + self.body.len());
        put_header(&mut out, self.kind, self.body.len());
        out.put_slice(&self.body);
        out.freeze()
    }
}

fn put_header(out: &mut BytesMut, kind: Kind, len: usize) {
    assert!(len <= kind.cap() as usize, "{kind:?} of {len} bytes is over its cap: the sender cuts first");
    out.put_u16(kind.number());
    out.put_u16(0);
    out.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
}

/// A message as a whole frame.
///
/// # Panics
/// If the message is over the cap of its kind: callers bound what they build.
#[must_use]
pub fn encode<M: Message>(kind: Kind, message: &M) -> Bytes {
    let len = message.encoded_len();
    let mut out = BytesMut::with_capacity(HEADER_LEN + len);
    put_header(&mut out, kind, len);
    message.encode_raw(&mut out);
    out.freeze()
}

/// Numbered bytes as a whole frame (see [`Frame::numbered`]).
///
/// # Panics
/// If `bytes` is longer than [`crate::limits::SESSION_DATA_MAX`] less the offset.
#[must_use]
pub fn encode_numbered(kind: Kind, offset: u64, bytes: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER_LEN + 8 + bytes.len());
    put_header(&mut out, kind, 8 + bytes.len());
    out.put_u64(offset);
    out.put_slice(bytes);
    out.freeze()
}

/// What stands before the bytes of a numbered frame, for senders that write header and bytes in one go.
///
/// # Panics
/// If `len` is over [`crate::limits::SESSION_DATA_MAX`] less the offset.
#[must_use]
pub fn numbered_header(kind: Kind, offset: u64, len: usize) -> [u8; HEADER_LEN + 8] {
    let mut out = BytesMut::with_capacity(HEADER_LEN + 8);
    put_header(&mut out, kind, 8 + len);
    let mut header = [0; HEADER_LEN + 8];
    header[..HEADER_LEN].copy_from_slice(&out);
    header[HEADER_LEN..].copy_from_slice(&offset.to_be_bytes());
    header
}

/// Cuts a stream of bytes into frames. Feed with [`FrameDecoder::push`], drain with [`FrameDecoder::next`].
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: BytesMut,
}

impl FrameDecoder {
    /// Adds bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, unknown kinds included.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] as soon as the header is known; the stream is lost after it.
    #[expect(clippy::should_implement_trait, reason = "an iterator would hide that more bytes may come")]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.buffer.len() < HEADER_LEN {
            return Ok(None);
        }
        let (kind, len) = parse_header(&self.buffer[..HEADER_LEN])?;
        if self.buffer.len() < HEADER_LEN + len as usize {
            return Ok(None);
        }
        self.buffer.advance(HEADER_LEN);
        let body = self.buffer.split_to(len as usize).freeze();
        Ok(Some(Frame { kind, body }))
    }

    /// Bytes held back because their frame is not whole.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes that the next frame still lacks as far as can be known now, for a reader that must not read past it.
    #[must_use]
    pub fn missing(&self) -> usize {
        match self.buffer.get(..HEADER_LEN).map(parse_header) {
            None => HEADER_LEN - self.buffer.len(),
            Some(Ok((_, len))) => (HEADER_LEN + len as usize).saturating_sub(self.buffer.len()),
            Some(Err(_)) => 0,
        }
    }

    /// What was pushed and not yet cut, for a stream that turns raw after its first frames.
    #[must_use]
    pub fn into_rest(self) -> Bytes {
        self.buffer.freeze()
    }
}

/// Kind and length of a body from the [`HEADER_LEN`] bytes before it.
///
/// # Errors
/// [`FrameError::TooLarge`] if the kind may not carry that much.
pub fn parse_header(mut header: &[u8]) -> Result<(Kind, u32), FrameError> {
    let kind = Kind::from_number(header.get_u16());
    let _flags = header.get_u16();
    let len = header.get_u32();
    let cap = kind.cap();
    if len > cap { Err(FrameError::TooLarge { kind, len, cap }) } else { Ok((kind, len)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_cut_gives_the_same_frames(bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20), cut in 1usize..50) {
            let frames: Vec<_> = bodies.into_iter().map(|body| Frame { kind: Kind::Heartbeat, body: body.into() }).collect();
            let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.to_bytes().to_vec()).collect();
            let mut decoder = FrameDecoder::default();
            let mut seen = Vec::new();
            for piece in bytes.chunks(cut) {
                decoder.push(piece);
                while let Some(frame) = decoder.next().unwrap() { seen.push(frame); }
            }
            prop_assert_eq!(seen, frames);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let mut decoder = FrameDecoder::default();
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next() {}
            prop_assert!(decoder.pending() <= bytes.len());
        }
    }

    #[test]
    fn numbered_header_and_missing_agree_with_the_frames() {
        let whole = encode_numbered(Kind::SessionOutput, 7, b"bytes");
        assert_eq!(numbered_header(Kind::SessionOutput, 7, 5), whole[..HEADER_LEN + 8]);
        let mut decoder = FrameDecoder::default();
        let mut at = 0;
        while decoder.missing() > 0 {
            let step = decoder.missing();
            decoder.push(&whole[at..at + step]);
            at += step;
        }
        assert_eq!(at, whole.len());
    }

    #[test]
    fn too_large_is_refused_from_the_header_alone() {
        let mut decoder = FrameDecoder::default();
        decoder.push(&[0, 4, 0, 0, 0, 0x98, 0x96, 0x80]);
        assert!(matches!(decoder.next(), Err(FrameError::TooLarge { kind: Kind::Heartbeat, len: 10_000_000, .. })));
    }
}
