//! The WebSocket itself: handshake, first frame, and an end that the client gets to read.

use super::model::{Auth, Ending, Say, Word};
use crate::base::http::frame::RequestInfo;
use crate::base::http::{Problem, auth};
use crate::base::limits;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// An open WebSocket.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A handshake that was answered; the socket follows.
#[derive(Debug)]
pub(super) struct Accepted {
    upgrade: OnUpgrade,
    /// The request had an `Origin`, which was this door's.
    pub(super) has_origin: bool,
}

/// Answers a handshake. 400 `token_in_query`, 403 for a foreign `Origin`, 400 `websocket_expected`.
pub(super) fn accept(info: &RequestInfo, request: &mut Request) -> Result<(Response, Accepted), Problem> {
    let query = request.uri().query().unwrap_or_default();
    if query.split('&').any(|pair| pair.split('=').next() == Some("token")) {
        let detail = "A token in an address ends up in logs: send it in the first frame.";
        return Err(Problem::bad_request("token_in_query", detail));
    }
    auth::require_own_origin(request.headers(), info)?;
    let expected = || Problem::bad_request("websocket_expected", "This route speaks WebSocket, version 13.");
    let headers = request.headers();
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or_else(expected)?;
    let version = headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    if !version || !names(headers, header::UPGRADE, "websocket") || !names(headers, header::CONNECTION, "upgrade") {
        return Err(expected());
    }
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| expected())?;
    let has_origin = headers.contains_key(header::ORIGIN);
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(expected)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok((response, Accepted { upgrade, has_origin }))
}

fn names(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name);
    let mut words = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    words.any(|word| word.trim().eq_ignore_ascii_case(wanted))
}

impl Accepted {
    /// The socket, once the answer is out; `None` if the client went away.
    pub(super) async fn open(self) -> Option<Socket> {
        let upgraded = timeout(limits::TERMINAL_AUTH, self.upgrade).await.ok()?.ok()?;
        let config = WebSocketConfig::default()
            .read_buffer_size(limits::TERMINAL_READ)
            .write_buffer_size(limits::TERMINAL_WRITE)
            .max_write_buffer_size(limits::TERMINAL_WRITE_MOST)
            .max_message_size(Some(limits::TERMINAL_FRAME))
            .max_frame_size(Some(limits::TERMINAL_FRAME));
        Some(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await)
    }
}

/// The first frame, which must be `auth`.
pub(super) async fn authenticate(socket: &mut Socket) -> Result<Auth, Ending> {
    let deadline = Instant::now() + limits::TERMINAL_AUTH;
    loop {
        match timeout_at(deadline, socket.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => match Word::parse(&text)? {
                Word::Auth(auth) => return Ok(auth),
                _ => return Err(Ending::BadFrame),
            },
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
            Ok(Some(Ok(Message::Close(_))) | None) => return Err(Ending::Left),
            Ok(Some(Ok(_))) | Err(_) => return Err(Ending::BadFrame),
            Ok(Some(Err(error))) => return Err(broken(&error)),
        }
    }
}

/// What a failed read means.
pub(super) fn broken(error: &Error) -> Ending {
    match error {
        Error::Capacity(_) => Ending::TooLarge,
        Error::Protocol(_) | Error::Utf8(_) => Ending::BadFrame,
        _ => Ending::Left,
    }
}

/// Says why, closes, and waits until the client has read it: a socket that is dropped with unread bytes in
/// it is reset, and the client would never learn the reason.
pub(super) async fn finish(mut socket: Socket, ending: &Ending, correlation_id: &str) {
    if *ending == Ending::Left {
        // What answers its close, if it said so.
        let _ = timeout(limits::TERMINAL_CLOSE, socket.close(None)).await;
        return;
    }
    let told = async {
        if ending.is_error() {
            let say = Say::Error { code: ending.code(), detail: ending.detail(), correlation_id };
            socket.feed(Message::text(say.text())).await?;
        }
        let frame = CloseFrame { code: CloseCode::from(ending.close_code()), reason: ending.code().to_owned().into() };
        socket.send(Message::Close(Some(frame))).await
    };
    // Whoever is gone or takes nothing cannot be told.
    let told = matches!(timeout(limits::TERMINAL_CLOSE, told).await, Ok(Ok(())));
    if !told {
        return;
    }
    let read = async {
        if *ending == Ending::TooLarge {
            // The rest of the frame is no frame: it is read and thrown away.
            let mut scratch = vec![0; limits::TERMINAL_READ];
            while matches!(timeout(limits::TERMINAL_QUIET, socket.get_mut().read(&mut scratch)).await, Ok(Ok(1..))) {}
        } else {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    let _ = timeout(limits::TERMINAL_CLOSE, read).await;
}
