//! The root half, played: cells that stand and end as it would say, without a kernel. It outlives the agent.

use crate::dice::Dice;
use crate::history::{Event, History};
use muster_agent::root::{
    Asked, CellInfo, CellState, CellUsage, CreateCell, Event as RootEvent, Level, Reply, Request,
};
use muster_agent::supervise::Scope;
use muster_protocol::ids::{AllocationId, SlotId};
use muster_protocol::report::{Receipt, ReceiptStep};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

/// What is kept of one cell.
#[derive(Debug, Clone)]
struct Cell {
    lease_epoch: u64,
    slots: Vec<SlotId>,
    stage: Stage,
    receipt: Option<Receipt>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Building,
    Running,
    Dead,
    Ending,
    Ended,
}

#[derive(Debug, Default)]
struct State {
    cells: BTreeMap<AllocationId, Cell>,
    events: Option<mpsc::Sender<RootEvent>>,
    /// An agent has said hello and has not asked for its cells yet.
    greeted: bool,
    probes: Vec<u64>,
    lives: Vec<Life>,
}

/// When a cell stood, virtual ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// Whose.
    pub allocation: AllocationId,
    /// Since when.
    pub from_ms: u64,
    /// Until when; none: it stands.
    pub to_ms: Option<u64>,
    /// It was not ended by its agent.
    pub died: bool,
}

impl State {
    fn over(&mut self, id: AllocationId, now_ms: u64, died: bool) {
        let open = |life: &&mut Life| life.allocation == id && life.to_ms.is_none();
        if let Some(life) = self.lives.iter_mut().rev().find(open) {
            (life.to_ms, life.died) = (Some(now_ms), died);
        }
    }
}

/// Told before a cell that stands is ended: which, its lease, and the reason given.
pub type Witness = Box<dyn Fn(AllocationId, u64, &str) + Send + Sync>;

/// The root half of one machine.
pub struct Root {
    machine: usize,
    state: Mutex<State>,
    dice: Dice,
    history: Arc<History>,
    witness: OnceLock<Witness>,
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root").field("machine", &self.machine).finish_non_exhaustive()
    }
}

fn refused(code: &str, detail: &str) -> Reply {
    Reply::Refused { code: code.to_owned(), detail: detail.to_owned() }
}

impl Root {
    /// A root half without cells.
    #[must_use]
    pub fn new(machine: usize, seed: u64, history: Arc<History>) -> Arc<Self> {
        let dice = Dice::new(seed, &format!("root {machine}"));
        Arc::new(Self { machine, state: Mutex::default(), dice, history, witness: OnceLock::new() })
    }

