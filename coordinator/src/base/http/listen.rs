//! The listener of a door: bounded connections, of one address and of all, TCP_NODELAY, TLS handshakes aside so that
//! a slow one delays nobody, deadlines for request headers and for a reader that takes nothing, and a drain that
//! finishes what runs.

use crate::base::limits;
use crate::base::supervise::Supervisor;
use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The address of a caller; in the extensions of each request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// How many connections each address has. Those that `shared` names stand for many clients and are not counted.
#[derive(Debug, Default)]
struct Guests {
    shared: Vec<IpAddr>,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection of an address, counted until it is dropped.
#[derive(Debug)]
struct Guest(Arc<Guests>, IpAddr);

impl Guests {
    /// One more; none if the address has as many as one may have.
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Guest> {
        let address = address.to_canonical();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= limits::DOOR_CONNECTIONS_EACH && !self.shared.contains(&address) {
            return None;
        }
        *count += 1;
        Some(Guest(Arc::clone(self), address))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.1);
            }
        }
    }
}

/// Accepts on a bound socket and serves the routes until the process drains. `proxies` may have as many connections
/// as there are.
pub fn serve(
    supervisor: &Supervisor,
    name: &'static str,
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    proxies: &[IpAddr],
) {
    let guests = Arc::new(Guests { shared: proxies.to_vec(), ..Guests::default() });
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
            let Some(guest) = guests.enter(peer.ip()) else {
                tracing::debug!(%peer, "one address has too many connections");
                continue;
            };
            // Small answers must not wait for more; a socket that refuses the option is closed already.
            let _ = stream.set_nodelay(true);
            let (router, own_, tls, handshakes) = (router.clone(), own.clone(), tls.clone(), handshakes.clone());
            own.graceful("http-connection", async move {
                let Some(io) = secure(stream, peer, tls, &handshakes, &own_).await else { return };
                converse(DoorStream { io, stalled: None, _places: (place, guest) }, peer, router, &own_).await;
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
    /// Runs while the other side takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    _places: (OwnedSemaphorePermit, Guest),
}

impl DoorStream {
    /// Passes on what a write said, unless the other side has taken nothing for too long.
    fn timed<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limits::DOOR_STALL)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
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
        let written = match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        self.timed(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        };
        self.timed(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        self.timed(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        };
        self.timed(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn guests(shared: &[IpAddr]) -> Arc<Guests> {
        Arc::new(Guests { shared: shared.to_vec(), ..Guests::default() })
    }

    #[test]
    fn an_address_has_a_share_of_the_connections() {
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let guests = guests(&[other]);
        let mut all: Vec<_> = (0..limits::DOOR_CONNECTIONS_EACH).filter_map(|_| guests.enter(one)).collect();
        assert_eq!(all.len(), limits::DOOR_CONNECTIONS_EACH);
        assert!(guests.enter(one).is_none());
        all.pop();
        assert!(guests.enter(one).is_some());
        assert_eq!((0..=limits::DOOR_CONNECTIONS_EACH).filter_map(|_| guests.enter(other)).count(), 2049, "a proxy");
        drop(all);
        assert!(guests.counts.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_let_go() {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _silent = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = socket.accept().await.unwrap();
        let places =
            (Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap(), guests(&[]).enter(peer.ip()).unwrap());
        let mut door = DoorStream { io: Io::Plain(stream), stalled: None, _places: places };
        let began = tokio::time::Instant::now();
        let error = loop {
            if let Err(error) = door.write_all(&[0; 1 << 20]).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= limits::DOOR_STALL);
    }
}
