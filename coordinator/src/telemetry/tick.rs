//! The roll-up: writes means of what is in memory while it still is, and forgets what is old.

use super::means::{HOUR_MS, HOURS, MINUTE_MS, MINUTES, Stretch};
use super::store;
use super::tracks::Rolled;
use crate::app::App;
use crate::base::disk;
use crate::base::http::Problem;
use crate::base::store::{Lane, Tx};
use crate::base::work::{Nudge, Reconciler};
use std::time::Duration;

/// A track's turn comes every so many minutes: well before its ring has gone on without it.
const TURNS: i64 = 5;
/// Tracks of one transaction.
const BATCH: usize = 100;

/// Starts the reconciler.
pub fn start(app: &App) {
    let own = app.clone();
    Reconciler {
        name: "telemetry.means",
        period: Duration::from_secs(60),
        nudge: Nudge::default(),
        run: move || turn(own.clone()),
    }
    .start(&app.supervisor);
}

/// One turn: a fifth of the tracks, and what is too old.
///
/// # Errors
/// Only what the store says.
pub async fn turn(app: App) -> Result<(), Problem> {
    let now_ms = app.clock.now_ms();
    let turn = now_ms.div_euclid(MINUTE_MS).rem_euclid(TURNS);
    write(&app, app.telemetry.rolled(now_ms, Some((turn, TURNS)))).await?;
    let upkeep = app.store.on(Lane::Upkeep);
    upkeep.ingest(move |tx| store::forget_means_in(tx, now_ms)).await?;
    Ok(())
}

/// Writes the means of everything that is in memory now, whoever's turn it is.
///
/// # Errors
/// Only what the store says.
pub async fn roll(app: &App) -> Result<(), Problem> {
    write(app, app.telemetry.rolled(app.clock.now_ms(), None)).await
}

async fn write(app: &App, all: Vec<Rolled>) -> Result<(), Problem> {
    if disk::is_full(app) {
        return Ok(());
    }
    let upkeep = app.store.on(Lane::Upkeep);
    let mut all = all.into_iter().peekable();
    while all.peek().is_some() {
        let batch: Vec<_> = all.by_ref().take(BATCH).collect();
        upkeep.ingest(move |tx| batch.iter().try_for_each(|rolled| write_in(tx, rolled))).await?;
    }
    Ok(())
}

/// Writes the minutes of one track, and the hours they are in.
fn write_in(tx: &mut Tx, rolled: &Rolled) -> Result<(), Problem> {
    let track = &rolled.track;
    let mut minutes = rolled.minutes.iter().peekable();
    while let Some((first_ms, _)) = minutes.peek() {
        let from_ms = MINUTES.row_of(*first_ms);
        let before = store::mean_in(tx, track, MINUTES.step_ms, from_ms)?;
        let mut stretch = Stretch::parse(MINUTES, track.kind.series(), before.as_deref().unwrap_or_default());
        while let Some((at_ms, point)) = minutes.next_if(|(at_ms, _)| MINUTES.row_of(*at_ms) == from_ms) {
            stretch.set(usize::try_from((at_ms - from_ms) / MINUTE_MS).unwrap_or_default(), point);
        }
        let bytes = stretch.bytes();
        if before.as_ref() == Some(&bytes) {
            continue;
        }
        store::save_mean_in(tx, track, MINUTES.step_ms, from_ms, &bytes)?;
        let day_ms = HOURS.row_of(from_ms);
        let before = store::mean_in(tx, track, HOURS.step_ms, day_ms)?;
        let mut day = Stretch::parse(HOURS, track.kind.series(), before.as_deref().unwrap_or_default());
        day.set(usize::try_from((from_ms - day_ms) / HOUR_MS).unwrap_or_default(), &stretch.mean());
        store::save_mean_in(tx, track, HOURS.step_ms, day_ms, &day.bytes())?;
    }
    Ok(())
}
