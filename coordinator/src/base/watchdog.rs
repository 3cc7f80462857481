//! Ends the process when its one interactive thread stands still: a hung coordinator is worse than one that
//! restarts, since agents and cells live through a restart.

use crate::base::limits;
use crate::base::supervise::Supervisor;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Starts the ticking task on the edge and the thread that watches it.
pub fn start(supervisor: &Supervisor) -> std::io::Result<()> {
    let ticks = Arc::new(AtomicU64::new(0));
    let seen = Arc::downgrade(&ticks);
    supervisor.scoped("edge-tick", async move {
        loop {
            ticks.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
        let mut last = u64::MAX;
        // The task ends with the runtime; then there is nothing left to watch.
        while let Some(ticks) = seen.upgrade() {
            let now = ticks.load(Ordering::Relaxed);
            drop(ticks);
            if now == last {
                eprintln!("the edge has not run for {} s: ending the process", limits::EDGE_SILENCE.as_secs());
                std::process::abort();
            }
            last = now;
            std::thread::sleep(limits::EDGE_SILENCE);
        }
    })?;
    Ok(())
}
