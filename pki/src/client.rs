//! The agent's side of TLS: enrolment, which trusts a pinned CA, and the link, which trusts known roots.

use crate::{NodeKey, PkiError, admit::validity, certificate_sha256, names::COORDINATOR_DNS, provider, transport};
use muster_protocol::level::{ALPN_ENROL, ALPN_LINK};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{verify_tls12_signature, verify_tls13_signature},
    time_provider::TimeProvider,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Name to give to `connect`, whatever address is dialled.
pub const SERVER_NAME: &str = COORDINATOR_DNS;

/// The agent's trusted time in ms since 1970.
#[derive(Clone)]
pub struct TimeSource(Arc<dyn Fn() -> i64 + Send + Sync>);

impl TimeSource {
    /// Asks `now_ms` at every handshake.
    pub fn new(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }
}

impl fmt::Debug for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimeSource")
    }
}

fn unix(ms: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

impl TimeProvider for TimeSource {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix((self.0)()))
    }
}

/// The server's chain does not end in the pinned CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("wrong CA: the coordinator's CA is not the one that the token names")]
pub struct WrongCa;

/// What an enrolment connection found out about the server.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Findings {
    /// The chain held no certificate with the pinned hash; nothing was sent.
    pub wrong_ca: bool,
    /// Validity of the server's leaf, ms since 1970: tells a clock that is far off.
    pub leaf_validity: Option<(i64, i64)>,
}

/// Trusts exactly one CA, by its hash. Time plays no part: at enrolment no clock can be trusted.
#[derive(Debug)]
struct PinnedCa {
    pin: [u8; 32],
    findings: Arc<Mutex<Findings>>,
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ca) = chain.iter().find(|certificate| certificate_sha256(certificate) == self.pin) else {
            findings.wrong_ca = true;
            return Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(WrongCa)))));
        };
        findings.leaf_validity = validity(leaf);
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        let now = findings.leaf_validity.map_or(now, |(from, to)| {
            let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000);
            unix(now.clamp(from, to))
        });
        verifier.verify_server_cert(leaf, chain, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Trusts the fleet's roots. Trusted time stands still while a machine is off, so a leaf that begins after it is no
/// evidence of anything: a node that slept through a renewal of the coordinator's leaf must get in.
#[derive(Debug)]
struct FleetRoots(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for FleetRoots {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let now = validity(leaf).map_or(now, |(from, _)| now.max(unix(from)));
        self.0.verify_server_cert(leaf, chain, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

type Wants = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;
type WantsIdentity = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn trusting(roots: &[CertificateDer<'static>], time: TimeSource) -> Result<WantsIdentity, PkiError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store(roots)?), provider())
        .build()
        .map_err(|error| PkiError::crypto(Error::General(error.to_string())))?;
    Ok(builder(time)?.dangerous().with_custom_certificate_verifier(Arc::new(FleetRoots(verifier))))
}

fn builder(time: TimeSource) -> Result<Wants, PkiError> {
    ClientConfig::builder_with_details(provider(), Arc::new(time))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(PkiError::crypto)
}

fn finish(mut tls: ClientConfig, alpn: &[u8]) -> Result<quinn::ClientConfig, PkiError> {
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls.enable_early_data = false;
    tls.resumption = Resumption::disabled();
    let quic = QuicClientConfig::try_from(tls).map_err(PkiError::crypto)?;
    let mut config = quinn::ClientConfig::new(Arc::new(quic));
    config.transport_config(Arc::new(transport::agent()));
    Ok(config)
}

fn store(roots: &[CertificateDer<'static>]) -> Result<RootCertStore, PkiError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(PkiError::crypto)?;
    }
    Ok(store)
}

/// Enrolment with a pinned CA, and where to read what was found: a server under another CA is refused in the
/// handshake, before the agent has sent a byte of its own.
///
/// # Errors
/// [`PkiError::Crypto`] if rustls refuses the combination.
pub fn enrol_pinned(pin: [u8; 32]) -> Result<(quinn::ClientConfig, Arc<Mutex<Findings>>), PkiError> {
    let findings: Arc<Mutex<Findings>> = Arc::default();
    let verifier = PinnedCa { pin, findings: Arc::clone(&findings) };
    let tls = builder(TimeSource::new(|| 0))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok((finish(tls, ALPN_ENROL)?, findings))
}

/// Polling with proof of the key by a node that knows its fleet's roots.
///
/// # Errors
/// [`PkiError::Crypto`] if a root does not parse.
pub fn enrol_known(roots: &[CertificateDer<'static>], time: TimeSource) -> Result<quinn::ClientConfig, PkiError> {
    finish(trusting(roots, time)?.with_no_client_auth(), ALPN_ENROL)
}

/// The link: the node's certificate against the fleet's roots, at the agent's trusted time.
///
/// # Errors
/// [`PkiError::Crypto`] if roots, chain or key do not parse or do not fit.
pub fn link(
    roots: &[CertificateDer<'static>],
    chain: Vec<CertificateDer<'static>>,
    key: &NodeKey,
    time: TimeSource,
) -> Result<quinn::ClientConfig, PkiError> {
    let tls = trusting(roots, time)?.with_client_auth_cert(chain, key.private_der()).map_err(PkiError::crypto)?;
    finish(tls, ALPN_LINK)
}
