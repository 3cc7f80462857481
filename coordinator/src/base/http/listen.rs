//! The listener of a door: bounded connections, TCP_NODELAY, TLS handshakes aside so that a slow one
//! delays nobody, a deadline for request headers, and a drain that finishes what runs.

use crate::base::limits;
use crate::base::supervise::Supervisor;
use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The address of a caller; in the extensions of each request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Accepts on a bound socket and serves the routes until the process drains.
pub fn serve(
    supervisor: &Supervisor,
    name: &'static str,
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
) {
    let (own, stop) = (supervisor.clone(), supervisor.stopping());
    supervisor.critical(name, async move {
        let places = Arc::new(Semaphore::new(limits::DOOR_CONNECTIONS));
        let handshakes = Arc::new(Semaphore::new(limits::DOOR_HANDSHAKES));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = socket.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(found) => found,
                Err(error) => {
                    // Mostly "too many open files": others must get time to close theirs.
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            // Small answers must not wait for more; a socket that refuses the option is closed already.
            let _ = stream.set_nodelay(true);
            let (router, own_, tls, handshakes) = (router.clone(), own.clone(), tls.clone(), handshakes.clone());
            own.graceful("http-connection", async move {
                let Some(io) = secure(stream, peer, tls, &handshakes, &own_).await else { return };
                converse(DoorStream { io, _place: place }, peer, router, &own_).await;
            });
        }
    });
}

/// The connection with TLS, if the door speaks it. `None` when the handshake failed.
async fn secure(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    handshakes: &Semaphore,
    supervisor: &Supervisor,
) -> Option<Io> {
    let Some(tls) = tls else { return Some(Io::Plain(stream)) };
    let _turn = handshakes.acquire().await.ok()?;
    let stop = supervisor.stopping();
    let shaken = tokio::select! {
        () = stop.cancelled() => return None,
        shaken = tokio::time::timeout(limits::DOOR_HANDSHAKE, tls.accept(stream)) => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => Some(Io::Tls(Box::new(stream))),
        Ok(Err(error)) => {
            tracing::debug!(%peer, "TLS handshake failed: {error}");
            None
        }
        Err(_) => {
            tracing::debug!(%peer, "TLS handshake timed out");
            None
        }
    }
}

/// Answers the requests of one connection.
async fn converse(stream: DoorStream, peer: SocketAddr, router: Router, supervisor: &Supervisor) {
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        TowerToHyperService::new(router.clone()).call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::DOOR_HEADERS)
        .max_headers(limits::DOOR_HEADER_COUNT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let stop = supervisor.stopping();
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%peer, "a connection ended: {error}");
    }
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One connection of a door. Frees its place when dropped, also after an upgrade to a WebSocket.
struct DoorStream {
    io: Io,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for DoorStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for DoorStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
