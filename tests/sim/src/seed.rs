//! One seed from its beginning to its verdict.

use crate::dice::Dice;
use crate::template::Template;
use crate::world::World;
use crate::{check, entropy, epilogue, faults, load};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How large a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Machines.
    pub machines: usize,
    /// Virtual time of load and faults; what follows until all is settled is not counted.
    pub time: Duration,
}

impl Size {
    /// What a seed is everywhere but in a quick look.
    pub const FULL: Self = Self { machines: 5, time: Duration::from_secs(1_800) };
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The seed.
    pub seed: u64,
    /// Hash of all that happened.
    pub trace: u64,
    /// Datagrams sent.
    pub datagrams: u64,
    /// Launches accepted.
    pub launched: u64,
    /// Faults.
    pub faults: u64,
    /// What must never have happened; empty if all is well.
    pub violations: Vec<String>,
    /// All events, for people.
    pub lines: Vec<String>,
}

/// Longest that everything may take to settle after the faults are mended: deadlines of operations included.
const SETTLE: Duration = Duration::from_secs(900);

/// Runs a seed in a process of its own: only there is everything that chance decides a matter of the seed, since
/// tokio counts the runtimes of a process. `program` is `muster-sim`.
///
/// # Errors
/// As [`run`], or the process could not be started.
pub fn apart(program: &Path, seed: u64, size: Size, template: &Template) -> anyhow::Result<Verdict> {
    let mut command = Command::new(program);
    command.args(["one", &seed.to_string(), "--machines", &size.machines.to_string()]);
    command.args(["--seconds", &size.time.as_secs().to_string(), "--template"]).arg(template.folder());
    let output = command.stderr(Stdio::inherit()).output().context("muster-sim cannot be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).with_context(|| format!("seed {seed} ended without a verdict: {text}"))
}

/// Runs a seed on a thread of its own.
///
/// # Errors
/// The world could not be set up, or the run panicked.
pub fn run(seed: u64, size: Size, template: &Arc<Template>) -> anyhow::Result<Verdict> {
    let template = Arc::clone(template);
    let thread = std::thread::Builder::new().name(format!("seed {seed}")).stack_size(16 << 20);
    let ran = thread.spawn(move || {
        entropy::seed(seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        runtime.block_on(under(seed, size, &template))
    })?;
    ran.join().map_err(|_| anyhow::anyhow!("seed {seed} panicked"))?
}

async fn under(seed: u64, size: Size, template: &Template) -> anyhow::Result<Verdict> {
    let world = World::begin(seed, size.machines, template).await.with_context(|| format!("seed {seed}"))?;
    let dice = |what| Arc::new(Dice::new(seed, what));
    world.spawn("watch", check::watch(Arc::clone(&world)));
    let (load, broken) = (Arc::clone(&world), Arc::clone(&world));
    world.spawn("revoke", load::revoke(Arc::clone(&world), dice("revoke"), size.time));
    tokio::join!(load::run(load, dice("load"), size.time), faults::run(broken, dice("faults"), size.time));
    // What was begun by then is mended and released by itself.
    sleep(Duration::from_secs(121)).await;
    faults::mend(&world);
    settle(&world).await;
    // The last facts are on their way.
    sleep(Duration::from_secs(10)).await;
    check::finally(&world).await?;
    epilogue::play(&world).await?;
    let (trace, datagrams, faults) = world.history.totals();
    let launched = world.promises.lock().unwrap_or_else(PoisonError::into_inner).launched;
    let (violations, lines) = (world.history.violations(), world.history.lines());
    Ok(Verdict { seed, trace, datagrams, launched, faults, violations, lines })
}

/// Waits until nothing is left to be done.
async fn settle(world: &World) {
    let done = async {
        loop {
            sleep(Duration::from_secs(5)).await;
            if quiet(world).await {
                return;
            }
        }
    };
    let began = Instant::now();
    if timeout(SETTLE, done).await.is_err() {
        world.history.never(format!("not everything is over {:?} after all was mended", began.elapsed()));
    }
}

async fn quiet(world: &World) -> bool {
    let Ok(open) = check::open(world) else { return false };
    let lost = world.promises.lock().unwrap_or_else(PoisonError::into_inner).revoked.clone();
    for (id, state, node) in &open {
        match state.as_str() {
            _ if node.is_some_and(|node| lost.contains_key(&node)) => load::give_up(world, id).await,
            "releasing" | "failed" => {}
            _ => load::release(world, id).await,
        }
    }
    let mut served = world.machines.iter().filter(|machine| machine.id().is_some_and(|id| !lost.contains_key(&id)));
    let standing = served.any(|machine| !machine.root.standing().is_empty());
    open.is_empty() && !standing
}
