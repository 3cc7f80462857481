//! What operators do about enrolment: tokens, and taking a node's identity away.

use super::model::{TTL_MAX_S, Token, USES_MAX, token_text};
use super::store;
use crate::app::App;
use crate::audit::{self, Event};
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::{rfc3339, rfc3339_opt};
use crate::base::http::StatusCode;
use crate::base::http::{Page, PageQuery, Problem, answer_in, auth::token_sha256};
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::nodes;
use muster_pki::admit::Revoked;
use muster_protocol::ids::{BootstrapTokenId, CertificateId, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A token that is wanted.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Life in seconds, 1 to 900; 900 if none is said.
    #[schema(minimum = 1, maximum = 900)]
    pub ttl_s: Option<i64>,
    /// How many machines it lets in; 1 if none is said.
    #[schema(minimum = 1, maximum = 10_000)]
    pub max_uses: Option<i64>,
    /// Labels of its nodes.
    pub labels: Option<BTreeMap<String, String>>,
    /// Its nodes need no approval.
    pub auto_approve: Option<bool>,
}

/// A token as minted; its secret is shown this once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Minted {
    /// For listing and revoking.
    #[schema(value_type = String)]
    pub id: BootstrapTokenId,
    /// What the machine needs. Null in an answer that is given again: no secret is kept.
    pub token: Option<String>,
    /// Good until.
    pub expires_at: String,
    /// The line to run on the machine. Null with the token.
    pub command: Option<String>,
}

/// A token without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TokenItem {
    /// Its id.
    #[schema(value_type = String)]
    pub id: BootstrapTokenId,
    /// `active`, `spent`, `expired` or `revoked`.
    pub state: String,
    /// Who minted it.
    pub created_by: String,
    /// When.
    pub created_at: String,
    /// Good until.
    pub expires_at: String,
    /// How many machines it lets in.
    pub max_uses: i64,
    /// How many it has let in.
    pub uses: i64,
    /// Labels of its nodes.
    pub labels: BTreeMap<String, String>,
    /// Its nodes need no approval.
    pub auto_approve: bool,
}

impl TokenItem {
    fn of(token: Token, now_ms: i64) -> Self {
        Self {
            id: token.id,
            state: token.state(now_ms).to_owned(),
            created_by: token.created_by,
            created_at: rfc3339(token.created_ms),
            expires_at: rfc3339(token.expires_ms),
            max_uses: token.max_uses,
            uses: token.uses,
            labels: token.labels,
            auto_approve: token.auto_approve,
        }
    }
}

/// Mints a bootstrap token.
///
/// # Errors
/// 422 for a life or a number of uses out of range.
pub async fn mint(app: &App, cx: &Cx, wanted: NewToken) -> Result<Minted, Problem> {
    authz::require(cx, Verb::TokensCreate, Scope::Platform)?;
    let ttl_s = wanted.ttl_s.unwrap_or(TTL_MAX_S);
    let max_uses = wanted.max_uses.unwrap_or(1);
    if !(1..=TTL_MAX_S).contains(&ttl_s) {
        return Err(Problem::invalid("ttl_s", "out_of_range", "ttl_s must be 1 to 900."));
    }
    if !(1..=USES_MAX).contains(&max_uses) {
        return Err(Problem::invalid("max_uses", "out_of_range", "max_uses must be 1 to 10000."));
    }
    let labels = wanted.labels.unwrap_or_default();
    nodes::verbs::check_labels(&labels)?;
    let secret = cx.rng.secret();
    let token = Token {
        id: cx.new_id(),
        secret_sha256: token_sha256(&secret),
        created_by: cx.actor.id(),
        created_ms: cx.now_ms,
        expires_ms: cx.now_ms + ttl_s * 1000,
        max_uses,
        uses: 0,
        labels,
        auto_approve: wanted.auto_approve.unwrap_or(false),
        revoked_ms: None,
    };
    let text = token_text(token.id, &secret, &app.fleet.ca.sha256());
    let address = app.links.public_address(&app.config);
    let minted = Minted {
        id: token.id,
        command: Some(format!("muster-agent enroll --coordinator {address} --token {text}")),
        token: Some(text),
        expires_at: rfc3339(token.expires_ms),
    };
    let context = cx.clone();
    app.store
        .write(move |tx| {
            store::insert_token_in(tx, &token)?;
            let event =
                Event::new(Verb::TokensCreate.as_str(), token.id).after(&TokenItem::of(token.clone(), context.now_ms));
            let kept = Minted { token: None, command: None, ..minted.clone() };
            answer_in(tx, &context, StatusCode::CREATED, &kept)?;
            audit::record(tx, &context, event, minted.clone())
        })
        .await
}

/// A page of tokens, newest first.
///
/// # Errors
/// 422 for a bad page.
pub async fn list(app: &App, cx: &Cx, query: PageQuery) -> Result<Page<TokenItem>, Problem> {
    authz::require(cx, Verb::TokensList, Scope::Platform)?;
    let now_ms = cx.now_ms;
    app.store
        .read(move |tx| {
            let page =
                Page::cut(store::tokens_in(tx, &query)?, &query, |token| (token.created_ms, token.id.to_string()))?;
            Ok(page.map(|token| TokenItem::of(token, now_ms)))
        })
        .await
}

