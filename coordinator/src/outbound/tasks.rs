//! Carries node tasks: offers each over its node's link, stores what the agent says, acknowledges the result
//! once it is stored. A link that breaks costs a new offer of the same id; the agent's journal runs it once.

use crate::app::App;
use crate::audit;
use crate::base::http::Problem;
use crate::base::store::Lane;
use crate::base::work::Reconciler;
use crate::links::{LinkHandle, TaskNews};
use crate::operations::{self, NodeTask, TaskEnd, TaskEvent, TaskState};
use muster_protocol::ids::NodeTaskId;
use muster_protocol::task::{TaskOffer, TaskResult};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest time between two looks.
const PERIOD: Duration = Duration::from_secs(5);
/// How often a running task is checked for having been cancelled.
const LOOK: Duration = Duration::from_secs(1);
/// Longest words kept of an agent's progress, characters.
const WORDS_MAX: usize = 400;
/// Longest result kept, bytes.
const RESULT_MAX: usize = 256 << 10;

type Running = Arc<Mutex<HashSet<NodeTaskId>>>;

/// Starts the dispatcher.
pub fn start(app: &App) {
    let (this, running) = (app.clone(), Running::default());
    let run = move || {
        let (app, running) = (this.clone(), running.clone());
        async move { run(&app, &running).await }
    };
    Reconciler { name: "outbound.tasks", period: PERIOD, nudge: app.nudges.node_tasks.clone(), run }
        .start(&app.supervisor);
}

/// Offers every open task whose node is connected and that nothing carries yet.
async fn run(app: &App, running: &Running) -> Result<(), Problem> {
    let now_ms = app.clock.now_ms();
    for task in app.store.read(operations::open_tasks_in).await? {
        let Some(link) = app.links.get(task.node_id) else { continue };
        let late = task.started_ms.is_none() && task.not_after_ms < now_ms;
        if late || !running.lock().unwrap_or_else(PoisonError::into_inner).insert(task.id) {
            continue;
        }
        let (app_, running) = (app.clone(), running.clone());
        app.supervisor.scoped("node-task", async move {
            let id = task.id;
            if let Err(problem) = carry(&app_, &link, task).await {
                tracing::warn!(task = %id, "a node task was not carried to its end: {}", problem.log_text());
            }
            running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        });
    }
    Ok(())
}

async fn carry(app: &App, link: &LinkHandle, task: NodeTask) -> Result<(), Problem> {
    let id = task.id;
    event(app, id, TaskEvent::Offer).await?;
    let offer = TaskOffer {
        id: id.to_string(),
        kind: task.kind,
        arguments_json: task.arguments,
        deadline_ms: u64::try_from(task.run_ms).unwrap_or_default(),
        attempt: task.attempt + 1,
        not_after_ms: task.not_after_ms,
        correlation_id: task.correlation_id,
    };
    let (node, correlation_id) = (task.node_id, &offer.correlation_id);
    tracing::info!(task = %id, kind = offer.kind, %node, correlation_id, "a node task is offered");
    let broken =
        |error: &dyn std::fmt::Display| Problem::unavailable("node_offline", format!("The link broke: {error}."));
    let mut stream = match link.offer_task(&offer).await {
        Ok(stream) => stream,
        Err(error) => {
            event(app, id, TaskEvent::Lost).await?;
            return Err(broken(&error));
        }
    };
    let mut told = false;
    loop {
        let news = tokio::select! {
            news = stream.next() => news,
            () = tokio::time::sleep(LOOK), if !told => {
                told = app.store.read(move |tx| operations::task_unwanted_in(tx, id)).await?;
                if told {
                    stream.cancel();
                }
                continue;
            }
        };
        match news {
            Ok(Some(TaskNews::Accepted(_))) => {
                event(app, id, TaskEvent::Accept).await?;
            }
            Ok(Some(TaskNews::Progress(progress))) => say(app, id, progress.step).await?,
            Ok(Some(TaskNews::Log(log))) => say(app, id, log.line).await?,
            Ok(Some(TaskNews::Result(result))) => {
                end(app, id, result).await?;
                return stream.acknowledge(&id.to_string()).await.map_err(|error| broken(&error));
            }
            Ok(None) => {
                event(app, id, TaskEvent::Lost).await?;
                return Ok(());
            }
            Err(error) => {
                // Whatever the journal holds runs on; its result is asked for by the next offer.
                event(app, id, TaskEvent::Lost).await?;
                return Err(broken(&error));
            }
        }
    }
}

async fn event(app: &App, id: NodeTaskId, event: TaskEvent) -> Result<TaskState, Problem> {
    let cx = app.system("outbound.tasks");
    app.store.on(Lane::Agents).ingest(move |tx| operations::task_event_in(tx, &cx, id, event)).await
}

async fn say(app: &App, id: NodeTaskId, text: String) -> Result<(), Problem> {
    let cx = app.system("outbound.tasks");
    let words: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect();
    app.store.on(Lane::Agents).ingest(move |tx| operations::task_progress_in(tx, &cx, id, &words)).await
}

async fn end(app: &App, id: NodeTaskId, result: TaskResult) -> Result<(), Problem> {
    let (cx, kinds) = (app.system("outbound.tasks"), app.kinds.clone());
    let fits = result.result_json.len() <= RESULT_MAX;
    let end = TaskEnd {
        code: result.code.chars().take(64).collect(),
        detail: result.detail.chars().take(WORDS_MAX).collect(),
        result: if fits { result.result_json } else { String::new() },
    };
    app.store
        .on(Lane::Agents)
        .write(move |tx| {
            let first = operations::task_end_in(tx, &cx, &kinds, id, &end)?;
            if first {
                audit::note(tx, &cx, audit::Event::new("node_tasks.ended", id).reason(end.code.clone()))?;
            }
            Ok(audit::unchanged(()))
        })
        .await?;
    app.nudges.everything();
    Ok(())
}
