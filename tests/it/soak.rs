//! Rounds of launch, terminal, something dies, recovery, release; and at the end nothing is left of any of them.
//!
//! What dies, and when, is drawn from a seed that is printed. `MUSTER_SOAK_ROUNDS` and `MUSTER_SOAK_SEED` choose.

use muster_tests::{
    Api, Cut, Terminal, World, eventually,
    flow::{cell_pids, in_state, online, slots},
    fresh_key,
    leaks::{descriptors, remains, strays},
    signal,
};
use nix::sys::signal::Signal;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

const ROUNDS: u32 = 20;
/// Rounds between two looks for leaks, and two sign-ins.
const LOOK_EVERY: u32 = 20;
const SLOTS: usize = 8;

/// What happens to a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The half with the network dies, and takes the other with it.
    Agent,
    /// The half with the rights dies.
    RootHalf,
    /// Both at once.
    BothHalves,
    /// The coordinator dies.
    Coordinator,
    /// PID 1 of the cell dies.
    Cell,
    /// No datagram between agent and coordinator arrives for a while.
    Cut(Duration),
}

/// When it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Launching,
    AtTheTerminal,
    Releasing,
}

fn draw(rng: &mut StdRng) -> (Fault, When) {
    let fault = match rng.random_range(0..6) {
        0 => Fault::Agent,
        1 => Fault::RootHalf,
        2 => Fault::BothHalves,
        3 => Fault::Coordinator,
        4 => Fault::Cell,
        // Some cuts are short, and some long enough for the node to be given up.
        _ if rng.random_ratio(1, 4) => Fault::Cut(Duration::from_millis(rng.random_range(9_000..13_000))),
        _ => Fault::Cut(Duration::from_millis(rng.random_range(100..2_500))),
    };
    let when = [When::Launching, When::AtTheTerminal, When::AtTheTerminal, When::Releasing][rng.random_range(0..4)];
    (fault, when)
}

struct Soak {
    world: World,
    user: Api,
    operator: Api,
    node: String,
    all: Vec<String>,
    /// How often a launch did not outlive its fault.
    failed: u32,
}

impl Soak {
    async fn new() -> Self {
        let world = World::start().await;
        let (user, operator, node) = (world.user().await, world.operator().await, world.node(0));
        Self { world, user, operator, node, all: Vec::new(), failed: 0 }
    }

    /// Lets it happen, and waits until whatever died is back. True if there was a cell, and it is dead.
    async fn strike(&self, fault: Fault, id: &str) -> bool {
        let cells = if fault == Fault::Cell { cell_pids(id) } else { Vec::new() };
        let pids = self.world.ready().pids;
        let agent = &pids.agents[0];
        let kill = |pid: i32| signal(pid, Signal::SIGKILL);
        match fault {
            Fault::Agent => kill(agent.pid),
            Fault::RootHalf => agent.root_pid.into_iter().for_each(kill),
            Fault::BothHalves => agent.root_pid.into_iter().chain([agent.pid]).for_each(kill),
            Fault::Coordinator => kill(pids.coordinator),
            Fault::Cell => cells.iter().copied().for_each(kill),
            Fault::Cut(time) => {
                let cut = Cut::of(&self.world.ready().quic_addr);
                tokio::time::sleep(time).await;
                drop(cut);
            }
        }
        match fault {
            Fault::Coordinator => self.world.coordinator_is_back(pids.coordinator).await,
            Fault::Agent | Fault::RootHalf | Fault::BothHalves => {
                eventually("another agent runs", async || {
                    let now = self.world.ready().pids.agents[0].clone();
                    (now.pid != agent.pid && now.root_pid.is_some()).then_some(())
                })
                .await;
            }
            Fault::Cell | Fault::Cut(_) => {}
        }
        let _ = online(&self.operator, &self.node).await;
        !cells.is_empty()
    }

    async fn over(&self, id: &str) -> Value {
        eventually(&format!("{id} is over"), async || {
            let now = self.user.get(&format!("/api/v1/allocations/{id}")).await.ok();
            ["failed", "released"].contains(&now["state"].as_str()?).then_some(now)
        })
        .await
    }

    async fn round(&mut self, fault: Fault, when: When) {
        let (key, body) = (fresh_key(), json!({"sku": "h100", "ssh_key_ids": []}));
        let accepted = self.user.post_with_key("/api/v1/allocations", body, &key).await.ok();
        let id = accepted["allocation_ids"][0].as_str().expect("an id").to_owned();
        self.all.push(id.clone());
        if when == When::Launching && self.strike(fault, &id).await {
            assert_eq!(self.over(&id).await["state"], "failed");
            self.failed += 1;
            return self.all_is_free(&id).await;
        }
        let launched = eventually(&format!("{id} is launched"), async || {
            let now = self.user.get(&format!("/api/v1/allocations/{id}")).await.ok();
            ["active", "degraded", "failed"].contains(&now["state"].as_str()?).then_some(now)
        })
        .await;
        if launched["state"] == "failed" {
            assert_eq!(when, When::Launching, "only a fault fails a launch: {launched:#}");
            assert!(launched["failure_reason"]["code"].is_string(), "{launched:#}");
            self.failed += 1;
        } else if self.use_it(&id, fault, when).await {
            self.release(&id, fault, when).await;
        }
        self.all_is_free(&id).await;
    }

