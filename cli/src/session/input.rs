//! What happens on this side of a session: typed bytes, escape sequences, signals.

use super::{
    escape::{Ask, Escape},
    stdio::In,
};
use crate::error::Result;
use std::{collections::VecDeque, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A terminal whose stdin has ended is told so again after this silence, since each program that reads there
/// has to learn it.
const END_AGAIN: Duration = Duration::from_secs(1);
/// Largest piece read from stdin at once.
pub(super) const READ: usize = 16 << 10;

/// What happens on this side.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// Bytes for the session.
    Typed(Vec<u8>),
    /// Stdin ended.
    End,
    /// The window changed.
    Resize,
    /// Send this signal over.
    Signal(&'static str),
    /// An escape sequence.
    Ask(Ask),
    /// This process is told to end.
    Leave,
}

/// Stdin and signals.
#[derive(Debug)]
pub struct Input {
    stdin: In,
    ended: bool,
    escape: Escape,
    queue: VecDeque<Heard>,
    resized: Option<Signal>,
    passed_on: Vec<(Signal, &'static str)>,
    leave: Vec<Signal>,
}

impl Input {
    /// For an interactive terminal: keys do what they do over there.
    ///
    /// # Errors
    /// If stdin is closed.
    pub fn interactive(escape: Option<u8>) -> Result<Self> {
        Ok(Self {
            stdin: In::stdin()?,
            ended: false,
            escape: Escape::new(escape),
            queue: VecDeque::new(),
            resized: Some(signal(SignalKind::window_change())?),
            passed_on: Vec::new(),
            leave: vec![signal(SignalKind::terminate())?, signal(SignalKind::hangup())?],
        })
    }

    /// For a command without a terminal: signals are passed on.
    ///
    /// # Errors
    /// If stdin is closed.
    pub fn plain() -> Result<Self> {
        Ok(Self {
            stdin: In::stdin()?,
            ended: false,
            escape: Escape::new(None),
            queue: VecDeque::new(),
            resized: None,
            passed_on: vec![
                (signal(SignalKind::interrupt())?, "INT"),
                (signal(SignalKind::terminate())?, "TERM"),
                (signal(SignalKind::quit())?, "QUIT"),
            ],
            leave: vec![signal(SignalKind::hangup())?],
        })
    }

    /// The next thing that happens; stdin is read only if there is `room`. Dropping the future loses nothing.
    pub async fn next(&mut self, room: bool) -> Heard {
        if let Some(heard) = self.queue.pop_front() {
            return heard;
        }
        let mut buffer = [0; READ];
        loop {
            tokio::select! {
                read = self.stdin.read(&mut buffer), if room && !self.ended => match read {
                    Ok(count) if count > 0 => self.typed(&buffer[..count]),
                    _ => {
                        self.ended = true;
                        self.queue.push_back(Heard::End);
                    }
                },
                () = tokio::time::sleep(END_AGAIN), if self.ended && self.resized.is_some() => return Heard::End,
                () = any(self.resized.as_mut()) => return Heard::Resize,
                name = named(&mut self.passed_on) => return Heard::Signal(name),
                () = any(self.leave.iter_mut()) => return Heard::Leave,
            }
            if let Some(heard) = self.queue.pop_front() {
                return heard;
            }
        }
    }

    fn typed(&mut self, mut typed: &[u8]) {
        while !typed.is_empty() {
            let mut out = Vec::with_capacity(typed.len());
            let ask = self.escape.pass(typed, &mut out);
            if !out.is_empty() {
                self.queue.push_back(Heard::Typed(out));
            }
            let Some((ask, looked_at)) = ask else { return };
            self.queue.push_back(Heard::Ask(ask));
            typed = &typed[looked_at..];
        }
    }
}

async fn any<'a>(signals: impl IntoIterator<Item = &'a mut Signal>) {
    let mut signals: Vec<_> = signals.into_iter().collect();
    std::future::poll_fn(|cx| {
        if signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

async fn named(signals: &mut [(Signal, &'static str)]) -> &'static str {
    std::future::poll_fn(|cx| {
        for (signal, name) in signals.iter_mut() {
            if signal.poll_recv(cx).is_ready() {
                return std::task::Poll::Ready(*name);
            }
        }
        std::task::Poll::Pending
    })
    .await
}
