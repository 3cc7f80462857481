//! Launches, reports and releases on a real database, with nodes that speak through the gate from agents.

use super::launch::{self, Launched};
use super::model::{State, Wish};
use super::request::LaunchRequest;
use super::store::{self, Allocation};
use super::{kinds, link, release};
use crate::app::App;
use crate::base::authz::Verb;
use crate::base::clock::Clock;
use crate::base::http::{Door, Problem};
use crate::base::rng::Rng;
use crate::config::ServeArgs;
use crate::cx::{Actor, Cx, Person, Role};
use crate::nodes::facts::Facts;
use crate::nodes::model::{Facets, Health, Lifecycle, Presence, Scheduling};
use crate::nodes::store::NodeRow;
use crate::operations::{self, Operation, StepState};
use crate::slots::{self, verbs::Decision};
use crate::users::{self, NewUser};
use crate::{audit, catalog, inbound, init, outbound, values};
use muster_protocol::ids::{AllocationId, NodeId, OperationId};
use muster_protocol::inventory::{FoundSlot, Gpu, Host, Inventory};
use muster_protocol::report::{CellReport, Phase, Receipt, Report};
use std::collections::BTreeMap;

struct World {
    app: App,
    user: Cx,
    _dir: tempfile::TempDir,
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
            init::init(&data, "root", "a long password 1").expect("init");
            let config = ServeArgs { data_dir: Some(data), ..ServeArgs::default() }.resolve().expect("config");
            App::build(config, Clock::System, Rng::from_seed(7)).expect("app")
        });
        let app = begun.join().expect("begun");
        let user = person(&app, "ada").await;
        let world = Self { app, user, _dir: dir };
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
        slots::verbs::decide_many(&self.app, &cx, id, None, Decision::Approve).await.expect("approved");
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

    async fn count(&self, sql: &'static str) -> i64 {
        self.app.store.read(move |tx| tx.one(sql, &[], |row| row.get(0))).await.expect("a count")
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

#[tokio::test]
async fn two_hundred_launches_on_ten_slots() {
    let world = World::new().await;
    let (one, two) = (world.node(8).await, world.node(2).await);
    let launches = (0..200).map(|_| world.launch(world.request("h100")));
    let answers = futures_util::future::join_all(launches).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 10);
    assert!(lost.iter().all(|answer| answer.as_ref().is_err_and(|problem| problem.code() == "sold_out")));
    assert_eq!(world.count("SELECT COUNT(*) FROM allocations").await, 10);
    assert_eq!(world.count("SELECT COUNT(*) FROM operations").await, 10);
    assert_eq!(world.count("SELECT COUNT(DISTINCT slot_id) FROM allocation_slots").await, 10);
    for node in [one, two] {
        assert!(world.slot_states(node).await.iter().all(|(state, _)| state == "reserved"));
    }
}

#[tokio::test]
async fn from_launch_to_receipt() {
    let world = World::new().await;
    let node = world.node(1).await;
    let launched = world.launch(world.request("h100")).await.expect("launched");
    let id = launched.allocation_ids[0];
    let document = world.app.store.ingest(move |tx| outbound::compose(tx, node)).await.expect("a document");
    assert_eq!((document.cells.len(), document.tombstones.len()), (1, 0));
    assert_eq!(document.cells[0].slots[0].gpu_uuid.as_deref().map(|uuid| uuid.starts_with("GPU-")), Some(true));

    world.say(CellReport { step: "home".into(), ..cell(id, Phase::Preparing) }).await;
    assert_eq!(world.row(id).await.lease.state, State::Provisioning);
    world.say(CellReport { ssh_host_key: "ssh-ed25519 AAAA".into(), ..cell(id, Phase::Running) }).await;
    let row = world.row(id).await;
    assert_eq!((row.lease.state, row.said.ssh_host_key.as_str()), (State::Active, "ssh-ed25519 AAAA"));
    let operation = world.operation(launched.operation_id).await;
    assert_eq!(operation.state, operations::State::Succeeded);
    assert!(operation.steps.iter().all(|step| step.state == StepState::Completed && step.ended_ms.is_some()));
    assert_eq!(world.slot_states(node).await[0].0, "leased");

    let ending = release::release(&world.app, &world.user, id, None).await.expect("released");
    let again = release::release(&world.app, &world.user, id, None).await.expect_err("twice");
    assert_eq!(again.code(), "invalid_state");
    let document = world.app.store.ingest(move |tx| outbound::compose(tx, node)).await.expect("a document");
    assert_eq!((document.cells.len(), document.tombstones.len()), (0, 1));
    world.say(cell(id, Phase::Ending)).await;
    assert_eq!(world.slot_states(node).await[0].0, "scrubbing");
    world.say(ended(id, &clean())).await;
    assert_eq!(world.row(id).await.lease.state, State::Released);
    assert_eq!(world.slot_states(node).await[0], ("free".into(), 0));
    assert_eq!(world.operation(ending.operation_id).await.outcome.as_deref(), Some("succeeded"));
    let receipts = "SELECT COUNT(*) FROM audit_events WHERE action = 'allocation.cleanup_receipt'";
    assert_eq!(world.count(receipts).await, 1);
    let document = world.app.store.ingest(move |tx| outbound::compose(tx, node)).await.expect("a document");
    assert_eq!((document.cells.len(), document.tombstones.len()), (0, 0));
    world.say(ended(id, &clean())).await;
    assert_eq!(world.count(receipts).await, 1, "a receipt is stored once");
    world.launch(world.request("h100")).await.expect("the slot is sold again");
}

