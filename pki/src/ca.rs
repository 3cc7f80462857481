//! The fleet's own CA: made once, signs node certificates and the coordinator's leaves.
//!
//! The CA is P-256, since browsers that meet a door's leaf know no Ed25519.

use crate::{
    PkiError, certificate_sha256,
    key::Csr,
    names::{COORDINATOR_DNS, coordinator_uri, node_uri},
};
use muster_protocol::ids::{CertificateId, NodeId};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use time::OffsetDateTime;

/// Life of a node certificate unless the coordinator is told otherwise, in seconds.
pub const NODE_LIFE_S: u64 = 24 * 3600;
/// Node certificates are valid this long before they were issued, so that a slow clock takes them.
pub const BACKDATE_MS: i64 = 10 * 60 * 1000;
/// Life of a CA.
const CA_LIFE_MS: i64 = 20 * 365 * 24 * 3_600_000;
/// Life of a server leaf; one is made at every start of the coordinator and before it ends.
pub const SERVER_LIFE_MS: i64 = 397 * 24 * 3_600_000;
/// Length of a server leaf's serial number, the most that RFC 5280 permits.
const SERIAL_BYTES: usize = 20;
const DAY_MS: i64 = 24 * 3_600_000;

/// A CA with its key.
pub struct Ca {
    fleet: String,
    certificate: CertificateDer<'static>,
    key_pkcs8: Vec<u8>,
    not_before_ms: i64,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ca")
            .field("fleet", &self.fleet)
            .field("sha256", &hex::encode(self.sha256()))
            .finish_non_exhaustive()
    }
}

/// A node certificate as issued.
#[derive(Debug, Clone)]
pub struct IssuedNode {
    /// Its id, which is its serial number.
    pub id: CertificateId,
    /// DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// Valid from, ms since 1970.
    pub not_before_ms: i64,
    /// Valid until, ms since 1970.
    pub not_after_ms: i64,
}

/// Names of a server leaf beside `coordinator.muster` and the coordinator's URI.
#[derive(Debug, Clone, Default)]
pub struct ServerNames {
    /// Host names of the HTTP doors.
    pub dns: Vec<String>,
    /// Addresses of the HTTP doors.
    pub ips: Vec<IpAddr>,
}

impl ServerNames {
    /// Sorts texts into addresses and host names.
    pub fn from_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = Self::default();
        for text in texts {
            match text.trim_matches(['[', ']']).parse() {
                Ok(ip) => names.ips.push(ip),
                Err(_) => names.dns.push(text.to_owned()),
            }
        }
        names
    }
}

/// A leaf with its key, for [`crate::server`].
pub struct ServerLeaf {
    /// DER, leaf first, the CA last: enrolment pins the CA's hash, so it must be sent.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key.
    pub key: PrivateKeyDer<'static>,
    /// Valid until, ms since 1970.
    pub not_after_ms: i64,
}

impl std::fmt::Debug for ServerLeaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerLeaf").field("not_after_ms", &self.not_after_ms).finish_non_exhaustive()
    }
}

fn at(ms: i64) -> Result<OffsetDateTime, PkiError> {
    OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).map_err(PkiError::crypto)
}

fn named(common_name: String) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

impl Ca {
    /// A new CA for a fleet.
    ///
    /// # Errors
    /// [`PkiError::Crypto`] without randomness or with a time beyond the calendar.
    pub fn create(fleet: &str, now_ms: i64) -> Result<Self, PkiError> {
        let key = KeyPair::generate().map_err(PkiError::crypto)?;
        let mut params = named(format!("Muster fleet {fleet}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = at(now_ms - DAY_MS)?;
        params.not_after = at(now_ms + CA_LIFE_MS)?;
        let certificate = params.self_signed(&key).map_err(PkiError::crypto)?;
        Self::load(fleet, certificate.der(), &key.serialize_der())
    }

    /// A CA from its certificate and its PKCS#8 key.
    ///
    /// # Errors
    /// [`PkiError::Unreadable`] if they do not parse or do not belong together.
    pub fn load(fleet: &str, certificate: &[u8], key_pkcs8: &[u8]) -> Result<Self, PkiError> {
        let what = "the CA";
        let key = KeyPair::try_from(key_pkcs8).map_err(|why| PkiError::unreadable(what, why))?;
        let certificate = CertificateDer::from(certificate.to_vec());
        let (_, parsed) =
            x509_parser::parse_x509_certificate(&certificate).map_err(|why| PkiError::unreadable(what, why))?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(PkiError::unreadable(what, "certificate and key do not belong together"));
        }
        let not_before_ms = parsed.validity().not_before.timestamp() * 1000;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|why| PkiError::unreadable(what, why))?;
        Ok(Self { fleet: fleet.to_owned(), key_pkcs8: key_pkcs8.to_vec(), not_before_ms, issuer, certificate })
    }

    /// The fleet it speaks for.
    #[must_use]
    pub fn fleet(&self) -> &str {
        &self.fleet
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its key, PKCS#8 DER. For [`crate::files`] only.
    #[must_use]
    pub fn key_pkcs8(&self) -> &[u8] {
        &self.key_pkcs8
    }

    /// SHA-256 of its certificate's DER: the pin in bootstrap tokens.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        certificate_sha256(&self.certificate)
    }

