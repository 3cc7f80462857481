//! The terminal this command runs in: raw mode, size, a hidden question.

use crate::error::{Error, Result};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
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

/// Asks a question on the terminal and reads the answer without showing it. An interrupt ends the question, not the
/// process, so that the terminal is left as it was.
///
/// # Errors
/// If stdin is no terminal, or Ctrl-C or Ctrl-D is the answer.
pub fn ask_hidden(question: &str) -> Result<String> {
    let raw = Raw::enter()?.ok_or_else(|| Error::client("stdin is no terminal"))?;
    eprint!("{question}");
    std::io::stderr().flush()?;
    let answer = hidden_line(std::io::stdin().lock());
    drop(raw);
    eprintln!();
    answer
}

/// A line as a terminal in raw mode gives it.
fn hidden_line(from: impl BufRead) -> Result<String> {
    const ETX: u8 = 3;
    const EOT: u8 = 4;
    const BACKSPACE: u8 = 8;
    const NAK: u8 = 21;
    const DELETE: u8 = 127;
    let mut line = Vec::new();
    for byte in from.bytes() {
        match byte? {
            b'\r' | b'\n' => return String::from_utf8(line).map_err(|_| Error::client("the answer is not UTF-8")),
            ETX | EOT => return Err(Error::client("no answer was given")),
            BACKSPACE | DELETE => while line.pop().is_some_and(|byte| byte & 0xC0 == 0x80) {},
            NAK => line.clear(),
            byte => line.push(byte),
        }
    }
    Err(Error::client("no answer was given"))
}

/// Whether a descriptor of this process is a terminal.
#[must_use]
pub fn is_terminal(fd: &impl AsRawFd) -> bool {
    // SAFETY: isatty only looks at the descriptor.
    unsafe { libc::isatty(fd.as_raw_fd()) == 1 }
}

#[cfg(test)]
mod tests {
    use super::hidden_line;

    #[test]
    fn a_hidden_answer_may_be_corrected_and_given_up() {
        let said = |typed: &str| hidden_line(typed.as_bytes()).ok();
        assert_eq!(said("secret\rrest").as_deref(), Some("secret"));
        assert_eq!(said("sä\u{7f}x\n").as_deref(), Some("sx"));
        assert_eq!(said("wrong\u{15}right\r").as_deref(), Some("right"));
        assert_eq!(said("\u{7f}\r").as_deref(), Some(""));
        for given_up in ["half\u{3}", "\u{4}", "no end"] {
            assert_eq!(said(given_up), None, "{given_up:?}");
        }
    }
}
