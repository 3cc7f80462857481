//! The log of facts of one link: every number once, acknowledged when it is on disk.

use super::pace::Pace;
use super::registry::{Link, priority};
use super::store;
use super::wire::{FrameReader, WireError, send};
use crate::app::App;
use crate::base::http::Problem;
use crate::inbound;
use muster_protocol::control::close;
use muster_protocol::facts::{Fact, Facts, FactsAck, FactsOpen};
use muster_protocol::frame::encode;
use muster_protocol::limits::FACTS_PER_FRAME;
use muster_protocol::{FrameError, Kind};
use quinn::{RecvStream, SendStream};
use std::sync::Arc;
use std::time::Duration;

/// How long an agent may take to say whose log it is.
const OPEN: Duration = Duration::from_secs(10);
/// Longest name of a journal, in bytes.
const EPOCH_MAX: usize = 64;
/// Frames of facts a second, and at once.
const PACE: (u32, u32) = (50, 1_000);
/// Pause before an agent may send again what could not be stored.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("not stored: {0}")]
    Store(Problem),
}

pub(super) async fn take(app: App, link: Arc<Link>) {
    let mut pace = Pace::new(PACE.0, PACE.1);
    while let Ok((send, recv)) = link.connection.accept_bi().await {
        match log(&app, &link, &mut pace, send, recv).await {
            Ok(()) => {}
            Err(Failed::Wire(error)) if error.is_protocol() => {
                tracing::warn!(node = %link.node, "facts make no sense: {error}");
                link.connection.close(close::PROTOCOL_ERROR.into(), error.to_string().as_bytes());
            }
            // Nothing is lost: what is not acknowledged comes again on the next stream.
            Err(Failed::Wire(error)) => tracing::debug!(node = %link.node, "the facts stream broke off: {error}"),
            Err(error) => {
                tracing::warn!(node = %link.node, "facts could not be taken in: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn log(app: &App, link: &Link, pace: &mut Pace, mut answer: SendStream, recv: RecvStream) -> Result<(), Failed> {
    // Fails only if the stream is already over, which the first write then says.
    let _ = answer.set_priority(priority::FACTS);
    let mut reader = FrameReader::heard_by(recv, Arc::clone(&link.seen));
    let first = reader.expect_within(OPEN).await?;
    if first.kind != Kind::FactsOpen {
        return Err(WireError::from(FrameError::OutOfPlace(first.kind)).into());
    }
    let open: FactsOpen = first.decode().map_err(WireError::from)?;
    // One journal a link, the one of the hello: every name is a row.
    let named = (1..=EPOCH_MAX).contains(&open.journal_epoch.len());
    if !named || open.journal_epoch != link.journal_epoch {
        return Err(WireError::from(FrameError::Malformed(Kind::FactsOpen)).into());
    }
    let (node, epoch) = (link.node, open.journal_epoch);
    let name = epoch.clone();
    let number = app.store.read(move |tx| store::cursor_in(tx, node, &name)).await.map_err(Failed::Store)?;
    send(&mut answer, encode(Kind::FactsAck, &FactsAck { number })).await?;
    while let Some(frame) = reader.next().await? {
        pace.turn(frame.body.len()).await;
        if frame.kind != Kind::Facts {
            return Err(WireError::from(FrameError::OutOfPlace(frame.kind)).into());
        }
        let facts: Facts = frame.decode().map_err(WireError::from)?;
        if facts.items.len() > FACTS_PER_FRAME {
            return Err(WireError::from(FrameError::Malformed(Kind::Facts)).into());
        }
        if let (true, Some(last)) = (cfg!(feature = "plant-ack"), facts.items.last()) {
            send(&mut answer, encode(Kind::FactsAck, &FactsAck { number: last.number })).await?;
        }
        let number = apply(app, link, &epoch, facts.items).await.map_err(Failed::Store)?;
        inbound::after_facts(app);
        send(&mut answer, encode(Kind::FactsAck, &FactsAck { number })).await?;
    }
    Ok(())
}

/// Applies what is new and moves the cursor in one transaction; answers with the cursor.
async fn apply(app: &App, link: &Link, epoch: &str, items: Vec<Fact>) -> Result<u64, Problem> {
    let (node, epoch, cx) = (link.node, epoch.to_owned(), app.node(link.node));
    app.store
        .ingest(move |tx| {
            let before = store::cursor_in(tx, node, &epoch)?;
            let mut cursor = before;
            for fact in &items {
                if fact.number > cursor {
                    inbound::fact_in(tx, &cx, node, &epoch, fact)?;
                    cursor = fact.number;
                }
            }
            if cursor != before {
                store::save_cursor_in(tx, node, &epoch, cursor, cx.now_ms)?;
            }
            Ok(cursor)
        })
        .await
}
