//! One task's stream: offer, acceptance, steps, result, acknowledgement.

use super::{Begun, RUNNING_MAX, Running, Tasks, result};
use crate::{
    journal::KeptResult,
    link::wire::{FrameReader, WireError},
};
use bytes::Bytes;
use muster_protocol::{
    Frame, Kind,
    frame::encode,
    ids::NodeTaskId,
    limits::REPORT_MAX,
    task::{KINDS, TaskAccepted, TaskOffer, TaskResult},
};
use quinn::SendStream;
use tokio::sync::broadcast::error::RecvError;

/// Longest text of a result, in bytes: the frame's cap less what is around it.
const RESULT_MAX: usize = REPORT_MAX as usize - 4096;

/// Serves a task's stream until the result is acknowledged or the stream is gone.
pub async fn serve(tasks: Tasks, first: Frame, mut send: SendStream, frames: FrameReader) {
    let offer: TaskOffer = match first.decode() {
        Ok(offer) => offer,
        Err(error) => return tracing::warn!(%error, "an offer that is none"),
    };
    let id = offer.id.clone();
    if let Err(error) = converse(&tasks, offer, &mut send, frames).await {
        tracing::debug!(%error, id, "the stream of a task ended early");
    }
}

/// Refusals that need no journal: nothing is executed.
fn refuse(tasks: &Tasks, offer: &TaskOffer) -> Option<KeptResult> {
    if offer.id.parse::<NodeTaskId>().is_err() {
        return Some(result("failed", "the offer has no task id"));
    }
    if !KINDS.contains(&offer.kind.as_str()) {
        return Some(result("unsupported", format!("this agent knows no task `{}`", offer.kind)));
    }
    if offer.not_after_ms > 0 && tasks.bench.tools.clock.trusted_ms() > offer.not_after_ms {
        return Some(result("expired", "the offer came after its time; nothing was done"));
    }
    None
}

async fn converse(
    tasks: &Tasks,
    offer: TaskOffer,
    send: &mut SendStream,
    mut frames: FrameReader,
) -> Result<(), WireError> {
    let id = offer.id.clone();
    // What was taken is never refused: it runs or has its result, however late it is asked for again.
    let known = tasks.bench.tools.journal.knows_task(id.clone()).await.map_err(std::io::Error::other)?;
    let refusal = if known { None } else { refuse(tasks, &offer) };
    if !known && refusal.is_none() && tasks.running() >= RUNNING_MAX {
        // Without an answer: the coordinator offers it again until its time is over.
        tracing::info!(id, "too many tasks run already; this one is left to be offered again");
        // A stream that is already gone needs no end.
        let _ = send.finish();
        return Ok(());
    }
    let ended = match refusal {
        Some(refusal) => refusal,
        None => {
            let begun = tasks.begin(offer).await.map_err(std::io::Error::other)?;
            send.write_chunk(encode(Kind::TaskAccepted, &TaskAccepted { id: id.clone() })).await?;
            match begun {
                Begun::Done(result) => result,
                Begun::Runs(running) => follow(running, send, &mut frames).await?,
            }
        }
    };
    send.write_chunk(reply(&id, ended)).await?;
    while let Some(frame) = frames.next().await? {
        if frame.kind == Kind::TaskResultAck {
            tasks.bench.tools.journal.forget_task(id).await.map_err(std::io::Error::other)?;
            break;
        }
    }
    // A stream that is already gone needs no end.
    let _ = send.finish();
    Ok(())
}

fn reply(id: &str, mut ended: KeptResult) -> Bytes {
    if ended.result_json.len() + ended.detail.len() > RESULT_MAX {
        ended.result_json.clear();
        ended.detail = "the result is too large to send".to_owned();
    }
    let KeptResult { code, detail, result_json } = ended;
    encode(Kind::TaskResult, &TaskResult { id: id.to_owned(), code, detail, result_json })
}

/// Passes steps on until the task is done. A reset of the stream cancels; the end of the link does not.
async fn follow(running: Running, send: &mut SendStream, frames: &mut FrameReader) -> Result<KeptResult, WireError> {
    // The sender is not kept: the channel closes when the task has ended.
    let Running { steps, mut done, cancel } = running;
    let mut steps = { steps }.subscribe();
    let mut listening = true;
    loop {
        tokio::select! {
            biased;
            step = steps.recv() => match step {
                Ok(step) => send.write_chunk(encode(Kind::TaskProgress, &step)).await?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => {
                    let ended = done.wait_for(Option::is_some).await.ok().and_then(|ended| ended.clone());
                    return Ok(ended.unwrap_or_else(|| result("failed", "the task is lost")));
                }
            },
            frame = frames.next(), if listening => match frame {
                Ok(Some(_)) => {}
                Ok(None) => listening = false,
                Err(WireError::Reset(_)) => {
                    cancel.send_replace(true);
                    listening = false;
                }
                Err(error) => return Err(error),
            },
        }
    }
}
