//! The only UDP socket of the agent. A simulation, or a way round networks that drop UDP, gives endpoints of its
//! own and replaces nothing else.

use muster_pki::socket::UdpRuntime;
use quinn::{Endpoint, EndpointConfig};
use std::{
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
};

/// Where endpoints come from; cheap to clone.
#[derive(Clone, Default)]
pub enum Sockets {
    /// The machine's own network.
    #[default]
    Udp,
    /// A network of the caller's: an endpoint towards an address.
    Given(Arc<dyn Fn(SocketAddr) -> io::Result<Endpoint> + Send + Sync>),
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Udp) { "Udp" } else { "Given" })
    }
}

impl Sockets {
    /// An endpoint towards an address, on a new port: a stale mapping in a NAT on the way never holds us up.
    ///
    /// # Errors
    /// No socket of that family.
    pub fn endpoint(&self, towards: SocketAddr) -> io::Result<Endpoint> {
        match self {
            Self::Udp => {
                let any: SocketAddr = match towards {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                Endpoint::new(EndpointConfig::default(), None, UdpSocket::bind(any)?, Arc::new(UdpRuntime))
            }
            Self::Given(make) => make(towards),
        }
    }
}
