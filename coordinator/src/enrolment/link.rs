//! What agents ask on `muster-enroll/1`, and their renewals over the link.

use super::model::{POLL_MS, RECOVERY_BUDGET, Refusal, Token};
use super::store::{self, CertificateRow};
use crate::app::App;
use crate::audit::{self, Event};
use crate::base::http::{Problem, auth::token_sha256};
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::nodes::facts::{Facts, node_name};
use crate::nodes::model::{Facets, Health, Lifecycle, Presence, Scheduling};
use crate::nodes::{self, NodeRow};
use muster_pki::{Csr, IssuedNode, ca::BACKDATE_MS};
use muster_protocol::control::{RenewReply, RenewRequest};
use muster_protocol::enrol::{EnrolPoll, EnrolReply, EnrolRequest};
use muster_protocol::ids::{BootstrapTokenId, CertificateId, NodeId};
use muster_protocol::level;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// Most GPUs a machine may name when it enrols.
const GPUS_MAX: usize = muster_protocol::limits::GPUS_PER_NODE;

/// How an enrolment or a poll ends, before it becomes a reply.
#[derive(Debug)]
enum Standing {
    Pending(NodeId),
    Issued(NodeId, Box<IssuedNode>),
    Refused(Refusal),
}

/// Presents a token with a key: the machine becomes a pending node, or a node again.
pub async fn enrol(app: &App, peer: IpAddr, request: EnrolRequest) -> EnrolReply {
    let limited = failure_key(peer);
    let now_ms = app.clock.now_ms();
    if app.failures.check(&limited, None, now_ms).is_err() {
        return reply(app, Standing::Refused(Refusal::RateLimited));
    }
    let standing = try_enrol(app, peer, request).await;
    if let Ok(Standing::Refused(refusal)) = &standing {
        tracing::warn!(%peer, reason = refusal.word(), "an enrolment was refused");
        if refusal.is_wrong_credential() {
            app.failures.count(&limited, None, now_ms);
        }
    }
    answer(app, standing)
}

/// Asks with proof of a key whether there is a certificate. `exporter` is the connection's exported secret.
pub async fn poll(app: &App, peer: IpAddr, exporter: &[u8], poll: EnrolPoll) -> EnrolReply {
    let limited = failure_key(peer);
    let now_ms = app.clock.now_ms();
    if app.failures.check(&limited, None, now_ms).is_err() {
        return reply(app, Standing::Refused(Refusal::RateLimited));
    }
    let standing = try_poll(app, peer, exporter, poll).await;
    if let Ok(Standing::Refused(refusal)) = &standing {
        tracing::warn!(%peer, reason = refusal.word(), "a poll for a certificate was refused");
        if refusal.is_wrong_credential() {
            app.failures.count(&limited, None, now_ms);
        }
    }
    answer(app, standing)
}

fn failure_key(peer: IpAddr) -> String {
    format!("enrol:{peer}")
}

fn answer(app: &App, standing: Result<Standing, Problem>) -> EnrolReply {
    match standing {
        Ok(standing) => reply(app, standing),
        Err(problem) => {
            // The agent asks again: nothing was decided.
            tracing::error!("an enrolment failed inside: {}", problem.log_text());
            EnrolReply {
                status: "pending".to_owned(),
                retry_after_ms: POLL_MS,
                detail: "the coordinator cannot answer now".to_owned(),
                clock_ms: app.clock.now_ms(),
                fleet_id: app.fleet.id.clone(),
                ..EnrolReply::default()
            }
        }
    }
}

fn reply(app: &App, standing: Standing) -> EnrolReply {
    let base = EnrolReply { clock_ms: app.clock.now_ms(), ..EnrolReply::default() };
    let fleet_id = app.fleet.id.clone();
    match standing {
        Standing::Pending(node) => EnrolReply {
            status: "pending".to_owned(),
            node_id: node.to_string(),
            retry_after_ms: POLL_MS,
            detail: "waits for an operator's approval".to_owned(),
            fleet_id,
            ..base
        },
        Standing::Issued(node, issued) => EnrolReply {
            status: "issued".to_owned(),
            node_id: node.to_string(),
            chain_der: issued.chain,
            roots_der: roots(app),
            fleet_id,
            ..base
        },
        Standing::Refused(refusal) => EnrolReply {
            status: "refused".to_owned(),
            refusal: refusal.word().to_owned(),
            detail: refusal.detail().to_owned(),
            ..base
        },
    }
}

fn roots(app: &App) -> Vec<Vec<u8>> {
    vec![app.fleet.ca.certificate().to_vec()]
}

