//! The room `links` through the QUIC door: who is let in, why the others are not, and that bad guests disturb
//! nobody but themselves.

use muster_pki::{
    Ca, Csr, NodeKey,
    client::{self, SERVER_NAME, TimeSource},
    files,
};
use muster_protocol::{
    Kind,
    control::{Hello, close},
    facts::FactsOpen,
    frame::encode,
    ids::{CertificateId, NodeId},
    level::{ALPN_ENROL, ALPN_LINK},
};
use muster_tests::{
    Api, World, eventually,
    flow::{Machine, online},
};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, crypto::rustls::QuicClientConfig};
use rustls_pki_types::CertificateDer;
use serde_json::json;
use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, SystemTime},
};

const PATIENCE: Duration = Duration::from_secs(20);
const LIFE_S: u64 = 3600;

/// Somebody at the QUIC door who trusts its CA.
struct Guest {
    endpoint: Endpoint,
    quic: SocketAddr,
    roots: Vec<CertificateDer<'static>>,
}

/// A machine that the fleet has let in, with what it could dial with.
struct Member {
    node: String,
    fleet: String,
    key: NodeKey,
    certificate: files::NodeCertificate,
    _machine: Machine,
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
    i64::try_from(since.as_millis()).expect("small")
}

impl Member {
    async fn join(world: &World, operator: &Api) -> Self {
        let token = operator.post("/api/v1/admin/bootstrap-tokens", json!({"auto_approve": true})).await.ok();
        let machine = Machine::default();
        machine.join(&world.ready().quic_addr, token["token"].as_str().expect("a token"));
        let identity = std::fs::read(machine.state_dir.join("identity.json")).expect("an identity");
        let identity: serde_json::Value = serde_json::from_slice(&identity).expect("JSON");
        Self {
            node: identity["node_id"].as_str().expect("an id").to_owned(),
            fleet: identity["fleet_id"].as_str().expect("an id").to_owned(),
            key: files::load_node_key(&machine.state_dir).expect("a folder").expect("a key"),
            certificate: files::load_node_certificate(&machine.state_dir).expect("a folder").expect("a certificate"),
            _machine: machine,
        }
    }

    fn config(&self) -> ClientConfig {
        self.config_with(self.certificate.chain.clone())
    }

    fn config_with(&self, chain: Vec<CertificateDer<'static>>) -> ClientConfig {
        client::link(&self.certificate.roots, chain, &self.key, TimeSource::new(now_ms)).expect("a config")
    }
}

impl Guest {
    fn new(world: &World, member: &Member) -> Self {
        let quic = world.ready().quic_addr.parse().expect("an address");
        let endpoint = Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("a socket");
        Self { endpoint, quic, roots: member.certificate.roots.clone() }
    }

    /// A client without a certificate that speaks one protocol.
    fn nobody(&self, alpn: &[u8]) -> ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        self.roots.iter().for_each(|root| roots.add(root.clone()).expect("a root"));
        let mut tls = rustls::ClientConfig::builder_with_provider(muster_pki::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![alpn.to_vec()];
        ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("QUIC")))
    }

    async fn dial(&self, config: ClientConfig) -> Result<Connection, ConnectionError> {
        let connecting = self.endpoint.connect_with(config, self.quic, SERVER_NAME).expect("a config");
        tokio::time::timeout(PATIENCE, connecting).await.expect("an answer to the handshake")
    }

    /// Why a connection with this configuration is closed, as the door itself says.
    async fn why(&self, config: ClientConfig) -> String {
        match self.dial(config).await {
            Ok(connection) => closed(&connection).await,
            Err(error) => word(&error),
        }
    }
}

async fn closed(connection: &Connection) -> String {
    word(&tokio::time::timeout(PATIENCE, connection.closed()).await.expect("the connection is closed"))
}

fn word(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(end) => {
            let (word, said) = (close::word(end.error_code.into_inner()), String::from_utf8_lossy(&end.reason));
            format!("{word} {said}")
        }
        other => other.to_string(),
    }
}

/// A hello of a machine without a memory.
fn greeting() -> Hello {
    Hello { level_lowest: 1, level_highest: 1, journal_epoch: "journal".into(), ..Hello::default() }
}

