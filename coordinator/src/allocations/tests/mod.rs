//! A world for trying allocations: a real database, nodes that speak through the gate from agents.

mod flows;
mod lost;
mod prices;
#[path = "store.rs"]
mod rows;

use crate::allocations::launch::{self, Launched};
use crate::allocations::link;
use crate::allocations::request::LaunchRequest;
use crate::allocations::store::{self, Allocation};
use crate::app::App;
use crate::base::clock::Clock;
use crate::base::cpu::Cpu;
use crate::base::http::{Door, Problem};
use crate::base::rng::Rng;
use crate::config::ServeArgs;
use crate::cx::{Actor, Cx, Person, Role};
use crate::nodes::facts::Facts;
use crate::nodes::model::{Facets, Health, Lifecycle, Presence, Scheduling};
use crate::nodes::store::NodeRow;
use crate::operations::{self, Operation};
use crate::slots::{self, verbs::Decision};
use crate::users::{self, NewUser};
use crate::{audit, catalog, fleet, inbound, init};
use muster_protocol::ids::{AllocationId, NodeId, OperationId};
use muster_protocol::inventory::{FoundSlot, Gpu, Host, Inventory};
use muster_protocol::report::{CellReport, Phase, Receipt, Report};
use muster_tests::Database;
use rows::Count;
use std::collections::BTreeMap;

struct World {
    app: App,
    user: Cx,
    _dir: tempfile::TempDir,
    _database: Option<Database>,
}

fn gpu(uuid: &str) -> Gpu {
    Gpu {
        uuid: uuid.into(),
        model: "NVIDIA H100 80GB HBM3".into(),
        memory_total_bytes: Some(80 << 30),
        ..Gpu::default()
    }
}