#[tokio::test]
async fn leftovers_take_the_slot_off_sale() {
    let world = World::new().await;
    let node = world.node(1).await;
    let id = world.launch(world.request("h100")).await.expect("launched").allocation_ids[0];
    world.say(cell(id, Phase::Running)).await;
    let ending = release::release(&world.app, &world.user, id, None).await.expect("released");
    world.say(ended(id, &Receipt { leftovers: vec!["a handle".into()], ..Receipt::default() })).await;
    assert_eq!(world.row(id).await.lease.state, State::Released);
    assert_eq!(world.slot_states(node).await[0], ("free".into(), 1));
    assert_eq!(world.operation(ending.operation_id).await.outcome.as_deref(), Some("partial"));
    let refused = world.launch(world.request("h100")).await.expect_err("held");
    assert_eq!(refused.code(), "sold_out");
    assert!(refused.detail().contains("cleared by an operator"), "{}", refused.detail());
}

#[tokio::test]
async fn a_killed_cell_frees_its_slot_with_the_receipt() {
    let world = World::new().await;
    let node = world.node(1).await;
    let id = world.launch(world.request("h100")).await.expect("launched").allocation_ids[0];
    world.say(cell(id, Phase::Running)).await;
    world.say(CellReport { failure_code: "killed".into(), ..cell(id, Phase::Ended) }).await;
    let row = world.row(id).await;
    assert_eq!((row.lease.state, row.lease.wish), (State::Failed, Wish::Ending));
    assert_eq!(row.lease.failure.map(|failure| failure.code).as_deref(), Some("cell_ended"));
    assert_eq!(world.slot_states(node).await[0].0, "scrubbing");
    world.say(ended(id, &clean())).await;
    assert_eq!(world.row(id).await.lease.wish, Wish::Gone);
    assert_eq!(world.slot_states(node).await[0].0, "free");
}

#[tokio::test]
async fn a_batch_releases_itself_and_keeps_its_log() {
    let world = World::new().await;
    world.node(1).await;
    let mut request = world.request("h100");
    request.command = Some(vec!["true".into()]);
    request.release_on_exit = true;
    let launched = world.launch(request).await.expect("launched");
    let id = launched.allocation_ids[0];
    let node = world.row(id).await.node_id;
    let log = |offset, bytes: &[u8], last| muster_protocol::facts::CellLog {
        allocation: id.to_string(),
        offset,
        bytes: bytes.to_vec(),
        last,
    };
    let pieces = [log(0, b"hello ", false), log(6, b"world", true), log(0, b"hello ", false)];
    for piece in pieces {
        world.app.store.ingest(move |tx| link::log_in(tx, node, &piece)).await.expect("kept");
    }
    world.say(CellReport { exit_code: Some(3), ..cell(id, Phase::Exited) }).await;
    let row = world.row(id).await;
    assert_eq!((row.lease.state, row.lease.exit_code), (State::Releasing, Some(3)));
    assert_eq!(world.operation(launched.operation_id).await.outcome.as_deref(), Some("succeeded"));
    world.say(ended(id, &clean())).await;
    let row = world.row(id).await;
    assert_eq!((row.lease.state, row.lease.exit_code, row.log_complete), (State::Released, Some(3), true));
    let release = world.operation(row.release_operation_id.expect("an operation")).await;
    assert_eq!(release.outcome.as_deref(), Some("succeeded"));
    let log = world.app.store.read(move |tx| store::log_of(tx, id)).await.expect("a log");
    assert_eq!(log, vec![(0, b"hello ".to_vec()), (6, b"world".to_vec())]);
}

