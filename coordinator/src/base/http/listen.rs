//! The listener of a door: bounded connections, TCP_NODELAY, TLS handshakes aside so that a slow one
//! delays nobody.

use crate::base::limits;
use crate::base::supervise::Supervisor;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The address of a caller.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, DoorListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, DoorListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One connection of a door. Frees its place when dropped.
pub struct DoorStream {
    io: Io,
    _place: OwnedSemaphorePermit,
}

impl std::fmt::Debug for DoorStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DoorStream")
    }
}

/// What axum accepts from.
#[derive(Debug)]
pub struct DoorListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(DoorStream, SocketAddr)>,
}

/// Starts accepting on a bound socket.
pub fn listen(
    supervisor: &Supervisor,
    name: &'static str,
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
) -> io::Result<DoorListener> {
    let address = socket.local_addr()?;
    let (hand_over, ready) = mpsc::channel(limits::DOOR_HANDSHAKES);
    let (supervisor_, stop) = (supervisor.clone(), supervisor.stopping());
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
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            };
            // Small answers must not wait for more; a socket that refuses the option is closed already.
            let _ = stream.set_nodelay(true);
            let Some(tls) = tls.clone() else {
                if hand_over.send((DoorStream { io: Io::Plain(stream), _place: place }, peer)).await.is_err() {
                    return;
                }
                continue;
            };
            let Ok(turn) = handshakes.clone().acquire_owned().await else { return };
            let hand_over = hand_over.clone();
            supervisor_.scoped("tls-handshake", async move {
                let _turn = turn;
                match tokio::time::timeout(limits::DOOR_HANDSHAKE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let stream = DoorStream { io: Io::Tls(Box::new(stream)), _place: place };
                        // The door has closed meanwhile; the caller sees the connection end.
                        let _ = hand_over.send((stream, peer)).await;
                    }
                    Ok(Err(error)) => tracing::debug!(%peer, "TLS handshake failed: {error}"),
                    Err(_) => tracing::debug!(%peer, "TLS handshake timed out"),
                }
            });
        }
    });
    Ok(DoorListener { address, ready })
}

/// Serves a door until the process drains; then finishes what is running.
pub fn serve(supervisor: &Supervisor, listener: DoorListener, router: Router) {
    let stop = supervisor.stopping();
    let service = router.into_make_service_with_connect_info::<Peer>();
    supervisor.graceful("door", async move {
        let served = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!("a door ended: {error}");
        }
    });
}

impl Listener for DoorListener {
    type Io = DoorStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (DoorStream, SocketAddr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The accepting task has ended: the process drains, and no connection will come.
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
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
