//! The outbox of facts over the link: in order, at most a few frames ahead of the acknowledgements.

use super::{
    up::Link,
    wire::{FrameReader, WireError},
};
use muster_protocol::{
    Kind,
    facts::{Facts, FactsAck, FactsOpen},
    frame::encode,
    limits::{FACTS_PER_FRAME, REPORT_MAX},
};
use prost::Message;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// Facts that may be on their way without acknowledgement.
const AHEAD_MAX: u64 = 4 * FACTS_PER_FRAME as u64;
/// Bytes of one frame: half its cap, so that one fact more never crosses it.
const FRAME_TARGET: usize = REPORT_MAX as usize / 2;
/// A stream that ended early is opened again after this, while the link stands.
const AGAIN: Duration = Duration::from_secs(2);
/// Priority below sessions and above telemetry.
const PRIORITY: i32 = -50;

/// Sends facts until the link ends.
pub(super) async fn run(link: Arc<Link>) {
    loop {
        if let Err(error) = stream(&link).await {
            tracing::debug!(%error, "the facts stream ended");
        }
        sleep(AGAIN).await;
    }
}

async fn stream(link: &Link) -> Result<(), WireError> {
    let journal = &link.node.journal;
    let (mut send, receive) = link.connection.open_bi().await?;
    // Priority is a wish: on a stream that is already gone it changes nothing.
    let _ = send.set_priority(PRIORITY);
    let open = FactsOpen { journal_epoch: journal.epoch().to_owned() };
    send.write_chunk(encode(Kind::FactsOpen, &open)).await?;
    let mut frames = FrameReader::new(receive);
    // The coordinator says first what it has, so that nothing is sent twice.
    let (mut sent, mut acked) = (0, 0);
    loop {
        let waiting = if sent - acked < AHEAD_MAX {
            journal.facts_after(sent, FACTS_PER_FRAME).await.map_err(std::io::Error::other)?
        } else {
            Vec::new()
        };
        if !waiting.is_empty() {
            let mut facts = Facts::default();
            let mut size = 0;
            for fact in waiting {
                size += fact.encoded_len() + 8;
                if size > FRAME_TARGET && !facts.items.is_empty() {
                    break;
                }
                sent = fact.number;
                facts.items.push(fact);
            }
            send.write_chunk(encode(Kind::Facts, &facts)).await?;
            continue;
        }
        tokio::select! {
            () = link.node.facts.notified() => {}
            frame = frames.next() => {
                let frame = frame?.ok_or(WireError::Ended)?;
                if frame.kind == Kind::FactsAck {
                    acked = frame.decode::<FactsAck>()?.number.max(acked);
                    sent = sent.max(acked);
                    journal.facts_stored(acked).await.map_err(std::io::Error::other)?;
                }
            }
        }
    }
}
