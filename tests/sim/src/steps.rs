//! Every write of every operation, failed once: whoever writes dies before it is done, or when it is done and
//! nobody knows, and everything asked for is asked again under the same key.

use crate::disk::{Disk, Trap};
use crate::history::Event;
use crate::template::Template;
use crate::world::World;
use crate::{check, entropy, faults, load};
use anyhow::Context;
use muster_coordinator::base::http::Door;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Whose writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Whose {
    /// The coordinator's.
    Coordinator,
    /// The agent's.
    Agent,
}

impl Whose {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Coordinator, Self::Agent];
}

/// One run of the story.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Story {
    /// What it begins with.
    #[arg(long)]
    template: PathBuf,
    /// Who writes.
    #[arg(long)]
    whose: Whose,
    /// The write at which the writer dies; without it nobody does.
    #[arg(long)]
    write: Option<u64>,
    /// It dies when the write is done and nobody knows, not before.
    #[arg(long)]
    done: bool,
}

impl std::fmt::Display for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whose = format!("{:?}", self.whose).to_lowercase();
        write!(f, "muster-sim step --template {} --whose {whose}", self.template.display())?;
        if let Some(write) = self.write {
            write!(f, " --write {write}")?;
        }
        f.write_str(if self.done { " --done" } else { "" })
    }
}

/// What became of a story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The writes that it took: from the first up to, not including, the second.
    pub writes: (u64, u64),
    /// Somebody died at the write.
    pub sprung: bool,
    /// What must never have happened; empty if all is well.
    pub violations: Vec<String>,
    /// All events, for people.
    pub lines: Vec<String>,
}

/// Every story in which somebody dies, for one side.
///
/// # Errors
/// The story does not go well when nobody dies.
pub fn all(program: &Path, template: &Template, whose: Whose) -> anyhow::Result<Vec<Story>> {
    let story = Story { template: template.folder().to_owned(), whose, write: None, done: false };
    let told = apart(program, &story)?;
    anyhow::ensure!(told.violations.is_empty(), "without a fault: {:?}", told.violations);
    let died = |write| [false, true].map(|done| Story { write: Some(write), done, ..story.clone() });
    Ok((told.writes.0..told.writes.1).flat_map(died).collect())
}

/// Runs a story in a process of its own, as a seed is run.
///
/// # Errors
/// As [`run`], or the process could not be started.
pub fn apart(program: &Path, story: &Story) -> anyhow::Result<Told> {
    let text = story.to_string();
    let output = Command::new(program).args(text.split(' ').skip(1)).stderr(Stdio::inherit()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said).with_context(|| format!("{text} ended without an answer: {said}"))
}

/// Runs a story on a thread of its own.
///
/// # Errors
/// The world could not be set up, or the run panicked.
pub fn run(story: &Story) -> anyhow::Result<Told> {
    let story = story.clone();
    let thread = std::thread::Builder::new().name("steps".to_owned()).stack_size(16 << 20);
    let ran = thread.spawn(move || {
        entropy::seed(7);
        let template = Template::open(&story.template)?;
        let trap = story.write.map(|write| Trap { write, done: story.done });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        runtime.block_on(under(&template, story.whose, trap))
    })?;
    ran.join().map_err(|_| anyhow::anyhow!("the story panicked"))?
}

fn disk(world: &World, whose: Whose) -> &Arc<Disk> {
    match whose {
        Whose::Coordinator => &world.coordinator.disk,
        Whose::Agent => &world.machines[0].disk,
    }
}

async fn under(template: &Template, whose: Whose, trap: Option<Trap>) -> anyhow::Result<Told> {
    let world = World::begin(7, 1, template).await?;
    world.spawn("watch", check::watch(Arc::clone(&world)));
    // What is written of the beginning itself is over.
    sleep(Duration::from_secs(5)).await;
    let from = disk(&world, whose).writes();
    if let Some(trap) = trap {
        disk(&world, whose).set(trap);
        let own = Arc::clone(&world);
        world.spawn("trap", async move {
            disk(&own, whose).sprung().await;
            own.history.say(Event::Fault(format!("{whose:?} dies at {trap:?}")));
            match whose {
                Whose::Coordinator => own.coordinator.crash(),
                Whose::Agent => own.machines[0].crash(),
            }
            sleep(Duration::from_secs(3)).await;
            faults::mend(&own);
        });
    }
    story(&world).await;
    let to = disk(&world, whose).writes();
    if timeout(Duration::from_secs(900), settled(&world)).await.is_err() {
        world.history.never("not everything is over");
    }
    // A node task that nobody took has so long.
    sleep(Duration::from_secs(90)).await;
    check::finally(&world).await?;
    let (_, _, faults) = world.history.totals();
    let (violations, lines) = (world.history.violations(), world.history.lines());
    Ok(Told { writes: (from, to), sprung: faults > 0, violations, lines })
}

/// Every kind of operation once.
async fn story(world: &Arc<World>) {
    let machine = &world.machines[0];
    let launch = async |name: &str| {
        let body = json!({"sku": "cpu", "name": name, "ssh_key_ids": []});
        // Refused while the node has not come back to a coordinator that has just started.
        for _ in 0..60 {
            let launched = world.user("/api/v1/allocations", body.clone()).await?;
            let text = |at: &str| launched.body.pointer(at).and_then(|id| id.as_str()).map(str::to_owned);
            if launched.status == 202 {
                return Some((text("/allocation_ids/0")?, text("/operation_id")?));
            }
            sleep(Duration::from_secs(1)).await;
        }
        None
    };
    let (Some((first, _)), Some(id)) = (launch("first").await, machine.id()) else {
        return world.history.never("the first launch was refused");
    };
    let node = format!("/api/v1/admin/nodes/{id}");
    let _ = world.operator(&format!("{node}/probe"), json!({})).await;
    sleep(Duration::from_secs(4)).await;
    if let Some((_, operation)) = launch("second").await {
        let _ = world.user(&format!("/api/v1/operations/{operation}/cancel"), json!({})).await;
        sleep(Duration::from_secs(6)).await;
        let _ = world.user(&format!("/api/v1/operations/{operation}/retry"), json!({})).await;
    }
    let _ = world.operator(&format!("{node}/drain"), json!({})).await;
    sleep(Duration::from_secs(2)).await;
    load::release(world, &first).await;
    sleep(Duration::from_secs(8)).await;
    let _ = world.operator(&format!("{node}/uncordon"), json!({})).await;
    sleep(Duration::from_secs(2)).await;
}

async fn settled(world: &World) {
    loop {
        sleep(Duration::from_secs(2)).await;
        let Some(list) = world.get(Door::Console, "/api/v1/allocations?limit=200").await else { continue };
        let items = list.body["items"].as_array().cloned().unwrap_or_default();
        let over = |item: &serde_json::Value| item["state"] == "released" || item["state"] == "failed";
        let open: Vec<_> = items.iter().filter(|item| !over(item)).collect();
        for item in open.iter().filter(|item| item["state"] != "releasing") {
            load::release(world, item["id"].as_str().unwrap_or_default()).await;
        }
        if open.is_empty() && world.machines[0].root.standing().is_empty() {
            return;
        }
    }
}
