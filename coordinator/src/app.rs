//! The application: everything a verb or handler may reach, and the wiring, which reads top to bottom.

use crate::base::clock::Clock;
use crate::base::cpu::Cpu;
use crate::base::health::Health;
use crate::base::http::downloads::Downloads;
use crate::base::http::sse::Streams;
use crate::base::http::{Door, Gates, IdempotencyState, Problem};
use crate::base::metrics::Metrics;
use crate::base::rng::Rng;
use crate::base::store::Store;
use crate::base::supervise::Supervisor;
use crate::base::work::Nudge;
use crate::config::Config;
use crate::cx::{Actor, Cx, Person};
use crate::fleet::{self, Fleet};
use crate::{
    allocations, audit, base, links, nodes, operations, outbound, routes, scheduler, slots, telemetry, terminals, users,
};
use bytes::Bytes;
use muster_protocol::ids::{CorrelationId, LoginId, NodeId};
use std::ops::Deref;
use std::sync::Arc;

/// The application. Cheap to clone; its parts are fields: `app.store`, `app.clock`, `app.nudges.seal`.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What the application is made of.
#[derive(Debug)]
pub struct Parts {
    /// How this process was told to run.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// Wall time.
    pub clock: Clock,
    /// Randomness.
    pub rng: Rng,
    /// Threads for heavy computing.
    pub cpu: Cpu,
    /// The only spawner.
    pub supervisor: Supervisor,
    /// Readiness.
    pub health: Health,
    /// Metrics.
    pub metrics: Metrics,
    /// Keyed requests in flight.
    pub idempotency: IdempotencyState,
    /// Event streams that are open.
    pub streams: Streams,
    /// Programs beside this one.
    pub downloads: Downloads,
    /// What wakes the reconcilers.
    pub nudges: Nudges,
    /// Counters of failed sign-ins.
    pub failures: users::Failures,
    /// Counters of accounts that were made.
    pub sign_ups: users::SignUps,
    /// What leases rows for this process; another at every start.
    pub instance: String,
    /// The kinds of operation there are.
    pub kinds: operations::Kinds,
    /// What this installation is, with the CA.
    pub fleet: Fleet,
    /// Whose certificates count.
    pub trust: muster_pki::Trust,
    /// Held while revocations are read and put into force.
    pub revoking: tokio::sync::Mutex<()>,
    /// When each node was last heard.
    pub board: nodes::Board,
    /// What nodes measure.
    pub telemetry: telemetry::Telemetry,
    /// Live links of nodes.
    pub links: links::Registry,
    /// Where launches go.
    pub scheduler: scheduler::Live,
    /// What nodes said last about their cells.
    pub heard: allocations::Heard,
    /// Tokens and open attaches of terminals.
    pub terminals: terminals::Terminals,
    /// The verb of each route.
    pub gates: Gates,
    documents: [Bytes; 2],
}

/// One nudge a reconciler. A room adds its field.
#[derive(Debug, Clone, Default)]
pub struct Nudges {
    /// `audit::seal`: events wait for their place in the chain.
    pub seal: Nudge,
    /// `operations`: one may be overdue.
    pub operations: Nudge,
    /// `outbound`: a node task waits, or a link came up.
    pub node_tasks: Nudge,
    /// `links::desired`: a node's document may have changed.
    pub desired: Nudge,
    /// `links::revoked`: an identity was taken away.
    pub revoked: Nudge,
    /// `slots`: a node may have been emptied.
    pub slots: Nudge,
    /// `terminals`: an allocation may be over.
    pub terminals: Nudge,
}

impl Nudges {
    /// Wakes every reconciler that follows operations; for acts that may concern any room.
    pub fn everything(&self) {
        self.seal.notify();
        self.operations.notify();
        self.node_tasks.notify();
        self.desired.notify();
        self.slots.notify();
        self.terminals.notify();
    }
}

/// The kinds of operation, by room.
fn kinds() -> Vec<operations::Kind> {
    let mut kinds = vec![nodes::probe::KIND, nodes::probe::DISCOVER];
    kinds.extend(allocations::kinds());
    kinds
}

impl App {
    /// Builds the application on an initialised data directory. Starts no task; blocks on the store, so call
    /// it before the edge runs.
    pub fn build(config: Config, store: Store, cpu: Cpu, clock: Clock, rng: Rng) -> anyhow::Result<Self> {
        let fleet = fleet::load(&store, &config.data_dir)?;
        let trust = muster_pki::Trust::new(&fleet.id, std::slice::from_ref(fleet.ca.certificate()))?;
        let now_ms = clock.now_ms();
        trust.set_revoked(store.read_blocking(move |tx| crate::enrolment::verbs::revoked_in(tx, now_ms))?);
        let (console, operator) = (routes::routes(Door::Console).1, routes::routes(Door::Operator).1);
        let gates = Gates::default().with(Door::Console, &console).with(Door::Operator, &operator);
        let instance = rng.secret();
        Ok(Self(Arc::new(Parts {
            config,
            store,
            clock,
            rng,
            cpu,
            supervisor: Supervisor::default(),
            health: Health::default(),
            metrics: Metrics::default(),
            idempotency: IdempotencyState::default(),
            streams: Streams::default(),
            downloads: Downloads::default(),
            nudges: Nudges::default(),
            failures: users::Failures::default(),
            sign_ups: users::SignUps::default(),
            instance,
            kinds: operations::Kinds::new(kinds()),
            fleet,
            trust,
            revoking: tokio::sync::Mutex::default(),
            board: nodes::Board::default(),
            telemetry: telemetry::Telemetry::default(),
            links: links::Registry::default(),
            scheduler: scheduler::Live::default(),
            heard: allocations::Heard::default(),
            terminals: terminals::Terminals::default(),
            gates,
            documents: [console.to_json()?.into(), operator.to_json()?.into()],
        })))
    }

    /// The context of an act of the coordinator itself; `name` is that of the reconciler.
    #[must_use]
    pub fn system(&self, name: &'static str) -> Cx {
        self.cx(Actor::System(name))
    }

    /// The context of something a node said.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Cx {
        self.cx(Actor::Node(node))
    }

    fn cx(&self, actor: Actor) -> Cx {
        let now_ms = self.clock.now_ms();
        let correlation_id: CorrelationId = self.rng.id(now_ms);
        Cx { actor, correlation_id, now_ms, source_ip: None, rng: self.rng.clone(), keyed: None }
    }

    /// Starts every reconciler, in the order of the rooms.
    pub fn start(&self) {
        base::disk::start(self);
        audit::tick::start(self);
        users::tick::start(self);
        operations::start(self);
        nodes::tick::start(self);
        telemetry::tick::start(self);
        slots::tick::start(self);
        allocations::tick::start(self);
        terminals::tick::start(self);
        outbound::start(self);
    }

    /// The OpenAPI document of a door, as JSON text.
    #[must_use]
    pub fn document(&self, door: Door) -> &Bytes {
        let [console, operator] = &self.documents;
        match door {
            Door::Console => console,
            Door::Operator => operator,
        }
    }

    /// The person of a sign-in, if it is alive now.
    pub async fn person_of_login(&self, login: LoginId, now_ms: i64) -> Result<Option<Person>, Problem> {
        self.store.read(move |tx| users::person_of_login(tx, login, now_ms)).await
    }

    /// The person a token belongs to, if it is valid now.
    pub async fn sign_in_of(&self, sha256: [u8; 32], bearer: bool, now_ms: i64) -> Result<Option<Person>, Problem> {
        self.store.read(move |tx| users::person_of_token(tx, sha256, bearer, now_ms)).await
    }
}
