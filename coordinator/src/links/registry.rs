//! The live links by node, and what other rooms may do with one.

use super::meters::Meters;
use super::task::TaskStream;
use super::wire::{self, FrameReader, WireError};
use crate::config::Config;
use crate::nodes::Seen;
use bytes::Bytes;
use futures_util::FutureExt;
use muster_protocol::control::close;
use muster_protocol::frame::encode;
use muster_protocol::ids::{CertificateId, NodeId};
use muster_protocol::session::SessionAttach;
use muster_protocol::task::TaskOffer;
use muster_protocol::tunnel::TunnelOpen;
use muster_protocol::{Frame, Kind};
use prost::Message;
use quinn::{Connection, RecvStream, SendStream};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::Notify;

/// Priorities of streams on a link, higher first.
pub(super) mod priority {
    pub(crate) const CONTROL: i32 = 5;
    pub(crate) const SESSION: i32 = 4;
    pub(crate) const TASK: i32 = 3;
    pub(crate) const TUNNEL: i32 = 2;
    pub(crate) const FACTS: i32 = 1;
}

/// Why a stream could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The node has no live link.
    #[error("the node is not connected")]
    Offline,
    /// The agent permits no more streams. Never a wait.
    #[error("the node has as many sessions as it can carry")]
    SessionLimit,
    /// The stream failed.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// A stream to the agent: frames both ways, or raw bytes after [`Stream::into_raw`].
#[derive(Debug)]
pub struct Stream {
    /// Towards the agent.
    pub send: SendStream,
    /// From the agent.
    pub frames: FrameReader,
}

impl Stream {
    /// Sends a message as a frame, within the write deadline.
    ///
    /// # Errors
    /// [`WireError`].
    pub async fn send<M: Message>(&mut self, kind: Kind, message: &M) -> Result<(), WireError> {
        wire::send(&mut self.send, encode(kind, message)).await
    }

    /// Sends a ready frame without a deadline: back-pressure is the caller's.
    ///
    /// # Errors
    /// [`WireError::Write`].
    pub async fn send_frame(&mut self, frame: Bytes) -> Result<(), WireError> {
        Ok(self.send.write_chunk(frame).await?)
    }

    /// The next frame; none at the end. May be dropped while it waits.
    ///
    /// # Errors
    /// [`WireError`].
    pub async fn next(&mut self) -> Result<Option<Frame>, WireError> {
        self.frames.next().await
    }

    /// The stream as raw bytes: what was read and not yet cut comes first.
    #[must_use]
    pub fn into_raw(self) -> (SendStream, Bytes, RecvStream) {
        let (rest, recv) = self.frames.into_raw();
        (self.send, rest, recv)
    }
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) node: NodeId,
    pub(super) certificate: CertificateId,
    pub(super) connection: Connection,
    pub(super) seen: Arc<Seen>,
    /// The journal that its agent named in the hello.
    pub(super) journal_epoch: String,
    /// Wakes the control loop: the desired document may have changed.
    pub(super) wake: Notify,
    /// Agent's clock less ours, ms.
    skew_ms: AtomicI64,
    number: u64,
}

impl Link {
    pub(super) fn set_agent_clock(&self, agent_ms: i64, now_ms: i64) {
        self.skew_ms.store(agent_ms.saturating_sub(now_ms), Ordering::Relaxed);
    }

    pub(super) fn skew_ms(&self) -> i64 {
        self.skew_ms.load(Ordering::Relaxed)
    }
}

/// A node's live link. Cheap to clone; outlives the link, and then fails.
#[derive(Debug, Clone)]
pub struct LinkHandle(pub(super) Arc<Link>);