#[tokio::test]
async fn a_cancelled_launch_ends_when_nothing_is_left() {
    let world = World::new().await;
    world.node(1).await;
    let launched = world.launch(world.request("h100")).await.expect("launched");
    let id = launched.allocation_ids[0];
    world.say(cell(id, Phase::Preparing)).await;
    operations::cancel(&world.app, &world.user, launched.operation_id).await.expect("cancelled");
    let row = world.row(id).await;
    assert_eq!((row.lease.state, row.end_reason.as_str()), (State::Releasing, "cancelled"));
    assert_eq!(world.operation(launched.operation_id).await.state, operations::State::Running);
    // News of before the cancel does not bring it back.
    world.say(cell(id, Phase::Running)).await;
    assert_eq!(world.row(id).await.lease.state, State::Releasing);
    world.say(ended(id, &clean())).await;
    let operation = world.operation(launched.operation_id).await;
    assert_eq!(operation.state, operations::State::Cancelled);
    let late = operations::cancel(&world.app, &world.user, launched.operation_id).await.expect_err("over");
    assert_eq!(late.code(), "not_cancellable");
    operations::retry(&world.app, &world.user, launched.operation_id).await.expect("launched again");
    assert_eq!(world.count("SELECT COUNT(*) FROM operations WHERE retry_of IS NOT NULL").await, 1);
}

#[tokio::test]
async fn what_does_not_come_up_in_time_fails_and_is_torn_down() {
    let world = World::new().await;
    let node = world.node(1).await;
    let launched = world.launch(world.request("h100")).await.expect("launched");
    let (cx, id) = (world.app.system("test"), launched.operation_id);
    world
        .app
        .store
        .ingest(move |tx| {
            let operation = operations::find_in(tx, id)?;
            let overdue = kinds().into_iter().find(|kind| kind.name == operation.kind).and_then(|kind| kind.overdue);
            overdue.expect("a hook")(tx, &cx, &operation)
        })
        .await
        .expect("given up");
    let operation = world.operation(id).await;
    assert_eq!(operation.failure_code.as_deref(), Some("provisioning_deadline"));
    assert_eq!(world.slot_states(node).await[0].0, "scrubbing");
    world.say(ended(launched.allocation_ids[0], &clean())).await;
    assert_eq!(world.slot_states(node).await[0].0, "free");
}

#[tokio::test]
async fn foreign_people_and_foreign_nodes_reach_nothing() {
    let world = World::new().await;
    world.node(1).await;
    let stranger = person(&world.app, "eve").await;
    let other = world.node(0).await;
    let id = world.launch(world.request("h100")).await.expect("launched").allocation_ids[0];
    let refused = release::release(&world.app, &stranger, id, None).await.expect_err("foreign");
    assert_eq!(refused.code(), "not_found");
    let seen = world.app.store.read(move |tx| release::seen_in(tx, &stranger, id, Verb::AllocationsShow)).await;
    assert_eq!(seen.expect_err("foreign").code(), "not_found");
    let report = Report { cells: vec![ended(id, &clean())], ..Report::default() };
    link::report(&world.app, other, report).await.expect("ignored");
    assert_eq!(world.row(id).await.lease.state, State::Requested);
}

#[tokio::test]
async fn blockers_are_the_same_before_and_at_submit() {
    let world = World::new().await;
    world.node(2).await;
    world.node(2).await;
    world.sku("h100-4", catalog::Kind::Gpu, 4).await;
    let keyless = LaunchRequest { sku: "h100".into(), ..LaunchRequest::default() };
    let mut many = world.request("h100");
    many.count = Some(5);
    let cases = [(keyless, "ssh_key_missing"), (world.request("h100-4"), "topology_unsatisfied"), (many, "sold_out")];
    for (request, code) in cases {
        let before = launch::precheck(&world.app, &world.user, request.clone()).await.expect("a precheck");
        assert_eq!(before.blockers.iter().map(|blocker| blocker.code).collect::<Vec<_>>(), vec![code]);
        assert_eq!(world.launch(request).await.expect_err("blocked").code(), code);
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM allocations").await, 0);
    let mut four = world.request("h100");
    four.count = Some(4);
    assert_eq!(world.launch(four).await.expect("all of them").allocation_ids.len(), 4);
}

#[tokio::test]
async fn a_cordon_between_plan_and_transaction_is_seen() {
    let world = World::new().await;
    let node = world.node(1).await;
    // The snapshot in memory says open.
    let wanted =
        crate::scheduler::Request { kind: crate::scheduler::Wanted::Gpu(1), gpu_model: None, labels: BTreeMap::new() };
    world.app.scheduler.look(&world.app, &wanted, 1).await.expect("read").expect("fits");
    world
        .app
        .store
        .ingest(move |tx| tx.exec("UPDATE nodes SET scheduling = 'cordoned' WHERE id = $1", &values![node]))
        .await
        .expect("cordoned");
    let refused = world.launch(world.request("h100")).await.expect_err("closed");
    assert_eq!(refused.code(), "sold_out");
    assert!(refused.detail().contains("opened again"), "{}", refused.detail());
}
