//! Streams that the coordinator opens: sessions, tunnels, tasks. Its first frame names each.

use super::{
    up::Link,
    wire::{ANSWER_TIMEOUT, FrameReader},
};
use crate::{sessions, supervise::Scope, tasks};
use muster_protocol::Kind;
use quinn::{RecvStream, SendStream};
use std::sync::Arc;
use tokio::time::timeout;

/// Code of a stream that is reset because its first frame names nothing we know.
const UNKNOWN: u32 = 2;
/// Priority of terminals, below the control stream.
const SESSION_PRIORITY: i32 = 50;
/// Priority of tunnels, below terminals and tasks.
const TUNNEL_PRIORITY: i32 = 0;
/// Priority of tasks.
const TASK_PRIORITY: i32 = 25;

/// Accepts streams until the link ends.
pub(super) async fn run(link: Arc<Link>) {
    let mut scope = Scope::default();
    while let Ok((send, receive)) = link.connection.accept_bi().await {
        scope.spawn("stream", one(Arc::clone(&link), send, receive));
    }
}

async fn one(link: Arc<Link>, mut send: SendStream, receive: RecvStream) {
    let mut frames = FrameReader::new(receive);
    let first = match timeout(ANSWER_TIMEOUT, frames.next()).await {
        Ok(Ok(Some(first))) => first,
        Ok(Err(error)) => return tracing::debug!(%error, "a stream that began with no frame"),
        Ok(Ok(None)) | Err(_) => return,
    };
    let priority = match first.kind {
        Kind::SessionAttach => SESSION_PRIORITY,
        Kind::TaskOffer => TASK_PRIORITY,
        _ => TUNNEL_PRIORITY,
    };
    // Priority is a wish: on a stream that is already gone it changes nothing.
    let _ = send.set_priority(priority);
    match first.kind {
        Kind::TaskOffer => tasks::serve(link.node.tasks.clone(), first, send, frames).await,
        Kind::SessionAttach | Kind::TunnelOpen => {
            let (receive, rest) = frames.into_parts();
            let streams = sessions::Streams { send, receive, rest };
            if first.kind == Kind::TunnelOpen {
                sessions::tunnel(link.node.cells.clone(), first, streams).await;
            } else {
                sessions::session(link.node.cells.clone(), first, streams).await;
            }
        }
        other => {
            tracing::debug!(?other, "a stream for something we do not know");
            let _ = send.reset(UNKNOWN.into());
        }
    }
}
