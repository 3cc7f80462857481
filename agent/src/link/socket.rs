//! The only UDP socket of the agent. A simulation, or a way round networks that drop UDP, replaces this file's
//! abstract socket and nothing else.

use muster_pki::socket::UdpRuntime;
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, Runtime};
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
};

/// An endpoint towards an address, on a new port: a stale mapping in a NAT on the way never holds us up.
///
/// # Errors
/// No socket of that family.
pub fn endpoint(towards: SocketAddr) -> io::Result<Endpoint> {
    let any: SocketAddr = match towards {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let runtime = Arc::new(UdpRuntime);
    let socket = runtime.wrap_udp_socket(UdpSocket::bind(any)?)?;
    over(socket, runtime)
}

/// An endpoint over any socket.
///
/// # Errors
/// The socket has no address.
pub fn over(socket: Arc<dyn AsyncUdpSocket>, runtime: Arc<dyn Runtime>) -> io::Result<Endpoint> {
    Endpoint::new_with_abstract_socket(EndpointConfig::default(), None, socket, runtime)
}
