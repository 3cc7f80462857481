//! A node's key: made on the node, never leaves it; its requests and its proofs.

use crate::PkiError;
use rcgen::{CertificateParams, CertificateSigningRequestParams, KeyPair, PublicKeyData, SigningKey};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use rustls_pki_types::{CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use x509_parser::prelude::FromDer;

/// Largest CSR that is looked at, in bytes.
pub const CSR_MAX: usize = 8 << 10;

/// A node's private key. Ed25519: signatures have one length, so that simulated runs repeat exactly.
pub struct NodeKey {
    pair: KeyPair,
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeKey").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

impl NodeKey {
    /// Hex SHA-256 of its public half, as [`Csr::fingerprint`].
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.spki())
    }

    /// A new key from the system's randomness.
    ///
    /// # Errors
    /// [`PkiError::Crypto`] if the system has none.
    pub fn generate() -> Result<Self, PkiError> {
        Ok(Self { pair: KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(PkiError::crypto)? })
    }

    /// A key as [`NodeKey::to_pkcs8`] wrote it; P-256 is read as well.
    ///
    /// # Errors
    /// [`PkiError::Unreadable`] if it is none.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, PkiError> {
        Ok(Self { pair: KeyPair::try_from(der).map_err(|why| PkiError::unreadable("the node's key", why))? })
    }

    /// The private key, PKCS#8 DER. For [`crate::files`] only.
    #[must_use]
    pub fn to_pkcs8(&self) -> Vec<u8> {
        self.pair.serialize_der()
    }

    pub(crate) fn private_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.to_pkcs8()))
    }

    /// The public key, SubjectPublicKeyInfo DER.
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// A certificate request: it says nothing but the key.
    ///
    /// # Errors
    /// [`PkiError::Crypto`] if it cannot be signed.
    pub fn request(&self) -> Result<Vec<u8>, PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request = params.serialize_request(&self.pair).map_err(PkiError::crypto)?;
        Ok(request.der().to_vec())
    }

    /// Signature over a connection's exporter value: proof of the key, useless on another connection.
    ///
    /// # Errors
    /// [`PkiError::Crypto`] if signing fails.
    pub fn prove(&self, exporter: &[u8]) -> Result<Vec<u8>, PkiError> {
        self.pair.sign(exporter).map_err(PkiError::crypto)
    }
}

/// What is taken from a certificate request: the public key, whose holder signed the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    spki: Vec<u8>,
}

impl Csr {
    /// Parses a request and checks its own signature. Names and usages it asks for are ignored.
    ///
    /// # Errors
    /// [`PkiError::BadRequest`].
    pub fn parse(der: &[u8]) -> Result<Self, PkiError> {
        if der.len() > CSR_MAX {
            return Err(PkiError::BadRequest(format!("larger than {CSR_MAX} bytes")));
        }
        let request = CertificateSigningRequestDer::from(der);
        let parsed = CertificateSigningRequestParams::from_der(&request)
            .map_err(|error| PkiError::BadRequest(error.to_string()))?;
        let csr = Self { spki: parsed.public_key.subject_public_key_info() };
        algorithm(&csr.spki).ok_or_else(|| PkiError::BadRequest("the key must be Ed25519 or P-256".into()))?;
        Ok(csr)
    }

    /// The public key, SubjectPublicKeyInfo DER: what a node is bound to.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Lower-case hex SHA-256 of [`Csr::spki`], for rows and people.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.spki)
    }

    /// True if the holder of the key signed this connection's exporter value.
    #[must_use]
    pub fn proves(&self, exporter: &[u8], proof: &[u8]) -> bool {
        verify(&self.spki, exporter, proof)
    }
}

/// Lower-case hex SHA-256 of a SubjectPublicKeyInfo.
#[must_use]
pub fn fingerprint(spki: &[u8]) -> String {
    hex::encode(Sha256::digest(spki))
}

fn algorithm(spki: &[u8]) -> Option<(&'static dyn VerificationAlgorithm, Vec<u8>)> {
    let (rest, parsed) = x509_parser::x509::SubjectPublicKeyInfo::from_der(spki).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let algorithm: &'static dyn VerificationAlgorithm = match parsed.algorithm.algorithm.to_id_string().as_str() {
        "1.3.101.112" => &ED25519,
        "1.2.840.10045.2.1" => &ECDSA_P256_SHA256_ASN1,
        _ => return None,
    };
    Some((algorithm, parsed.subject_public_key.data.to_vec()))
}

/// True if the key of a SubjectPublicKeyInfo signed `message`.
#[must_use]
pub fn verify(spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    algorithm(spki)
        .is_some_and(|(algorithm, key)| UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_proof_holds_for_its_key_and_connection_only() {
        let (key, other) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
        let csr = Csr::parse(&key.request().unwrap()).unwrap();
        let proof = key.prove(b"connection one").unwrap();
        assert!(csr.proves(b"connection one", &proof));
        assert!(!csr.proves(b"connection two", &proof));
        assert!(!csr.proves(b"connection one", &other.prove(b"connection one").unwrap()));
        assert!(!csr.proves(b"connection one", b""));
        assert_eq!(csr.spki(), key.spki());
    }

    #[test]
    fn a_key_survives_its_file_form() {
        let key = NodeKey::generate().unwrap();
        assert_eq!(NodeKey::from_pkcs8(&key.to_pkcs8()).unwrap().spki(), key.spki());
        assert!(NodeKey::from_pkcs8(b"no key").is_err());
        assert!(!format!("{key:?}").contains(&hex::encode(key.to_pkcs8())));
    }

    #[test]
    fn a_tampered_request_is_refused() {
        let mut request = NodeKey::generate().unwrap().request().unwrap();
        assert!(Csr::parse(&request).is_ok());
        let last = request.len() - 1;
        request[last] ^= 1;
        assert!(matches!(Csr::parse(&request), Err(PkiError::BadRequest(_))));
        assert!(Csr::parse(&vec![0x30; CSR_MAX + 1]).is_err());
    }

    #[test]
    fn p256_requests_are_taken_too() {
        let pair = KeyPair::generate().unwrap();
        let request = CertificateParams::default().serialize_request(&pair).unwrap();
        let csr = Csr::parse(request.der()).unwrap();
        assert!(csr.proves(b"x", &pair.sign(b"x").unwrap()));
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(Csr::parse(&bytes).is_err());
            prop_assert!(!verify(&bytes, b"m", b"s"));
        }
    }
}
