//! Node tasks: a closed list of acts, each at most once by its id, each result kept until acknowledged.
//!
//! A task belongs to the agent, not to the link it came over: when the link ends it runs on, and the next offer
//! of the same id finds it running or done. Only a reset of its stream cancels it.

mod collect_logs;
mod discover;
mod probe;
mod scrub;
mod stream;

pub use stream::serve;

use crate::{
    cells::Tools,
    journal::{JournalError, KeptResult, KeptTask},
    root::Level,
    supervise::Scope,
};
use muster_protocol::{
    inventory::Host,
    task::{TaskOffer, TaskProgress},
};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{broadcast, watch},
    time::{sleep, timeout},
};

/// Steps of a task that a slow link may be behind; older ones are left out.
const STEPS_WAITING: usize = 64;
/// Tasks that run at a time.
const RUNNING_MAX: usize = 32;
/// Longest a task may run, whatever its offer says.
const DEADLINE_MAX: Duration = Duration::from_secs(3600);
/// A result that could not be written is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// Deadline of an offer that names none.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(120);

/// What tasks work with.
#[derive(Debug)]
pub struct Bench {
    /// Root half, journal, clock, GPUs.
    pub tools: Tools,
    /// This machine.
    pub host: Host,
    /// Where homes and journal lie.
    pub state_dir: PathBuf,
    /// Level of the cells here.
    pub level: Level,
    /// Walls and limits that this machine cannot hold.
    pub not_enforced: Vec<String>,
}

/// A running task.
#[derive(Debug, Clone)]
struct Running {
    steps: broadcast::Sender<TaskProgress>,
    done: watch::Receiver<Option<KeptResult>>,
    cancel: Arc<watch::Sender<bool>>,
}

/// All tasks of this agent; cheap to clone.
#[derive(Debug, Clone)]
pub struct Tasks {
    bench: Arc<Bench>,
    running: Arc<Mutex<HashMap<String, Running>>>,
    scope: Arc<Mutex<Scope>>,
}

/// Where an offer leads.
enum Begun {
    Runs(Running),
    Done(KeptResult),
}

fn result(code: &str, detail: impl Into<String>) -> KeptResult {
    KeptResult { code: code.to_owned(), detail: detail.into(), result_json: String::new() }
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new(bench: Bench) -> Self {
        Self { bench: Arc::new(bench), running: Arc::default(), scope: Arc::default() }
    }

    /// Tasks that run now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Journals an offer and starts it, unless its id is known.
    async fn begin(&self, offer: TaskOffer) -> Result<Begun, JournalError> {
        let Tools { journal, clock, .. } = &self.bench.tools;
        match journal.accept_task(offer.id.clone(), offer.kind.clone(), clock.trusted_ms()).await? {
            KeptTask::Done(result) => Ok(Begun::Done(result)),
            KeptTask::Running => {
                let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).get(&offer.id).cloned();
                match running {
                    Some(running) => Ok(Begun::Runs(running)),
                    // It ended between the two looks.
                    None => match journal.accept_task(offer.id, offer.kind, clock.trusted_ms()).await? {
                        KeptTask::Done(result) => Ok(Begun::Done(result)),
                        _ => Ok(Begun::Done(result("failed", "the task is lost"))),
                    },
                }
            }
            KeptTask::New => Ok(Begun::Runs(self.start(offer))),
        }
    }

    fn start(&self, offer: TaskOffer) -> Running {
        let (steps, _) = broadcast::channel(STEPS_WAITING);
        let (finish, done) = watch::channel(None);
        let (cancel, cancelled) = watch::channel(false);
        let running = Running { steps: steps.clone(), done, cancel: Arc::new(cancel) };
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(offer.id.clone(), running.clone());
        let (bench, registry) = (Arc::clone(&self.bench), Arc::clone(&self.running));
        let correlation_id = offer.correlation_id.clone();
        tracing::info!(task = offer.id, kind = offer.kind, correlation_id, "a task begins");
        self.scope.lock().unwrap_or_else(PoisonError::into_inner).spawn("node-task", async move {
            let id = offer.id.clone();
            let ended = execute(&bench, offer, steps, cancelled).await;
            tracing::info!(task = id, code = ended.code, detail = ended.detail, correlation_id, "a task has ended");
            let Tools { journal, clock, .. } = &bench.tools;
            // With a full disk the result is still told to whoever follows; it is kept as soon as there is room.
            while let Err(error) = journal.finish_task(id.clone(), ended.clone(), clock.trusted_ms()).await {
                tracing::error!(%error, id, "a task's result is not in the journal");
                finish.send_replace(Some(ended.clone()));
                sleep(AGAIN).await;
            }
            registry.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            finish.send_replace(Some(ended));
        });
        running
    }
}

async fn execute(
    bench: &Bench,
    offer: TaskOffer,
    steps: broadcast::Sender<TaskProgress>,
    mut cancelled: watch::Receiver<bool>,
) -> KeptResult {
    let deadline = match offer.deadline_ms {
        0 => DEADLINE_DEFAULT,
        ms => Duration::from_millis(ms).min(DEADLINE_MAX),
    };
    let step = |name: &str| {
        // Nobody may be listening.
        let _ = steps.send(TaskProgress { step: name.to_owned(), percent: None });
    };
    let work = async {
        match offer.kind.as_str() {
            "probe" => probe::run(bench, &step).await,
            "discover" => discover::run(bench, &step).await,
            "scrub" => scrub::run(bench, &offer.arguments_json, &step).await,
            "collect_logs" => collect_logs::run(&offer.arguments_json),
            kind => result("unsupported", format!("this agent knows no task `{kind}`")),
        }
    };
    tokio::select! {
        ended = timeout(deadline, work) => {
            ended.unwrap_or_else(|_| result("deadline", format!("not done within {deadline:?}")))
        }
        _ = cancelled.wait_for(|cancelled| *cancelled) => result("cancelled", "cancelled by the coordinator"),
    }
}

/// A number of things in words: 1 GPU, 2 GPUs.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
