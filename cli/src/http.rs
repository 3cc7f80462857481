//! One HTTP/1.1 connection to a door: requests on it one after the other, and in the end perhaps a WebSocket.
//!
//! A command opens one connection and keeps it: `muster exec` mints its token and upgrades on the same one,
//! so that a TCP and a TLS handshake are paid once.

use crate::error::{Error, Result};
use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http1::{self, Connection, SendRequest},
    header::{self, HeaderMap, HeaderValue},
};
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::{
    future::{Future, poll_fn},
    net::IpAddr,
    path::Path,
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer that is read whole, in bytes.
const ANSWER_MAX: usize = 64 << 20;

/// A byte stream, plain or in TLS.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// The stream of a connection.
pub type Stream = Box<dyn Io>;

/// An answer that was read whole.
#[derive(Debug)]
pub struct Answer {
    /// Status line.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// A connection to one origin.
pub struct Http {
    origin: Origin,
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<Stream>, Full<Bytes>>,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Scheme, host and port of a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// HTTPS.
    pub tls: bool,
    /// Name or address, an IPv6 address without its brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Origin {
    /// From `http://HOST:PORT` or `https://HOST[:PORT]`; a path is refused, a closing slash is not.
    ///
    /// # Errors
    /// If it is no such address, or plain HTTP to another machine.
    pub fn parse(url: &str) -> Result<Self> {
        let bad =
            || Error::client(format!("not an address of a coordinator: {url} (like https://muster.example:8443)"));
        let uri: Uri = url.trim_end_matches('/').parse().map_err(|_| bad())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad()),
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(bad());
        }
        let host = uri.host().ok_or_else(bad)?.trim_matches(['[', ']']).to_owned();
        let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !tls && !loopback {
            return Err(Error::client(format!("plain http is for this machine only; use https://{host}")));
        }
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { tls, host, port })
    }

    /// `HOST:PORT` for the Host header.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// As text again.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

impl Http {
    /// Connects; `ca` are the only roots to trust if given.
    ///
    /// # Errors
    /// [`Error::Network`] if nobody answers or the certificate does not fit.
    pub async fn connect(origin: &Origin, ca: Option<&Path>) -> Result<Self> {
        let said = |error: &dyn std::fmt::Display| Error::Network(format!("cannot reach {}: {error}", origin.url()));
        let opened = timeout(CONNECT_TIMEOUT, open(origin, ca)).await.map_err(|_| said(&"no answer in 10 s"))?;
        let stream = opened?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| said(&error))?;
        Ok(Self { origin: origin.clone(), sender, connection })
    }

    /// Whether another request may go out on it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    fn lost(&self, error: &dyn std::fmt::Display) -> Error {
        Error::Network(format!("the connection to {} broke: {error}", self.origin.url()))
    }

    /// Sends a request and reads its whole answer.
    ///
    /// # Errors
    /// [`Error::Network`] if the connection breaks or no answer comes in a minute.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        match timeout(ANSWER_TIMEOUT, self.send_whole(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Network(format!("{} did not answer within a minute", self.origin.url()))),
        }
    }

    async fn send_whole(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        let (head, mut body) = self.begin(request).await?.into_parts();
        let mut whole = Vec::new();
        while let Some(piece) = self.piece(&mut body).await? {
            if whole.len() + piece.len() > ANSWER_MAX {
                return Err(Error::Network("the answer is larger than 64 MiB".into()));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Answer { status: head.status, headers: head.headers, body: whole.into() })
    }

    /// Sends a request and returns as soon as the head of its answer is there.
    ///
    /// # Errors
    /// [`Error::Network`] if the connection breaks.
    pub async fn begin(&mut self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        let host = HeaderValue::from_str(&self.origin.authority()).map_err(Error::client)?;
        request.headers_mut().insert(header::HOST, host);
        let answer = self.sender.send_request(request);
        drive(&mut self.connection, answer).await.map_err(|error| self.lost(&error))
    }

    /// The next piece of a body, `None` at its end.
    ///
    /// # Errors
    /// [`Error::Network`] if the connection breaks.
    pub async fn piece(&mut self, body: &mut Incoming) -> Result<Option<Bytes>> {
        loop {
            match drive(&mut self.connection, body.frame()).await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(self.lost(&error)),
            }
        }
    }

    /// Asks for a WebSocket at `path`, with a bearer if there is one. The stream comes with what was already read after the answer's head;
    /// a refusal comes as an ordinary answer.
    ///
    /// # Errors
    /// [`Error::Network`] if the connection breaks or the coordinator does not speak WebSocket.
    pub async fn upgrade(mut self, path: &str, bearer: Option<&str>) -> Result<Result<(Stream, Bytes), Answer>> {
        let key = tokio_tungstenite::tungstenite::handshake::client::generate_key();
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(path)
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, &key);
        if let Some(bearer) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        let request = request.body(Full::default()).map_err(Error::client)?;
        let response = match timeout(ANSWER_TIMEOUT, self.begin(request)).await {
            Ok(response) => response?,
            Err(_) => return Err(Error::Network(format!("{} did not answer within a minute", self.origin.url()))),
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let (head, mut body) = response.into_parts();
            let mut whole = Vec::new();
            while let Some(piece) = self.piece(&mut body).await? {
                whole.extend_from_slice(&piece);
            }
            return Ok(Err(Answer { status: head.status, headers: head.headers, body: whole.into() }));
        }
        let expected = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
        if response.headers().get(header::SEC_WEBSOCKET_ACCEPT).is_none_or(|accept| accept != expected.as_str()) {
            return Err(Error::Network("the answer to the WebSocket request is not ours".into()));
        }
        drop(response);
        let parts = self.connection.without_shutdown().await;
        let parts = parts.map_err(|error| Error::Network(format!("the WebSocket did not open: {error}")))?;
        Ok(Ok((parts.io.into_inner(), parts.read_buf)))
    }
}

