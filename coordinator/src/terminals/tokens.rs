//! Single-use tokens that open a WebSocket. They live a minute, in memory: after a restart one asks again.

use crate::base::http::auth::token_sha256;
use crate::base::limits;
use crate::cx::Cx;
use muster_protocol::ids::{AllocationId, NodeId, TenantId};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What a token opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opens {
    /// A terminal, or a command.
    Session {
        /// The command; empty: the login shell.
        command: Vec<String>,
        /// With a terminal.
        tty: bool,
    },
    /// The SSH entry.
    Ssh,
}

/// What a token stands for.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The person, as when it was made.
    pub cx: Cx,
    /// Made by a script with a bearer, and not by a page with a cookie.
    pub bearer: bool,
    /// Where.
    pub allocation: AllocationId,
    /// Whose.
    pub tenant: TenantId,
    /// On which node.
    pub node: NodeId,
    /// What.
    pub opens: Opens,
    /// Until when, ms since 1970.
    pub expires_ms: i64,
}

/// Tokens that were not used yet, by their hash.
#[derive(Debug, Default)]
pub struct Tokens(Mutex<HashMap<[u8; 32], Grant>>);

impl Tokens {
    /// Keeps a grant under a token. False if too many wait to be used, of this person or of all together.
    #[must_use]
    pub fn put(&self, token: &str, grant: Grant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (now_ms, person) = (grant.cx.now_ms, grant.cx.user_id().ok());
        all.retain(|_, kept| kept.expires_ms > now_ms);
        let own = all.values().filter(|kept| kept.cx.user_id().ok() == person).count();
        if all.len() >= limits::TERMINAL_TOKENS || own >= limits::TERMINAL_TOKENS_EACH {
            return false;
        }
        all.insert(token_sha256(token), grant);
        true
    }

    /// Takes what a token stands for; it is worthless after that, even if it does not fit.
    pub fn take(&self, token: &str, now_ms: i64) -> Option<Grant> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&token_sha256(token)).filter(|grant| grant.expires_ms > now_ms)
    }
}
