//! The one owner of what is known of the cells.

use super::{
    Cells, MESSAGES_WAITING, Sockets, Tools, adopt,
    entry::Entry,
    logs, report, usage, watch,
    work::{self, Outcome},
};
use crate::{
    desired::{self, Verdict},
    journal::Held,
    reconcile::{self, Action},
    root::{Event, Request},
    supervise::Scope,
};
use muster_protocol::{
    cell::CellStatus,
    control::{Desired, Generation},
    desired::{Cell, Document},
    facts::{CellChange, FactBody},
    ids::AllocationId,
    report::{Phase, Report},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch as watched},
    time::{Instant, sleep_until},
};

/// Work that failed is planned again after this.
const REPLAN: Duration = Duration::from_secs(5);
/// A timer is never set further than this: clocks are corrected.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// What the driver hears.
#[derive(Debug)]
pub(super) enum Message {
    /// A document came.
    Offer(Desired),
    /// Work on a cell ended.
    Done(AllocationId, Box<Outcome>),
    /// The cell of this lease does not answer, and the root half says that it is gone.
    Gone(AllocationId, u64),
    /// A cell said how it is.
    Status(AllocationId, CellStatus),
    /// A batch command's output is in the outbox up to here.
    Shipped(AllocationId, Result<u64, String>, i32, String),
}

/// See [`super`].
#[derive(Debug)]
pub struct Driver {
    tools: Tools,
    entries: BTreeMap<AllocationId, Entry>,
    document: Option<Document>,
    held: Option<Held>,
    refusal: String,
    /// A document that could not be kept, and when it is tried again.
    offered: Option<(Instant, Desired)>,
    unclaimed: BTreeSet<AllocationId>,
    sequence: u64,
    /// When work that failed may be tried again.
    held_back: BTreeMap<AllocationId, Instant>,
    wake: Instant,
    meter: usage::Meter,
    work: Scope,
    watches: BTreeMap<AllocationId, Scope>,
    shipping: BTreeSet<AllocationId>,
    messages: mpsc::Receiver<Message>,
    sender: mpsc::Sender<Message>,
    report: watched::Sender<Arc<Report>>,
    generation: watched::Sender<Option<(Generation, Vec<u8>)>>,
    sockets: Sockets,
}

impl Driver {
    /// Puts together what is known, before anything is done.
    ///
    /// # Errors
    /// The root half or the journal said no.
    pub async fn new(tools: Tools) -> anyhow::Result<(Self, Cells)> {
        let held = tools.journal.desired().await?;
        let document = match &held {
            None => None,
            Some(held) => Some(desired::parse(&held.document).map_err(anyhow::Error::msg)?),
        };
        let entries = adopt::entries(&tools).await?;
        let (sender, messages) = mpsc::channel(MESSAGES_WAITING);
        let (report, report_seen) = watched::channel(Arc::default());
        let age = held.as_ref().map(|held| (held.generation, held.sha256.clone()));
        let (generation, generation_seen) = watched::channel(age);
        let sockets = Sockets::default();
        let cells = Cells {
            messages: sender.clone(),
            report: report_seen,
            held: generation_seen,
            sockets: Arc::clone(&sockets),
        };
        // Numbers of a journal only go up, and a start is counted: no write per report.
        let sequence = tools.journal.join_sequence() << 32;
        let driver = Self {
            tools,
            entries,
            document,
            held,
            refusal: String::new(),
            offered: None,
            unclaimed: BTreeSet::new(),
            sequence,
            held_back: BTreeMap::new(),
            wake: Instant::now(),
            meter: usage::Meter::new(),
            work: Scope::default(),
            watches: BTreeMap::new(),
            shipping: BTreeSet::new(),
            messages,
            sender,
            report,
            generation,
            sockets,
        };
        Ok((driver, cells))
    }

