//! How a machine becomes a node, and how a node whose certificate ran out comes back: by proof of its key.
//!
//! The key is on disk before the token's secret leaves, and the secret leaves only to a coordinator whose CA
//! has the hash that the token names.

use crate::{
    clock::Clock,
    identity::{Identity, Stage},
    link::{
        socket::Sockets,
        wire::{self, ANSWER_TIMEOUT, FrameReader, WireError},
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use muster_pki::{
    NodeKey, PkiError,
    client::{self, TimeSource},
    files::{self, NodeCertificate},
};
use muster_protocol::{
    Kind,
    enrol::{EnrolPoll, EnrolReply, EnrolRequest, PROOF_LABEL, PROOF_LEN},
    frame::encode,
    inventory::Host,
    level,
};
use prost::Message;
use quinn::Connection;
use rustls_pki_types::CertificateDer;
use std::{path::Path, time::Duration};
use tokio::time::timeout;

/// Wait between polls if the coordinator names none.
const POLL_DEFAULT: Duration = Duration::from_secs(5);
/// Bounds of the wait that the coordinator may name.
const POLL_BOUNDS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(300));
/// A wall clock further off than this is told to people.
const SKEW_TOLD_MS: i64 = 60_000;

/// A bootstrap token. Its secret is never printed.
pub struct Token {
    id: String,
    secret: String,
    pin: [u8; 32],
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Token {
    /// Parses `bt_….<secret>.<hash of the CA>`.
    ///
    /// # Errors
    /// [`EnrolError::BadToken`], which quotes nothing of it.
    pub fn parse(text: &str) -> Result<Self, EnrolError> {
        let mut parts = text.trim().split('.');
        let (Some(id), Some(secret), Some(pin), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(EnrolError::BadToken("it must have three parts with dots between them"));
        };
        if id.parse::<muster_protocol::ids::BootstrapTokenId>().is_err() {
            return Err(EnrolError::BadToken("it must begin with bt_"));
        }
        if URL_SAFE_NO_PAD.decode(secret).is_ok_and(|bytes| bytes.len() == 32) {
            let pin = URL_SAFE_NO_PAD.decode(pin).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            let pin = pin.ok_or(EnrolError::BadToken("its last part is cut off or damaged"))?;
            return Ok(Self { id: id.to_owned(), secret: secret.to_owned(), pin });
        }
        Err(EnrolError::BadToken("its middle part is cut off or damaged"))
    }
}

/// Why there is no enrolment.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The text is no token.
    #[error("this is no bootstrap token: {0}; copy the whole line that minting printed")]
    BadToken(&'static str),
    /// The server is under another CA; nothing was sent.
    #[error(
        "wrong CA: the coordinator at {0} is not the one that this token was made by; the token's secret was not sent"
    )]
    WrongCa(String),
    /// The coordinator said no.
    #[error("{}", refusal(.code, .detail))]
    Refused {
        /// As [`EnrolReply::refusal`].
        code: String,
        /// For people.
        detail: String,
    },
    /// It could not be asked, or did not answer.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// Keys or certificates.
    #[error("{0}")]
    Pki(#[from] PkiError),
    /// Anything on this machine.
    #[error("{0:#}")]
    Local(#[from] anyhow::Error),
    /// An answer that makes no sense.
    #[error("the coordinator's answer makes no sense: {0}")]
    Nonsense(&'static str),
    /// Another fleet answered.
    #[error("this node belongs to fleet {mine}, but fleet {theirs} answered: a node is never re-homed silently")]
    Rehomed {
        /// Ours.
        mine: String,
        /// Theirs.
        theirs: String,
    },
}

impl EnrolError {
    /// True if asking again cannot help.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code != "rate_limited" && code != "recovery_exhausted",
            Self::Rehomed { .. } => true,
            _ => false,
        }
    }
}

fn refusal(code: &str, detail: &str) -> String {
    let what = match code {
        "token_spent" => "the token is spent",
        "token_expired" => "the token has expired",
        "token_revoked" => "the token is revoked",
        "token_unknown" => "the token is unknown to this coordinator",
        "node_rejected" => "an operator rejected this node",
        "node_removed" => "this node was removed from the fleet",
        "key_mismatch" => "the key is not the one that is bound to this node",
        "recovery_exhausted" => "this node came back too often; an operator can raise its recovery budget",
        "version" => "this agent and the coordinator have no protocol level in common",
        "rate_limited" => "too many tries; wait and try again",
        other => other,
    };
    let dash = if detail.is_empty() { "" } else { ": " };
    format!("{what} ({code}){dash}{detail}")
}

/// What a coordinator answered, if it did not refuse.
#[derive(Debug)]
pub struct Standing {
    /// Who we are.
    pub identity: Identity,
    /// Set at [`Stage::Issued`].
    pub certificate: Option<NodeCertificate>,
    /// Wait before the next poll.
    pub retry_after: Duration,
    /// The coordinator's clock less ours, if that is worth telling, ms.
    pub skew_ms: Option<i64>,
    /// The coordinator's clock, ms since 1970.
    pub coordinator_ms: i64,
}

/// The way from this machine to its coordinator.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    /// Where key, certificate and identity lie.
    pub state_dir: &'a Path,
    /// `host:port` to dial.
    pub coordinator: &'a str,
    /// The network.
    pub sockets: &'a Sockets,
    /// The clocks.
    pub clock: &'a Clock,
}

