//! The control frames of the terminal WebSocket: text frames of JSON beside the binary ones, which are raw
//! stdin upwards and raw output downwards.

use serde::{Deserialize, Serialize};

/// What this side says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Say {
    /// First of all.
    Auth {
        /// The single-use token; none if the handshake brought the sign-in.
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// The command; empty: the login shell.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        command: Vec<String>,
        /// With a terminal.
        tty: bool,
        /// Come back to this session.
        #[serde(skip_serializing_if = "Option::is_none")]
        session_id: Option<String>,
        /// Output before this offset is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<u64>,
        /// Columns.
        #[serde(skip_serializing_if = "Option::is_none")]
        cols: Option<u16>,
        /// Rows.
        #[serde(skip_serializing_if = "Option::is_none")]
        rows: Option<u16>,
    },
    /// The window has another size.
    Resize {
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// Deliver a signal to what runs in the foreground.
    Signal {
        /// `INT`, `TERM`…
        name: String,
    },
    /// No more stdin.
    Eof,
}

/// What the coordinator says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Hear {
    /// The session is there.
    SessionReady {
        /// To come back to.
        session_id: String,
        /// It was there before.
        #[serde(default)]
        resumed: bool,
        /// Offset of the next output byte.
        #[serde(default)]
        offset: u64,
        /// Bytes of stdin it has taken since it began.
        #[serde(default)]
        input_offset: u64,
    },
    /// Bytes of stdin it has taken since it began.
    Ack {
        /// That many.
        #[serde(default)]
        input: u64,
    },
    /// Standard error of a command without a terminal.
    Stderr {
        /// In base64.
        #[serde(default)]
        data: String,
    },
    /// Something to know.
    Notice {
        /// `output_skipped`…
        #[serde(default)]
        code: String,
        /// First lost offset.
        #[serde(default)]
        from: u64,
        /// First offset that follows.
        #[serde(default)]
        to: u64,
    },
    /// The command ended.
    Exit {
        /// Its code.
        code: i32,
        /// Why it was ended, if it did not end by itself.
        #[serde(default)]
        reason: String,
    },
    /// The attach ends; the session may live on.
    Error {
        /// `node_offline`…
        #[serde(default)]
        code: String,
        /// For people.
        #[serde(default)]
        detail: String,
        /// For the coordinator's log.
        #[serde(default)]
        correlation_id: String,
    },
    /// A word of a newer coordinator.
    #[serde(other)]
    Unknown,
}

/// Whether an attach that ended with this code is worth another try.
#[must_use]
pub fn passes(code: &str) -> bool {
    matches!(
        code,
        "node_offline"
            | "node_timeout"
            | "agent_busy"
            | "stalled"
            | "draining"
            | "dependency_unavailable"
            | "rate_limited"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_as_they_are_written() {
        let auth = Say::Auth {
            token: Some("t".into()),
            command: Vec::new(),
            tty: true,
            session_id: None,
            after: Some(7),
            cols: Some(80),
            rows: None,
        };
        assert_eq!(serde_json::to_string(&auth).unwrap(), r#"{"t":"auth","token":"t","tty":true,"after":7,"cols":80}"#);
        assert_eq!(serde_json::to_string(&Say::Eof).unwrap(), r#"{"t":"eof"}"#);
    }

    #[test]
    fn unknown_frames_and_fields_are_skipped() {
        let hear = |text| serde_json::from_str::<Hear>(text).unwrap();
        assert_eq!(hear(r#"{"t":"weather","sun":true}"#), Hear::Unknown);
        assert_eq!(hear(r#"{"t":"exit","code":3,"new":1}"#), Hear::Exit { code: 3, reason: String::new() });
        assert_eq!(hear(r#"{"t":"ack","input":9}"#), Hear::Ack { input: 9 });
    }
}
