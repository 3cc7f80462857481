//! Listens to one cell: how many sessions are open, and whether its batch command has ended.

use super::driver::Message;
use crate::root::{CellState, Client, Error, Request};
use muster_protocol::{
    FrameDecoder, Kind,
    cell::{CellStatus, CellWatch},
    frame::encode,
    ids::AllocationId,
    level,
};
use std::{io, path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::mpsc,
    time::{Instant, sleep},
};

/// A cell that does not answer is asked again after this, and after twice as long each time.
const AGAIN: Duration = Duration::from_millis(500);
/// Longest pause between two tries.
const AGAIN_MAX: Duration = Duration::from_secs(16);
/// Bytes read at a time.
const PIECE: usize = 4096;

/// Listens until it is dropped. Whether a cell that hangs up lives is asked of the root half: what that says unasked may
/// be lost.
pub(super) async fn watch(
    (allocation, lease_epoch): (AllocationId, u64),
    socket: PathBuf,
    root: Client,
    messages: mpsc::Sender<Message>,
) {
    let mut pause = AGAIN;
    loop {
        let began = Instant::now();
        if let Err(error) = listen(allocation, &socket, &messages).await {
            tracing::debug!(%allocation, %error, "the cell does not answer");
        }
        // One that had answered for a while is asked again soon.
        pause = if began.elapsed() > AGAIN_MAX { AGAIN } else { pause };
        sleep(pause).await;
        if is_gone(&root, allocation).await && messages.send(Message::Gone(allocation, lease_epoch)).await.is_err() {
            return;
        }
        pause = (pause * 2).min(AGAIN_MAX);
    }
}

async fn is_gone(root: &Client, allocation: AllocationId) -> bool {
    match root.cell(Request::CellAdopt { allocation }).await {
        Ok(info) => info.state != CellState::Running,
        Err(Error::Refused { code, .. }) => code == "unknown_cell",
        Err(_) => false,
    }
}

async fn listen(allocation: AllocationId, socket: &PathBuf, messages: &mpsc::Sender<Message>) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(&encode(Kind::CellWatch, &CellWatch { level: level::HIGHEST })).await?;
    let (mut decoder, mut piece) = (FrameDecoder::default(), vec![0; PIECE]);
    loop {
        let n = stream.read(&mut piece).await?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        decoder.push(&piece[..n]);
        while let Some(frame) = decoder.next().map_err(io::Error::other)? {
            if frame.kind == Kind::CellStatus {
                let status: CellStatus = frame.decode().map_err(io::Error::other)?;
                if messages.send(Message::Status(allocation, status)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}
