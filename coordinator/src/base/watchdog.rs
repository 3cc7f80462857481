//! Ends the process when its one interactive thread stands still: a hung coordinator is worse than one that
//! restarts, since agents and cells live through a restart.

use crate::base::limits;
use crate::base::supervise::Supervisor;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often the thread looks; the edge ticks twice as often.
const LOOK: Duration = Duration::from_secs(1);

/// Starts the ticking task on the edge and the thread that watches it.
pub fn start(supervisor: &Supervisor) -> std::io::Result<()> {
    let ticks = Arc::new(AtomicU64::new(0));
    let seen = Arc::downgrade(&ticks);
    supervisor.scoped("edge-tick", async move {
        loop {
            ticks.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(LOOK / 2).await;
        }
    });
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
        let (mut last, mut silent) = (u64::MAX, 0);
        // The task ends with the runtime; then there is nothing left to watch.
        while let Some(ticks) = seen.upgrade() {
            let now = ticks.load(Ordering::Relaxed);
            drop(ticks);
            // Looks are counted, not time: a process that was stopped and continued has slept, not hung.
            silent = if now == last { silent + 1 } else { 0 };
            if silent >= limits::EDGE_SILENCE.as_secs() {
                // Said if stderr takes it: a full disk below it must not keep the process alive.
                let seconds = limits::EDGE_SILENCE.as_secs();
                let _ = writeln!(std::io::stderr(), "the edge has not run for {seconds} s: ending the process");
                std::process::abort();
            }
            last = now;
            std::thread::sleep(LOOK);
        }
    })?;
    Ok(())
}
