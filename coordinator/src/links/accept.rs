//! The door of the QUIC endpoint: handshakes, bounded, and where each connection goes.

use super::pace::Pace;
use super::{control, enrol};
use crate::app::App;
use muster_pki::Arrival;
use muster_protocol::control::close;
use quinn::{Endpoint, Incoming};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes in progress above which an address must first prove that it gets our packets.
const RETRY_ABOVE: usize = 64;
/// Handshakes and enrolments in progress above which a connection is refused.
const ARRIVING_MAX: usize = 2_048;
/// Handshakes a second, and at once. Each costs the edge about a millisecond, which terminals would feel.
const PACE: (u32, u32) = (400, 40);
/// How long one may wait for its turn: an agent gives up after five seconds. A fleet that dials at once so comes back
/// in a row; who would wait longer is refused.
const TURN: Duration = Duration::from_secs(3);
/// How long a stopping endpoint waits for its last packets.
const IDLE: Duration = Duration::from_secs(2);

const _: () = assert!(RETRY_ABOVE < ARRIVING_MAX);

struct Arriving(Arc<AtomicUsize>);

impl Arriving {
    fn one_more(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts until the process drains.
pub(super) async fn serve(app: App, endpoint: Endpoint) {
    let stop = app.supervisor.stopping();
    let arriving = Arc::new(AtomicUsize::new(0));
    let mut pace = Pace::new(PACE.0, PACE.1);
    loop {
        let incoming = tokio::select! {
            () = stop.cancelled() => break,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { break };
        let count = arriving.load(Ordering::Relaxed);
        if count >= RETRY_ABOVE && !incoming.remote_address_validated() {
            // Fails only for an address that is validated already.
            let _ = incoming.retry();
        } else if let Some(wait) = (count < ARRIVING_MAX).then(|| pace.book(TURN)).flatten() {
            let place = Arriving::one_more(&arriving);
            let app_ = app.clone();
            app.supervisor.graceful("link", async move {
                tokio::time::sleep(wait).await;
                arrive(app_, incoming, place).await;
            });
        } else {
            // Told at once and cheaply, it comes again after a random delay that grows with each refusal.
            incoming.refuse();
            app.links.meters.refused();
        }
    }
    // The links say goodbye themselves; their packets need the endpoint a moment longer.
    let _ = tokio::time::timeout(IDLE, endpoint.wait_idle()).await;
    endpoint.close(close::DRAINING.into(), b"the coordinator stops");
}

async fn arrive(app: App, incoming: Incoming, place: Arriving) {
    let peer = incoming.remote_address();
    let connection = match tokio::time::timeout(HANDSHAKE, incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            tracing::info!(%peer, "a handshake failed: {error}");
            return;
        }
        Err(_) => {
            tracing::info!(%peer, "a handshake took too long");
            return;
        }
    };
    match app.trust.admit(&connection, app.clock.now_ms()) {
        Ok(Arrival::Node(identity)) => {
            drop(place);
            control::run(app, connection, identity).await;
        }
        Ok(Arrival::Enrol) => enrol::serve(&app, &connection).await,
        Err(rejection) => {
            tracing::warn!(%peer, "a connection is refused: {rejection}");
            app.links.meters.closed(close::word(rejection.code.into()));
            rejection.tell(&connection);
        }
    }
}
