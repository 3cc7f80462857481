//! What a bootstrap token is good for, as pure functions.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use muster_protocol::ids::BootstrapTokenId;
use std::collections::BTreeMap;

/// Longest life of a token in seconds, also the default.
pub const TTL_MAX_S: i64 = 900;
/// Most uses of one token.
pub const USES_MAX: i64 = 10_000;
/// How often an expired certificate may be replaced by proof of the key.
pub const RECOVERY_BUDGET: i64 = 3;
/// A pending machine asks again after so many ms.
pub const POLL_MS: u32 = 1_000;

/// A token as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id, the first part of its text.
    pub id: BootstrapTokenId,
    /// SHA-256 of its secret.
    pub secret_sha256: [u8; 32],
    /// Who minted it.
    pub created_by: String,
    /// When, ms since 1970.
    pub created_ms: i64,
    /// Good until, ms since 1970.
    pub expires_ms: i64,
    /// How often it may be used.
    pub max_uses: i64,
    /// How often it was used.
    pub uses: i64,
    /// Labels of the nodes it lets in.
    pub labels: BTreeMap<String, String>,
    /// Its nodes need no operator's approval.
    pub auto_approve: bool,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}

/// Why an enrolment is refused; the word goes to the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No such token, or another secret.
    TokenUnknown,
    /// An operator took it back.
    TokenRevoked,
    /// Its time is over.
    TokenExpired,
    /// All its uses are used.
    TokenSpent,
    /// An operator turned the machine away, or took the node out of service.
    NodeRemoved,
    /// The key is not the one that the node is bound to.
    KeyMismatch,
    /// The node's certificate expired too often while it was away.
    RecoveryExhausted,
    /// No common protocol level.
    Version,
    /// The request makes no sense.
    Malformed,
    /// Too many wrong credentials from this address.
    RateLimited,
}

impl Refusal {
    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::TokenUnknown => "token_unknown",
            Self::TokenRevoked => "token_revoked",
            Self::TokenExpired => "token_expired",
            Self::TokenSpent => "token_spent",
            Self::NodeRemoved => "node_removed",
            Self::KeyMismatch => "key_mismatch",
            Self::RecoveryExhausted => "recovery_exhausted",
            Self::Version => "version",
            Self::Malformed => "malformed",
            Self::RateLimited => "rate_limited",
        }
    }

    /// For people, with the next step.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::TokenUnknown => "the bootstrap token is unknown: mint a new one and paste it whole",
            Self::TokenRevoked => "the bootstrap token was revoked: mint a new one",
            Self::TokenExpired => "the bootstrap token has expired: mint a new one",
            Self::TokenSpent => "the bootstrap token is spent: mint a new one for each machine",
            Self::NodeRemoved => "the node was rejected or removed: enroll with an empty state directory",
            Self::KeyMismatch => "this key is not the node's key: it cannot speak for it",
            Self::RecoveryExhausted => "the certificate expired too often: enroll again with a new bootstrap token",
            Self::Version => "agent and coordinator have no protocol level in common: upgrade the older one",
            Self::Malformed => "the request makes no sense: is the agent of another make?",
            Self::RateLimited => "too many wrong tokens from this address: wait a minute",
        }
    }

    /// A wrong credential, which counts towards the rate limit; a malformed request does not.
    #[must_use]
    pub fn is_wrong_credential(self) -> bool {
        matches!(
            self,
            Self::TokenUnknown | Self::TokenRevoked | Self::TokenExpired | Self::TokenSpent | Self::KeyMismatch
        )
    }
}

impl Token {
    /// Its state in one word: `revoked`, `spent`, `expired` or `active`.
    #[must_use]
    pub fn state(&self, now_ms: i64) -> &'static str {
        match self.usable(now_ms) {
            Ok(()) => "active",
            Err(Refusal::TokenRevoked) => "revoked",
            Err(Refusal::TokenSpent) => "spent",
            Err(_) => "expired",
        }
    }

    /// It may be used once more.
    ///
    /// # Errors
    /// [`Refusal`]. A spent token says so even after its time, so that the second machine learns the reason.
    pub fn usable(&self, now_ms: i64) -> Result<(), Refusal> {
        if self.revoked_ms.is_some() {
            return Err(Refusal::TokenRevoked);
        }
        if self.uses >= self.max_uses {
            return Err(Refusal::TokenSpent);
        }
        if now_ms >= self.expires_ms {
            return Err(Refusal::TokenExpired);
        }
        Ok(())
    }
}

/// The text an operator hands to a machine: id, secret, and the hash of the CA that the machine must meet.
#[must_use]
pub fn token_text(id: BootstrapTokenId, secret: &str, ca_sha256: &[u8; 32]) -> String {
    format!("{id}.{secret}.{}", URL_SAFE_NO_PAD.encode(ca_sha256))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token() -> Token {
        Token {
            id: BootstrapTokenId::new(1, [1; 10]),
            secret_sha256: [0; 32],
            created_by: "us".into(),
            created_ms: 0,
            expires_ms: 1_000,
            max_uses: 1,
            uses: 0,
            labels: BTreeMap::new(),
            auto_approve: false,
            revoked_ms: None,
        }
    }

    #[test]
    fn each_end_of_a_token_has_its_word() {
        assert_eq!(token().state(999), "active");
        assert_eq!(token().state(1_000), "expired");
        assert_eq!(Token { uses: 1, ..token() }.state(5_000), "spent");
        assert_eq!(Token { revoked_ms: Some(1), uses: 1, ..token() }.state(1), "revoked");
    }

    proptest! {
        #[test]
        fn a_token_never_becomes_usable_again(uses in 0i64..4, now in 0i64..2_000, later in 0i64..2_000) {
            let token = Token { uses, max_uses: 2, ..token() };
            let after = Token { uses: uses + 1, ..token.clone() };
            prop_assert!(token.usable(now).is_ok() || token.usable(now + later).is_err());
            prop_assert!(token.usable(now).is_ok() || after.usable(now).is_err());
        }
    }

    #[test]
    fn the_text_has_three_parts() {
        let text = token_text(token().id, "secret", &[7; 32]);
        let parts: Vec<_> = text.split('.').collect();
        assert_eq!((parts.len(), parts[1], parts[2].len()), (3, "secret", 43));
        assert_eq!(parts[0].parse(), Ok(token().id));
    }
}
