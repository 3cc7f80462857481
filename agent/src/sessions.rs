//! Sessions and tunnels: a pipe between a stream of the link and a connection to a cell.
//!
//! Nothing is interpreted but the header of each frame, since both the cell and the network may say anything:
//! a frame of a kind that has no business here ends the pipe. What is read is written on before more is read,
//! so a slow end slows the other and memory stays bounded; no timer holds a byte back.

use crate::cells::{Cells, Stream};
use bytes::{Bytes, BytesMut};
use muster_protocol::{
    Frame, FrameError, Kind,
    frame::{HEADER_LEN, encode, parse_header},
    ids::AllocationId,
    session::{SessionAttach, SessionError},
    tunnel::{TunnelOpen, TunnelReady, TunnelRefused},
};
use quinn::{RecvStream, SendStream};
use std::{io, time::Duration};
use tokio::time::timeout;

/// Bytes read from a cell at a time.
const PIECE: usize = 32 << 10;
/// A cell must take the connection and answer a tunnel in this time.
const CELL_ANSWER: Duration = Duration::from_secs(10);
/// Code of a stream that is reset because of what was said on it.
const NONSENSE: u32 = 1;

/// Kinds towards a cell, after the attach.
fn to_cell(kind: Kind) -> bool {
    matches!(kind, Kind::SessionInput | Kind::SessionAck | Kind::SessionResize | Kind::SessionSignal | Kind::SessionEof)
}

/// Kinds from a cell.
fn from_cell(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::SessionAttached
            | Kind::SessionOutput
            | Kind::SessionErrOutput
            | Kind::SessionAck
            | Kind::SessionExit
            | Kind::SessionError
            | Kind::SessionSkipped
    )
}

/// Lets whole frames of permitted kinds through.
#[derive(Debug)]
struct Gate {
    buffer: BytesMut,
    permits: fn(Kind) -> bool,
    /// Kind of the last frame that passed.
    last: Option<Kind>,
}

impl Gate {
    fn new(permits: fn(Kind) -> bool) -> Self {
        Self { buffer: BytesMut::new(), permits, last: None }
    }

    /// Every whole frame there is, as one piece; unknown kinds pass, a newer peer may understand them.
    fn pass(&mut self) -> Result<Option<Bytes>, FrameError> {
        let mut whole = 0;
        while let Some(header) = self.buffer.get(whole..whole + HEADER_LEN) {
            let (kind, len) = parse_header(header)?;
            if !matches!(kind, Kind::Unknown(_)) && !(self.permits)(kind) {
                return Err(FrameError::OutOfPlace(kind));
            }
            let end = whole + HEADER_LEN + len as usize;
            if self.buffer.len() < end {
                break;
            }
            whole = end;
            self.last = Some(kind);
        }
        Ok((whole > 0).then(|| self.buffer.split_to(whole).freeze()))
    }
}

/// The streams of a session or tunnel as the coordinator opened them.
#[derive(Debug)]
pub struct Streams {
    /// Towards the coordinator.
    pub send: SendStream,
    /// From it.
    pub receive: RecvStream,
    /// Read with the first frame, and behind it.
    pub rest: Bytes,
}

/// Serves a session until either end is done.
pub async fn session(cells: Cells, first: Frame, mut streams: Streams) {
    let reply = match open_session(&cells, &first).await {
        Ok(cell) => return pipe_session(cell, streams).await,
        Err(reply) => reply,
    };
    // The viewer may be gone already.
    let _ = streams.send.write_chunk(encode(Kind::SessionError, &reply)).await;
    let _ = streams.send.finish();
}

async fn open_session(cells: &Cells, first: &Frame) -> Result<Stream, SessionError> {
    let refuse = |code: &str, detail: String| SessionError { code: code.to_owned(), detail };
    let attach: SessionAttach = first.decode().map_err(|error| refuse("protocol_error", error.to_string()))?;
    connect(cells, &attach.allocation, first).await.map_err(|error| refuse("cell_gone", error.to_string()))
}

async fn connect(cells: &Cells, allocation: &str, first: &Frame) -> io::Result<Stream> {
    let gone = || io::Error::new(io::ErrorKind::NotFound, "no such cell stands on this node");
    let allocation: AllocationId = allocation.parse().map_err(|_| gone())?;
    let path = cells.socket(&allocation).ok_or_else(gone)?;
    let open = async {
        let stream = Stream::connect(&path).await?;
        stream.write_all(&first.to_bytes()).await?;
        Ok(stream)
    };
    timeout(CELL_ANSWER, open).await.map_err(|_| io::ErrorKind::TimedOut)?
}

async fn pipe_session(cell: Stream, streams: Streams) {
    let Streams { send, receive, rest } = streams;
    let down = frames_to_cell(receive, rest, &cell);
    let up = frames_from_cell(&cell, send);
    tokio::pin!(up);
    // The session is over when the cell says so. A viewer that leaves closes its own direction only, by which
    // the cell learns of it and ends the other.
    tokio::select! {
        () = &mut up => {}
        () = down => up.await,
    }
}

async fn frames_to_cell(mut receive: RecvStream, rest: Bytes, cell: &Stream) {
    let mut gate = Gate::new(to_cell);
    gate.buffer.extend_from_slice(&rest);
    loop {
        match gate.pass() {
            Ok(Some(frames)) => {
                if cell.write_all(&frames).await.is_err() {
                    break;
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "a session is ended for what came over the link");
                break;
            }
        }
        match receive.read_chunk(PIECE, true).await {
            Ok(Some(chunk)) => gate.buffer.extend_from_slice(&chunk.bytes),
            Ok(None) | Err(_) => break,
        }
    }
    // This tells the cell that the viewer left.
    cell.finish();
}