    async fn all_is_free(&self, id: &str) {
        let (operator, node) = (&self.operator, &self.node);
        eventually("every slot is free again", async || {
            (slots(operator, node, "free").await.len() == SLOTS).then_some(())
        })
        .await;
        assert!(cell_pids(id).is_empty(), "{id} has a cell after its end");
    }

    /// A terminal across the fault. False if the cell was the one to die.
    async fn use_it(&self, id: &str, fault: Fault, when: When) -> bool {
        if when != When::AtTheTerminal {
            return true;
        }
        let mut terminal = self.terminal(id, json!({"cols": 80, "rows": 24})).await;
        terminal.plain_shell().await;
        assert_eq!(terminal.run(&format!("kept={id}; echo up")).await, "up");
        if self.strike(fault, id).await {
            let over = self.over(id).await;
            assert_eq!((&over["state"], &over["failure_reason"]["code"]), (&json!("failed"), &json!("cell_ended")));
            return false;
        }
        let more = json!({"session_id": terminal.ready["session_id"], "after": terminal.offset});
        terminal.cut();
        let mut terminal = self.terminal(id, more).await;
        assert_eq!(terminal.ready["resumed"], true, "{}", terminal.ready);
        assert_eq!(terminal.run("echo $kept").await, id, "the shell lived on");
        true
    }

    /// An attach, tried until the node is there again.
    async fn terminal(&self, id: &str, more: Value) -> Terminal {
        eventually("a terminal opens", async || {
            let minted = self.user.post(&format!("/api/v1/allocations/{id}/terminal-token"), json!({})).await;
            let mut more = more.clone();
            more["token"] = minted.body.get("token").filter(|_| minted.status.is_success())?.clone();
            Terminal::try_attach(&self.user, id, more).await.ok()
        })
        .await
    }

    async fn release(&self, id: &str, fault: Fault, when: When) {
        let accepted = self.user.post(&format!("/api/v1/allocations/{id}/release"), json!({})).await;
        assert_eq!(accepted.status, 202, "{}", accepted.text);
        if when == When::Releasing {
            let _ = self.strike(fault, id).await;
        }
        let _ = in_state(&self.user, id, &["released"]).await;
    }

    /// Nothing is left of any round: no process, cgroup, mount, id, interface, home, record.
    async fn nothing_is_left(&self) {
        let mut left = Vec::new();
        let clean = tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                left = remains(&self.world, &self.all);
                left.extend(strays(&self.world.ready().pids));
                if left.is_empty() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        assert!(clean.await.is_ok(), "left behind: {left:#?}");
    }
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test]
async fn whatever_dies_in_a_round_nothing_leaks() {
    let rounds = setting("MUSTER_SOAK_ROUNDS").unwrap_or(ROUNDS);
    let seed = setting("MUSTER_SOAK_SEED").unwrap_or_else(rand::random::<u64>);
    println!("soak: {rounds} rounds, seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut soak = Soak::new().await;
    let (began, mut drawn) = (Instant::now(), BTreeMap::<String, u32>::new());
    for number in 1..=rounds {
        let (fault, when) = draw(&mut rng);
        println!("soak: round {number} of seed {seed}: {fault:?} {when:?} at {:?}", began.elapsed());
        soak.round(fault, when).await;
        *drawn.entry(format!("{fault:?}").split('(').next().unwrap_or_default().to_owned()).or_default() += 1;
        if number % LOOK_EVERY == 0 {
            soak.nothing_is_left().await;
            soak.all.clear();
            (soak.user, soak.operator) = (soak.world.user().await, soak.world.operator().await);
        }
    }
    soak.nothing_is_left().await;
    no_descriptor_is_left(&mut soak).await;
    println!(
        "soak: {rounds} rounds in {:?}, {drawn:?}, {} launches failed by their fault",
        began.elapsed(),
        soak.failed
    );
}

/// Processes that lived through rounds hold open what they held before.
async fn no_descriptor_is_left(soak: &mut Soak) {
    let calm = (Fault::Cut(Duration::ZERO), When::AtTheTerminal);
    soak.round(calm.0, calm.1).await;
    let before = descriptors(&soak.world.ready().pids);
    for _ in 0..3 {
        soak.round(calm.0, calm.1).await;
    }
    soak.nothing_is_left().await;
    eventually("descriptors are as many as before", async || {
        let now = descriptors(&soak.world.ready().pids);
        let more: Vec<_> = now.iter().filter(|(name, count)| before.get(*name).is_none_or(|was| was < count)).collect();
        if !more.is_empty() {
            println!("soak: more than before: {more:?}");
        }
        more.is_empty().then_some(())
    })
    .await;
}