/// Spends a token. On success identity, key and certificate (if issued at once) are in the state directory;
/// on a refusal nothing is.
///
/// # Errors
/// [`EnrolError`]. After a lost answer the key stays, so that the same token can be tried again.
pub async fn enroll(way: Way<'_>, token: &Token, host: Host, gpu_uuids: Vec<String>) -> Result<Standing, EnrolError> {
    let Way { state_dir, coordinator, sockets, clock } = way;
    let (config, findings) = client::enrol_pinned(token.pin)?;
    let connection = wire::connect(sockets, coordinator, config).await.map_err(|error| {
        let wrong = findings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).wrong_ca;
        if wrong { EnrolError::WrongCa(coordinator.to_owned()) } else { error.into() }
    })?;
    let key = match files::load_node_key(state_dir)? {
        Some(key) => key,
        None => {
            let key = NodeKey::generate()?;
            files::save_node_key(state_dir, &key)?;
            key
        }
    };
    let request = EnrolRequest {
        level_lowest: level::LOWEST,
        level_highest: level::HIGHEST,
        token_id: token.id.clone(),
        secret: token.secret.clone(),
        csr_der: key.request()?,
        host,
        gpu_uuids,
        clock_ms: clock.wall_ms(),
    };
    let reply = ask(&connection, Kind::EnrolRequest, &request).await?;
    let standing = settle(reply, coordinator, &hex::encode(token.pin), clock.wall_ms());
    match &standing {
        Ok(standing) => keep(state_dir, standing)?,
        Err(EnrolError::Refused { .. }) => Identity::forget(state_dir)?,
        Err(_) => {}
    }
    standing
}

/// Asks with proof of the key whether there is a certificate: while pending, and when the old one ran out.
///
/// # Errors
/// [`EnrolError`]; whether it is worth asking again says [`EnrolError::is_final`].
pub async fn poll(way: Way<'_>, identity: &Identity, time: TimeSource, host: Host) -> Result<Standing, EnrolError> {
    let Way { state_dir, coordinator, sockets, clock } = way;
    let config = match files::load_node_certificate(state_dir)? {
        Some(known) => client::enrol_known(&known.roots, time)?,
        None => client::enrol_pinned(identity.pin()?)?.0,
    };
    let key = files::load_node_key(state_dir)?.ok_or_else(|| anyhow::anyhow!("the node's key is gone"))?;
    let connection = wire::connect(sockets, coordinator, config).await?;
    let mut exporter = [0; PROOF_LEN];
    connection
        .export_keying_material(&mut exporter, PROOF_LABEL, b"")
        .map_err(|_| EnrolError::Nonsense("no exporter on this connection"))?;
    let request = EnrolPoll {
        node_id: identity.node_id.to_string(),
        csr_der: key.request()?,
        proof: key.prove(&exporter)?,
        clock_ms: clock.wall_ms(),
        host: Some(host),
    };
    let reply = ask(&connection, Kind::EnrolPoll, &request).await?;
    let standing = settle(reply, coordinator, &identity.ca_sha256, clock.wall_ms())?;
    if standing.identity.node_id != identity.node_id {
        return Err(EnrolError::Nonsense("it is about another node"));
    }
    if standing.identity.fleet_id != identity.fleet_id {
        return Err(EnrolError::Rehomed { mine: identity.fleet_id.clone(), theirs: standing.identity.fleet_id });
    }
    if standing.certificate.is_some() {
        keep(state_dir, &standing)?;
    }
    Ok(standing)
}

/// Certificate first: an identity that says `issued` never stands without one.
fn keep(state_dir: &Path, standing: &Standing) -> Result<(), EnrolError> {
    if let Some(certificate) = &standing.certificate {
        files::save_node_certificate(state_dir, certificate)?;
    }
    Ok(standing.identity.save(state_dir)?)
}

