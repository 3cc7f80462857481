//! Watches the disk of the data directory: said in `/readyz`, in a metric and in the log before writes fail.

use crate::app::App;
use crate::base::http::Problem;
use crate::base::work::{Nudge, Reconciler};
use prometheus_client::metrics::gauge::Gauge;
use std::time::Duration;

/// Pause between two looks.
const PERIOD: Duration = Duration::from_secs(5);
/// With less than this free the disk counts as full, bytes.
const FULL: u64 = 64 << 20;
/// With less than this free people are warned, bytes.
const LOW: u64 = 1 << 30;
/// The name of the warning.
const WARNING: &str = "disk";
/// The word of a full disk.
const DISK_FULL: &str = "disk_full";

/// Starts the watch.
pub fn start(app: &App) {
    let (own, free) = (app.clone(), app.metrics.gauge("disk_free_bytes", "Free bytes where the database lies"));
    let run = move || {
        let (app, free) = (own.clone(), free.clone());
        async move { look(&app, &free).await }
    };
    Reconciler { name: "base.disk", period: PERIOD, nudge: Nudge::default(), run }.start(&app.supervisor);
}

async fn look(app: &App, gauge: &Gauge) -> Result<(), Problem> {
    let dir = app.config.data_dir.clone();
    let found = app.cpu.run(move || nix::sys::statvfs::statvfs(&dir).ok()).await?;
    let free = found.map(|found| found.blocks_available() * found.fragment_size());
    gauge.set(free.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(-1));
    match free.and_then(warning) {
        Some(text) => app.health.warn(WARNING, text),
        None => app.health.calm(WARNING),
    }
    Ok(())
}

/// Whether the last look found the disk full: what need not be written then leaves the room to what must.
#[must_use]
pub fn is_full(app: &App) -> bool {
    app.health.warnings().iter().any(|text| text.starts_with(DISK_FULL))
}

fn warning(free: u64) -> Option<String> {
    let mib = free >> 20;
    match free {
        ..FULL => Some(format!(
            "{DISK_FULL}: {mib} MiB are free where the database lies; free some, or nothing can be launched"
        )),
        FULL..LOW => Some(format!("disk_low: {mib} MiB are free where the database lies")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_words_have_their_bounds() {
        let word = |free| warning(free).and_then(|text| text.split(':').next().map(str::to_owned));
        assert_eq!(word(FULL - 1).as_deref(), Some("disk_full"));
        assert_eq!(word(FULL).as_deref(), Some("disk_low"));
        assert_eq!(word(LOW), None);
    }
}
