//! The coordinator's side of TLS: one QUIC configuration for links and enrolment, one for the HTTP doors.
//!
//! rustls cannot require client certificates by ALPN, and a refusal inside the handshake tells the peer too
//! little. So a client certificate is optional, and one that is sent is only proved to be held: whom it
//! speaks for, and whether that counts, is judged once right after by [`crate::Trust::admit`].

use crate::{PkiError, ca::ServerLeaf, provider, transport};
use arc_swap::ArcSwap;
use muster_protocol::level::{ALPN_ENROL, ALPN_LINK};
use quinn::crypto::rustls::QuicServerConfig;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::sync::Arc;

/// Handshakes that may wait for the coordinator; more are refused by QUIC.
const INCOMING_MAX: usize = 1 << 14;

/// A server certificate that can be exchanged while connections live.
#[derive(Debug)]
pub struct LeafSwap(ArcSwap<CertifiedKey>);

fn certified(leaf: ServerLeaf) -> Result<CertifiedKey, PkiError> {
    let key = provider().key_provider.load_private_key(leaf.key).map_err(PkiError::crypto)?;
    let certified = CertifiedKey::new(leaf.chain, key);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(error) => Err(PkiError::crypto(error)),
    }
}

impl LeafSwap {
    /// Starts with a leaf.
    ///
    /// # Errors
    /// [`PkiError::Crypto`] if its key is of no known kind or not its own.
    pub fn new(leaf: ServerLeaf) -> Result<Arc<Self>, PkiError> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(certified(leaf)?))))
    }

    /// New handshakes see this leaf.
    ///
    /// # Errors
    /// As [`LeafSwap::new`]; the old leaf then stays.
    pub fn replace(&self, leaf: ServerLeaf) -> Result<(), PkiError> {
        self.0.store(Arc::new(certified(leaf)?));
        Ok(())
    }
}

impl ResolvesServerCert for LeafSwap {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Asks for a client certificate, and only checks that the peer holds its key.
#[derive(Debug)]
struct HeldKey(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for HeldKey {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Configuration of the QUIC door: TLS 1.3 only, both ALPNs, no resumption and no early data, so that every
/// reconnect is judged anew.
///
/// # Errors
/// [`PkiError::Crypto`] if rustls refuses the combination.
pub fn link_config(leaf: &Arc<LeafSwap>) -> Result<quinn::ServerConfig, PkiError> {
    let provider = provider();
    let held = HeldKey(provider.signature_verification_algorithms);
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(PkiError::crypto)?
        .with_client_cert_verifier(Arc::new(held))
        .with_cert_resolver(Arc::clone(leaf) as Arc<dyn ResolvesServerCert>);
    tls.alpn_protocols = vec![ALPN_LINK.to_vec(), ALPN_ENROL.to_vec()];
    tls.max_early_data_size = 0;
    tls.send_tls13_tickets = 0;
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    let quic = QuicServerConfig::try_from(tls).map_err(PkiError::crypto)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(quic));
    config.transport_config(Arc::new(transport::coordinator())).migration(true).max_incoming(INCOMING_MAX);
    Ok(config)
}

/// Configuration of an HTTPS door, with a leaf of the own CA or from own files.
///
/// # Errors
/// [`PkiError::Crypto`] if rustls refuses the combination.
pub fn door_config(leaf: &Arc<LeafSwap>) -> Result<Arc<rustls::ServerConfig>, PkiError> {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(PkiError::crypto)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(leaf) as Arc<dyn ResolvesServerCert>);
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}
