//! The next certificate, asked for at two thirds of the life of this one.
//!
//! The reply is on disk before it is used, and the old certificate stays valid until the new one has completed
//! a handshake: whatever is lost on the way, the node is never stranded.

use super::{
    own_validity,
    up::{Link, sleep_until_trusted},
    wire::ANSWER_TIMEOUT,
};
use crate::chance;
use muster_pki::{PkiError, admit, files, files::NodeCertificate};
use muster_protocol::{
    Kind,
    control::{RenewReply, RenewRequest},
    frame::encode,
};
use rustls_pki_types::CertificateDer;
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// Shortest wait between two tries.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest wait between two tries.
const RETRY_MAX: Duration = Duration::from_secs(300);

/// When to ask: two thirds of the life are over, and up to a twentieth of it more, so that a fleet spreads.
fn due_ms(from_ms: i64, to_ms: i64, chance: f64) -> i64 {
    let life = (to_ms - from_ms) as f64;
    from_ms + (life * (2.0 / 3.0 + chance * 0.05)) as i64
}

/// Renews until the link ends.
pub(super) async fn run(link: Arc<Link>) {
    let mut retry = RETRY_MIN;
    loop {
        let Some((from, to)) = own_validity(&link.node).await else {
            tracing::error!("the node's certificate cannot be read");
            return sleep(RETRY_MAX).await;
        };
        // What was backdated is no part of the life.
        let from = (from + muster_pki::ca::BACKDATE_MS).min(to);
        let spread = chance::jitter(Duration::from_secs(1)).as_secs_f64();
        sleep_until_trusted(&link.node, due_ms(from, to, spread)).await;
        match renew(&link).await {
            Ok(()) => retry = RETRY_MIN,
            Err(why) => {
                tracing::warn!(why, "the certificate is not renewed yet");
                sleep(retry / 2 + chance::jitter(retry)).await;
                retry = (retry * 2).min(RETRY_MAX);
            }
        }
    }
}

async fn renew(link: &Link) -> Result<(), String> {
    let folder = link.node.state_dir.clone();
    let csr_der = on_disk(link, move || {
        let key = files::load_node_key(&folder)?;
        key.map(|key| key.request()).transpose()
    });
    let request = RenewRequest { csr_der: csr_der.await?.ok_or("the node's key is gone")? };
    let mut replies = link.renewals.subscribe();
    replies.mark_unchanged();
    link.control.send(encode(Kind::RenewRequest, &request)).await.map_err(|_| "the link ended")?;
    timeout(ANSWER_TIMEOUT, replies.changed()).await.map_err(|_| "no answer")?.map_err(|_| "the link ended")?;
    let reply = replies.borrow().clone().ok_or("no answer")?;
    let certificate = accept(reply, link.node.identity.node_id)?;
    let folder = link.node.state_dir.clone();
    on_disk(link, move || files::save_node_certificate(&folder, &certificate)).await?;
    tracing::info!("the certificate is renewed");
    Ok(())
}

/// Reads or writes files without holding up what else is on this thread.
async fn on_disk<T: Send + 'static>(
    link: &Link,
    work: impl FnOnce() -> Result<T, PkiError> + Send + 'static,
) -> Result<T, String> {
    let done = link.node.aside.run("renewal", work).await.map_err(|error| error.to_string())?;
    done.map_err(|error| error.to_string())
}

fn accept(reply: RenewReply, node: muster_protocol::ids::NodeId) -> Result<NodeCertificate, String> {
    if !reply.refusal.is_empty() {
        return Err(format!("refused: {}", reply.refusal));
    }
    let ders = |list: Vec<Vec<u8>>| list.into_iter().map(CertificateDer::from).collect::<Vec<_>>();
    let certificate = NodeCertificate { chain: ders(reply.chain_der), roots: ders(reply.roots_der) };
    let named = certificate.chain.first().and_then(admit::identity).map(|(_, identity)| identity.node);
    if named != Some(node) || certificate.roots.is_empty() {
        return Err("the reply is no certificate of this node".into());
    }
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_is_due_after_two_thirds_and_before_the_end() {
        assert_eq!(due_ms(0, 3000, 0.0), 2000);
        assert!(due_ms(0, 3000, 1.0) < 2200);
    }

    #[test]
    fn a_reply_about_another_node_is_refused() {
        let node = muster_protocol::ids::NodeId::new(1, [1; 10]);
        let refused = RenewReply { refusal: "revoked".into(), ..RenewReply::default() };
        assert!(accept(refused, node).unwrap_err().contains("revoked"));
        assert!(accept(RenewReply::default(), node).is_err());
    }
}
