//! What people and operators ask for.

use crate::dice::Dice;
use crate::history::Event;
use crate::machine::Machine;
use crate::world::World;
use muster_coordinator::base::http::Door;
use muster_protocol::facts::{FactBody, Xid};
use serde_json::json;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Asks for things until the time is over.
pub async fn run(world: Arc<World>, dice: Arc<Dice>, time: Duration) {
    let until = Instant::now() + time;
    let mut number = 0;
    while Instant::now() < until {
        sleep(dice.ms(500, 6_500)).await;
        let (own, chance) = (Arc::clone(&world), Arc::clone(&dice));
        match dice.between(0, 100) {
            0..78 => {
                number += 1;
                world.spawn("life", async move { life(&own, &chance, number).await });
            }
            78..84 => world.spawn("probe", async move { probe(&own, &chance).await }),
            84..88 => world.spawn("drain", async move { drain(&own, &chance).await }),
            88..93 => world.spawn("hold", async move { hold(&own, &chance).await }),
            93..95 => world.spawn("release", async move { again(&own, &chance).await }),
            95..97 => world.spawn("relet", async move { relet(&own, &chance) }),
            _ => world.spawn("xids", async move { xids(&own, &chance).await }),
        }
    }
}

/// One allocation from launch to release.
async fn life(world: &World, dice: &Dice, number: u64) {
    let mut body = json!({"sku": "cpu", "name": format!("w-{number}"), "ssh_key_ids": []});
    if dice.chance(100) {
        body["env"] = json!({"SIZE": "x".repeat(usize::try_from(dice.between(0, 4_000)).unwrap_or(0))});
    }
    let Some(launched) = world.user("/api/v1/allocations", body).await else { return };
    if launched.status != 202 {
        return;
    }
    world.promises.lock().unwrap_or_else(PoisonError::into_inner).launched += 1;
    let text = |at: &str| launched.body.pointer(at).and_then(|id| id.as_str()).unwrap_or_default().to_owned();
    let (allocation, operation) = (text("/allocation_ids/0"), text("/operation_id"));
    if dice.chance(120) {
        sleep(dice.ms(0, 4_000)).await;
        let _ = world.user(&format!("/api/v1/operations/{operation}/cancel"), json!({})).await;
    }
    sleep(dice.ms(2_000, 120_000)).await;
    release(world, &allocation).await;
}

/// Releases until that is accepted, or refused for good.
pub async fn release(world: &World, allocation: &str) {
    let _ = world.user(&format!("/api/v1/allocations/{allocation}/release"), json!({})).await;
}

