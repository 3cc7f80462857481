//! A terminal through the coordinator, as a browser or the CLI would hold it.

use crate::Api;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{self, Message as Ws, client::IntoClientRequest},
};

/// What came next.
#[derive(Debug, PartialEq)]
pub enum Message {
    /// Raw output.
    Output(Vec<u8>),
    /// A control frame.
    Control(Value),
    /// The end, with its close code (1006 if the connection just broke).
    Closed(u16),
}

/// One attach.
#[derive(Debug)]
pub struct Terminal {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What `session_ready` said.
    pub ready: Value,
    /// Output that came, without what was skipped.
    pub output: Vec<u8>,
    /// Offset behind the last byte of `output`.
    pub offset: u64,
    /// Stdin sent since the session began, what the session had taken at this attach included.
    pub sent: u64,
    /// `input` of the last ack.
    pub acked: u64,
    /// Control frames that came, besides acks.
    pub controls: Vec<Value>,
}

const PATIENCE: Duration = Duration::from_secs(60);

impl Terminal {
    /// A connection before its first frame.
    ///
    /// # Errors
    /// What the handshake said.
    pub async fn dial(
        base: &str,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, tungstenite::Error> {
        let url = format!("{}{path}", base.replacen("http", "ws", 1));
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header value"));
        }
        Ok(tokio_tungstenite::connect_async(request).await?.0)
    }

    /// Mints a token and opens a new session with a plain shell in it: no prompt, no echo, no line editor.
    ///
    /// # Panics
    /// If it does not open.
    pub async fn open(api: &Api, allocation: &str) -> Self {
        let mut terminal = Self::attach(api, allocation, json!({"cols": 80, "rows": 24})).await;
        terminal.plain_shell().await;
        terminal
    }

    /// Makes the login shell of a new session a plain one: no prompt, no echo, no line editor.
    ///
    /// # Panics
    /// If the terminal ends before.
    pub async fn plain_shell(&mut self) {
        self.type_in("exec env PS1= sh -c 'stty -echo; echo rea\"\"dy; exec sh -i'\n").await;
        self.until("ready\r\n").await;
        self.output.clear();
    }

    /// Comes back to this session, from where this attach got to.
    ///
    /// # Panics
    /// If it does not open.
    pub async fn again(&self, api: &Api, allocation: &str) -> Self {
        let more = json!({"session_id": self.ready["session_id"], "after": self.offset});
        Self::attach(api, allocation, more).await
    }

    /// Mints a token and attaches with the given further fields of the first frame.
    ///
    /// # Panics
    /// If it does not open.
    pub async fn attach(api: &Api, allocation: &str, more: Value) -> Self {
        Self::try_attach(api, allocation, more).await.unwrap_or_else(|end| panic!("no terminal: {end:?}"))
    }

    /// Opens a terminal with a command in place of the login shell.
    ///
    /// # Panics
    /// If it does not open.
    pub async fn command(api: &Api, allocation: &str, command: &[&str]) -> Self {
        let size = json!({"cols": 80, "rows": 24});
        let opened = Self::with_token_for(api, allocation, json!({"command": command}), size).await;
        opened.unwrap_or_else(|end| panic!("no terminal: {end:?}"))
    }

    /// As [`Terminal::attach`], for one that may be refused.
    ///
    /// # Errors
    /// What came instead of `session_ready`.
    ///
    /// # Panics
    /// If there is no connection or no token at all.
    pub async fn try_attach(api: &Api, allocation: &str, more: Value) -> Result<Self, Message> {
        Self::with_token_for(api, allocation, json!({}), more).await
    }

