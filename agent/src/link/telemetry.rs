//! Samples: one stream each, and the first to be left out when the link is slow.

use super::up::Link;
use muster_protocol::{Kind, frame::encode};
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Priority below everything else.
const PRIORITY: i32 = -100;

/// Samples until the link ends.
pub(super) async fn run(link: Arc<Link>, period: Duration) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut shed = 0;
    loop {
        ticks.tick().await;
        let sample = link.node.sampler.lock().await.sample(shed).await;
        let frame = encode(Kind::Telemetry, &sample);
        let send = async {
            let mut stream = link.connection.open_uni().await.ok()?;
            // Priority is a wish: on a stream that is already gone it changes nothing.
            let _ = stream.set_priority(PRIORITY);
            stream.write_chunk(frame).await.ok()?;
            stream.finish().ok()
        };
        match timeout(period / 2, send).await {
            Ok(Some(())) => shed = 0,
            Ok(None) => return,
            Err(_) => shed += 1,
        }
    }
}
