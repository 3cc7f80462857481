//! Samples over the link, in order: what waited while there was none first, then each as it is taken. One batch is
//! on its way at a time, and it is let go when the coordinator has all of it.

use super::up::Link;
use muster_protocol::{Kind, frame::encode};
use std::sync::Arc;

/// Priority below everything else.
const PRIORITY: i32 = -100;

/// Sends until the link ends.
pub(super) async fn run(link: Arc<Link>) {
    let samples = &link.node.samples;
    samples.link_is_new();
    loop {
        let batch = samples.next().await;
        let Ok(mut stream) = link.connection.open_uni().await else { return };
        // Priority is a wish: on a stream that is already gone it changes nothing.
        let _ = stream.set_priority(PRIORITY);
        for (age, mut sample) in batch {
            // By the clock of now: it may have been corrected since.
            sample.sampled_ms =
                link.node.clock.wall_ms().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
            if stream.write_chunk(encode(Kind::Telemetry, &sample)).await.is_err() {
                break;
            }
        }
        // Fails only for a stream that is gone, as the next line says.
        let _ = stream.finish();
        match stream.stopped().await {
            // All of it has arrived, or the coordinator wants none of it.
            Ok(_) => samples.confirm(),
            Err(_) => return,
        }
    }
}
