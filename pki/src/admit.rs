//! Judgement of a peer, once, right after its handshake: whom it speaks for, or why it may not stay.

use crate::{PkiError, names, provider};
use arc_swap::ArcSwap;
use muster_protocol::{
    control::close,
    ids::{CertificateId, NodeId},
    level::{ALPN_ENROL, ALPN_LINK},
};
use quinn::crypto::rustls::HandshakeData;
use rustls::{
    CertificateError, Error,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// Who a peer is, proved by its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    /// The node.
    pub node: NodeId,
    /// The certificate it came with.
    pub certificate: CertificateId,
    /// That certificate's end, ms since 1970.
    pub not_after_ms: i64,
    /// Fingerprint of the key, as [`crate::Csr::fingerprint`].
    pub key_fingerprint: String,
}

/// What a connection is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// A node's link.
    Node(NodeIdentity),
    /// Enrolment, or a poll with proof of a key: nobody yet.
    Enrol,
}

/// Why a connection is closed at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", close::word(u64::from(*code)))]
pub struct Rejection {
    /// Close code, one of [`close`].
    pub code: u32,
    /// For people and the log, with the next step.
    pub detail: String,
}

impl Rejection {
    fn new(code: u32, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// Closes the connection and tells the peer why.
    pub fn tell(&self, connection: &quinn::Connection) {
        connection.close(self.code.into(), self.detail.as_bytes());
    }
}

/// What is revoked. A node's word covers all its certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    /// Single certificates.
    pub certificates: HashSet<CertificateId>,
    /// Whole nodes.
    pub nodes: HashSet<NodeId>,
}

/// Trusted roots and revocations, exchangeable while connections live.
#[derive(Debug)]
pub struct Trust {
    fleet: String,
    chain: ArcSwap<Arc<dyn ClientCertVerifier>>,
    revoked: ArcSwap<Revoked>,
}

fn chain_verifier(roots: &[CertificateDer<'static>]) -> Result<Arc<dyn ClientCertVerifier>, PkiError> {
    let mut store = rustls::RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(PkiError::crypto)?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider())
        .build()
        .map(|verifier| verifier as Arc<dyn ClientCertVerifier>)
        .map_err(PkiError::crypto)
}

impl Trust {
    /// Trust in a fleet's roots, nothing revoked.
    ///
    /// # Errors
    /// [`PkiError::Crypto`] if there is no root or one does not parse.
    pub fn new(fleet: &str, roots: &[CertificateDer<'static>]) -> Result<Self, PkiError> {
        Ok(Self {
            fleet: fleet.to_owned(),
            chain: ArcSwap::from_pointee(chain_verifier(roots)?),
            revoked: ArcSwap::default(),
        })
    }

    /// Exchanges the roots: old and new together while a CA is rotated.
    ///
    /// # Errors
    /// As [`Trust::new`]; the old roots then stay.
    pub fn set_roots(&self, roots: &[CertificateDer<'static>]) -> Result<(), PkiError> {
        self.chain.store(Arc::new(chain_verifier(roots)?));
        Ok(())
    }

    /// Exchanges the revocations. Live links are closed by whoever holds them.
    pub fn set_revoked(&self, revoked: Revoked) {
        self.revoked.store(Arc::new(revoked));
    }

    /// What is revoked now.
    #[must_use]
    pub fn revoked(&self) -> Arc<Revoked> {
        self.revoked.load_full()
    }

    /// Whether an identity, good at its handshake perhaps, is worth nothing now.
    #[must_use]
    pub fn is_revoked(&self, node: NodeId, certificate: CertificateId) -> bool {
        let revoked = self.revoked.load();
        revoked.nodes.contains(&node) || revoked.certificates.contains(&certificate)
    }

    /// What a connection is for, whose handshake is done.
    ///
    /// # Errors
    /// [`Rejection`] with the code to close it with.
    pub fn admit(&self, connection: &quinn::Connection, now_ms: i64) -> Result<Arrival, Rejection> {
        let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
        match data.and_then(|data| data.protocol).as_deref() {
            Some(protocol) if protocol == ALPN_ENROL => Ok(Arrival::Enrol),
            Some(protocol) if protocol == ALPN_LINK => {
                let chain = connection
                    .peer_identity()
                    .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
                    .unwrap_or_default();
                self.judge(&chain, now_ms).map(Arrival::Node)
            }
            _ => Err(Rejection::new(close::PROTOCOL_ERROR, "this port speaks muster/1 and muster-enroll/1")),
        }
    }

    /// Whom a chain of certificates speaks for. The peer has proved that it holds the leaf's key.
    ///
    /// # Errors
    /// [`Rejection`] with the close code and the reason.
    pub fn judge(&self, chain: &[CertificateDer<'static>], now_ms: i64) -> Result<NodeIdentity, Rejection> {
        let Some((leaf, rest)) = chain.split_first() else {
            return Err(Rejection::new(close::NO_CERTIFICATE, "no node certificate: enroll this machine first"));
        };
        let now = UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(now_ms).unwrap_or(0)));
        self.chain.load().verify_client_cert(leaf, rest, now).map_err(|error| match error {
            Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                Rejection::new(close::EXPIRED, "the node certificate has expired: ask for the next by proof of the key")
            }
            Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
                Rejection::new(close::EXPIRED, "the node certificate is not valid yet: check the coordinator's clock")
            }
            other => Rejection::new(close::FOREIGN_CA, format!("the certificate is not of this fleet: {other}")),
        })?;
        let identity = identity(leaf).ok_or_else(|| foreign("it names no node"))?;
        if identity.0 != self.fleet {
            return Err(foreign("it names another fleet"));
        }
        if self.is_revoked(identity.1.node, identity.1.certificate) {
            return Err(Rejection::new(close::REVOKED, "the node certificate is revoked"));
        }
        Ok(identity.1)
    }
}

