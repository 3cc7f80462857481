//! The words of the terminal and tunnel WebSockets, and how an attach ends. Pure.

use crate::base::limits;
use serde::{Deserialize, Serialize};

/// What a client says in a text frame.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Word {
    /// First of all.
    Auth(Auth),
    /// The window has another size.
    Resize {
        /// Columns.
        cols: u32,
        /// Rows.
        rows: u32,
    },
    /// Output before this offset was taken. From the first one on, at most
    /// [`crate::base::limits::TERMINAL_IN_FLIGHT`] bytes are in flight.
    Ack {
        /// The offset.
        output: u64,
    },
    /// A sign of life; answered with `pong`.
    Ping,
    /// No more stdin.
    Eof,
    /// A signal to what runs in the foreground.
    Signal {
        /// `INT`, `TERM`, `HUP`, `QUIT`, `KILL`, `USR1`, `USR2`, `TSTP`, `CONT`.
        name: String,
    },
    /// End the session, and not only this attach.
    Close,
    /// A word of a newer client: skipped.
    #[serde(other)]
    Unknown,
}

/// The first frame.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Auth {
    /// The single-use token; none if the handshake brought a bearer.
    pub token: Option<String>,
    /// Without a token: the command; empty: the login shell.
    #[serde(default)]
    pub command: Vec<String>,
    /// Without a token: whether it has a terminal. True when left out.
    pub tty: Option<bool>,
    /// Come back to this session.
    pub session_id: Option<String>,
    /// Output before this offset is known.
    pub after: Option<u64>,
    /// Columns.
    pub cols: Option<u32>,
    /// Rows.
    pub rows: Option<u32>,
}

/// What is wrong with a command, in words.
pub fn command_fault(command: &[String]) -> Option<&'static str> {
    let bytes: usize = command.iter().map(String::len).sum();
    if command.len() > limits::COMMAND_WORDS || bytes > limits::COMMAND_BYTES {
        return Some("A command has at most 1024 words and 32 KiB.");
    }
    let odd = command.first().is_some_and(String::is_empty) || command.iter().any(|word| word.contains('\0'));
    odd.then_some("A command has a program, and no NUL in it.")
}

impl Word {
    /// Reads a text frame.
    ///
    /// # Errors
    /// [`Ending::BadFrame`] if it is no JSON object with a `t`, or lacks a field of its word.
    pub fn parse(text: &str) -> Result<Self, Ending> {
        serde_json::from_str(text).map_err(|_| Ending::BadFrame)
    }
}

/// What the coordinator says in a text frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Say<'a> {
    /// The session is there.
    SessionReady {
        /// To come back to.
        session_id: &'a str,
        /// It was there before.
        resumed: bool,
        /// Offset of the next output byte.
        offset: u64,
        /// Bytes of stdin it has taken since it began.
        input_offset: u64,
    },
    /// The tunnel is there.
    TunnelReady {
        /// In the audit trail.
        session_id: &'a str,
    },
    /// Stdin that was taken.
    Ack {
        /// Bytes since the session began.
        input: u64,
    },
    /// Standard error of a command without a terminal.
    Stderr {
        /// In base64.
        data: &'a str,
    },
    /// Something to know.
    Notice {
        /// `output_skipped`.
        code: &'a str,
        /// First lost offset.
        from: u64,
        /// First offset that follows.
        to: u64,
    },
    /// Answer to a ping.
    Pong,
    /// The command ended.
    Exit {
        /// Its code, or 128 + signal.
        code: i32,
        /// The signal.
        #[serde(skip_serializing_if = "str::is_empty")]
        signal: &'a str,
        /// Why it was ended, if not by itself.
        #[serde(skip_serializing_if = "str::is_empty")]
        reason: &'a str,
    },
    /// The attach ends.
    Error {
        /// A word scripts may rely on.
        code: &'a str,
        /// One sentence for a person.
        detail: &'a str,
        /// For the log.
        correlation_id: &'a str,
    },
}

impl Say<'_> {
    /// As the text of a frame.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Why an attach ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The command ended by itself.
    Exited,
    /// The client went away.
    Left,
    /// The first frame is not `auth`, or a text frame is not what it should be.
    BadFrame,
    /// The token is unknown, used, expired or another allocation's.
    Token,
    /// No Origin with a token made for a browser.
    Origin,
    /// The sign-in has ended, or its person may not do this any more.
    Revoked,
    /// The session is over, or never was this person's.
    Gone,
    /// The node did not answer, or a viewer did not take.
    Timeout,
    /// The viewer took nothing for a minute.
    Stalled,
    /// The agent has too much to do.
    Busy,
    /// The cell was killed, and with it all that ran in it.
    CellEnded,
    /// The allocation is being released, or over.
    Released,
    /// Another viewer took the session.
    Superseded,
    /// The node is not connected.
    NodeOffline,
    /// Too many sessions.
    Limit,
    /// A frame was larger than allowed.
    TooLarge,
    /// The coordinator stops.
    Draining,
    /// The cell cannot do it: its code and its words.
    Refused(String, String),
    /// A fault of the coordinator or the node.
    Internal,
}

impl Ending {
    /// From the code of a `SessionError` or `TunnelRefused`.
    #[must_use]
    pub fn of_cell(code: &str, detail: &str) -> Self {
        match code {
            "session_limit" => Self::Limit,
            "session_gone" => Self::Gone,
            "cell_ended" => Self::CellEnded,
            "superseded" => Self::Superseded,
            "stalled" => Self::Stalled,
            // An agent that has just started may not have found its cells yet; an allocation that is over is
            // told by its state, not by this.
            "cell_gone" | "agent_busy" => Self::Busy,
            "protocol_error" => Self::Internal,
            other => Self::Refused(other.to_owned(), detail.to_owned()),
        }
    }