async fn frames_from_cell(cell: &Stream, mut send: SendStream) {
    let mut gate = Gate::new(from_cell);
    let mut piece = vec![0; PIECE];
    loop {
        match cell.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(count) => gate.buffer.extend_from_slice(&piece[..count]),
        }
        match gate.pass() {
            Ok(Some(frames)) => {
                if send.write_chunk(frames).await.is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "a session is ended for what the cell said");
                let _ = send.reset(NONSENSE.into());
                return;
            }
        }
    }
    // A cell says how a session ends, unless it is killed.
    if !matches!(gate.last, Some(Kind::SessionExit | Kind::SessionError)) {
        let killed = SessionError { code: "cell_ended".into(), detail: "The cell has ended.".into() };
        let _ = send.write_chunk(encode(Kind::SessionError, &killed)).await;
    }
    let _ = send.finish();
}

/// Serves a tunnel until both directions are done.
pub async fn tunnel(cells: Cells, first: Frame, mut streams: Streams) {
    match open_tunnel(&cells, &first).await {
        Ok((cell, rest)) => {
            let mut ready = BytesMut::from(&encode(Kind::TunnelReady, &TunnelReady {})[..]);
            ready.extend_from_slice(&rest);
            if streams.send.write_chunk(ready.freeze()).await.is_ok() {
                pipe_raw(cell, streams).await;
            }
        }
        Err(refused) => {
            // Whoever asked may be gone already.
            let _ = streams.send.write_chunk(encode(Kind::TunnelRefused, &refused)).await;
            let _ = streams.send.finish();
        }
    }
}

async fn open_tunnel(cells: &Cells, first: &Frame) -> Result<(Stream, Bytes), TunnelRefused> {
    let refuse = |code: &str, detail: String| TunnelRefused { code: code.to_owned(), detail };
    let open: TunnelOpen = first.decode().map_err(|error| refuse("unsupported", error.to_string()))?;
    let cell = connect(cells, &open.allocation, first).await.map_err(|error| refuse("cell_gone", error.to_string()))?;
    let answer = async {
        let mut decoder = muster_protocol::FrameDecoder::default();
        let mut piece = [0; 1024];
        loop {
            let n = cell.read(&mut piece).await.map_err(|error| refuse("cell_gone", error.to_string()))?;
            if n == 0 {
                return Err(refuse("cell_gone", "the cell closed the connection".into()));
            }
            decoder.push(&piece[..n]);
            match decoder.next() {
                Ok(None) => {}
                Ok(Some(frame)) if frame.kind == Kind::TunnelReady => return Ok(decoder.into_rest()),
                Ok(Some(frame)) if frame.kind == Kind::TunnelRefused => {
                    return Err(frame.decode().unwrap_or_else(|error| refuse("cell_gone", error.to_string())));
                }
                Ok(Some(frame)) => return Err(refuse("cell_gone", format!("the cell said {:?}", frame.kind))),
                Err(error) => return Err(refuse("cell_gone", error.to_string())),
            }
        }
    };
    let rest = timeout(CELL_ANSWER, answer)
        .await
        .unwrap_or_else(|_| Err(refuse("cell_gone", "the cell does not answer".into())))?;
    Ok((cell, rest))
}

async fn pipe_raw(cell: Stream, streams: Streams) {
    let Streams { mut send, mut receive, rest } = streams;
    let down = async {
        if cell.write_all(&rest).await.is_err() {
            return;
        }
        while let Ok(Some(chunk)) = receive.read_chunk(PIECE, true).await {
            if cell.write_all(&chunk.bytes).await.is_err() {
                return;
            }
        }
        cell.finish();
    };
    let up = async {
        let mut piece = vec![0; PIECE];
        loop {
            let count = match cell.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            if send.write_chunk(Bytes::copy_from_slice(&piece[..count])).await.is_err() {
                return;
            }
        }
        let _ = send.finish();
    };
    tokio::pin!(up);
    // Half-closed connections are usual: the far end may still answer after we have said everything.
    tokio::select! {
        () = &mut up => {}
        () = down => up.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::frame::encode_numbered;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_gate_changes_nothing_whatever_the_cut(sizes in proptest::collection::vec(0usize..500, 1..20), cut in 1usize..700) {
            let mut sent = BytesMut::new();
            for (n, size) in sizes.iter().enumerate() {
                sent.extend_from_slice(&encode_numbered(Kind::SessionOutput, n as u64, &vec![n as u8; *size]));
            }
            let mut gate = Gate::new(from_cell);
            let mut passed = Vec::new();
            for piece in sent.chunks(cut) {
                gate.buffer.extend_from_slice(piece);
                if let Some(frames) = gate.pass().unwrap() { passed.extend_from_slice(&frames); }
            }
            prop_assert_eq!(passed, sent.to_vec());
            prop_assert!(gate.buffer.is_empty());
        }

        #[test]
        fn the_gate_survives_garbage(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut gate = Gate::new(to_cell);
            gate.buffer.extend_from_slice(&bytes);
            let _ = gate.pass();
        }
    }

    #[test]
    fn frames_that_have_no_business_here_end_the_pipe() {
        let mut gate = Gate::new(from_cell);
        gate.buffer.extend_from_slice(&encode_numbered(Kind::SessionInput, 0, b"x"));
        assert_eq!(gate.pass(), Err(FrameError::OutOfPlace(Kind::SessionInput)));
        let mut gate = Gate::new(to_cell);
        gate.buffer.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(gate.pass(), Err(FrameError::OutOfPlace(Kind::Hello)));
    }
}
