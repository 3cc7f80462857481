//! Enrolment against a double of the coordinator, over real QUIC on loopback.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use muster_agent::{
    clock::{Clock, Source},
    enrol::{self, EnrolError, Token, Way},
    host,
    identity::{Identity, Stage},
    link::{socket::Sockets, wire::FrameReader},
};
use muster_pki::{Arrival, Ca, Csr, Trust, client::TimeSource, files, server, transport::EndpointKeys};
use muster_protocol::{
    Kind,
    enrol::{EnrolPoll, EnrolReply, EnrolRequest, PROOF_LABEL, PROOF_LEN},
    frame::encode,
    ids::{BootstrapTokenId, CertificateId, NodeId},
};
use std::{
    net::Ipv4Addr,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

struct Double {
    ca: Ca,
    trust: Trust,
    door: quinn::Endpoint,
    node: NodeId,
}

/// What came in on one stream.
enum Asked {
    Enrol(EnrolRequest),
    Poll(EnrolPoll, bool),
    Nothing,
}

impl Double {
    fn start() -> Self {
        let ca = Ca::create("f1", now_ms()).unwrap();
        let leaf = server::LeafSwap::new(ca.issue_link_server(now_ms()).unwrap()).unwrap();
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let keys = EndpointKeys::generate().unwrap().endpoint_config();
        let config = server::link_config(&leaf).unwrap();
        let door = quinn::Endpoint::new(keys, Some(config), socket, Arc::new(quinn::TokioRuntime)).unwrap();
        let trust = Trust::new("f1", &[ca.certificate().clone()]).unwrap();
        Self { node: NodeId::new(now_ms() as u64, [4; 10]), trust, door, ca }
    }

    fn address(&self) -> String {
        self.door.local_addr().unwrap().to_string()
    }

    fn token(&self) -> Token {
        token(self.ca.sha256())
    }

    /// Takes one connection, reads one request and answers it.
    async fn answer(&self, reply: impl FnOnce(&Csr) -> EnrolReply) -> Asked {
        let Ok(connection) = self.door.accept().await.unwrap().await else { return Asked::Nothing };
        assert_eq!(self.trust.admit(&connection, now_ms()), Ok(Arrival::Enrol));
        let Ok((mut send, receive)) = connection.accept_bi().await else { return Asked::Nothing };
        let Ok(Some(frame)) = FrameReader::new(receive).next().await else { return Asked::Nothing };
        let (asked, csr) = match frame.kind {
            Kind::EnrolRequest => {
                let request: EnrolRequest = frame.decode().unwrap();
                let csr = Csr::parse(&request.csr_der).unwrap();
                (Asked::Enrol(request), csr)
            }
            _ => {
                let poll: EnrolPoll = frame.decode().unwrap();
                let csr = Csr::parse(&poll.csr_der).unwrap();
                let mut exporter = [0; PROOF_LEN];
                connection.export_keying_material(&mut exporter, PROOF_LABEL, b"").unwrap();
                let proved = csr.proves(&exporter, &poll.proof);
                (Asked::Poll(poll, proved), csr)
            }
        };
        send.write_chunk(encode(Kind::EnrolReply, &reply(&csr))).await.unwrap();
        send.finish().unwrap();
        connection.closed().await;
        asked
    }

    fn pending(&self) -> EnrolReply {
        EnrolReply {
            status: "pending".into(),
            node_id: self.node.to_string(),
            fleet_id: "f1".into(),
            clock_ms: now_ms(),
            ..EnrolReply::default()
        }
    }

    fn issued(&self, csr: &Csr) -> EnrolReply {
        let id = CertificateId::new(now_ms() as u64, [5; 10]);
        let issued = self.ca.issue_node(csr, self.node, id, now_ms(), 3600).unwrap();
        EnrolReply {
            status: "issued".into(),
            chain_der: issued.chain,
            roots_der: vec![self.ca.certificate().to_vec()],
            ..self.pending()
        }
    }
}

fn token(pin: [u8; 32]) -> Token {
    let id = BootstrapTokenId::new(1, [1; 10]);
    Token::parse(&format!("{id}.{}.{}", URL_SAFE_NO_PAD.encode([7; 32]), URL_SAFE_NO_PAD.encode(pin))).unwrap()
}

fn clock() -> Clock {
    Clock::new(None, "boot", Source::Machine)
}

fn way<'a>(state_dir: &'a Path, coordinator: &'a str, clock: &'a Clock) -> Way<'a> {
    Way { state_dir, coordinator, sockets: &Sockets::Udp, clock }
}

async fn enroll(state: &Path, address: &str, token: &Token) -> Result<enrol::Standing, EnrolError> {
    enrol::enroll(way(state, address, &clock()), token, host::facts(None, state), vec![]).await
}