    /// Who is told of ends; once.
    pub fn set_witness(&self, witness: Witness) {
        // A second one would be a mistake of the caller; the first stands.
        let _ = self.witness.set(witness);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cells that stand, with their leases.
    #[must_use]
    pub fn standing(&self) -> Vec<(AllocationId, u64)> {
        let state = self.lock();
        let stands = state.cells.iter().filter(|(_, cell)| cell.stage == Stage::Running);
        stands.map(|(id, cell)| (*id, cell.lease_epoch)).collect()
    }

    /// When node tasks asked for all cells, virtual ms: each probe does so once.
    #[must_use]
    pub fn probes(&self) -> Vec<u64> {
        self.lock().probes.clone()
    }

    /// Every time that a cell stood.
    #[must_use]
    pub fn lives(&self) -> Vec<Life> {
        self.lock().lives.clone()
    }

    /// The machine lost its power: no cell is left, its builds are broken off.
    pub fn power_cut(&self) {
        let (standing, now) = (self.standing(), self.history.now_ms());
        let mut state = self.lock();
        for (id, _) in standing {
            state.over(id, now, true);
        }
        for (_, cell) in state.cells.iter_mut().filter(|(_, cell)| cell.stage != Stage::Ended) {
            cell.stage = Stage::Dead;
        }
    }

    /// PID 1 of one cell dies. False if none stands.
    pub fn kill_one(&self) -> bool {
        let standing = self.standing();
        let Some((id, _)) = self.dice.one_of(&standing).copied() else { return false };
        self.history.say(Event::Died(self.machine, id));
        let mut state = self.lock();
        state.over(id, self.history.now_ms(), true);
        if let Some(cell) = state.cells.get_mut(&id) {
            cell.stage = Stage::Dead;
        }
        if let Some(events) = &state.events {
            // A full queue loses it, as the real one may: the next list says it.
            let _ = events.try_send(RootEvent::Gone { allocation: id, status: Some(137) });
        }
        true
    }

    /// Serves one `run` half until it is gone.
    pub async fn serve(self: Arc<Self>, mut asked: mpsc::Receiver<Asked>, events: mpsc::Sender<RootEvent>) {
        self.lock().events = Some(events);
        let mut workers = Scope::default();
        while let Some((request, answer)) = asked.recv().await {
            let this = Arc::clone(&self);
            workers.spawn("root-work", async move {
                let reply = this.carry_out(request).await;
                // The asker may have crashed.
                let _: Result<(), Reply> = oneshot::Sender::send(answer, reply);
            });
        }
    }

    /// After a start of the agent: builds that were broken off are taken down.
    pub fn recover(&self) {
        let mut state = self.lock();
        state.cells.retain(|_, cell| cell.stage != Stage::Building);
        for cell in state.cells.values_mut().filter(|cell| cell.stage == Stage::Ending) {
            cell.stage = Stage::Dead;
        }
    }

    async fn carry_out(&self, request: Request) -> Reply {
        match request {
            Request::Hello { version, .. } => {
                self.lock().greeted = true;
                Reply::Hello { version, level: Level::Cell, not_enforced: Vec::new() }
            }
            Request::CellCreate(wanted) => self.create(*wanted).await,
            Request::CellList => {
                let mut state = self.lock();
                // The first after a start is the agent's own.
                if !std::mem::take(&mut state.greeted) {
                    let now = self.history.now_ms();
                    state.probes.push(now);
                }
                let known = state.cells.iter().filter(|(_, cell)| cell.stage != Stage::Building);
                Reply::Cells { cells: known.map(|(id, cell)| info(*id, cell)).collect() }
            }
            Request::CellAdopt { allocation } => match self.lock().cells.get(&allocation) {
                Some(cell) => Reply::Cell(Box::new(info(allocation, cell))),
                None => refused("unknown_cell", "there is no such cell on this node"),
            },
            Request::CellKeys { .. } => Reply::Done,
            Request::CellEnd { allocation, reason, .. } => self.end(allocation, reason).await,
            Request::CellForget { allocation } => {
                self.lock().cells.remove(&allocation);
                Reply::Done
            }
            Request::CellOutput { .. } => Reply::Output { offset: 0, base64: String::new(), end: 0 },
            Request::CellUsage { .. } => Reply::Usage(CellUsage::default()),
        }
    }

    async fn create(&self, wanted: CreateCell) -> Reply {
        let (id, epoch) = (wanted.cell.allocation, wanted.cell.lease_epoch);
        {
            let mut state = self.lock();
            if let Some(known) = state.cells.get(&id) {
                match known.stage {
                    _ if epoch < known.lease_epoch => return refused("older_lease", "a newer lease is known"),
                    Stage::Building => return refused("busy", "it is being built"),
                    _ if epoch > known.lease_epoch => return refused("other_lease", "the older cell has to end first"),
                    Stage::Running => return Reply::Cell(Box::new(info(id, known))),
                    Stage::Dead => return refused("cell_dead", "it has died and waits for its end"),
                    Stage::Ending => return refused("cell_ending", "it is being ended"),
                    Stage::Ended => return refused("cell_ended", "it has ended"),
                }
            }
            let slots = wanted.cell.slots.iter().map(|slot| slot.id).collect();
            let fresh = Cell { lease_epoch: epoch, slots, stage: Stage::Building, receipt: None };
            state.cells.insert(id, fresh);
        }
        sleep(self.dice.ms(100, 2_500)).await;
        if self.dice.chance(15) {
            self.lock().cells.remove(&id);
            return refused("create_failed", "the simulated machine would not");
        }
        self.history.say(Event::Stands(self.machine, id, epoch));
        let mut state = self.lock();
        let Some(cell) = state.cells.get_mut(&id) else { return refused("create_failed", "broken off") };
        cell.stage = Stage::Running;
        let life = Life { allocation: id, from_ms: self.history.now_ms(), to_ms: None, died: false };
        let (mine, answer): (BTreeSet<_>, _) = (cell.slots.iter().copied().collect(), info(id, cell));
        for (other, cell) in state.cells.iter().filter(|(other, _)| **other != id) {
            let holds = matches!(cell.stage, Stage::Running | Stage::Ending | Stage::Dead);
            if holds && let Some(slot) = cell.slots.iter().find(|slot| mine.contains(slot)) {
                self.history.never(format!("{slot} is held twice: by {other} and by {id}"));
            }
        }
        state.lives.push(life);
        Reply::Cell(Box::new(answer))
    }

    async fn end(&self, id: AllocationId, reason: String) -> Reply {
        {
            let mut state = self.lock();
            match state.cells.get_mut(&id) {
                None => return ended(clean()),
                Some(cell) if cell.stage == Stage::Ended => return ended(cell.receipt.clone().unwrap_or_default()),
                Some(cell) if matches!(cell.stage, Stage::Building | Stage::Ending) => {
                    return refused("busy", "it is being worked on");
                }
                Some(cell) => {
                    let (stage, lease_epoch) = (std::mem::replace(&mut cell.stage, Stage::Ending), cell.lease_epoch);
                    if stage == Stage::Running {
                        if let Some(witness) = self.witness.get() {
                            witness(id, lease_epoch, &reason);
                        }
                        state.over(id, self.history.now_ms(), false);
                        self.history.say(Event::Ended(self.machine, id, reason));
                    }
                }
            }
        }
        sleep(self.dice.ms(50, 2_000)).await;
        let mut receipt = clean();
        if self.dice.chance(10) {
            receipt.clean = false;
            receipt.leftovers = vec!["a simulated process".to_owned()];
        }
        if let Some(cell) = self.lock().cells.get_mut(&id) {
            cell.stage = Stage::Ended;
            cell.receipt = Some(receipt.clone());
        }
        ended(receipt)
    }
}

fn clean() -> Receipt {
    let steps = vec![ReceiptStep { name: "processes".into(), detail: "none".into(), clean: true }];
    Receipt { clean: true, steps, ..Receipt::default() }
}

fn ended(receipt: Receipt) -> Reply {
    Reply::Ended { receipt: Box::new(receipt), exit: None }
}

fn info(allocation: AllocationId, cell: &Cell) -> CellInfo {
    let state = match cell.stage {
        Stage::Running => CellState::Running,
        Stage::Building | Stage::Dead | Stage::Ending => CellState::Dead,
        Stage::Ended => CellState::Ended,
    };
    CellInfo {
        allocation,
        lease_epoch: cell.lease_epoch,
        state,
        pid: 1,
        start_time: 1,
        boot_id: "simulated".into(),
        // Nobody listens there: terminals are not simulated.
        socket: PathBuf::from("/nonexistent/cell"),
        isolation: Level::Cell,
        not_enforced: Vec::new(),
        ssh_host_key: String::new(),
        ssh_user: String::new(),
        devices: Vec::new(),
    }
}
