//! A connection to a cell, as interactive paths want it.
//!
//! It differs from tokio's own in one thing: nobody waits for it to be writable, which a cell makes it anew with
//! each frame that it takes, unless a write did not fit. That wake-up is a switch to this process and back for
//! every key.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net},
    path::Path,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::UnixStream,
};

/// Both directions; each may be used by one task at a time, by reference.
#[derive(Debug)]
pub struct Stream(AsyncFd<net::UnixStream>);

impl Stream {
    /// A connection to the cell that listens at `path`.
    ///
    /// # Errors
    /// Nobody listens, or too many wait for its answer.
    pub async fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixStream::connect(path).await?.into_std()?;
        // SAFETY: the socket is owned and never taken out again, so it is open as long as it is watched.
        Ok(Self(unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?))
    }

    /// Reads what there is, at most a buffer full; 0 when the cell has said everything. May be dropped while it
    /// waits.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            match self.0.get_ref().read(buffer) {
                Ok(count) => {
                    if count < buffer.len() {
                        // Empty; more is a new event, and one that came meanwhile is not forgotten.
                        ready.clear_ready();
                    }
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes all of it; waits while the cell takes nothing.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.0.get_ref().write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.room().await?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Tells the cell that nothing more comes.
    pub fn finish(&self) {
        // A cell that is gone needs no telling.
        let _ = self.0.get_ref().shutdown(Shutdown::Write);
    }

    /// Waits for room with a descriptor of its own, which exists only while something waits.
    async fn room(&self) -> io::Result<()> {
        let fd = OwnedFd::from(self.0.get_ref().try_clone()?);
        // SAFETY: the descriptor is owned by what watches it.
        let waiting = unsafe { AsyncFd::register_with_interest(fd, Interest::WRITABLE) }?;
        waiting.writable().await?.retain_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    async fn pair() -> (Stream, UnixStream) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let stream = Stream::connect(&path).await.unwrap();
        (stream, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn more_than_fits_is_written_while_the_cell_reads_and_both_hear_of_the_end() {
        let (stream, mut cell) = pair().await;
        let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let write = async {
            stream.write_all(&sent).await.unwrap();
            stream.finish();
        };
        let read = async {
            let mut got = Vec::new();
            // Nothing is taken at first, so that the writer has to wait for room.
            tokio::task::yield_now().await;
            cell.read_to_end(&mut got).await.unwrap();
            got
        };
        let ((), got) = tokio::join!(write, read);
        assert!(got == sent);
        cell.write_all(b"bye").await.unwrap();
        drop(cell);
        let mut buffer = [0; 16];
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 3);
        assert_eq!(&buffer[..3], b"bye");
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 0);
    }
}
