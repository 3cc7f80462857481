//! The driver of cells with a root half that is played, in virtual time.

use muster_agent::{
    cells::{Driver, Tools},
    clock::{Clock, Source},
    gpu::Gpus,
    journal::{Disk, Journal},
    root::{Asked, CellInfo, CellState, Client, Level, Reply, Request},
    supervise::{Aside, Scope},
};
use muster_protocol::{
    control::{Desired, Generation},
    ids::{AllocationId, SlotId},
    report::{Phase, Receipt, Report},
};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

/// Virtual time for anything.
const PATIENCE: Duration = Duration::from_secs(120);

fn info(allocation: AllocationId, lease_epoch: u64, state: CellState) -> CellInfo {
    CellInfo {
        allocation,
        lease_epoch,
        state,
        pid: 7,
        start_time: 1,
        boot_id: "boot".into(),
        socket: "/nonexistent/cell.sock".into(),
        isolation: Level::None,
        not_enforced: Vec::new(),
        ssh_host_key: String::new(),
        ssh_user: String::new(),
        devices: Vec::new(),
    }
}

/// A root half whose cells are `dead` or alive, and which says nothing unasked.
async fn played(mut asked: mpsc::Receiver<Asked>, dead: Arc<AtomicBool>) {
    let mut cells = BTreeMap::new();
    while let Some((request, answer)) = asked.recv().await {
        let state = if dead.load(Ordering::Relaxed) { CellState::Dead } else { CellState::Running };
        let of = |allocation: &AllocationId, lease: &u64| info(*allocation, *lease, state);
        let reply = match request {
            Request::CellCreate(wanted) => {
                cells.insert(wanted.cell.allocation, wanted.cell.lease_epoch);
                Reply::Cell(Box::new(of(&wanted.cell.allocation, &wanted.cell.lease_epoch)))
            }
            Request::CellList => Reply::Cells { cells: cells.iter().map(|(id, lease)| of(id, lease)).collect() },
            Request::CellAdopt { allocation } => match cells.get(&allocation) {
                Some(lease) => Reply::Cell(Box::new(of(&allocation, lease))),
                None => Reply::Refused { code: "unknown_cell".into(), detail: String::new() },
            },
            Request::CellEnd { allocation, .. } => {
                cells.remove(&allocation);
                let receipt = Receipt { clean: true, ..Receipt::default() };
                Reply::Ended { receipt: Box::new(receipt), exit: None }
            }
            _ => Reply::Done,
        };
        // The asker may have given up.
        let _ = answer.send(reply);
    }
}

async fn phase(report: &mut watch::Receiver<Arc<Report>>, phase: Phase) {
    let seen = report.wait_for(|report| report.cells.iter().any(|cell| cell.phase() == phase));
    let _ = timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("not {phase:?} within {PATIENCE:?}")).unwrap();
}

fn journal(folder: &Path) -> Journal {
    Journal::open_inline(&folder.join("journal.db"), Disk(Arc::new(|| (Duration::ZERO, Duration::ZERO)))).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_cell_whose_end_was_never_told_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let (root, asked) = Client::channel();
    let dead = Arc::new(AtomicBool::new(false));
    let mut scope = Scope::default();
    scope.spawn("root", played(asked, Arc::clone(&dead)));
    let tools = Tools {
        root,
        journal: journal(folder.path()),
        clock: Clock::new(None, "boot", Source::Machine),
        gpus: Gpus::absent(),
        facts: Arc::default(),
        aside: Aside::Here,
    };
    let (driver, cells) = Driver::new(tools).await.unwrap();
    let (_events, heard) = mpsc::channel(1);
    scope.spawn("cells", driver.run(heard));
    let allocation = AllocationId::new(1, [1; 10]);
    let slot = SlotId::from_bytes(allocation.to_bytes());
    let document = format!(
        r#"{{"cells":[{{"allocation":"{allocation}","name":"c","lease_epoch":1,
        "slots":[{{"id":"{slot}","kind":"cpu"}}],"image":{{"kind":"host"}},
        "size":{{"cpu_milli":1000,"memory_bytes":268435456,"disk_bytes":268435456,"pids":100}}}}]}}"#
    );
    let sha256 = Sha256::digest(&document).to_vec();
    let generation = Generation { fleet_epoch: 1, n: 1 };
    cells.offer(Desired { generation, document: document.into_bytes().into(), sha256 }).await;
    let mut report = cells.report();
    phase(&mut report, Phase::Running).await;
    assert!(timeout(PATIENCE, report.changed()).await.is_err(), "a cell that lives is left alone");
    dead.store(true, Ordering::Relaxed);
    phase(&mut report, Phase::Ended).await;
    assert_eq!(report.borrow().cells[0].failure_code, "cell_ended");
}
