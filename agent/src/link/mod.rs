//! The link to the coordinator: dialled by us, always, and again whenever it ends.
//!
//! [`keep`] dials, waits with full jitter and dials again; [`up`] is one link from Hello to its end; [`facts`],
//! [`telemetry`], [`renewal`] and [`streams`] are what runs on it.

mod facts;
mod renewal;
pub mod socket;
mod streams;
mod telemetry;
mod up;
pub mod wire;

use crate::{
    chance::jitter,
    enrol::{self, EnrolError},
    node::Node,
    status::LinkState,
};
use muster_pki::{admit, client::TimeSource, files};
use muster_protocol::control::close;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use wire::WireError;

/// Delays before dialling again: drawn evenly from nothing to a ceiling that doubles, so that a fleet spreads.
#[derive(Debug)]
pub struct Delays {
    ceiling: Duration,
}

impl Default for Delays {
    fn default() -> Self {
        Self { ceiling: DELAY_FIRST }
    }
}

impl Delays {
    /// The next delay.
    pub fn draw(&mut self) -> Duration {
        let wait = jitter(self.ceiling);
        self.ceiling = (self.ceiling * 2).min(DELAY_MAX);
        wait
    }

    /// A link stood for so long; a good one begins the delays anew.
    pub fn stood(&mut self, time: Duration) {
        if time > GOOD_AFTER {
            self.ceiling = DELAY_FIRST;
        }
    }
}

/// First delay before dialling again, before jitter.
const DELAY_FIRST: Duration = Duration::from_secs(1);
/// Longest delay, before jitter.
const DELAY_MAX: Duration = Duration::from_secs(30);
/// A link that stood for so long was a good one: delays begin anew.
const GOOD_AFTER: Duration = Duration::from_secs(60);
/// Delay after a refusal that only people can change.
const DELAY_REFUSED: Duration = Duration::from_secs(60);

/// Why a link ended, and what follows.
#[derive(Debug)]
enum End {
    /// Dial again.
    Again(WireError),
    /// Dial again after this delay, which is already random.
    After(Duration, String),
    /// Ask for a new certificate by proof of the key, then dial again.
    Recover(String),
    /// The agent ends.
    Stopped,
}

/// Keeps a link up until the agent ends.
pub async fn keep(node: Arc<Node>, mut stop: watch::Receiver<bool>) {
    let mut delays = Delays::default();
    loop {
        let began = Instant::now();
        let end = tokio::select! {
            end = up::once(&node, stop.clone()) => end,
            _ = stop.wait_for(|stop| *stop) => End::Stopped,
        };
        delays.stood(began.elapsed());
        let (wait, why) = match end {
            End::Stopped => return,
            End::After(wait, why) => (wait, why),
            End::Again(WireError::Refused(refused)) if refused.retry_after_ms > 0 => {
                let asked = Duration::from_millis(u64::from(refused.retry_after_ms)).min(DELAY_REFUSED);
                (asked / 2 + jitter(asked), format!("refused: {}: {}", refused.code, refused.detail))
            }
            End::Again(error) if is_refusal(&error) => (DELAY_REFUSED / 2 + jitter(DELAY_REFUSED), error.to_string()),
            End::Again(error) => (delays.draw(), error.to_string()),
            End::Recover(why) => match recover(&node).await {
                Ok(()) => (Duration::ZERO, why),
                Err(error) => (DELAY_REFUSED / 2 + jitter(DELAY_REFUSED), format!("{why}; {error}")),
            },
        };
        tracing::warn!(why, wait_ms = wait.as_millis() as u64, "no link");
        node.board.link(LinkState::Down { why });
        tokio::select! {
            () = sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Reasons that dialling again soon does not change.
fn is_refusal(error: &WireError) -> bool {
    matches!(error, WireError::Refused(_) | WireError::Rehomed(..))
        || matches!(
            error.close_code(),
            Some(close::REVOKED | close::UNKNOWN_NODE | close::FOREIGN_CA | close::VERSION | close::SUPERSEDED)
        )
}

/// The certificate ran out, which is normal for a node that was away: the key is still bound to it.
async fn recover(node: &Node) -> Result<(), EnrolError> {
    tracing::info!("asking for a new certificate by proof of the key");
    let clock = node.clock.clone();
    let time = TimeSource::new(move || clock.trusted_ms());
    let standing = enrol::poll(node.way(), &node.identity, time, node.host.clone()).await?;
    if standing.certificate.is_some() {
        let word = node.clock.hear(standing.coordinator_ms);
        if let Err(error) = node.journal.keep_word(word).await {
            tracing::warn!(%error, "the coordinator's time is not in the journal");
        }
        match own_validity(node).await {
            Some((_, end)) if end > node.clock.trusted_ms() => Ok(()),
            // At once it would only cost the next recovery.
            _ => Err(EnrolError::Nonsense("the new certificate has ended already; is its clock right?")),
        }
    } else {
        Err(EnrolError::Nonsense("a known node is pending again"))
    }
}

/// The node's own certificate's begin and end, ms since 1970.
async fn own_validity(node: &Node) -> Option<(i64, i64)> {
    let folder = node.state_dir.clone();
    let certificate =
        node.aside.run("certificate", move || files::load_node_certificate(&folder)).await.ok()?.ok()??;
    admit::validity(certificate.chain.first()?)
}