fn foreign(why: &str) -> Rejection {
    Rejection::new(close::FOREIGN_CA, format!("the certificate is not of this fleet: {why}"))
}

/// Fleet and identity in a node certificate, unverified: an agent reads its own so.
#[must_use]
pub fn identity(leaf: &CertificateDer<'_>) -> Option<(String, NodeIdentity)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf).ok()?;
    let uris = names::uris(leaf)?;
    let [uri] = uris.as_slice() else { return None };
    let (fleet, node) = names::parse_node_uri(uri)?;
    let serial = parsed.raw_serial();
    let mut bytes = [0u8; 16];
    // DER drops leading zeroes and may add one before a high bit.
    let digits = &serial[serial.len().saturating_sub(16)..];
    bytes[16 - digits.len()..].copy_from_slice(digits);
    Some((
        fleet.to_owned(),
        NodeIdentity {
            node,
            certificate: CertificateId::from_bytes(bytes),
            not_after_ms: parsed.validity().not_after.timestamp() * 1000,
            key_fingerprint: crate::key::fingerprint(parsed.public_key().raw),
        },
    ))
}

/// Begin and end of a certificate's validity, ms since 1970.
#[must_use]
pub fn validity(certificate: &CertificateDer<'_>) -> Option<(i64, i64)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let validity = parsed.validity();
    Some((validity.not_before.timestamp() * 1000, validity.not_after.timestamp() * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ca, Csr, NodeKey, ca::NODE_LIFE_S};

    const NOW: i64 = 1_800_000_000_000;

    fn issued(ca: &Ca, node: NodeId, id: CertificateId) -> Vec<CertificateDer<'static>> {
        let csr = Csr::parse(&NodeKey::generate().unwrap().request().unwrap()).unwrap();
        let issued = ca.issue_node(&csr, node, id, NOW, NODE_LIFE_S).unwrap();
        issued.chain.into_iter().map(CertificateDer::from).collect()
    }

    #[test]
    fn each_bad_certificate_has_its_own_reason() {
        let (ca, foreign) = (Ca::create("f", NOW).unwrap(), Ca::create("f", NOW).unwrap());
        let trust = Trust::new("f", &[ca.certificate().clone()]).unwrap();
        let (node, id) = (NodeId::new(NOW as u64, [1; 10]), CertificateId::new(NOW as u64, [2; 10]));
        let good = issued(&ca, node, id);
        let code = |chain: &[CertificateDer<'static>], now| trust.judge(chain, now).map_err(|why| why.code);

        let identity = code(&good, NOW).unwrap();
        assert_eq!((identity.node, identity.certificate), (node, id));
        assert_eq!(code(&[], NOW), Err(close::NO_CERTIFICATE));
        assert_eq!(code(&issued(&foreign, node, id), NOW), Err(close::FOREIGN_CA));
        assert_eq!(code(&good, NOW + 25 * 3_600_000), Err(close::EXPIRED));
        assert_eq!(code(&good, NOW - 3_600_000), Err(close::EXPIRED));
        let leaf = ca.issue_link_server(NOW).unwrap();
        assert_eq!(code(&leaf.chain, NOW), Err(close::FOREIGN_CA), "a server leaf is no node");

        trust.set_revoked(Revoked { certificates: [id].into(), ..Revoked::default() });
        assert_eq!(code(&good, NOW), Err(close::REVOKED));
        trust.set_revoked(Revoked { nodes: [node].into(), ..Revoked::default() });
        assert_eq!(code(&good, NOW), Err(close::REVOKED));
        trust.set_revoked(Revoked::default());
        assert!(code(&good, NOW).is_ok());

        trust.set_roots(&[foreign.certificate().clone()]).unwrap();
        assert_eq!(code(&good, NOW), Err(close::FOREIGN_CA));
    }

    #[test]
    fn a_certificate_of_another_fleet_is_foreign_even_under_the_same_key() {
        let ca = Ca::create("f", NOW).unwrap();
        let other = Ca::load("g", ca.certificate(), ca.key_pkcs8()).unwrap();
        let trust = Trust::new("f", &[ca.certificate().clone()]).unwrap();
        let chain = issued(&other, NodeId::new(1, [1; 10]), CertificateId::new(1, [1; 10]));
        assert_eq!(trust.judge(&chain, NOW).unwrap_err().code, close::FOREIGN_CA);
    }
}
