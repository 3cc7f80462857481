//! Telemetry of one link: a one-way stream a batch, taken in one after the other.

use super::pace::Pace;
use super::registry::Link;
use super::wire::{FrameReader, WireError};
use crate::app::App;
use crate::inbound;
use muster_protocol::Kind;
use muster_protocol::control::close;
use muster_protocol::limits::SAMPLES_PER_BATCH;
use muster_protocol::telemetry::Sample;
use std::sync::Arc;
use std::time::Duration;

/// How long one batch may take.
const BATCH: Duration = Duration::from_secs(10);
/// Samples a second, and at once.
const PACE: (u32, u32) = (20, 400);
/// Samples older than this count as so old, ms: a clock that is far off must not hide a node.
const AGE_MAX_MS: i64 = 60_000;
/// The same of means, which waited for a link: as far back as they are shown.
const MEAN_AGE_MAX_MS: i64 = 15 * 60_000;

pub(super) async fn take(app: App, link: Arc<Link>) {
    let mut pace = Pace::new(PACE.0, PACE.1);
    while let Ok(stream) = link.connection.accept_uni().await {
        let mut reader = FrameReader::heard_by(stream, Arc::clone(&link.seen));
        let batch = tokio::time::timeout(BATCH, read(&app, &link, &mut reader, &mut pace)).await;
        match batch {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.is_protocol() => {
                tracing::warn!(node = %link.node, "telemetry makes no sense: {error}");
                link.connection.close(close::PROTOCOL_ERROR.into(), error.to_string().as_bytes());
            }
            // A batch may be shed at any time.
            Ok(Err(_)) | Err(_) => reader.stop(0),
        }
    }
}

async fn read(app: &App, link: &Link, reader: &mut FrameReader, pace: &mut Pace) -> Result<(), WireError> {
    let mut count = 0;
    while let Some(frame) = reader.next().await? {
        if frame.kind != Kind::Telemetry || count >= SAMPLES_PER_BATCH {
            return Err(muster_protocol::FrameError::OutOfPlace(frame.kind).into());
        }
        count += 1;
        pace.turn(frame.body.len()).await;
        let sample: Sample = frame.decode()?;
        let age_max_ms = if sample.span_ms == 0 { AGE_MAX_MS } else { MEAN_AGE_MAX_MS };
        let at_ms = taken_ms(sample.sampled_ms, link.skew_ms(), app.clock.now_ms(), age_max_ms);
        inbound::sample(app, link.node, at_ms, sample);
    }
    Ok(())
}

/// When a sample was taken, by our clock: never in the future, and at most `age_max_ms` ago.
fn taken_ms(sampled_ms: i64, skew_ms: i64, now_ms: i64, age_max_ms: i64) -> i64 {
    sampled_ms.saturating_sub(skew_ms).clamp(now_ms - age_max_ms, now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_dated_by_our_clock() {
        let taken = |sampled_ms, skew_ms| taken_ms(sampled_ms, skew_ms, 1_200, AGE_MAX_MS);
        assert_eq!(taken(1_000, 0), 1_000);
        assert_eq!(taken(3_601_000, 3_600_000), 1_000, "an agent an hour ahead");
        assert_eq!(taken(i64::MAX, -5), 1_200);
        assert_eq!(taken(i64::MIN, 5), 1_200 - AGE_MAX_MS);
    }
}
