//! The layer around every route of a door: correlation id, caught panics, problem documents, security
//! headers, one log line for what failed.

use super::{Door, Problem};
use crate::app::App;
use crate::base::limits;
use crate::cx::{Actor, Cx};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use muster_protocol::ids::CorrelationId;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

static CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");

/// What is known about a request before any handler runs. In the request's extensions.
#[derive(Debug, Clone)]
pub struct RequestInfo {
    /// Names this request everywhere.
    pub correlation_id: CorrelationId,
    /// The door it came in by.
    pub door: Door,
    /// Whether the door speaks TLS itself.
    pub tls: bool,
    /// Whether browsers reach it by TLS, spoken by itself or by a proxy before it: then cookies ask for that.
    pub secure: bool,
    /// Where the door is reached from outside, when it stands behind a proxy.
    pub public_url: Option<Arc<str>>,
    /// The caller's address.
    pub source_ip: Option<IpAddr>,
}

impl RequestInfo {
    /// The info of a request that came through a door.
    pub fn of(extensions: &Extensions) -> Result<&Self, Problem> {
        extensions.get::<Self>().ok_or_else(|| Problem::internal("a route without the frame around it"))
    }

    /// The context of an anonymous caller, now.
    #[must_use]
    pub fn cx(&self, app: &App) -> Cx {
        Cx {
            actor: Actor::Anonymous,
            correlation_id: self.correlation_id,
            now_ms: app.clock.now_ms(),
            source_ip: self.source_ip,
            rng: app.rng.clone(),
            keyed: None,
        }
    }
}

/// How one door is framed.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The application.
    pub app: App,
    /// Which door.
    pub door: Door,
    /// Whether it speaks TLS itself.
    pub tls: bool,
    /// Where it is reached from outside.
    pub public_url: Option<Arc<str>>,
    /// Whether browsers are told to come back by TLS only. Not with the built-in CA: that would lock a
    /// developer's other pages on the same host out of plain HTTP.
    pub strict: bool,
}

impl Frame {
    fn secure(&self) -> bool {
        self.tls || self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }
}

/// Who sent a request that may have come through proxies: the last address of `X-Forwarded-For` that no trusted proxy
/// has. Whoever is no trusted proxy speaks for itself, whatever it says.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let said = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = said.flat_map(|text| text.split(',')).map(str::trim).collect();
    let mut client = peer.to_canonical();
    for hop in hops.into_iter().rev() {
        if !trusted.contains(&client) {
            break;
        }
        let Ok(next) = hop.parse::<IpAddr>() else { break };
        client = next.to_canonical();
    }
    client
}

/// Puts the frame around all routes of a door.
pub fn around(router: Router<App>, frame: Frame) -> Router {
    let app = frame.app.clone();
    router
        .fallback(super::pages::serve)
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This route has no such method.")
        })
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES))
        .layer(from_fn_with_state(frame, run))
        .with_state(app)
}

async fn run(State(frame): State<Frame>, mut request: Request, next: Next) -> Response {
    let given = request.headers().get(&CORRELATION).and_then(|value| value.to_str().ok()?.parse().ok());
    let correlation_id: CorrelationId = given.unwrap_or_else(|| frame.app.rng.id(frame.app.clock.now_ms()));
    let peer = request.extensions().get::<super::listen::Peer>().map(|peer| peer.0.ip());
    let source_ip = peer.map(|peer| client(peer, request.headers(), &frame.app.config.trusted_proxies));
    request.extensions_mut().insert(RequestInfo {
        correlation_id,
        door: frame.door,
        tls: frame.tls,
        secure: frame.secure(),
        public_url: frame.public_url.clone(),
        source_ip,
    });
    let (method, line) = (request.method().clone(), format!("{} {}", request.method(), request.uri().path()));
    let began = Instant::now();
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| Problem::internal("a handler panicked").into_response());
    let id = correlation_id.to_string();
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        if problem.status().is_server_error() {
            tracing::warn!(correlation_id = %id, door = frame.door.as_str(), "{line}: {}", problem.log_text());
        } else {
            tracing::debug!(correlation_id = %id, door = frame.door.as_str(), "{line}: {}", problem.log_text());
        }
        let headers = std::mem::take(response.headers_mut());
        response = problem.respond(&id);
        // What a handler set beside its problem (a cookie to forget) still goes out.
        for (name, value) in &headers {
            if !response.headers().contains_key(name) && *name != axum::http::header::CONTENT_LENGTH {
                response.headers_mut().append(name, value.clone());
            }
        }
    }
    let (status, took) = (response.status().as_u16(), began.elapsed());
    frame.app.metrics.answered(frame.door.as_str(), &method, status, took);
    // What changes something is logged, so that one id leads from the request to the node's own log.
    if method.is_safe() {
        tracing::debug!(correlation_id = %id, door = frame.door.as_str(), status, ms = took.as_millis(), "{line}");
    } else {
        tracing::info!(correlation_id = %id, door = frame.door.as_str(), status, ms = took.as_millis(), "{line}");
    }
    secure(response.headers_mut(), frame.strict);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(CORRELATION.clone(), value);
    }
    response
}

/// Headers that browsers need to be told; a handler's own value stands.
fn secure(headers: &mut HeaderMap, strict: bool) {
    let mut set = |name: &'static str, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set("x-content-type-options", "nosniff");
    set("x-frame-options", "DENY");
    set("referrer-policy", "no-referrer");
    set("cache-control", "no-store");
    set(
        "content-security-policy",
        "default-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    );
    if strict {
        set("strict-transport-security", "max-age=31536000");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_speaks_for_others() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let said = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                let _ = headers.append("x-forwarded-for", HeaderValue::from_static(line));
            }
            headers
        };
        let trusted = [address("10.0.0.1"), address("10.0.0.2")];
        let who = |peer: &str, lines: &[&'static str]| client(address(peer), &said(lines), &trusted).to_string();
        assert_eq!(who("192.0.2.9", &["198.51.100.7"]), "192.0.2.9", "a stranger's word");
        assert_eq!(who("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(who("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(who("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            who("10.0.0.1", &["127.0.0.1, 198.51.100.7, 10.0.0.2"]),
            "198.51.100.7",
            "what it made up is not looked at"
        );
        assert_eq!(who("10.0.0.1", &["203.0.113.1", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(who("10.0.0.1", &["nonsense"]), "10.0.0.1");
    }
}