/// Takes a token back. Nodes it let in stay.
///
/// # Errors
/// 404.
pub async fn revoke_token(app: &App, cx: &Cx, id: BootstrapTokenId) -> Result<(), Problem> {
    authz::require(cx, Verb::TokensRevoke, Scope::Platform)?;
    let context = cx.clone();
    app.store
        .write(move |tx| {
            store::find_token_in(tx, id)?.ok_or_else(|| Problem::not_found("bootstrap token"))?;
            answer_in(tx, &context, StatusCode::NO_CONTENT, &())?;
            if !store::revoke_token_in(tx, id, context.now_ms)? {
                return Ok(audit::unchanged(()));
            }
            audit::record(tx, &context, Event::new(Verb::TokensRevoke.as_str(), id), ())
        })
        .await
}

/// A node certificate.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CertificateItem {
    /// Also its serial number.
    #[schema(value_type = String)]
    pub id: CertificateId,
    /// `valid`, `expired` or `revoked`.
    pub state: String,
    /// SHA-256 of its public key.
    pub key_fingerprint: String,
    /// When it was issued.
    pub issued_at: String,
    /// Its end.
    pub expires_at: String,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// `first`, `renewal` or `recovery`.
    pub reason: String,
}

/// The newest certificates of a node.
///
/// # Errors
/// 404.
pub async fn certificates(app: &App, cx: &Cx, node: NodeId) -> Result<Page<CertificateItem>, Problem> {
    authz::require(cx, Verb::NodesCertificates, Scope::Platform)?;
    let now_ms = cx.now_ms;
    let rows = app
        .store
        .read(move |tx| {
            nodes::store::get_in(tx, node)?;
            store::certificates_in(tx, node)
        })
        .await?;
    Ok(Page::whole(rows).map(|row| CertificateItem {
        id: row.id,
        state: match row.revoked_ms {
            Some(_) => "revoked",
            None if row.expires_ms <= now_ms => "expired",
            None => "valid",
        }
        .to_owned(),
        key_fingerprint: row.key_sha256,
        issued_at: rfc3339(row.issued_ms),
        expires_at: rfc3339(row.expires_ms),
        revoked_at: rfc3339_opt(row.revoked_ms),
        reason: row.reason,
    }))
}

/// Makes a node's key and certificates worthless before it answers; its live link is closed within a second. What runs on the
/// node runs on.
///
/// # Errors
/// 404.
pub async fn revoke_node(app: &App, cx: &Cx, node: NodeId) -> Result<(), Problem> {
    authz::require(cx, Verb::NodesRevoke, Scope::Platform)?;
    let context = cx.clone();
    app.store
        .write(move |tx| {
            nodes::store::get_in(tx, node)?;
            answer_in(tx, &context, StatusCode::OK, &serde_json::json!({}))?;
            revoke_in(tx, &context, node)?;
            Ok(audit::unchanged(()))
        })
        .await?;
    if let Err(problem) = enforce_revoked(app).await {
        tracing::warn!(%node, "a revocation waits to be put into force: {}", problem.log_text());
    }
    app.nudges.revoked.notify();
    Ok(())
}

/// Puts the revoked rows into force for every handshake from here on.
///
/// # Errors
/// Only what the store says; what was in force stays so.
pub async fn enforce_revoked(app: &App) -> Result<(), Problem> {
    // One at a time: an older reading must not take the place of a newer one.
    let _turn = app.revoking.lock().await;
    let now_ms = app.clock.now_ms();
    app.trust.set_revoked(app.store.read(move |tx| revoked_in(tx, now_ms)).await?);
    Ok(())
}

/// What is worth nothing, from the rows.
///
/// # Errors
/// Only what the store says.
pub fn revoked_in(tx: &mut Tx, now_ms: i64) -> Result<Revoked, Problem> {
    Ok(Revoked {
        certificates: store::revoked_certificates_in(tx, now_ms)?.into_iter().collect(),
        nodes: nodes::store::revoked_in(tx)?.into_iter().collect(),
    })
}

/// Makes a node's key and certificates worthless. True if they were not before.
///
/// # Errors
/// Only what the store says.
pub fn revoke_in(tx: &mut Tx, cx: &Cx, node: NodeId) -> Result<bool, Problem> {
    let news = nodes::store::revoke_in(tx, node, cx.now_ms)?;
    store::revoke_certificates_in(tx, node, cx.now_ms)?;
    if news {
        let reason = "its key and certificates were revoked";
        nodes::verbs::set_health_in(tx, cx, node, nodes::model::Health::Quarantined, reason)?;
        audit::note(tx, cx, Event::new(Verb::NodesRevoke.as_str(), node))?;
    }
    Ok(news)
}

/// Takes every token back; for a restore, which cannot know what became of them since.
///
/// # Errors
/// Only what the store says.
pub fn revoke_all_tokens_in(tx: &mut Tx, now_ms: i64) -> Result<u64, Problem> {
    store::revoke_all_tokens_in(tx, now_ms)
}
