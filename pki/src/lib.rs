//! Identity: the fleet's CA, node certificates, and the TLS both sides speak.
//!
//! In reading order: [`names`] says who a certificate speaks for, [`key`] is a node's key and its proofs,
//! [`ca`] issues, [`server`] is the coordinator's side of TLS and [`admit`] its judgement of a peer,
//! [`client`] the agent's side, [`transport`] the QUIC settings of both and [`socket`] the UDP beneath them,
//! [`files`] the only reads and writes.
//!
//! Invariants:
//! - Times come from the caller, in milliseconds since 1970; nothing here reads a clock.
//! - Of a CSR only the public key is used.
//! - A private key is only ever written by [`files`], with mode 0600, and never printed.

pub mod admit;
pub mod ca;
pub mod client;
pub mod files;
pub mod key;
pub mod names;
pub mod server;
pub mod socket;
pub mod transport;

pub use admit::{Arrival, NodeIdentity, Rejection, Trust};
pub use ca::{Ca, IssuedNode, ServerNames};
pub use key::{Csr, NodeKey};

use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What can go wrong with keys and certificates.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A CSR that does not parse or whose signature does not hold.
    #[error("the certificate request is not valid: {0}")]
    BadRequest(String),
    /// A certificate or key that does not parse.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// What was read.
        what: String,
        /// Why it is no use.
        why: String,
    },
    /// Signing or building a configuration failed.
    #[error("{0}")]
    Crypto(String),
    /// The file system said no.
    #[error("{path}: {error}")]
    File {
        /// Which file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
}

impl PkiError {
    pub(crate) fn unreadable(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Unreadable { what: what.into(), why: why.to_string() }
    }

    pub(crate) fn crypto(error: impl std::fmt::Display) -> Self {
        Self::Crypto(error.to_string())
    }
}

/// The one crypto provider of the project, named everywhere so that no process default is needed.
#[must_use]
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// SHA-256 of a certificate's DER: the pin in a bootstrap token.
#[must_use]
pub fn certificate_sha256(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate.as_ref()).into()
}
