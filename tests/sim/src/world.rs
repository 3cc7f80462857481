//! Everything that runs under one seed.

use crate::coordinator::{Answer, Coordinator};
use crate::history::{Event, History};
use crate::machine::Machine;
use crate::net::Net;
use crate::template::{Template, folder};
use anyhow::{Context, ensure};
use muster_agent::supervise::Scope;
use muster_coordinator::base::http::Door;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// Tries of a request whose answer is lost.
const TRIES: u32 = 400;

/// See the module.
#[derive(Debug)]
pub struct World {
    /// What happens.
    pub history: Arc<History>,
    /// The network.
    pub net: Arc<Net>,
    /// The coordinator.
    pub coordinator: Arc<Coordinator>,
    /// The machines.
    pub machines: Vec<Arc<Machine>>,
    /// Things that were promised: see `check`.
    pub promises: Mutex<crate::check::Promises>,
    /// The load is over and the database may lie: only what agents hold is still looked at.
    pub over: AtomicBool,
    keys: AtomicU64,
    tasks: Mutex<Scope>,
    folder: tempfile::TempDir,
}

impl World {
    /// Starts the coordinator and `count` machines and waits until their slots are on sale.
    pub async fn begin(seed: u64, count: usize, template: &Template) -> anyhow::Result<Arc<Self>> {
        let folder = folder()?;
        let history = Arc::new(History::begin());
        let net = Net::new(seed, Arc::clone(&history));
        let mut tasks = Scope::default();
        tasks.spawn("net", Arc::clone(&net).run());
        let coordinator = Coordinator::new(seed, folder.path(), template, &net)?;
        coordinator.start()?;
        let mut world = Self {
            history,
            net,
            coordinator,
            machines: Vec::new(),
            promises: Mutex::default(),
            over: AtomicBool::new(false),
            keys: AtomicU64::new(0),
            tasks: Mutex::new(tasks),
            folder,
        };
        let body = json!({"max_uses": count, "auto_approve": true});
        let minted = world.operator("/api/v1/admin/bootstrap-tokens", body).await.context("no token")?;
        let token = minted.body["token"].as_str().with_context(|| format!("{minted:?}"))?.to_owned();
        for index in 0..count {
            let (net, history) = (&world.net, &world.history);
            let machine = Machine::new(index, seed, world.folder.path(), token.clone(), net, history)?;
            machine.start();
            world.machines.push(machine);
        }
        let world = Arc::new(world);
        for machine in &world.machines {
            let seen = Arc::downgrade(&world);
            machine.root.set_witness(Box::new(move |id, lease_epoch, reason| {
                let Some(world) = seen.upgrade() else { return };
                if let Err(error) = crate::check::explain_end(&world, id, lease_epoch, reason) {
                    world.history.never(format!("the database cannot be read: {error}"));
                }
            }));
        }
        for machine in &world.machines {
            world.open(machine).await?;
        }
        Ok(world)
    }

    /// Puts a machine's slots on sale.
    async fn open(&self, machine: &Machine) -> anyhow::Result<()> {
        for _ in 0..600 {
            sleep(Duration::from_millis(100)).await;
            let Some(id) = machine.id() else { continue };
            let path = format!("/api/v1/admin/nodes/{id}/slots");
            let slots = self.get(Door::Operator, &path).await.context("no slots")?;
            if slots.body["items"].as_array().is_none_or(Vec::is_empty) {
                continue;
            }
            let opened = self.operator(&format!("{path}:batch"), json!({"op": "approve", "all": true})).await;
            ensure!(opened.is_some_and(|answer| answer.status == 200), "slots cannot be approved");
            return Ok(());
        }
        anyhow::bail!("machine {} is no node after a minute", machine.index)
    }

    /// Runs something beside the rest for as long as the world stands.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(name, task);
    }

    /// A GET, tried until there is an answer.
    pub async fn get(&self, door: Door, path: &str) -> Option<Answer> {
        self.insist(door, "GET", path, None, None).await
    }

    /// A keyed POST of the user.
    pub async fn user(&self, path: &str, body: Value) -> Option<Answer> {
        self.post(Door::Console, path, body).await
    }

    /// A keyed POST of the operator.
    pub async fn operator(&self, path: &str, body: Value) -> Option<Answer> {
        self.post(Door::Operator, path, body).await
    }

    async fn post(&self, door: Door, path: &str, body: Value) -> Option<Answer> {
        let key = format!("key {}", self.keys.fetch_add(1, Ordering::Relaxed));
        let answer = self.insist(door, "POST", path, Some(&key), Some(&body)).await;
        let (status, code) = answer.as_ref().map_or((0, ""), |answer| (answer.status, answer.code()));
        self.history.say(Event::Asked(path.to_owned(), status, code.to_owned()));
        answer
    }

    /// Asks with the same key until there is an answer that is one.
    async fn insist(
        &self,
        door: Door,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Option<Answer> {
        for _ in 0..TRIES {
            match self.coordinator.ask(door, method, path, key, body).await {
                Some(answer) if answer.status < 500 && answer.code() != "idempotency_in_progress" => {
                    return Some(answer);
                }
                _ => sleep(Duration::from_millis(700)).await,
            }
        }
        self.history.never(format!("{method} {path} was never answered"));
        None
    }
}
