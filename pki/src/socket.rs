//! A UDP socket for QUIC on an interactive path.
//!
//! It differs from quinn's own in two things that cost a key on its way a system call and a wake-up each: a
//! receive that did not fill its buffers is known to have emptied the socket, and nobody waits for the socket
//! to be writable, which every delivered packet makes it anew, unless a send did not fit.

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use std::{
    fmt::Debug,
    future::Future,
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    os::fd::OwnedFd,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::io::{Interest, unix::AsyncFd};

/// Bytes of datagrams that may wait, as far as the system allows (`net.core.rmem_max`). With the usual 208 KiB the
/// first datagrams of a hundred nodes that dial at once fill it, and what is lost then comes again after a second.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Tokio with this socket.
#[derive(Debug, Clone, Copy, Default)]
pub struct UdpRuntime;

impl Runtime for UdpRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        TokioRuntime.spawn(future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let state = UdpSocketState::new((&socket).into())?;
        // A smaller one serves as well, only not a storm.
        let _ = state.set_recv_buffer_size((&socket).into(), RECEIVE_BUFFER);
        socket.set_nonblocking(true)?;
        // SAFETY: the socket is owned and never taken out again, so it is open as long as it is watched.
        let io = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        Ok(Arc::new(Socket { io, state, full: AtomicBool::new(false) }))
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

#[derive(Debug)]
struct Socket {
    io: AsyncFd<UdpSocket>,
    state: UdpSocketState,
    /// The last send did not fit.
    full: AtomicBool,
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Room { socket: self, waiting: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let sent = self.state.send(self.io.get_ref().into(), transmit);
        if sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.full.store(true, Relaxed);
        }
        sent
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.io.poll_read_ready(cx))?;
            match self.state.recv(self.io.get_ref().into(), buffers, meta) {
                Ok(count) => {
                    if count < buffers.len() {
                        // Empty; the next packet is a new event, and one that came meanwhile is not forgotten.
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }
}

/// Waits for room to send, with a descriptor of its own that exists only while something waits.
#[derive(Debug)]
struct Room {
    socket: Arc<Socket>,
    waiting: Option<AsyncFd<OwnedFd>>,
}

impl UdpPoller for Room {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.socket.full.load(Relaxed) {
            self.waiting = None;
            return Poll::Ready(Ok(()));
        }
        if self.waiting.is_none() {
            let fd = OwnedFd::from(self.socket.io.get_ref().try_clone()?);
            // SAFETY: as above; this descriptor is its own.
            self.waiting = Some(unsafe { AsyncFd::register_with_interest(fd, Interest::WRITABLE) }?);
        }
        if let Some(waiting) = &self.waiting {
            let _ = ready!(waiting.poll_write_ready(cx))?;
        }
        self.waiting = None;
        self.socket.full.store(false, Relaxed);
        Poll::Ready(Ok(()))
    }
}
