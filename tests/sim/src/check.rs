//! What must hold, and what was promised.

use crate::BASE_MS;
use crate::world::World;
use muster_protocol::ids::{AllocationId, NodeId};
use rusqlite::{Connection, OpenFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// Period of the looks at what must hold at any time.
const LOOK: Duration = Duration::from_secs(5);

/// A cell may be built for so long before it stands, ms.
const PREPARING_MS: u64 = 5_000;
/// Of one life of a cell this much may be told wrongly: between what happens and the agent's knowledge of it, ms.
const CALM_MS: u64 = 1_000;
/// The same where the agent was dead or its disk slow meanwhile: the pause between two tellings is a minute.
const TROUBLED_MS: u64 = 240_000;

/// What the world was told and must keep to.
#[derive(Debug, Default)]
pub struct Promises {
    /// Facts that were put into journals, by node: numbers of XIDs, each given once.
    pub xids: BTreeMap<NodeId, BTreeSet<u64>>,
    /// The last of those numbers.
    pub last_xid: u64,
    /// Nodes whose identity was taken away, and when that was answered, ms.
    pub revoked: BTreeMap<NodeId, u64>,
    /// Allocations that an operator gave up with their node.
    pub abandoned: BTreeSet<String>,
    /// Allocations whose lease was changed while it ran.
    pub relet: BTreeSet<String>,
    /// Launches that were accepted.
    pub launched: u64,
}

/// The coordinator's database, looked at from outside.
fn database(world: &World) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(world.coordinator.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn rows(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<Vec<String>>> {
    let mut statement = connection.prepare_cached(sql)?;
    let count = statement.column_count();
    let mut found = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text = |at| match row.get_ref(at) {
            Ok(rusqlite::types::ValueRef::Integer(number)) => number.to_string(),
            Ok(rusqlite::types::ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            _ => String::new(),
        };
        found.push((0..count).map(text).collect());
    }
    Ok(found)
}

/// Looks again and again while the world stands.
pub async fn watch(world: Arc<World>) {
    let connection = match database(&world) {
        Ok(connection) => connection,
        Err(error) => return world.history.never(format!("the database cannot be opened: {error}")),
    };
    loop {
        sleep(LOOK).await;
        if let Err(error) = look(&world, &connection) {
            world.history.never(format!("the database cannot be read: {error}"));
        }
    }
}

/// A generation means the same bytes for ever.
pub fn held(world: &World) {
    for machine in &world.machines {
        if let (Some(node), Some(id)) = (machine.node(), machine.id())
            && let Some((generation, sha256)) = node.cells.held()
        {
            world.history.holds(id, generation.fleet_epoch, generation.n, sha256);
        }
    }
}

/// At any time.
fn look(world: &World, connection: &Connection) -> rusqlite::Result<()> {
    held(world);
    if world.over.load(Ordering::Relaxed) {
        return Ok(());
    }
    twice_leased(world, connection)?;
    let leases: BTreeMap<AllocationId, String> = rows(connection, "SELECT id, wish FROM allocations")?
        .into_iter()
        .filter_map(|row| Some((row[0].parse().ok()?, row[1].clone())))
        .collect();
    let promises = world.promises.lock().unwrap_or_else(PoisonError::into_inner);
    for machine in &world.machines {
        for (id, _) in machine.root.standing() {
            let gone = leases.get(&id).is_none_or(|wish| wish == "gone");
            if gone && !promises.abandoned.contains(&id.to_string()) {
                world.history.never(format!("{id} stands on machine {} and nobody leases it", machine.index));
            }
        }
    }
    if let Some(app) = world.coordinator.app() {
        for (node, at) in &promises.revoked {
            if world.history.now_ms() > at + 2_000 && app.links.get(*node).is_some() {
                world.history.never(format!("{node} has a link although its identity was revoked"));
            }
        }
    }
    Ok(())
}

fn twice_leased(world: &World, connection: &Connection) -> rusqlite::Result<()> {
    let twice = "SELECT s.slot_id, count(*), min(a.id), max(a.id) FROM allocation_slots s \
                 JOIN allocations a ON a.id = s.allocation_id WHERE a.wish <> 'gone' \
                 GROUP BY s.slot_id HAVING count(*) > 1";
    for row in rows(connection, twice)? {
        world.history.never(format!("{} is leased twice: by {} and by {}", row[0], row[2], row[3]));
    }
    // Taken while it was not to be had: its row does not name who leases it.
    let untold = "SELECT s.slot_id, a.id FROM allocation_slots s JOIN allocations a ON a.id = s.allocation_id \
                  JOIN slots t ON t.id = s.slot_id WHERE a.wish <> 'gone' AND t.allocation_id <> a.id";
    for row in rows(connection, untold)? {
        world.history.never(format!("{} was leased by {} without being free", row[0], row[1]));
    }
    Ok(())
}

/// A cell is being ended: somebody must have wanted that.
pub fn explain_end(world: &World, id: AllocationId, lease_epoch: u64, reason: &str) -> rusqlite::Result<()> {
    if world.over.load(Ordering::Relaxed) {
        return Ok(());
    }
    let connection = database(world)?;
    let found: Option<(String, i64)> = connection
        .query_row("SELECT wish, lease_epoch FROM allocations WHERE id = ?1", [id.to_string()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .ok();
    if let Some((wish, epoch)) = found
        && wish == "wanted"
        && u64::try_from(epoch).ok() == Some(lease_epoch)
    {
        world.history.never(format!("{id} is ended ({reason}) although it is wanted"));
    }
    Ok(())
}

/// Allocations whose slots are not free yet: which, in which state, on which node.
///
/// # Errors
/// The database cannot be read.
pub fn open(world: &World) -> rusqlite::Result<Vec<(String, String, Option<NodeId>)>> {
    let found = rows(&database(world)?, "SELECT id, state, node_id FROM allocations WHERE wish <> 'gone' ORDER BY id")?;
    Ok(found.into_iter().map(|row| (row[0].clone(), row[1].clone(), row[2].parse().ok())).collect())
}

/// When all faults are mended and everything had its time.
pub async fn finally(world: &World) -> anyhow::Result<()> {
    let connection = database(world)?;
    look(world, &connection)?;
    for row in rows(&connection, "SELECT id, kind, state, subject_id FROM operations WHERE ended_ms IS NULL")? {
        world.history.never(format!("{} {} of {} never ends: {}", row[1], row[0], row[3], row[2]));
    }
    let names = "SELECT a.name, count(*) FROM allocations a JOIN operations o ON o.id = a.operation_id \
                 GROUP BY a.name, o.retry_of HAVING count(*) > 1";
    for row in rows(&connection, names)? {
        world.history.never(format!("{} was asked for once and launched {} times", row[0], row[1]));
    }
    for machine in &world.machines {
        let Some(id) = machine.id() else { continue };
        let begun = format!("SELECT id, created_ms FROM operations WHERE kind = 'nodes.probe' AND subject_id = '{id}'");
        let mut runs: BTreeMap<i64, u64> =
            rows(&connection, &begun)?.iter().map(|row| (row[1].parse().unwrap_or(0), 0)).collect();
        for ran in machine.root.probes() {
            // One probe of a node at a time: it belongs to the last that was begun.
            let at = BASE_MS + i64::try_from(ran).unwrap_or(i64::MAX);
            match runs.range_mut(..=at).next_back() {
                Some((_, count)) => *count += 1,
                None => world.history.never(format!("a probe ran on {id} that nobody asked for")),
            }
        }
        for (at, count) in runs.iter().filter(|(_, count)| **count > 1) {
            world.history.never(format!("the probe of {id} begun at {} ran {count} times", at - BASE_MS));
        }
    }
    let promises = world.promises.lock().unwrap_or_else(PoisonError::into_inner);
    for (node, numbers) in &promises.xids {
        let kept: Vec<u64> =
            rows(&connection, &format!("SELECT xid FROM gpu_xids WHERE node_id = '{node}' ORDER BY xid"))?
                .into_iter()
                .filter_map(|row| row[0].parse().ok())
                .collect();
        if !promises.revoked.contains_key(node) && kept != numbers.iter().copied().collect::<Vec<_>>() {
            let lost: Vec<_> = numbers.iter().filter(|number| !kept.contains(number)).collect();
            world.history.never(format!("facts of {node}: {} put, {} kept, lost {lost:?}", numbers.len(), kept.len()));
        }
    }
    usage(world, &connection, &promises)?;
    let busy = "SELECT s.id, s.state, s.node_id, s.allocation_id FROM slots s WHERE s.state <> 'free'";
    for row in rows(&connection, busy)? {
        let lost = row[2].parse().is_ok_and(|node: NodeId| promises.revoked.contains_key(&node));
        if !lost {
            world.history.never(format!("{} is still {} by {}", row[0], row[1], row[3]));
        }
    }
    Ok(())
}

/// The time that cells stood is what is charged: nothing doubled, and nothing lost but what a death may lose.
fn usage(world: &World, connection: &Connection, promises: &Promises) -> rusqlite::Result<()> {
    let told = "SELECT allocation_id, sum(used_ms) FROM allocation_usage GROUP BY allocation_id";
    let told: BTreeMap<String, u64> =
        rows(connection, told)?.into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap_or(0))).collect();
    // What stood, and how much of it may be told too little and too much, ms.
    let mut stood: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for machine in &world.machines {
        let lost = machine.id().is_some_and(|id| promises.revoked.contains_key(&id));
        for life in machine.root.lives() {
            let to = life.to_ms.unwrap_or_else(|| world.history.now_ms());
            let troubled = machine.was_troubled(life.from_ms.saturating_sub(PREPARING_MS), to + CALM_MS);
            let entry = stood.entry(life.allocation.to_string()).or_default();
            entry.0 += to - life.from_ms;
            let less = match (lost || promises.relet.contains(&life.allocation.to_string()), troubled) {
                (true, _) => u64::MAX,
                (_, true) => TROUBLED_MS,
                (_, false) => CALM_MS,
            };
            entry.1 = entry.1.saturating_add(less);
            // Until its agent hears of it, a cell that died seems to stand.
            entry.2 += match (life.died, troubled) {
                (true, true) => TROUBLED_MS,
                (true, false) => CALM_MS,
                (false, _) => 1,
            };
        }
    }
    for (id, (stood, less, more)) in &stood {
        let told = told.get(id).copied().unwrap_or(0);
        if told > stood + more || told.saturating_add(*less) < *stood {
            world.history.never(format!("{id} stood for {stood} ms and {told} ms are told of it"));
        }
    }
    for (id, used) in told.iter().filter(|(id, used)| **used > 0 && !stood.contains_key(*id)) {
        world.history.never(format!("{id} never stood and {used} ms are told of it"));
    }
    Ok(())
}