async fn try_enrol(app: &App, peer: IpAddr, request: EnrolRequest) -> Result<Standing, Problem> {
    if level::negotiate(request.level_lowest, request.level_highest).is_none() {
        return Ok(Standing::Refused(Refusal::Version));
    }
    let Ok(csr) = Csr::parse(&request.csr_der) else { return Ok(Standing::Refused(Refusal::Malformed)) };
    if request.gpu_uuids.len() > GPUS_MAX {
        return Ok(Standing::Refused(Refusal::Malformed));
    }
    let Ok(token) = request.token_id.parse::<BootstrapTokenId>() else {
        return Ok(Standing::Refused(Refusal::TokenUnknown));
    };
    let secret = token_sha256(&request.secret);
    let key = csr.fingerprint();
    let mut cx = app.system("enrolment");
    cx.source_ip = Some(peer);
    let bound = app
        .store
        .on(crate::base::store::Lane::People)
        .ingest(move |tx| bind_in(tx, &cx, token, &secret, &key, &request))
        .await?;
    match bound {
        Ok(node) => stand(app, node, &csr).await,
        Err(refusal) => Ok(Standing::Refused(refusal)),
    }
}

/// Spends a use of the token and binds the key to a node. The same token and key again (a lost reply) spends
/// nothing.
fn bind_in(
    tx: &mut Tx,
    cx: &Cx,
    token_id: BootstrapTokenId,
    secret: &[u8; 32],
    key: &str,
    request: &EnrolRequest,
) -> Result<Result<NodeRow, Refusal>, Problem> {
    let found = store::find_token_in(tx, token_id)?;
    let Some(token) = found.filter(|token| bool::from(token.secret_sha256.ct_eq(secret))) else {
        return Ok(Err(Refusal::TokenUnknown));
    };
    let known = nodes::store::by_key_in(tx, key)?;
    if let Some(node) = &known {
        if node.revoked_ms.is_some() || node.facets.lifecycle == Lifecycle::Removed {
            return Ok(Err(Refusal::NodeRemoved));
        }
        if node.token_id == token_id.to_string() && token.revoked_ms.is_none() {
            return Ok(Ok(node.clone()));
        }
    }
    if let Err(refusal) = token.usable(cx.now_ms) {
        return Ok(Err(refusal));
    }
    if !store::spend_in(tx, token_id)? {
        return Ok(Err(Refusal::TokenSpent));
    }
    match known {
        Some(node) => {
            nodes::store::save_token_in(tx, node.id, &token_id.to_string(), RECOVERY_BUDGET)?;
            audit::note(tx, cx, Event::new("nodes.enrolled_again", node.id).after(&token_id))?;
            nodes::store::get_in(tx, node.id).map(Ok)
        }
        None => new_node_in(tx, cx, &token, key, request).map(Ok),
    }
}

fn new_node_in(tx: &mut Tx, cx: &Cx, token: &Token, key: &str, request: &EnrolRequest) -> Result<NodeRow, Problem> {
    let mut facts = Facts::default();
    facts.set_host(&request.host);
    let node = NodeRow {
        id: cx.new_id(),
        name: node_name(&request.host),
        facets: Facets {
            lifecycle: if token.auto_approve { Lifecycle::Enrolling } else { Lifecycle::PendingApproval },
            presence: Presence::Offline,
            scheduling: Scheduling::Open,
            health: Health::Ok,
        },
        health_reason: String::new(),
        last_seen_ms: None,
        labels: token.labels.clone(),
        version: 1,
        key_sha256: key.to_owned(),
        token_id: token.id.to_string(),
        recovery_left: RECOVERY_BUDGET,
        revoked_ms: None,
        machine_sha256: String::new(),
        agent_version: nodes::facts::text(&request.host.agent_version),
        boot_id: String::new(),
        journal_epoch: String::new(),
        join_sequence: 0,
        facts,
        drain_deadline_ms: None,
        created_ms: cx.now_ms,
    };
    nodes::store::insert_in(tx, &node)?;
    let presented = serde_json::json!({"name": node.name, "token_id": token.id, "key_fingerprint": key});
    audit::note(tx, cx, Event::new("nodes.enrolled", node.id).after(&presented))?;
    if token.auto_approve {
        audit::note(tx, cx, Event::new("nodes.approve", node.id).reason("token"))?;
    }
    Ok(node)
}

