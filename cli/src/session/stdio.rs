//! Stdin and stdout without threads and without changing them.
//!
//! `O_NONBLOCK` belongs to the open file, which this process shares with the shell that started it, so it is
//! not set. Instead the descriptor is watched, asked once more right before each call whether the call would
//! wait, and only then read or written. Files cannot be watched and never make anyone wait for long.

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};
use tokio::io::{Interest, unix::AsyncFd};

/// What a pipe that polls as writable takes without waiting.
const PIPE_PIECE: usize = 4096;

#[derive(Debug)]
enum Way {
    Watched(AsyncFd<OwnedFd>),
    Direct(OwnedFd),
}

/// Stdin.
#[derive(Debug)]
pub struct In(Way);

/// Stdout or stderr.
#[derive(Debug)]
pub struct Out(Way);

fn way(of: &impl AsFd, interest: Interest, direct: bool) -> io::Result<Way> {
    let fd = of.as_fd().try_clone_to_owned()?;
    if direct {
        return Ok(Way::Direct(fd));
    }
    // SAFETY: the descriptor is owned, and only this AsyncFd, which is never taken apart, closes it.
    match unsafe { AsyncFd::register_with_interest(fd, interest) } {
        Ok(watched) => Ok(Way::Watched(watched)),
        // EPERM: a file, or /dev/null.
        Err(error) => Ok(Way::Direct(error.into_parts().0)),
    }
}

fn would_wait(fd: &impl AsFd, flag: PollFlags) -> bool {
    let mut asked = [PollFd::new(fd.as_fd(), flag)];
    matches!(poll(&mut asked, PollTimeout::ZERO), Ok(0))
}

impl In {
    /// This process's stdin.
    ///
    /// # Errors
    /// If it is closed.
    pub fn stdin() -> io::Result<Self> {
        way(&io::stdin(), Interest::READABLE, false).map(Self)
    }

    /// Waits for bytes and reads some; 0 is the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As `read(2)`.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match &self.0 {
                Way::Direct(fd) => nix::unistd::read(fd, buffer),
                Way::Watched(watched) => {
                    let mut ready = watched.readable().await?;
                    if would_wait(watched.get_ref(), PollFlags::POLLIN) {
                        ready.clear_ready();
                        continue;
                    }
                    nix::unistd::read(watched.get_ref(), buffer)
                }
            };
            match read {
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                // The terminal hung up.
                Err(Errno::EIO) => return Ok(0),
                other => return Ok(other?),
            }
        }
    }
}

impl Out {
    /// This process's stdout.
    ///
    /// # Errors
    /// If it is closed.
    pub fn stdout() -> io::Result<Self> {
        way(&io::stdout(), Interest::WRITABLE, super::tty::is_terminal(&io::stdout())).map(Self)
    }

    /// This process's stderr.
    ///
    /// # Errors
    /// If it is closed.
    pub fn stderr() -> io::Result<Self> {
        way(&io::stderr(), Interest::WRITABLE, super::tty::is_terminal(&io::stderr())).map(Self)
    }

    /// Writes all of it. Only a pipe or a socket makes the caller wait.
    ///
    /// # Errors
    /// As `write(2)`.
    pub async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match &self.0 {
                Way::Direct(fd) => nix::unistd::write(fd, bytes),
                Way::Watched(watched) => {
                    let mut ready = watched.writable().await?;
                    if would_wait(watched.get_ref(), PollFlags::POLLOUT) {
                        ready.clear_ready();
                        continue;
                    }
                    nix::unistd::write(watched.get_ref(), &bytes[..bytes.len().min(PIPE_PIECE)])
                }
            };
            match written {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::EINTR) => {}
                // Somebody else made the shared file non-blocking.
                Err(Errno::EAGAIN) => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