fn starts(what: &str, word: &str) {
    assert!(what.starts_with(word), "{word} is wanted: {what}");
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why_and_disturbs_nobody() {
    let world = World::start().await;
    let (operator, user) = (world.operator().await, world.user().await);
    let bystander = world.node(0);
    let before = online(&operator, &bystander).await;
    let member = Member::join(&world, &operator).await;
    let guest = Guest::new(&world, &member);

    starts(&guest.why(guest.nobody(ALPN_LINK)).await, "no_certificate");
    let foreign = Ca::create(&member.fleet, now_ms()).expect("a CA");
    let csr = Csr::parse(&member.key.request().expect("a request")).expect("a request");
    let (node, id): (NodeId, _) = (member.node.parse().expect("an id"), CertificateId::new(1, [1; 10]));
    let issued = foreign.issue_node(&csr, node, id, now_ms(), LIFE_S).expect("a certificate");
    let chain = issued.chain.into_iter().map(CertificateDer::from).collect();
    starts(&guest.why(member.config_with(chain)).await, "foreign_ca");
    let wrong = guest.why(guest.nobody(b"h3")).await;
    assert!(wrong.contains("known protocol"), "{wrong}");

    // What is not QUIC at all, and QUIC that is not ours.
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for size in [0_usize, 1, 20, 600, 1200, 1400, 60_000] {
        for first in [0x00_u8, 0x40, 0xc3, 0xff] {
            let mut datagram: Vec<u8> = (0..size).map(|_| rand::random()).collect();
            datagram.iter_mut().take(1).for_each(|byte| *byte = first);
            let _ = socket.send_to(&datagram, guest.quic).expect("sent");
        }
    }
    // Frames of somebody who is let in: 10 MB, garbage, and a stream that is none of ours.
    let header = [0_u8, 1, 0, 0, 0, 0x98, 0x96, 0x80];
    let garbage = [0_u8, 1, 0, 0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff];
    for (bytes, more) in [(&header[..], 10_000_000), (&garbage[..], 0), (&[0xff; 64][..], 0)] {
        let connection = guest.dial(member.config()).await.expect("it is let in");
        let (mut send, _recv) = connection.open_bi().await.expect("a stream");
        send.write_all(bytes).await.expect("sent");
        // The door closes before it has read all of it.
        let _ = send.write_all(&vec![0; more]).await;
        starts(&closed(&connection).await, "protocol_error");
    }
    // A journal of another name than that of the hello: each name would be a row.
    let connection = guest.dial(member.config()).await.expect("it is let in");
    let (mut send, _recv) = connection.open_bi().await.expect("a stream");
    let (hello, other) = (Hello { journal_epoch: "mine".into(), ..greeting() }, "another".to_owned());
    send.write_all(&encode(Kind::Hello, &hello)).await.expect("sent");
    let (mut facts, _recv) = connection.open_bi().await.expect("a stream");
    facts.write_all(&encode(Kind::FactsOpen, &FactsOpen { journal_epoch: other })).await.expect("sent");
    starts(&closed(&connection).await, "protocol_error");
    let connection = guest.dial(guest.nobody(ALPN_ENROL)).await.expect("enrolment is open to all");
    let (mut send, _recv) = connection.open_bi().await.expect("a stream");
    let _ = send.write_all(&header).await;
    starts(&closed(&connection).await, "protocol_error");

    // Nobody else noticed: the link stands as it stood, and serves.
    let after = operator.get(&format!("/api/v1/admin/nodes/{bystander}")).await.ok();
    assert_eq!(after["presence"], "online");
    assert_eq!(after["agent_version"], before["agent_version"]);
    let _ = muster_tests::flow::launch(&user, json!({"sku": "h100"})).await;
    eventually("the bystander is sampled on", async || {
        let now = operator.get(&format!("/api/v1/admin/nodes/{bystander}")).await.ok();
        (now["gpus"][0]["sampled_at"].as_str() > before["gpus"][0]["sampled_at"].as_str()).then_some(())
    })
    .await;

    // One that was let in and has not said hello when its node is revoked gets no link either.
    let early = guest.dial(member.config()).await.expect("it is let in");
    let (mut send, _recv) = early.open_bi().await.expect("a stream");
    let path = format!("/api/v1/admin/nodes/{}/revoke", member.node);
    let _ = operator.post(&path, json!({})).await.ok();
    send.write_all(&encode(Kind::Hello, &greeting())).await.expect("sent");
    starts(&closed(&early).await, "revoked");
    starts(&guest.why(member.config()).await, "revoked");
    world.crash().await;
    starts(&guest.why(member.config()).await, "revoked");
}
