//! The UDP socket of the QUIC door: the only file that knows one. A simulation puts another in its place.

use crate::app::App;
use crate::base::leaves;
use crate::fleet;
use muster_pki::files;
use muster_pki::server::{LeafSwap, link_config};
use muster_pki::socket::UdpRuntime;
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;

/// An endpoint on the UDP address of the configuration.
pub(super) fn bind(app: &App) -> io::Result<Endpoint> {
    let (config, server) = serving(app)?;
    Endpoint::new(config, Some(server), UdpSocket::bind(app.config.quic)?, Arc::new(UdpRuntime))
}

/// An endpoint on another network, whose own randomness comes from a seed.
pub(super) fn over(app: &App, socket: Arc<dyn AsyncUdpSocket>, seed: [u8; 32]) -> io::Result<Endpoint> {
    let (mut config, server) = serving(app)?;
    config.rng_seed(Some(seed));
    Endpoint::new_with_abstract_socket(config, Some(server), socket, Arc::new(TokioRuntime))
}

/// Serves both protocols under a fresh leaf of the fleet's CA.
fn serving(app: &App) -> io::Result<(EndpointConfig, ServerConfig)> {
    let first = app.fleet.ca.issue_link_server(app.clock.now_ms());
    let leaf = first.and_then(LeafSwap::new).map_err(io::Error::other)?;
    let again = |app: &App| Ok(app.fleet.ca.issue_link_server(app.clock.now_ms())?);
    leaves::keep(app, "links.leaf", Arc::clone(&leaf), again);
    let server = link_config(&leaf).map_err(io::Error::other)?;
    let keys = files::endpoint_keys(&fleet::keys(&app.config.data_dir)).map_err(io::Error::other)?;
    Ok((keys.endpoint_config(), server))
}