/// Somebody releases something that may be released already.
async fn again(world: &World, dice: &Dice) {
    let Some(list) = world.get(Door::Console, "/api/v1/allocations?limit=20").await else { return };
    let all: Vec<String> = list.body["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item["id"].as_str().map(str::to_owned))
        .collect();
    if let Some(id) = dice.one_of(&all) {
        release(world, id).await;
    }
}

/// The same allocation under a newer lease, which ends its cell and begins another. No verb does that yet, so its
/// rows are changed as one would.
fn relet(world: &World, dice: &Dice) {
    let changed = (|| -> rusqlite::Result<()> {
        let connection = rusqlite::Connection::open(world.coordinator.database())?;
        let mut active =
            connection.prepare("SELECT id, node_id FROM allocations WHERE state = 'active' ORDER BY id")?;
        let active: Vec<(String, String)> =
            active.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let Some((id, node)) = dice.one_of(&active) else { return Ok(()) };
        connection.execute("UPDATE allocations SET lease_epoch = lease_epoch + 1 WHERE id = ?1", [id])?;
        connection.execute("UPDATE slots SET lease_epoch = lease_epoch + 1 WHERE allocation_id = ?1", [id])?;
        connection.execute("INSERT INTO desired_dirty(node_id) VALUES(?1) ON CONFLICT DO NOTHING", [node])?;
        world.promises.lock().unwrap_or_else(PoisonError::into_inner).relet.insert(id.clone());
        world.history.say(Event::Asked(format!("relet {id}"), 0, String::new()));
        Ok(())
    })();
    if let Err(error) = changed {
        world.history.never(format!("the rows of a lease cannot be changed: {error}"));
    }
}

/// In some seeds an operator takes a node's identity away, late.
pub async fn revoke(world: Arc<World>, dice: Arc<Dice>, time: Duration) {
    sleep(time.mul_f64(0.7)).await;
    let (true, Some(machine)) = (dice.chance(300), world.machines.last()) else { return };
    let (Some(path), Some(id)) = (node_path(machine), machine.id()) else { return };
    let revoked = world.operator(&format!("{path}/revoke"), json!({})).await;
    if revoked.is_some_and(|answer| answer.status == 200) {
        let now = world.history.now_ms();
        world.promises.lock().unwrap_or_else(PoisonError::into_inner).revoked.insert(id, now);
    }
}

/// An operator gives up an allocation with its node.
pub async fn give_up(world: &World, allocation: &str) {
    world.promises.lock().unwrap_or_else(PoisonError::into_inner).abandoned.insert(allocation.to_owned());
    let body = json!({"reason": "its node is revoked", "node_lost": true});
    let _ = world.operator(&format!("/api/v1/admin/allocations/{allocation}/force-release"), body).await;
}

fn node_path(machine: &Machine) -> Option<String> {
    Some(format!("/api/v1/admin/nodes/{}", machine.id()?))
}

async fn probe(world: &World, dice: &Dice) {
    let Some(path) = dice.one_of(&world.machines).and_then(|machine| node_path(machine)) else { return };
    let _ = world.operator(&format!("{path}/probe"), json!({})).await;
}

async fn drain(world: &World, dice: &Dice) {
    let Some(path) = dice.one_of(&world.machines).and_then(|machine| node_path(machine)) else { return };
    let act = if dice.chance(500) { "drain" } else { "cordon" };
    let _ = world.operator(&format!("{path}/{act}"), json!({})).await;
    sleep(dice.ms(5_000, 90_000)).await;
    let _ = world.operator(&format!("{path}/uncordon"), json!({})).await;
}

/// Takes a slot off the market for a while.
async fn hold(world: &World, dice: &Dice) {
    let Some(path) = dice.one_of(&world.machines).and_then(|machine| node_path(machine)) else { return };
    let Some(slots) = world.get(Door::Operator, &format!("{path}/slots")).await else { return };
    let free: Vec<String> = slots.body["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|slot| slot["state"] == "free")
        .filter_map(|slot| slot["id"].as_str().map(str::to_owned))
        .collect();
    let Some(slot) = dice.one_of(&free) else { return };
    let _ = world.operator(&format!("{path}/slots/{slot}/quarantine"), json!({})).await;
    sleep(dice.ms(2_000, 60_000)).await;
    let _ = world.operator(&format!("{path}/slots/{slot}/clear"), json!({})).await;
}

/// A GPU of a node has trouble: facts that must arrive, each once.
async fn xids(world: &World, dice: &Dice) {
    let Some(machine) = dice.one_of(&world.machines) else { return };
    for _ in 0..dice.between(1, 6) {
        sleep(dice.ms(0, 50)).await;
        let (Some(node), Some(id)) = (machine.node(), machine.id()) else { continue };
        let xid = {
            let mut promises = world.promises.lock().unwrap_or_else(PoisonError::into_inner);
            promises.last_xid += 1;
            promises.last_xid
        };
        let body = FactBody::Xid(Xid { gpu_uuid: "GPU-1".into(), xid, source: "nvml".into() });
        match node.journal.fact(node.clock.wall_ms(), body).await {
            Ok(true) => {
                let mut promises = world.promises.lock().unwrap_or_else(PoisonError::into_inner);
                promises.xids.entry(id).or_default().insert(xid);
                node.facts.notify_one();
            }
            Ok(false) => {}
            Err(error) => world.history.say(Event::Fault(format!("a fact was not kept: {error}"))),
        }
    }
}