    /// A node certificate for the key of a request, whatever else the request asks for.
    ///
    /// # Errors
    /// [`PkiError::Crypto`] if it cannot be signed.
    pub fn issue_node(
        &self,
        csr: &Csr,
        node: NodeId,
        id: CertificateId,
        now_ms: i64,
        life_s: u64,
    ) -> Result<IssuedNode, PkiError> {
        let (not_before_ms, not_after_ms) = (now_ms - BACKDATE_MS, now_ms + i64::try_from(life_s).unwrap_or(0) * 1000);
        let key = SubjectPublicKeyInfo::from_der(csr.spki()).map_err(PkiError::crypto)?;
        let mut params = named(node.to_string());
        params.subject_alt_names =
            vec![SanType::URI(node_uri(&self.fleet, node).try_into().map_err(PkiError::crypto)?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from_slice(&id.to_bytes()));
        params.not_before = at(not_before_ms)?;
        params.not_after = at(not_after_ms)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(PkiError::crypto)?;
        Ok(IssuedNode { id, chain: vec![certificate.der().to_vec()], not_before_ms, not_after_ms })
    }

    /// The leaf of the QUIC door. It is valid as far back as the CA: an agent whose time stands at the last
    /// word it had from us, a month ago, must still take it.
    ///
    /// # Errors
    /// [`PkiError::Crypto`] if it cannot be signed.
    pub fn issue_link_server(&self, now_ms: i64) -> Result<ServerLeaf, PkiError> {
        // Only agents meet it: Ed25519, as their own keys.
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(PkiError::crypto)?;
        self.server(&key, &ServerNames::default(), self.not_before_ms, now_ms + SERVER_LIFE_MS)
    }

    /// The leaf of the HTTP doors.
    ///
    /// # Errors
    /// [`PkiError::Crypto`] if a name is no host name or it cannot be signed.
    pub fn issue_door_server(&self, names: &ServerNames, now_ms: i64) -> Result<ServerLeaf, PkiError> {
        let key = KeyPair::generate().map_err(PkiError::crypto)?;
        self.server(&key, names, now_ms - BACKDATE_MS, now_ms + SERVER_LIFE_MS)
    }

    fn server(
        &self,
        key: &KeyPair,
        names: &ServerNames,
        not_before_ms: i64,
        not_after_ms: i64,
    ) -> Result<ServerLeaf, PkiError> {
        let mut params = named(COORDINATOR_DNS.to_owned());
        // Of one length whatever the key is, which a number with leading zeros has not: then a handshake is one
        // too, and a simulated one replays.
        let mut serial = Sha256::digest(key.subject_public_key_info());
        serial[0] = serial[0] & 0x3f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial[..SERIAL_BYTES]));
        let dns = std::iter::once(COORDINATOR_DNS).chain(names.dns.iter().map(String::as_str));
        for name in dns {
            params.subject_alt_names.push(SanType::DnsName(name.try_into().map_err(PkiError::crypto)?));
        }
        params.subject_alt_names.extend(names.ips.iter().copied().map(SanType::IpAddress));
        params.subject_alt_names.push(SanType::URI(coordinator_uri(&self.fleet).try_into().map_err(PkiError::crypto)?));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = at(not_before_ms)?;
        params.not_after = at(not_after_ms)?;
        let leaf = params.signed_by(key, &self.issuer).map_err(PkiError::crypto)?;
        Ok(ServerLeaf {
            chain: vec![leaf.der().clone(), self.certificate.clone()],
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            not_after_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::NodeKey;

    const NOW: i64 = 1_800_000_000_000;

    #[test]
    fn a_ca_survives_its_file_form_and_refuses_a_foreign_key() {
        let (ca, other) = (Ca::create("f", NOW).unwrap(), Ca::create("f", NOW).unwrap());
        let again = Ca::load("f", ca.certificate(), ca.key_pkcs8()).unwrap();
        assert_eq!(again.sha256(), ca.sha256());
        assert!(Ca::load("f", ca.certificate(), other.key_pkcs8()).is_err());
        assert!(Ca::load("f", b"x", ca.key_pkcs8()).is_err());
    }

    #[test]
    fn a_hostile_request_gets_only_what_we_give() {
        let ca = Ca::create("f", NOW).unwrap();
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let csr = Csr::parse(params.serialize_request(&pair).unwrap().der()).unwrap();
        let (node, id) = (NodeId::new(NOW as u64, [1; 10]), CertificateId::new(NOW as u64, [2; 10]));
        let issued = ca.issue_node(&csr, node, id, NOW, NODE_LIFE_S).unwrap();
        let (_, certificate) = x509_parser::parse_x509_certificate(&issued.chain[0]).unwrap();
        assert!(!certificate.is_ca());
        assert_eq!(crate::names::uris(&issued.chain[0]).unwrap(), vec![node_uri("f", node)]);
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 1);
        assert_eq!(certificate.raw_serial(), id.to_bytes().as_slice());
        assert_eq!(issued.not_before_ms, NOW - BACKDATE_MS);
        assert_eq!(issued.not_after_ms, NOW + 24 * 3_600_000);
    }

    #[test]
    fn serial_numbers_of_leaves_have_one_length() {
        let ca = Ca::create("f", NOW).unwrap();
        for _ in 0..1_024 {
            let leaf = ca.issue_link_server(NOW).unwrap();
            let (_, certificate) = x509_parser::parse_x509_certificate(&leaf.chain[0]).unwrap();
            assert_eq!(certificate.raw_serial().len(), SERIAL_BYTES);
        }
    }

    #[test]
    fn names_are_sorted_into_hosts_and_addresses() {
        let names = ServerNames::from_texts(["localhost", "127.0.0.1", "[::1]"]);
        assert_eq!((names.dns.len(), names.ips.len()), (1, 2));
        let leaf = Ca::create("f", NOW).unwrap().issue_door_server(&names, NOW).unwrap();
        assert_eq!(leaf.chain.len(), 2);
        assert!(NodeKey::generate().is_ok());
    }
}