fn whole(uuid: &str) -> FoundSlot {
    FoundSlot { kind: "gpu".into(), gpu_uuid: uuid.into(), gpu_slices: 8, ..FoundSlot::default() }
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let data = dir.path().join("data");
        // Both block on the store, which a thread of the runtime may not.
        let begun = std::thread::spawn(move || {
            let database = Database::fresh();
            let url = database.as_ref().map(Database::url);
            init::init(&data, url.as_deref(), "root", "a long password 1").expect("init");
            let store = fleet::Database::of(&data, url.as_deref()).expect("a database").open().expect("a store");
            let config = ServeArgs { data_dir: Some(data), ..ServeArgs::default() }.resolve().expect("config");
            let cpu = Cpu::start().expect("cpu");
            (App::build(config, store, cpu, Clock::System, Rng::from_seed(7)).expect("app"), database)
        });
        let (app, database) = begun.join().expect("begun");
        let user = person(&app, "ada").await;
        let world = Self { app, user, _dir: dir, _database: database };
        world.sku("h100", catalog::Kind::Gpu, 1).await;
        world
    }

    async fn sku(&self, name: &str, kind: catalog::Kind, gpus: u32) {
        let cx = self.app.system("test");
        let sku = catalog::Sku {
            id: cx.new_id(),
            name: name.into(),
            state: catalog::State::Active,
            kind,
            gpu_model: (gpus > 0).then(|| "h100".into()),
            profile: None,
            gpus,
            size: muster_protocol::desired::Size {
                cpu_milli: 1000,
                memory_bytes: 1 << 30,
                disk_bytes: 2 << 30,
                pids: 512,
            },
            labels: BTreeMap::new(),
            version: 1,
            created_ms: cx.now_ms,
        };
        catalog::create(&self.app, &cx, sku).await.expect("a SKU");
    }

    /// A node in service with so many approved whole GPUs.
    async fn node(&self, gpus: usize) -> NodeId {
        let cx = self.app.system("test");
        let id: NodeId = cx.new_id();
        let row = NodeRow {
            id,
            name: "n".into(),
            facets: Facets {
                lifecycle: Lifecycle::InService,
                presence: Presence::Online,
                scheduling: Scheduling::Open,
                health: Health::Ok,
            },
            health_reason: String::new(),
            last_seen_ms: None,
            labels: BTreeMap::new(),
            version: 1,
            key_sha256: id.to_string(),
            token_id: String::new(),
            recovery_left: 3,
            revoked_ms: None,
            machine_sha256: String::new(),
            agent_version: String::new(),
            boot_id: String::new(),
            journal_epoch: String::new(),
            join_sequence: 1,
            facts: Facts::default(),
            drain_deadline_ms: None,
            created_ms: cx.now_ms,
        };
        self.app.store.ingest(move |tx| crate::nodes::store::insert_in(tx, &row)).await.expect("a node");
        let uuids: Vec<String> = (0..gpus).map(|n| format!("GPU-{}-{n}", id.short())).collect();
        let inventory = Inventory {
            host: Host::default(),
            gpu_state: "ok".into(),
            gpus: uuids.iter().map(|uuid| gpu(uuid)).collect(),
            slots: uuids.iter().map(|uuid| whole(uuid)).collect(),
            isolation: "cell".into(),
            ..Inventory::default()
        };
        inbound::inventory(&self.app, id, inventory).await.expect("an inventory");
        slots::verbs::decide_many(&self.app, &cx, id, None, Decision::Approve, None).await.expect("approved");
        self.app.board.heard(id);
        id
    }

    fn request(&self, sku: &str) -> LaunchRequest {
        LaunchRequest { sku: sku.into(), ssh_key_ids: Some(vec![]), ..LaunchRequest::default() }
    }

    async fn launch(&self, request: LaunchRequest) -> Result<Launched, Problem> {
        launch::launch(&self.app, &self.user, request, None).await
    }

    async fn row(&self, id: AllocationId) -> Allocation {
        self.app.store.read(move |tx| store::find(tx, id)).await.expect("read").expect("a row")
    }

    async fn operation(&self, id: OperationId) -> Operation {
        self.app.store.read(move |tx| operations::find_in(tx, id)).await.expect("an operation")
    }

    async fn say(&self, cell: CellReport) {
        let id: AllocationId = cell.allocation.parse().expect("an id");
        let node = self.row(id).await.node_id;
        let report = Report { cells: vec![cell], ..Report::default() };
        link::report(&self.app, node, report).await.expect("taken in");
    }

    async fn slot_states(&self, node: NodeId) -> Vec<(String, usize)> {
        let rows = self.app.store.read(move |tx| slots::store::of_node_in(tx, node)).await.expect("slots");
        rows.iter().map(|slot| (slot.state.word().to_owned(), slot.holds.len())).collect()
    }

    async fn count(&self, what: Count) -> i64 {
        self.app.store.read(move |tx| rows::count(tx, &what)).await.expect("a count")
    }
}

async fn person(app: &App, name: &'static str) -> Cx {
    let mut cx = app.system("test");
    let act = cx.clone();
    let (user, world) = app
        .store
        .write(move |tx| {
            let new =
                NewUser { username: name.into(), email: None, password_hash: "x".into(), roles: vec![Role::Member] };
            users::create_in(tx, &act, &new).map(audit::unchanged)
        })
        .await
        .expect("a person");
    let (tenant, _) = world.expect("a tenant");
    cx.actor = Actor::Person(Box::new(Person {
        id: user.id,
        username: name.into(),
        login_id: cx.new_id(),
        door: Door::Console,
        tenant_id: Some(tenant.id),
        workspace_id: Some(tenant.workspace_id),
        roles: vec![Role::Member],
        stepped_up_until_ms: None,
        bearer: true,
        csrf_token: None,
    }));
    cx
}

fn cell(id: AllocationId, phase: Phase) -> CellReport {
    CellReport {
        allocation: id.to_string(),
        lease_epoch: 1,
        phase: phase.into(),
        isolation: "cell".into(),
        ..CellReport::default()
    }
}

fn ended(id: AllocationId, receipt: &Receipt) -> CellReport {
    let receipt_json = serde_json::to_string(receipt).expect("json");
    CellReport { receipt_json, ..cell(id, Phase::Ended) }
}

fn clean() -> Receipt {
    Receipt { clean: true, ..Receipt::default() }
}
