//! What follows when all is settled: somebody copies yesterday's files of the coordinator back by hand, without the
//! restore that would raise the epoch of the fleet. Generations are then given out a second time, and agents must
//! keep to the documents they hold.

use crate::history::Event;
use crate::template::copy;
use crate::world::World;
use crate::{check, faults};
use serde_json::json;
use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the disk of the machine takes for the document that is given out first.
const STUCK: Duration = Duration::from_secs(60);

/// Plays it, on the first machine.
///
/// The coordinator sends no document to an agent that says it holds that generation already. So the agent's disk is
/// stuck over the first one while the second comes.
///
/// # Errors
/// The files cannot be copied.
pub async fn play(world: &World) -> anyhow::Result<()> {
    world.over.store(true, Ordering::Relaxed);
    let (now, kept) = (world.coordinator.data_dir().to_owned(), world.coordinator.data_dir().with_extension("kept"));
    let Some((machine, others)) = world.machines.split_first() else { return Ok(()) };
    for id in others.iter().filter_map(|other| other.id()) {
        let _ = world.operator(&format!("/api/v1/admin/nodes/{id}/cordon"), json!({})).await;
    }
    world.history.say(Event::Fault("old files are copied back".to_owned()));
    down(world).await;
    copy(&now, &kept)?;
    faults::restart(world);
    // Links come up.
    sleep(Duration::from_secs(70)).await;
    machine.disk.stuck_for(STUCK);
    launch(world, "before").await;
    // The document is on its way.
    sleep(Duration::from_secs(2)).await;
    down(world).await;
    fs::remove_dir_all(&now)?;
    copy(&kept, &now)?;
    faults::restart(world);
    launch(world, "after").await;
    let until = Instant::now() + STUCK;
    while Instant::now() < until {
        sleep(Duration::from_millis(1)).await;
        check::held(world);
    }
    Ok(())
}

async fn down(world: &World) {
    world.coordinator.crash();
    sleep(Duration::from_secs(1)).await;
}

/// Launches as soon as the machine is there.
async fn launch(world: &World, name: &str) {
    for again in 0..40 {
        let body = json!({"sku": "cpu", "name": format!("{name}-{again}"), "ssh_key_ids": []});
        if world.user("/api/v1/allocations", body).await.is_some_and(|answer| answer.status == 202) {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
}
