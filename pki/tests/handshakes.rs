//! Real handshakes on loopback: who is let in, who is told why not, and what an agent never sends.

use muster_pki::{
    Arrival, Ca, Csr, NodeKey, Trust, admit::Revoked, ca::ServerLeaf, client, server, transport::EndpointKeys,
};
use muster_protocol::{
    control::close,
    enrol::{PROOF_LABEL, PROOF_LEN},
    ids::{CertificateId, NodeId},
};
use quinn::{ClientConfig, ConnectionError, Endpoint};
use rustls_pki_types::CertificateDer;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

type Judged = Result<Arrival, String>;

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn endpoint(config: Option<quinn::ServerConfig>) -> Endpoint {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let keys = EndpointKeys::generate().unwrap();
    Endpoint::new(keys.endpoint_config(), config, socket, Arc::new(quinn::TokioRuntime)).unwrap()
}

/// One connection: what the server judged, what the client saw, and how many bytes the server was sent on streams.
async fn meet(leaf: ServerLeaf, trust: &Trust, client: ClientConfig) -> (Judged, Result<(), ConnectionError>) {
    let swap = server::LeafSwap::new(leaf).unwrap();
    let door = endpoint(Some(server::link_config(&swap).unwrap()));
    let address: SocketAddr = door.local_addr().unwrap();
    let host = async {
        let incoming = door.accept().await.unwrap();
        match incoming.await {
            Err(error) => Err(error.to_string()),
            Ok(connection) => {
                let judged = trust.admit(&connection, now_ms()).map_err(|why| {
                    why.tell(&connection);
                    close::word(u64::from(why.code)).to_owned()
                });
                if judged.is_ok() {
                    connection.close(0u32.into(), b"");
                }
                door.wait_idle().await;
                judged
            }
        }
    };
    let guest = async {
        let mine = endpoint(None);
        let connection = mine.connect_with(client, address, client::SERVER_NAME).unwrap().await?;
        Err::<(), _>(connection.closed().await)
    };
    tokio::join!(host, guest)
}

fn time() -> client::TimeSource {
    client::TimeSource::new(now_ms)
}

struct Fleet {
    ca: Ca,
    trust: Trust,
    node: NodeId,
    id: CertificateId,
    key: NodeKey,
}

fn fleet() -> Fleet {
    let ca = Ca::create("f1", now_ms()).unwrap();
    let trust = Trust::new("f1", &[ca.certificate().clone()]).unwrap();
    let ms = now_ms() as u64;
    Fleet {
        trust,
        node: NodeId::new(ms, [1; 10]),
        id: CertificateId::new(ms, [2; 10]),
        key: NodeKey::generate().unwrap(),
        ca,
    }
}

impl Fleet {
    fn chain_from(&self, ca: &Ca, issued_ms: i64) -> Vec<CertificateDer<'static>> {
        let csr = Csr::parse(&self.key.request().unwrap()).unwrap();
        let issued = ca.issue_node(&csr, self.node, self.id, issued_ms, 3600).unwrap();
        issued.chain.into_iter().map(CertificateDer::from).collect()
    }

    fn link(&self, chain: Vec<CertificateDer<'static>>) -> ClientConfig {
        client::link(&[self.ca.certificate().clone()], chain, &self.key, time()).unwrap()
    }

    async fn meet(&self, client: ClientConfig) -> (Judged, Result<(), ConnectionError>) {
        meet(self.ca.issue_link_server(now_ms()).unwrap(), &self.trust, client).await
    }
}

fn told(seen: &Result<(), ConnectionError>) -> Option<u64> {
    match seen {
        Err(ConnectionError::ApplicationClosed(closed)) => Some(closed.error_code.into_inner()),
        _ => None,
    }
}

#[tokio::test]
async fn a_node_is_known_by_its_certificate() {
    let fleet = fleet();
    let (judged, seen) = fleet.meet(fleet.link(fleet.chain_from(&fleet.ca, now_ms()))).await;
    let Ok(Arrival::Node(identity)) = judged else { panic!("{judged:?}") };
    assert_eq!((identity.node, identity.certificate), (fleet.node, fleet.id));
    assert_eq!(told(&seen), Some(0));
}

#[tokio::test]
async fn each_bad_link_is_told_its_reason() {
    let fleet = fleet();
    let foreign = Ca::create("f1", now_ms()).unwrap();
    let cases = [
        (fleet.chain_from(&foreign, now_ms()), close::FOREIGN_CA),
        (fleet.chain_from(&fleet.ca, now_ms() - 2 * 3_600_000), close::EXPIRED),
    ];
    for (chain, code) in cases {
        let (judged, seen) = fleet.meet(fleet.link(chain)).await;
        assert_eq!(judged, Err(close::word(u64::from(code)).to_owned()));
        assert_eq!(told(&seen), Some(u64::from(code)));
    }
    fleet.trust.set_revoked(Revoked { nodes: [fleet.node].into(), ..Revoked::default() });
    let (judged, seen) = fleet.meet(fleet.link(fleet.chain_from(&fleet.ca, now_ms()))).await;
    assert_eq!(judged, Err("revoked".to_owned()));
    assert_eq!(told(&seen), Some(u64::from(close::REVOKED)));
}