    /// Works until the root half is gone.
    pub async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        loop {
            self.act().await;
            self.publish();
            tokio::select! {
                Some(message) = self.messages.recv() => self.hear(message).await,
                event = events.recv() => match event {
                    Some(event) => self.event(event).await,
                    None => return tracing::error!("the root half is gone"),
                },
                () = sleep_until(self.wake) => {}
            }
        }
    }

    async fn hear(&mut self, message: Message) {
        match message {
            Message::Offer(offered) => self.offer(offered).await,
            Message::Done(allocation, outcome) => self.done(allocation, *outcome).await,
            Message::Gone(allocation, lease_epoch) => {
                let stands = |entry: &Entry| entry.socket.is_some() && entry.report.lease_epoch == lease_epoch;
                if self.entries.get(&allocation).is_some_and(stands) {
                    self.gone(allocation).await;
                }
            }
            Message::Status(allocation, status) => self.status(allocation, &status),
            Message::Shipped(allocation, shipped, code, reason) => {
                self.shipping.remove(&allocation);
                let Some(entry) = self.entries.get_mut(&allocation) else { return };
                match shipped {
                    Ok(sent) => entry.log_sent = sent,
                    Err(error) => tracing::warn!(%allocation, error, "output of the batch command is incomplete"),
                }
                if entry.phase() == Phase::Running {
                    entry.report.exit_code = Some(code);
                    entry.report.failure_code = reason;
                    self.set(allocation, Phase::Exited, "").await;
                }
            }
        }
    }

    async fn offer(&mut self, offered: Desired) {
        self.refusal.clear();
        self.offered = None;
        match desired::judge(self.held.as_ref(), &offered) {
            Verdict::Same => {}
            Verdict::Refuse(refusal) => {
                tracing::warn!(?refusal, generation = ?offered.generation, "the offered document is not taken");
                self.refusal = refusal.word().to_owned();
            }
            Verdict::Take(document) => {
                let held = Held {
                    generation: offered.generation,
                    document: offered.document.to_vec(),
                    sha256: offered.sha256,
                };
                if let Err(error) = self.tools.journal.keep_desired(held.clone()).await {
                    // Its disk is full, say: it is not sent again, so it is tried again here.
                    tracing::error!(%error, "the document cannot be kept, so it is not acted upon");
                    let again = Desired { document: held.document.into(), sha256: held.sha256, ..offered };
                    return self.offered = Some((Instant::now() + REPLAN, again));
                }
                self.generation.send_replace(Some((held.generation, held.sha256.clone())));
                (self.document, self.held) = (Some(document), Some(held));
            }
        }
        // Said even if nothing else changed: the coordinator waits for the answer to its offer.
        self.sequence += 1;
    }

    async fn event(&mut self, event: Event) {
        match event {
            Event::Step { allocation, step } => {
                if let Some(entry) = self.entries.get_mut(&allocation) {
                    entry.report.step = step;
                }
            }
            Event::Gone { allocation, status } => {
                tracing::warn!(%allocation, ?status, "PID 1 of a cell is gone");
                self.gone(allocation).await;
            }
        }
    }

    async fn gone(&mut self, allocation: AllocationId) {
        match self.entries.get_mut(&allocation) {
            // Said once: it counts when the task is done.
            Some(entry) if entry.busy => entry.gone = true,
            Some(entry) => {
                entry.lost("cell_ended", "PID 1 of the cell is gone");
                usage::ends(&self.tools, allocation, true).await;
            }
            None => {}
        }
    }

    fn status(&mut self, allocation: AllocationId, status: &CellStatus) {
        let Some(entry) = self.entries.get_mut(&allocation) else { return };
        entry.report.sessions = u32::try_from(status.sessions.len()).unwrap_or(u32::MAX);
        let Some(code) = status.main_exit_code else { return };
        if entry.phase() != Phase::Running || !self.shipping.insert(allocation) {
            return;
        }
        let (tools, sender, from) = (self.tools.clone(), self.sender.clone(), entry.log_sent);
        let reason = status.main_exit_reason.clone();
        self.work.spawn("ship", async move {
            let shipped = logs::ship(&tools, allocation, from).await;
            // Without a driver the agent is ending.
            let _ = sender.send(Message::Shipped(allocation, shipped, code, reason)).await;
        });
    }

    async fn done(&mut self, allocation: AllocationId, outcome: Outcome) {
        let Some(entry) = self.entries.get_mut(&allocation) else { return };
        entry.busy = false;
        let gone = std::mem::take(&mut entry.gone);
        match outcome {
            Outcome::Created(info) => {
                entry.keys = entry.spec.as_ref().and_then(|spec| spec.ssh_keys.clone());
                entry.learn(&info);
                let correlation_id = entry.spec.as_ref().map_or("", |spec| spec.correlation_id.as_str());
                tracing::info!(%allocation, correlation_id, "the cell stands");
                let (phase, epoch) = (entry.phase(), entry.report.lease_epoch);
                self.set(allocation, phase, "").await;
                usage::begins(&self.tools, allocation, epoch).await;
            }
            Outcome::CreateFailed { code, detail } => {
                let correlation_id = entry.spec.as_ref().map_or("", |spec| spec.correlation_id.as_str());
                tracing::warn!(%allocation, correlation_id, code, detail, "the cell could not be built");
                entry.lost(&code, &detail);
            }
            Outcome::Ended { receipt, exit, log_sent } => {
                tracing::info!(%allocation, clean = receipt.clean, left = receipt.leftovers.join("; "), "the cell is gone");
                entry.socket = None;
                entry.log_sent = log_sent;
                entry.report.receipt_json = serde_json::to_string(&receipt).unwrap_or_default();
                let exit = exit.unwrap_or_default();
                entry.report.exit_code = entry.report.exit_code.or(exit.exit_code);
                entry.report.sessions = 0;
                let failed = entry.report.ssh_host_key.is_empty()
                    && entry.report.isolation.is_empty()
                    && !entry.report.failure_code.is_empty();
                self.set(allocation, if failed { Phase::Failed } else { Phase::Ended }, "").await;
            }
            Outcome::EndFailed { detail } => {
                tracing::warn!(%allocation, detail, "the cell could not be ended");
                entry.report.failure_detail = detail;
                self.held_back.insert(allocation, Instant::now() + REPLAN);
            }
            Outcome::Keys(Ok(keys)) => entry.keys = Some(keys),
            Outcome::Keys(Err(detail)) => {
                tracing::warn!(%allocation, detail, "keys could not be written");
                self.held_back.insert(allocation, Instant::now() + REPLAN);
            }
        }
        if gone && let Some(entry) = self.entries.get_mut(&allocation) {
            entry.lost("cell_ended", "PID 1 of the cell is gone");
        }
    }

    /// Changes a phase: in the journal, as a fact, and in the next report.
    async fn set(&mut self, allocation: AllocationId, phase: Phase, detail: &str) {
        let Some(entry) = self.entries.get_mut(&allocation) else { return };
        entry.report.phase = phase.into();
        entry.report.step.clear();
        let change = CellChange { allocation: allocation.to_string(), phase: phase.into(), detail: detail.to_owned() };
        let kept = self.tools.journal.keep_cell(entry.report.clone(), entry.spec.clone()).await;
        let told = self.tools.journal.fact(self.tools.clock.wall_ms(), FactBody::Cell(change)).await;
        self.tools.facts.notify_one();
        if let Err(error) = kept.and(told.map(drop)) {
            tracing::error!(%allocation, %error, "a change of the cell is not in the journal");
        }
    }

    async fn act(&mut self) {
        if let Some((_, again)) = self.offered.take_if(|(due, _)| *due <= Instant::now()) {
            self.offer(again).await;
        }
        let now_ms = self.tools.clock.trusted_ms();
        let seen = self.entries.iter().map(|(id, entry)| (*id, entry.seen())).collect();
        let plan = reconcile::plan(self.document.as_ref(), &seen, now_ms);
        self.unclaimed = plan.unclaimed;
        let now = Instant::now();
        self.held_back.retain(|_, until| *until > now);
        let due = plan.wake_ms.map(|at| now + Duration::from_millis(u64::try_from(at - now_ms).unwrap_or(0)));
        let retry = self.held_back.values().min().copied();
        let standing = self.entries.values().filter(|entry| entry.socket.is_some());
        self.meter.tell(&self.tools, standing.map(|entry| (entry.allocation, entry.report.lease_epoch))).await;
        let again = self.offered.as_ref().map(|(due, _)| *due);
        self.wake =
            [due, retry, again, Some(self.meter.due())].into_iter().flatten().fold(now + SLEEP_MAX, Instant::min);
        for action in plan.actions {
            match action {
                Action::Create(cell) => self.create(*cell).await,
                Action::End { allocation, lease_epoch, reason } => {
                    if !self.held_back.contains_key(&allocation) {
                        self.end(allocation, lease_epoch, reason).await;
                    }
                }
                Action::Keys { allocation, keys } => {
                    if !self.held_back.contains_key(&allocation) {
                        self.keys(allocation, keys);
                    }
                }
                Action::Forget(allocation) => self.forget(allocation).await,
            }
        }
        self.watch();
    }

    async fn create(&mut self, cell: Cell) {
        let allocation = cell.allocation;
        let mut entry = Entry::new(allocation, cell.lease_epoch, Phase::Preparing);
        entry.spec = Some(cell.clone());
        entry.busy = true;
        self.entries.insert(allocation, entry);
        self.set(allocation, Phase::Preparing, "").await;
        let tools = self.tools.clone();
        self.begin(allocation, "create", async move { work::create(&tools, cell).await });
    }

    async fn end(&mut self, allocation: AllocationId, lease_epoch: u64, reason: String) {
        let entry =
            self.entries.entry(allocation).or_insert_with(|| Entry::new(allocation, lease_epoch, Phase::Ending));
        entry.report.lease_epoch = lease_epoch;
        entry.busy = true;
        let copy = entry.clone();
        usage::ends(&self.tools, allocation, copy.socket.is_some()).await;
        self.set(allocation, Phase::Ending, &reason).await;
        let tools = self.tools.clone();
        self.begin(allocation, "end", async move { work::end(&tools, copy, reason).await });
    }

    fn keys(&mut self, allocation: AllocationId, keys: Vec<String>) {
        if let Some(entry) = self.entries.get_mut(&allocation) {
            entry.busy = true;
        }
        let tools = self.tools.clone();
        self.begin(allocation, "keys", async move { work::keys(&tools, allocation, keys).await });
    }

    fn begin(
        &mut self,
        allocation: AllocationId,
        name: &'static str,
        work: impl Future<Output = Outcome> + Send + 'static,
    ) {
        let sender = self.sender.clone();
        self.work.spawn(name, async move {
            let outcome = work.await;
            // Without a driver the agent is ending.
            let _ = sender.send(Message::Done(allocation, Box::new(outcome))).await;
        });
    }

    async fn forget(&mut self, allocation: AllocationId) {
        let forgotten = self.tools.root.ask(Request::CellForget { allocation }).await;
        if let Err(error) = forgotten {
            tracing::warn!(%allocation, %error, "the root half still keeps the receipt");
        }
        if let Err(error) = self.tools.journal.forget_cell(allocation.to_string()).await {
            tracing::error!(%allocation, %error, "the journal still keeps the cell");
        }
        self.entries.remove(&allocation);
    }

    /// Listens to every cell that stands, and to no other.
    fn watch(&mut self) {
        let standing: BTreeMap<_, _> =
            self.entries.iter().filter_map(|(id, entry)| Some((*id, entry.socket.clone()?))).collect();
        let lease = |id| self.entries.get(id).map_or(0, |entry| entry.report.lease_epoch);
        self.watches.retain(|id, _| standing.contains_key(id));
        for (id, socket) in &standing {
            if !self.watches.contains_key(id) {
                let mut scope = Scope::default();
                let (root, messages) = (self.tools.root.clone(), self.sender.clone());
                scope.spawn("watch", watch::watch((*id, lease(id)), socket.clone(), root, messages));
                self.watches.insert(*id, scope);
            }
        }
        *self.sockets.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    fn publish(&mut self) {
        let cells = report::cells(self.entries.values(), &self.unclaimed);
        let generation = self.held.as_ref().map(|held| held.generation);
        let mut report = Report { generation, refusal: self.refusal.clone(), cells, sequence: self.sequence };
        self.report.send_if_modified(|last| {
            if **last == report {
                return false;
            }
            self.sequence += 1;
            report.sequence = self.sequence;
            *last = Arc::new(report);
            true
        });
    }
}
