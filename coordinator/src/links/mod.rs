//! Links: live QUIC connections of nodes, one a node, the newest wins.
//!
//! ```text
//! handshake ── judged ──> hello ── known, not revoked ──> welcome: up ──> superseded | revoked | lost
//!     └── refused with its own code          └── refused
//! ```
//!
//! Invariants: a link speaks for the node in its certificate and no other; any frame is a sign of life; the
//! reconnect of an unchanged node writes nothing; a desired document is sent when the agent holds another
//! generation, and stored before it is sent.

mod accept;
mod control;
pub mod desired;
mod enrol;
mod facts;
mod meters;
mod pace;
mod registry;
mod samples;
mod socket;
mod store;
mod task;
mod tick;
pub mod wire;

pub use desired::{generation_in, touch_in};
pub use registry::{LinkError, LinkHandle, Registry, Stream};
pub use task::{TaskNews, TaskStream};

use crate::app::App;
use crate::base::http::Problem;
use crate::base::store::Tx;
use quinn::{AsyncUdpSocket, Endpoint};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// Binds the QUIC socket of the configuration and starts accepting. The address says which port was taken.
///
/// # Errors
/// The system's, if the address cannot be bound.
pub fn start(app: &App) -> io::Result<SocketAddr> {
    serve_on(app, socket::bind(app)?)
}

/// The same on a network that is simulated; the endpoint's randomness comes from the seed.
///
/// # Errors
/// The fleet's keys cannot be read.
pub fn start_over(app: &App, socket: Arc<dyn AsyncUdpSocket>, seed: [u8; 32]) -> io::Result<SocketAddr> {
    serve_on(app, socket::over(app, socket, seed)?)
}

fn serve_on(app: &App, endpoint: Endpoint) -> io::Result<SocketAddr> {
    let address = endpoint.local_addr()?;
    app.links.set_address(address);
    app.links.meters.register(&app.metrics);
    tick::start(app);
    let app_ = app.clone();
    app.supervisor.critical("links.accept", async move { accept::serve(app_, endpoint).await });
    Ok(address)
}

/// Every document is made anew, in the next epoch; for a restore.
///
/// # Errors
/// Only what the store says.
pub fn forget_documents_in(tx: &mut Tx) -> Result<(), Problem> {
    store::forget_documents_in(tx)
}
