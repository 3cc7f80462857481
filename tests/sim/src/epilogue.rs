//! What follows when all is settled: somebody copies yesterday's files of the coordinator back by hand, without the
//! restore that would raise the epoch of the fleet. Generations are then given out a second time, and agents must
//! keep to the documents they hold.

use crate::faults;
use crate::history::Event;
use crate::template::copy;
use crate::world::World;
use serde_json::json;
use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

/// Plays it.
///
/// # Errors
/// The files cannot be copied.
pub async fn play(world: &World) -> anyhow::Result<()> {
    world.over.store(true, Ordering::Relaxed);
    let (now, kept) = (world.coordinator.data_dir().to_owned(), world.coordinator.data_dir().with_extension("kept"));
    world.history.say(Event::Fault("old files are copied back".to_owned()));
    down(world).await;
    copy(&now, &kept)?;
    launch(world, "before").await;
    down(world).await;
    fs::remove_dir_all(&now)?;
    copy(&kept, &now)?;
    launch(world, "after").await;
    Ok(())
}

async fn down(world: &World) {
    world.coordinator.crash();
    sleep(Duration::from_secs(1)).await;
}

/// Starts the coordinator and launches, with time for links to come up before and for documents after.
async fn launch(world: &World, name: &str) {
    faults::restart(world);
    sleep(Duration::from_secs(70)).await;
    let _ = world.user("/api/v1/allocations", json!({"sku": "cpu", "name": name, "ssh_key_ids": []})).await;
    sleep(Duration::from_secs(15)).await;
}