/// Polls the connection beside what waits for it.
async fn drive<T>(connection: &mut Connection<TokioIo<Stream>, Full<Bytes>>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let driven = poll_fn(|cx| connection.poll_without_shutdown(cx));
    match select(work.as_mut(), pin!(driven)).await {
        Either::Left((done, _)) => done,
        // The connection ended; the work learns it from its own channel.
        Either::Right(_) => work.await,
    }
}

async fn open(origin: &Origin, ca: Option<&Path>) -> Result<Stream> {
    let said = |error: &dyn std::fmt::Display| Error::Network(format!("cannot reach {}: {error}", origin.url()));
    let tcp = TcpStream::connect((origin.host.as_str(), origin.port)).await.map_err(|error| said(&error))?;
    tcp.set_nodelay(true).map_err(|error| said(&error))?;
    if !origin.tls {
        return Ok(Box::new(tcp));
    }
    let name = ServerName::try_from(origin.host.clone()).map_err(|error| said(&error))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls(ca)?));
    let stream = connector.connect(name, tcp).await.map_err(|error| match not_its_ca(&error) {
        true => said(&unknown_ca(ca)),
        false => said(&error),
    })?;
    Ok(Box::new(stream))
}

/// Whether the certificate of a door is of none of the roots that are trusted.
fn not_its_ca(error: &std::io::Error) -> bool {
    use rustls::{CertificateError, Error as TlsError};
    let found = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    matches!(
        found,
        Some(TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature))
    )
}

fn unknown_ca(ca: Option<&Path>) -> String {
    let whose = match ca {
        None => "of a CA that this machine does not trust".to_owned(),
        Some(ca) => format!("not of the CA in {}", ca.display()),
    };
    format!(
        "its certificate is {whose}: sign in with --ca FILE (a fleet's own CA is keys/ca.pem in the coordinator's \
         data directory)"
    )
}

fn tls(ca: Option<&Path>) -> Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(path) = ca {
        let said = |error: &dyn std::fmt::Display| Error::client(format!("{}: {error}", path.display()));
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| said(&error))? {
            roots.add(certificate.map_err(|error| said(&error))?).map_err(|error| said(&error))?;
        }
        if roots.is_empty() {
            return Err(said(&"no certificate in it"));
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::client)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        let origin = Origin::parse("https://muster.example/").unwrap();
        assert_eq!((origin.tls, origin.authority().as_str()), (true, "muster.example:443"));
        assert_eq!(Origin::parse("http://[::1]:80").unwrap().url(), "http://[::1]:80");
        assert!(Origin::parse("http://127.0.0.1:8080").is_ok());
        for bad in [
            "",
            "muster.example",
            "http://muster.example",
            "http://10.0.0.1:80",
            "https://a/b",
            "ftp://a",
            "https://a?b=c",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
    }
}