#[tokio::test]
async fn pending_then_issued_by_proof_of_the_same_key() {
    let (double, state) = (Double::start(), tempfile::tempdir().unwrap());
    let (address, token) = (double.address(), double.token());
    let (asked, standing) = tokio::join!(double.answer(|_| double.pending()), enroll(state.path(), &address, &token));
    let Asked::Enrol(request) = asked else { panic!("no request") };
    assert_eq!(request.secret, URL_SAFE_NO_PAD.encode([7; 32]));
    let identity = standing.unwrap().identity;
    assert_eq!((identity.stage, identity.node_id), (Stage::Pending, double.node));
    assert_eq!(Identity::load(state.path()).unwrap(), Some(identity.clone()));
    assert_eq!(files::load_node_certificate(state.path()).unwrap(), None);

    let clock = clock();
    let poll = || {
        let host = host::facts(None, state.path());
        enrol::poll(way(state.path(), &address, &clock), &identity, TimeSource::new(now_ms), host)
    };
    let (asked, standing) = tokio::join!(double.answer(|csr| double.issued(csr)), poll());
    assert!(matches!(asked, Asked::Poll(poll, true) if poll.node_id == double.node.to_string()));
    assert_eq!(standing.unwrap().identity.stage, Stage::Issued);
    let kept = files::load_node_certificate(state.path()).unwrap().unwrap();
    assert_eq!(double.trust.judge(&kept.chain, now_ms()).unwrap().node, double.node);

    // Once issued, polls trust the roots that came with the certificate.
    let (asked, standing) = tokio::join!(double.answer(|csr| double.issued(csr)), poll());
    assert!(matches!(asked, Asked::Poll(_, true)) && standing.is_ok());
}

#[tokio::test]
async fn under_another_ca_the_secret_never_leaves() {
    let (double, state) = (Double::start(), tempfile::tempdir().unwrap());
    let (address, token) = (double.address(), token([9; 32]));
    let (asked, standing) = tokio::join!(double.answer(|_| double.pending()), enroll(state.path(), &address, &token));
    assert!(matches!(asked, Asked::Nothing));
    let error = standing.unwrap_err();
    assert!(matches!(error, EnrolError::WrongCa(_)) && error.to_string().contains("CA"));
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0, "nothing is kept");
}

#[tokio::test]
async fn a_refusal_keeps_nothing_and_says_why() {
    let (double, state) = (Double::start(), tempfile::tempdir().unwrap());
    let (address, token) = (double.address(), double.token());
    let refused = EnrolReply { status: "refused".into(), refusal: "token_spent".into(), ..EnrolReply::default() };
    let (_, standing) = tokio::join!(double.answer(|_| refused), enroll(state.path(), &address, &token));
    assert!(standing.unwrap_err().to_string().contains("spent"));
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0, "nothing is kept");
}

#[tokio::test]
async fn a_lost_answer_keeps_the_key_for_the_next_try() {
    let (double, state) = (Double::start(), tempfile::tempdir().unwrap());
    let (address, token) = (double.address(), double.token());
    let lose = async {
        let connection = double.door.accept().await.unwrap().await.unwrap();
        let (_send, receive) = connection.accept_bi().await.unwrap();
        FrameReader::new(receive).next().await.unwrap();
        connection.close(0u32.into(), b"");
    };
    let (_, lost) = tokio::join!(lose, enroll(state.path(), &address, &token));
    assert!(matches!(lost, Err(EnrolError::Wire(_))));
    let key = files::load_node_key(state.path()).unwrap().unwrap();
    let (asked, standing) = tokio::join!(double.answer(|_| double.pending()), enroll(state.path(), &address, &token));
    let Asked::Enrol(request) = asked else { panic!("no request") };
    assert_eq!(Csr::parse(&request.csr_der).unwrap().spki(), key.spki());
    assert!(standing.is_ok());
}

#[tokio::test]
async fn another_fleet_behind_the_same_address_is_refused() {
    let (double, state) = (Double::start(), tempfile::tempdir().unwrap());
    let (address, token) = (double.address(), double.token());
    let (_, standing) = tokio::join!(double.answer(|_| double.pending()), enroll(state.path(), &address, &token));
    let mut identity = standing.unwrap().identity;
    identity.fleet_id = "f0".into();
    let host = host::facts(None, state.path());
    let clock = clock();
    let poll = enrol::poll(way(state.path(), &address, &clock), &identity, TimeSource::new(now_ms), host);
    let (_, standing) = tokio::join!(double.answer(|csr| double.issued(csr)), poll);
    assert!(matches!(standing, Err(EnrolError::Rehomed { .. })));
    assert_eq!(files::load_node_certificate(state.path()).unwrap(), None);
}