async fn try_poll(app: &App, peer: IpAddr, exporter: &[u8], poll: EnrolPoll) -> Result<Standing, Problem> {
    let (Ok(csr), Ok(id)) = (Csr::parse(&poll.csr_der), poll.node_id.parse::<NodeId>()) else {
        return Ok(Standing::Refused(Refusal::Malformed));
    };
    if !csr.proves(exporter, &poll.proof) {
        return Ok(Standing::Refused(Refusal::KeyMismatch));
    }
    let node = app.store.read(move |tx| nodes::store::find_in(tx, id)).await?;
    let Some(node) = node.filter(|node| node.key_sha256 == csr.fingerprint()) else {
        return Ok(Standing::Refused(Refusal::KeyMismatch));
    };
    tracing::debug!(%peer, node = %id, "a node asks for its certificate");
    stand(app, node, &csr).await
}

/// Where a node stands whose key is proved: waits, gets a certificate, or is out.
async fn stand(app: &App, node: NodeRow, csr: &Csr) -> Result<Standing, Problem> {
    if node.revoked_ms.is_some() {
        return Ok(Standing::Refused(Refusal::NodeRemoved));
    }
    match node.facets.lifecycle {
        Lifecycle::PendingApproval => Ok(Standing::Pending(node.id)),
        Lifecycle::Removed => Ok(Standing::Refused(Refusal::NodeRemoved)),
        Lifecycle::Enrolling | Lifecycle::InService => {
            let id = node.id;
            match issue(app, id, csr, Ground::Proof).await? {
                Ok(issued) => Ok(Standing::Issued(id, Box::new(issued))),
                Err(refusal) => Ok(Standing::Refused(refusal)),
            }
        }
    }
}

/// On what a certificate is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// Proof of the key: free until the first link, from the budget after it, unless the last one is not valid yet.
    Proof,
    /// A live link.
    Link,
}

async fn issue(app: &App, node: NodeId, csr: &Csr, ground: Ground) -> Result<Result<IssuedNode, Refusal>, Problem> {
    let cx = app.node(node);
    let (id, life_s) = (cx.new_id::<CertificateId>(), app.config.node_certificate_s);
    let issued = app.fleet.ca.issue_node(csr, node, id, cx.now_ms, life_s).map_err(Problem::internal)?;
    let key = csr.fingerprint();
    let expires_ms = issued.not_after_ms;
    let allowed = app
        .store
        .ingest(move |tx| {
            let row = nodes::store::get_in(tx, node)?;
            let admitted = matches!(row.facets.lifecycle, Lifecycle::Enrolling | Lifecycle::InService);
            if !admitted || row.revoked_ms.is_some() {
                return Ok(Err(Refusal::NodeRemoved));
            }
            if row.key_sha256 != key {
                return Ok(Err(Refusal::KeyMismatch));
            }
            let reason = match ground {
                Ground::Link => "renewal",
                Ground::Proof if row.facets.lifecycle == Lifecycle::Enrolling => "first",
                Ground::Proof if !store::has_certificate_in(tx, node)? => "first",
                // Not the node's doing: a clock that was ahead has issued what it holds.
                Ground::Proof if store::take_early_in(tx, node, cx.now_ms + BACKDATE_MS)? => "recovery",
                Ground::Proof if nodes::store::take_recovery_in(tx, node)? => "recovery",
                Ground::Proof => return Ok(Err(Refusal::RecoveryExhausted)),
            };
            let certificate = CertificateRow {
                id,
                node_id: node,
                key_sha256: key.clone(),
                issued_ms: cx.now_ms,
                expires_ms,
                revoked_ms: None,
                reason: reason.to_owned(),
            };
            store::insert_certificate_in(tx, &certificate)?;
            audit::note(tx, &cx, Event::new("nodes.certificate_issued", node).reason(reason).after(&id))?;
            Ok(Ok(()))
        })
        .await?;
    Ok(allowed.map(|()| issued))
}

/// The next certificate over a live link, and its end (ms since 1970) if one was issued.
pub async fn renew(app: &App, node: NodeId, request: RenewRequest) -> (RenewReply, Option<i64>) {
    let refused = |word: &str| (RenewReply { refusal: word.to_owned(), ..RenewReply::default() }, None);
    let Ok(csr) = Csr::parse(&request.csr_der) else { return refused(Refusal::Malformed.word()) };
    match issue(app, node, &csr, Ground::Link).await {
        Ok(Ok(issued)) => {
            let end = issued.not_after_ms;
            (RenewReply { chain_der: issued.chain, roots_der: roots(app), refusal: String::new() }, Some(end))
        }
        Ok(Err(refusal)) => {
            tracing::warn!(%node, reason = refusal.word(), "a renewal was refused");
            refused(refusal.word())
        }
        Err(problem) => {
            tracing::error!(%node, "a renewal failed inside: {}", problem.log_text());
            refused("unavailable")
        }
    }
}
