//! The UDP socket of the QUIC door: the only file that knows one. A simulation puts another in its place.

use crate::app::App;
use crate::fleet;
use muster_pki::files;
use muster_pki::server::{LeafSwap, link_config};
use muster_pki::socket::UdpRuntime;
use quinn::Endpoint;
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;

/// An endpoint that serves both protocols under a fresh leaf of the fleet's CA.
pub(super) fn bind(app: &App) -> io::Result<Endpoint> {
    let leaf = app.fleet.ca.issue_link_server(app.clock.now_ms()).and_then(LeafSwap::new).map_err(io::Error::other)?;
    let server = link_config(&leaf).map_err(io::Error::other)?;
    let keys = files::endpoint_keys(&fleet::keys(&app.config.data_dir)).map_err(io::Error::other)?;
    let socket = UdpSocket::bind(app.config.quic)?;
    Endpoint::new(keys.endpoint_config(), Some(server), socket, Arc::new(UdpRuntime))
}