    /// The close code of the WebSocket.
    #[must_use]
    pub fn close_code(&self) -> u16 {
        match self {
            Self::Exited | Self::Left => 1000,
            Self::TooLarge => 1009,
            Self::Internal | Self::Refused(..) => 1011,
            Self::Draining => 1012,
            Self::BadFrame => 4400,
            Self::Token => 4401,
            Self::Origin | Self::Revoked => 4403,
            Self::Gone | Self::CellEnded => 4404,
            Self::Timeout | Self::Stalled | Self::Busy => 4408,
            Self::Released | Self::Superseded => 4409,
            Self::NodeOffline => 4410,
            Self::Limit => 4429,
        }
    }

    /// The word for the client, the audit trail and the log.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Exited => "exited",
            Self::Left => "left",
            Self::BadFrame => "bad_frame",
            Self::Token => "token",
            Self::Origin => "origin",
            Self::Revoked => "revoked",
            Self::Gone => "session_gone",
            Self::Timeout => "node_timeout",
            Self::Stalled => "stalled",
            Self::Busy => "agent_busy",
            Self::CellEnded => "cell_ended",
            Self::Released => "released",
            Self::Superseded => "superseded",
            Self::NodeOffline => "node_offline",
            Self::Limit => "session_limit",
            Self::TooLarge => "frame_too_large",
            Self::Draining => "draining",
            Self::Refused(code, _) => code,
            Self::Internal => "internal",
        }
    }

    /// The sentence for a person.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Self::Exited => "The command ended.",
            Self::Left => "The client went away.",
            Self::BadFrame => "This is not a frame of this protocol; the first one must be auth.",
            Self::Token => "The token is unknown, used or expired: ask for a new one.",
            Self::Origin => "This token works only from a page of this coordinator.",
            Self::Revoked => "The sign-in has ended, or its rights have: sign in again.",
            Self::Gone => "There is no such session any more.",
            Self::Timeout => "The node did not answer in time.",
            Self::Stalled => "The output was not read for a minute; the session runs on.",
            Self::Busy => "The node's agent has too much to do.",
            Self::CellEnded => "The allocation's cell has ended, and all that ran in it.",
            Self::Released => "The allocation is released.",
            Self::Superseded => "The session was opened somewhere else.",
            Self::NodeOffline => "The node is not connected.",
            Self::Limit => "There are too many sessions.",
            Self::TooLarge => "The frame is too large.",
            Self::Draining => "The coordinator restarts; come back in a moment.",
            Self::Refused(_, detail) => detail,
            Self::Internal => "Something went wrong on the way to the session.",
        }
    }

    /// Whether an `error` frame comes before the close. A client that broke the protocol is only closed: it
    /// need not understand frames, and the close code says it all.
    #[must_use]
    pub fn is_error(&self) -> bool {
        let silent = [Self::Exited, Self::Left, Self::BadFrame, Self::Token, Self::Origin, Self::TooLarge];
        !silent.contains(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_as_clients_write_them() {
        let auth = Word::parse(r#"{"t":"auth","token":"x","after":5,"cols":80,"rows":24}"#).unwrap();
        let wanted =
            Auth { token: Some("x".into()), after: Some(5), cols: Some(80), rows: Some(24), ..Auth::default() };
        assert_eq!(auth, Word::Auth(wanted));
        assert_eq!(Word::parse(r#"{"t":"resize","cols":1,"rows":2}"#), Ok(Word::Resize { cols: 1, rows: 2 }));
        assert_eq!(Word::parse(r#"{"t":"ack","output":7}"#), Ok(Word::Ack { output: 7 }));
        assert_eq!(Word::parse(r#"{"t":"ping","sent":1}"#), Ok(Word::Ping));
        assert_eq!(Word::parse(r#"{"t":"weather"}"#), Ok(Word::Unknown));
    }

    #[test]
    fn what_is_no_word_is_a_bad_frame() {
        for text in ["", "[]", "{}", "1", r#"{"t":1}"#, r#"{"t":"auth","token":5}"#, r#"{"t":"resize","cols":-1}"#, "{"]
        {
            assert_eq!(Word::parse(text), Err(Ending::BadFrame), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_word_or_a_bad_frame(text in "\\PC{0,80}") {
            if let Err(ending) = Word::parse(&text) { prop_assert_eq!(ending.close_code(), 4400); }
        }
    }

    #[test]
    fn says_are_small_and_exact() {
        let ready = Say::SessionReady { session_id: "se_1", resumed: false, offset: 0, input_offset: 3 };
        let wanted = r#"{"t":"session_ready","session_id":"se_1","resumed":false,"offset":0,"input_offset":3}"#;
        assert_eq!(ready.text(), wanted);
        assert_eq!(Say::Exit { code: 3, signal: "", reason: "" }.text(), r#"{"t":"exit","code":3}"#);
        assert_eq!(Say::Ack { input: 1 }.text(), r#"{"t":"ack","input":1}"#);
        assert_eq!(Say::Pong.text(), r#"{"t":"pong"}"#);
    }

    #[test]
    fn close_codes_are_those_of_the_contract() {
        let codes = [
            (Ending::BadFrame, 4400),
            (Ending::Token, 4401),
            (Ending::Origin, 4403),
            (Ending::Revoked, 4403),
            (Ending::Gone, 4404),
            (Ending::Timeout, 4408),
            (Ending::Released, 4409),
            (Ending::Superseded, 4409),
            (Ending::NodeOffline, 4410),
            (Ending::Limit, 4429),
            (Ending::TooLarge, 1009),
        ];
        for (ending, code) in codes {
            assert_eq!(ending.close_code(), code);
        }
        assert_eq!(Ending::of_cell("spawn_failed", "no such file").detail(), "no such file");
    }
}