async fn ask<M: Message>(connection: &Connection, kind: Kind, request: &M) -> Result<EnrolReply, EnrolError> {
    let conversation = async {
        let (mut send, receive) = connection.open_bi().await.map_err(WireError::from)?;
        send.write_chunk(encode(kind, request)).await.map_err(WireError::from)?;
        // A stream that is already reset shows at the read.
        let _ = send.finish();
        let mut frames = FrameReader::new(receive);
        while let Some(frame) = frames.next().await? {
            if frame.kind == Kind::EnrolReply {
                return Ok(frame.decode::<EnrolReply>().map_err(WireError::from)?);
            }
        }
        Err(EnrolError::Wire(WireError::Ended))
    };
    let reply = timeout(ANSWER_TIMEOUT, conversation)
        .await
        .unwrap_or_else(|_| Err(WireError::Silent("the coordinator".to_owned()).into()));
    connection.close(0u32.into(), b"");
    reply
}

fn settle(reply: EnrolReply, coordinator: &str, ca_sha256: &str, wall_ms: i64) -> Result<Standing, EnrolError> {
    let stage = match reply.status.as_str() {
        "pending" => Stage::Pending,
        "issued" => Stage::Issued,
        "refused" => return Err(EnrolError::Refused { code: reply.refusal, detail: reply.detail }),
        _ => return Err(EnrolError::Nonsense("its status is none of pending, issued, refused")),
    };
    let node_id = reply.node_id.parse().map_err(|_| EnrolError::Nonsense("it names no node"))?;
    if reply.fleet_id.is_empty() {
        return Err(EnrolError::Nonsense("it names no fleet"));
    }
    let certificates = |list: Vec<Vec<u8>>| list.into_iter().map(CertificateDer::from).collect::<Vec<_>>();
    let certificate = match stage {
        Stage::Pending => None,
        Stage::Issued if reply.chain_der.is_empty() || reply.roots_der.is_empty() => {
            return Err(EnrolError::Nonsense("it is issued without a certificate"));
        }
        Stage::Issued => {
            Some(NodeCertificate { chain: certificates(reply.chain_der), roots: certificates(reply.roots_der) })
        }
    };
    let asked = Duration::from_millis(u64::from(reply.retry_after_ms));
    let skew_ms = reply.clock_ms - wall_ms;
    Ok(Standing {
        identity: Identity {
            node_id,
            fleet_id: reply.fleet_id,
            coordinator: coordinator.to_owned(),
            ca_sha256: ca_sha256.to_owned(),
            stage,
        },
        certificate,
        retry_after: if asked.is_zero() { POLL_DEFAULT } else { asked.clamp(POLL_BOUNDS.0, POLL_BOUNDS.1) },
        skew_ms: (reply.clock_ms > 0 && skew_ms.abs() > SKEW_TOLD_MS).then_some(skew_ms),
        coordinator_ms: reply.clock_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::ids::{BootstrapTokenId, NodeId};

    fn token_text() -> String {
        let part = |byte: u8| URL_SAFE_NO_PAD.encode([byte; 32]);
        format!("{}.{}.{}", BootstrapTokenId::new(1, [1; 10]), part(7), part(8))
    }

    #[test]
    fn a_token_parses_and_never_shows_its_secret() {
        let text = token_text();
        let token = Token::parse(&format!(" {text}\n")).unwrap();
        assert_eq!(token.pin, [8; 32]);
        assert!(!format!("{token:?}").contains(&token.secret));
        for bad in ["", "a.b.c", &text[..text.len() - 4], &text[3..], &format!("{text}.x")] {
            let error = Token::parse(bad).unwrap_err();
            assert!(matches!(error, EnrolError::BadToken(_)) && error.to_string().contains("token"));
        }
    }

    #[test]
    fn refusals_name_their_reason() {
        for (code, word) in [
            ("token_spent", "spent"),
            ("token_expired", "expired"),
            ("token_revoked", "revoked"),
            ("token_unknown", "unknown"),
        ] {
            let error = settle(
                EnrolReply { status: "refused".into(), refusal: code.into(), ..EnrolReply::default() },
                "c",
                "",
                0,
            )
            .unwrap_err();
            assert!(error.to_string().contains(word) && error.to_string().contains("token") && error.is_final());
        }
    }

    #[test]
    fn answers_that_make_no_sense_are_refused() {
        let good = EnrolReply {
            status: "pending".into(),
            node_id: NodeId::new(1, [1; 10]).to_string(),
            fleet_id: "f".into(),
            ..EnrolReply::default()
        };
        assert!(settle(good.clone(), "c", "", 0).is_ok());
        for bad in [
            EnrolReply { status: "maybe".into(), ..good.clone() },
            EnrolReply { node_id: "x".into(), ..good.clone() },
            EnrolReply { fleet_id: String::new(), ..good.clone() },
            EnrolReply { status: "issued".into(), ..good },
        ] {
            assert!(matches!(settle(bad, "c", "", 0), Err(EnrolError::Nonsense(_))));
        }
    }
}