    async fn with_token_for(api: &Api, allocation: &str, what: Value, more: Value) -> Result<Self, Message> {
        let mut first = json!({"t": "auth"});
        if more["token"].is_null() {
            let minted = api.post(&format!("/api/v1/allocations/{allocation}/terminal-token"), what).await.ok();
            first["token"] = minted["token"].clone();
        }
        for (name, value) in more.as_object().into_iter().flatten() {
            first[name.as_str()] = value.clone();
        }
        let mut socket = Self::dial(api.base(), &format!("/ws/terminal/{allocation}"), &[]).await.expect("a WebSocket");
        socket.send(Ws::text(first.to_string())).await.expect("the first frame goes out");
        let (output, controls) = (Vec::new(), Vec::new());
        let mut terminal = Self { socket, ready: Value::Null, output, offset: 0, sent: 0, acked: 0, controls };
        match terminal.next().await {
            Message::Control(ready) if ready["t"] == "session_ready" => {
                terminal.offset = ready["offset"].as_u64().expect("an offset");
                terminal.sent = ready["input_offset"].as_u64().expect("an offset");
                terminal.ready = ready;
                Ok(terminal)
            }
            other => Err(other),
        }
    }

    /// The next message, kept in the fields as well.
    ///
    /// # Panics
    /// After a minute of silence.
    pub async fn next(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("the terminal says something");
            return match next {
                Some(Ok(Ws::Binary(bytes))) => {
                    self.output.extend_from_slice(&bytes);
                    self.offset += bytes.len() as u64;
                    Message::Output(bytes.to_vec())
                }
                Some(Ok(Ws::Text(text))) => {
                    let control: Value = serde_json::from_str(&text).expect("control frames are JSON");
                    match control["t"].as_str() {
                        Some("ack") => {
                            self.acked = control["input"].as_u64().expect("an offset");
                            continue;
                        }
                        Some("notice") if control["code"] == "output_skipped" => {
                            self.offset = control["to"].as_u64().expect("an offset");
                        }
                        _ => {}
                    }
                    self.controls.push(control.clone());
                    Message::Control(control)
                }
                Some(Ok(Ws::Close(frame))) => Message::Closed(frame.map_or(1005, |frame| frame.code.into())),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => Message::Closed(1006),
            };
        }
    }

    /// Reads until the output holds `wanted`; gives all output so far as text.
    ///
    /// # Panics
    /// If the terminal ends before.
    pub async fn until(&mut self, wanted: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.output).into_owned();
            if text.contains(wanted) {
                return text;
            }
            if let Message::Closed(code) = self.next().await {
                panic!("closed with {code} before {wanted:?} in {text:?}; controls {:?}", self.controls);
            }
        }
    }

    /// Types.
    ///
    /// # Panics
    /// If the connection is gone.
    pub async fn type_in(&mut self, text: impl AsRef<[u8]>) {
        self.try_type_in(text).await.expect("input goes out");
    }

    /// Types into a connection that may be gone.
    ///
    /// # Errors
    /// If it is.
    pub async fn try_type_in(&mut self, text: impl AsRef<[u8]>) -> Result<(), tungstenite::Error> {
        self.sent += text.as_ref().len() as u64;
        self.socket.send(Ws::binary(text.as_ref().to_vec())).await
    }

    /// Sends a control frame.
    ///
    /// # Panics
    /// If the connection is gone.
    pub async fn control(&mut self, frame: Value) {
        self.socket.send(Ws::text(frame.to_string())).await.expect("a control frame goes out");
    }

    /// Runs a line in the shell and gives what it printed, by a marker of its own.
    ///
    /// # Panics
    /// If the terminal ends before.
    pub async fn run(&mut self, line: &str) -> String {
        let mark = format!("done{}", self.output.len());
        self.output.clear();
        self.type_in(format!("{line}; printf '\\n<%s>' {mark}\n")).await;
        let text = self.until(&format!("\n<{mark}>")).await;
        let end = text.rfind(&format!("<{mark}>")).unwrap_or(text.len());
        text[..end].replace('\r', "").trim_end_matches('\n').to_owned()
    }

    /// Reads to the end: the exit code, if one was said, and the close code.
    pub async fn end(&mut self) -> (Option<i64>, u16) {
        loop {
            if let Message::Closed(code) = self.next().await {
                let exit = self.controls.iter().find(|control| control["t"] == "exit");
                return (exit.and_then(|exit| exit["code"].as_i64()), code);
            }
        }
    }

    /// Reads to the end; gives all that was printed.
    pub async fn to_the_end(mut self) -> String {
        self.end().await;
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// Breaks the connection without a word.
    pub fn cut(self) {
        drop(self);
    }
}