impl LinkHandle {
    /// Whose link it is.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.0.node
    }

    /// Agent's clock less ours in ms, from its last heartbeat.
    #[must_use]
    pub fn clock_skew_ms(&self) -> i64 {
        self.0.skew_ms()
    }

    /// A session stream, its attach already sent. The answer is the next frame.
    ///
    /// # Errors
    /// [`LinkError::SessionLimit`] instead of a wait.
    pub async fn open_session(&self, attach: &SessionAttach) -> Result<Stream, LinkError> {
        self.open(priority::SESSION, Kind::SessionAttach, attach).await
    }

    /// A tunnel stream, its open already sent. The answer is the next frame.
    ///
    /// # Errors
    /// As [`LinkHandle::open_session`].
    pub async fn open_tunnel(&self, open: &TunnelOpen) -> Result<Stream, LinkError> {
        self.open(priority::TUNNEL, Kind::TunnelOpen, open).await
    }

    /// Offers a node task.
    ///
    /// # Errors
    /// As [`LinkHandle::open_session`].
    pub async fn offer_task(&self, offer: &TaskOffer) -> Result<TaskStream, LinkError> {
        self.open(priority::TASK, Kind::TaskOffer, offer).await.map(TaskStream::new)
    }

    /// Looks for a new desired document and sends it if the agent holds another one.
    pub fn push_desired(&self) {
        self.0.wake.notify_one();
    }

    /// Ends the link with a code of [`close`].
    pub fn close(&self, code: u32, detail: &str) {
        self.0.connection.close(code.into(), detail.as_bytes());
    }

    async fn open<M: Message>(&self, priority: i32, kind: Kind, first: &M) -> Result<Stream, LinkError> {
        // Permitted streams are ready at once; waiting for one would hide that the node is full.
        let opened = self.0.connection.open_bi().now_or_never().ok_or(LinkError::SessionLimit)?;
        let (send, recv) = opened.map_err(|_| LinkError::Offline)?;
        // Fails only if the stream is already over, which the first write then says.
        let _ = send.set_priority(priority);
        let mut stream = Stream { send, frames: FrameReader::heard_by(recv, Arc::clone(&self.0.seen)) };
        stream.send(kind, first).await?;
        Ok(stream)
    }
}

/// All live links.
#[derive(Debug, Default)]
pub struct Registry {
    links: Mutex<BTreeMap<NodeId, LinkHandle>>,
    numbers: AtomicU64,
    address: OnceLock<SocketAddr>,
    pub(super) meters: Meters,
}

impl Registry {
    /// The live link of a node.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<LinkHandle> {
        self.lock().get(&node).cloned()
    }

    /// Every live link.
    #[must_use]
    pub fn all(&self) -> Vec<LinkHandle> {
        self.lock().values().cloned().collect()
    }

    /// How many links are up.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// What agents are told to connect to: as configured, else the bound address, with the machine's name
    /// where that is no address one can dial.
    #[must_use]
    pub fn public_address(&self, config: &Config) -> String {
        if let Some(public) = &config.quic_public {
            return public.clone();
        }
        let address = self.address.get().copied().unwrap_or(config.quic);
        if !address.ip().is_unspecified() {
            return address.to_string();
        }
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = if name.trim().is_empty() { "localhost" } else { name.trim() };
        format!("{name}:{}", address.port())
    }

    pub(super) fn set_address(&self, address: SocketAddr) {
        // A second endpoint of one process would be a mistake of the caller; the first address stands.
        let _ = self.address.set(address);
    }

    /// Puts a link in; an older one of the same node is closed as `superseded`.
    pub(super) fn enter(
        &self,
        node: NodeId,
        certificate: CertificateId,
        connection: Connection,
        seen: Arc<Seen>,
        journal_epoch: String,
    ) -> Arc<Link> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (wake, skew_ms) = (Notify::new(), AtomicI64::new(0));
        let link = Arc::new(Link { node, certificate, connection, seen, journal_epoch, wake, skew_ms, number });
        let mut links = self.lock();
        let older = links.insert(node, LinkHandle(Arc::clone(&link)));
        self.meters.set_up(links.len());
        drop(links);
        if let Some(older) = older {
            tracing::info!(%node, "a newer link of the node takes over");
            self.meters.closed("superseded");
            older.close(close::SUPERSEDED, "a newer link of this node is up");
        }
        link
    }

    /// Takes a link out, unless a newer one stands in its place.
    pub(super) fn leave(&self, link: &Link) {
        let mut links = self.lock();
        if links.get(&link.node).is_some_and(|found| found.0.number == link.number) {
            links.remove(&link.node);
            self.meters.set_up(links.len());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, LinkHandle>> {
        // Every change under the lock is one call; a panic leaves no half of it.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