fn bare_client(roots: &[CertificateDer<'static>], alpn: &[u8]) -> ClientConfig {
    let mut store = rustls::RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).unwrap();
    }
    let mut tls = rustls::ClientConfig::builder_with_provider(muster_pki::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    ClientConfig::new(Arc::new(quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap()))
}

#[tokio::test]
async fn no_certificate_and_wrong_alpn_are_told_apart() {
    let fleet = fleet();
    let roots = [fleet.ca.certificate().clone()];
    let (judged, seen) = fleet.meet(bare_client(&roots, b"muster/1")).await;
    assert_eq!(judged, Err("no_certificate".to_owned()));
    assert_eq!(told(&seen), Some(u64::from(close::NO_CERTIFICATE)));

    let (judged, seen) = fleet.meet(bare_client(&roots, b"h3")).await;
    let judged = judged.unwrap_err();
    assert!(judged.contains("error 120"), "the server's log names it: {judged}");
    let seen = seen.unwrap_err().to_string();
    assert!(seen.contains("error 120"), "{seen}");
}

#[tokio::test]
async fn enrolment_trusts_the_pinned_ca_and_no_clock() {
    let fleet = fleet();
    let (config, findings) = client::enrol_pinned(fleet.ca.sha256()).unwrap();
    let (judged, _) = fleet.meet(config).await;
    assert_eq!(judged, Ok(Arrival::Enrol));
    let findings = findings.lock().unwrap().clone();
    assert!(!findings.wrong_ca && findings.leaf_validity.is_some());
}

#[tokio::test]
async fn enrolment_under_another_ca_ends_in_the_handshake() {
    let (fleet, foreign) = (fleet(), Ca::create("f1", now_ms()).unwrap());
    let (config, findings) = client::enrol_pinned(foreign.sha256()).unwrap();
    let (judged, seen) = fleet.meet(config).await;
    assert!(judged.is_err(), "the server never had a connection to read from");
    let seen = seen.unwrap_err().to_string();
    assert!(seen.contains("WrongCa"), "{seen}");
    assert!(findings.lock().unwrap().wrong_ca);
}

#[tokio::test]
async fn a_chain_that_only_carries_the_pinned_ca_is_refused() {
    let (fleet, foreign) = (fleet(), Ca::create("f1", now_ms()).unwrap());
    let mut leaf = foreign.issue_link_server(now_ms()).unwrap();
    leaf.chain.push(fleet.ca.certificate().clone());
    let (config, _) = client::enrol_pinned(fleet.ca.sha256()).unwrap();
    let (judged, seen) = meet(leaf, &fleet.trust, config).await;
    assert!(judged.is_err() && told(&seen).is_none(), "its leaf is signed by someone else");
}

#[tokio::test]
async fn a_slow_clock_still_takes_a_new_server_leaf() {
    let fleet = fleet();
    let month = 30 * 24 * 3_600_000;
    let leaf =
        Ca::load("f1", fleet.ca.certificate(), fleet.ca.key_pkcs8()).unwrap().issue_link_server(now_ms() + month);
    let chain = fleet.chain_from(&fleet.ca, now_ms());
    let (judged, _) = meet(leaf.unwrap(), &fleet.trust, fleet.link(chain)).await;
    assert!(matches!(judged, Ok(Arrival::Node(_))));
}

#[tokio::test]
async fn a_node_that_heard_no_time_yet_still_takes_the_leaf() {
    let fleet = fleet();
    let long_ago = client::TimeSource::new(|| 1_735_689_600_000);
    let roots = [fleet.ca.certificate().clone()];
    let link = client::link(&roots, fleet.chain_from(&fleet.ca, now_ms()), &fleet.key, long_ago).unwrap();
    let (judged, _) = fleet.meet(link).await;
    assert!(matches!(judged, Ok(Arrival::Node(_))));
}

#[tokio::test]
async fn a_proof_made_on_a_connection_is_checked_on_its_other_end() {
    let fleet = fleet();
    let swap = server::LeafSwap::new(fleet.ca.issue_link_server(now_ms()).unwrap()).unwrap();
    let door = endpoint(Some(server::link_config(&swap).unwrap()));
    let (config, _) = client::enrol_pinned(fleet.ca.sha256()).unwrap();
    let mine = endpoint(None);
    let address = door.local_addr().unwrap();
    let (theirs, ours) = tokio::join!(async { door.accept().await.unwrap().await.unwrap() }, async {
        mine.connect_with(config, address, client::SERVER_NAME).unwrap().await.unwrap()
    });
    let (mut there, mut here) = ([0u8; PROOF_LEN], [1u8; PROOF_LEN]);
    theirs.export_keying_material(&mut there, PROOF_LABEL, b"").unwrap();
    ours.export_keying_material(&mut here, PROOF_LABEL, b"").unwrap();
    assert_eq!(there, here);
    let proof = fleet.key.prove(&here).unwrap();
    assert!(Csr::parse(&fleet.key.request().unwrap()).unwrap().proves(&there, &proof));
}
