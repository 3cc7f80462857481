//! Full QUIC handshakes with the agents' door, eight at a time, until SIGTERM; then prints how many there were.
//! Usage: `handshakes ADDRESS CA.pem`

use muster_pki::{certificate_sha256, client};
use quinn::{ClientConfig, Endpoint};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::net::SocketAddr;
use tokio::signal::unix::{SignalKind, signal};

const AT_ONCE: usize = 8;

async fn shake(endpoint: Endpoint, config: ClientConfig, address: SocketAddr) -> bool {
    let Ok(connecting) = endpoint.connect_with(config, address, client::SERVER_NAME) else { return false };
    match connecting.await {
        Ok(connection) => {
            connection.close(0u32.into(), b"");
            true
        }
        Err(_) => false,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = std::env::args().collect();
    let [_, address, ca] = words.as_slice() else { panic!("handshakes ADDRESS CA.pem") };
    let address: SocketAddr = address.parse().expect("an address");
    let ca = CertificateDer::from_pem_file(ca).expect("a certificate");
    let (config, _) = client::enrol_pinned(certificate_sha256(&ca)).expect("a configuration");
    let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a socket");
    let mut stop = signal(SignalKind::terminate()).expect("signals");
    let (mut done, mut refused) = (0u32, 0u32);
    let mut under_way = tokio::task::JoinSet::new();
    loop {
        while under_way.len() < AT_ONCE {
            under_way.spawn(shake(endpoint.clone(), config.clone(), address));
        }
        tokio::select! {
            _ = stop.recv() => break,
            ended = under_way.join_next() => match ended {
                Some(Ok(true)) => done += 1,
                _ => refused += 1,
            },
        }
    }
    println!("{{\"handshakes\": {done}, \"refused\": {refused}}}");
}
