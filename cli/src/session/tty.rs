//! The terminal this command runs in: raw mode, size, a hidden question.

use crate::error::{Error, Result};
use nix::sys::termios::{LocalFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::{
    io::{BufRead, IsTerminal, Write},
    os::fd::{AsFd, AsRawFd},
};

nix::ioctl_read_bad!(window_size, libc::TIOCGWINSZ, libc::winsize);

/// Columns and rows of the terminal that is stdout, stdin or stderr; `None` if none of them is one.
#[must_use]
pub fn size() -> Option<(u16, u16)> {
    let of = |fd| {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the ioctl writes one winsize, which `size` is, and `fd` is one of this process's own.
        let done = unsafe { window_size(fd, &raw mut size) };
        done.ok().filter(|_| size.ws_col > 0 && size.ws_row > 0).map(|_| (size.ws_col, size.ws_row))
    };
    [libc::STDOUT_FILENO, libc::STDIN_FILENO, libc::STDERR_FILENO].into_iter().find_map(of)
}

/// Raw mode of stdin, until it is dropped.
#[derive(Debug)]
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// Begins it; `None` if stdin is no terminal.
    ///
    /// # Errors
    /// If the terminal refuses.
    pub fn enter() -> Result<Option<Self>> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(stdin.as_fd()).map_err(Error::client)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(stdin.as_fd(), SetArg::TCSADRAIN, &raw).map_err(Error::client)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Input typed ahead stays for the shell that follows.
        let _ = tcsetattr(std::io::stdin().as_fd(), SetArg::TCSADRAIN, &self.before);
    }
}

/// Asks a question on the terminal and reads the answer without showing it.
///
/// # Errors
/// If stdin is no terminal.
pub fn ask_hidden(question: &str) -> Result<String> {
    let stdin = std::io::stdin();
    let before = tcgetattr(stdin.as_fd()).map_err(Error::client)?;
    let mut hidden = before.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    eprint!("{question}");
    std::io::stderr().flush()?;
    tcsetattr(stdin.as_fd(), SetArg::TCSAFLUSH, &hidden).map_err(Error::client)?;
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    let _ = tcsetattr(stdin.as_fd(), SetArg::TCSADRAIN, &before);
    eprintln!();
    read?;
    Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
}

/// Whether a descriptor of this process is a terminal.
#[must_use]
pub fn is_terminal(fd: &impl AsRawFd) -> bool {
    // SAFETY: isatty only looks at the descriptor.
    unsafe { libc::isatty(fd.as_raw_fd()) == 1 }
}
