//! The coordinator: the product, on simulated ground. It crashes and starts again on what it had committed.

use crate::dice::Dice;
use crate::disk::Disk;
use crate::net::Net;
use crate::template::Template;
use crate::{BASE_MS, COORDINATOR};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use muster_coordinator::app::App;
use muster_coordinator::base::clock::Clock;
use muster_coordinator::base::cpu::Cpu;
use muster_coordinator::base::http::frame::{self, Frame};
use muster_coordinator::base::http::{Door, listen::Peer};
use muster_coordinator::base::rng::Rng;
use muster_coordinator::base::store::{self, Store};
use muster_coordinator::config::{Config, ServeArgs};
use muster_coordinator::{fleet, links, routes};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;
use tower_service::Service;

/// See the module.
pub struct Coordinator {
    seed: u64,
    data_dir: PathBuf,
    net: Arc<Net>,
    /// Its disk.
    pub disk: Arc<Disk>,
    dice: Dice,
    began: Instant,
    clock_ms: Arc<AtomicI64>,
    starts: AtomicU64,
    running: Mutex<Option<Running>>,
    tokens: [String; 2],
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Running {
    app: App,
    alive: Arc<AtomicBool>,
    doors: [Router; 2],
}

/// How an answer looks.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// The problem's code; empty for a success.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

pub(crate) fn config(data_dir: &Path) -> anyhow::Result<Config> {
    ServeArgs {
        data_dir: Some(data_dir.to_owned()),
        quic_public: Some(COORDINATOR.to_string()),
        ..ServeArgs::default()
    }
    .resolve()
}

pub(crate) fn door(app: &App, door: Door) -> Router {
    let frame = Frame { app: app.clone(), door, tls: false, public_url: None, strict: false };
    frame::around(routes::routes(door).0, frame)
}

/// One request at a door, with a bearer token.
pub(crate) async fn call(
    mut door: Router,
    token: &str,
    method: &str,
    path: &str,
    key: Option<&str>,
    body: Option<&Value>,
) -> anyhow::Result<Answer> {
    let mut request = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let body = match body {
        Some(body) => {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    let request = request.extension(Peer(([10, 0, 9, 9], 4_000).into())).body(body)?;
    let response = match door.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
}

impl Coordinator {
    /// On a copy of the template's data directory; not started.
    pub fn new(seed: u64, folder: &Path, template: &Template, net: &Arc<Net>) -> anyhow::Result<Arc<Self>> {
        let data_dir = folder.join("coordinator");
        template.copy_to(&data_dir)?;
        Ok(Arc::new(Self {
            seed,
            data_dir,
            net: Arc::clone(net),
            disk: Disk::new(seed, "coordinator"),
            dice: Dice::new(seed, "coordinator"),
            began: Instant::now(),
            clock_ms: Arc::new(AtomicI64::new(BASE_MS)),
            starts: AtomicU64::new(0),
            running: Mutex::new(None),
            tokens: template.tokens.clone(),
        }))
    }

    /// Its database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        fleet::file(&self.data_dir)
    }

    /// Its folder.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Starts it, if it is down.
    pub fn start(&self) -> anyhow::Result<()> {
        if self.app().is_some() {
            return Ok(());
        }
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let disk = Arc::clone(&self.disk);
        let store = Store::open_inline(&self.database(), store::Disk(Arc::new(move || disk.write())))?;
        let clock = Clock::Running(self.began, Arc::clone(&self.clock_ms));
        let rng = Rng::from_seed(self.seed.wrapping_mul(1_000_003).wrapping_add(start));
        let app = App::build(config(&self.data_dir)?, store, Cpu::Inline, clock, rng)?;
        let alive = Arc::new(AtomicBool::new(true));
        let socket = self.net.socket(COORDINATOR.ip(), COORDINATOR.port(), Arc::clone(&alive));
        app.start();
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.dice.between(0, u64::MAX).to_le_bytes());
        links::start_over(&app, socket, seed)?;
        let doors = [door(&app, Door::Console), door(&app, Door::Operator)];
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running { app, alive, doors });
        Ok(())
    }

    /// It dies where it stands.
    pub fn crash(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            running.alive.store(false, Ordering::Relaxed);
            running.app.supervisor.kill();
        }
    }

    fn running(&self) -> Option<Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The application, while it runs.
    #[must_use]
    pub fn app(&self) -> Option<App> {
        self.running().map(|running| running.app)
    }

    /// One request. Nothing if it is down, or died meanwhile.
    pub async fn ask(
        &self,
        at: Door,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Option<Answer> {
        let Running { app, doors: [console, operator], .. } = self.running()?;
        let (door, token) = match at {
            Door::Console => (console, &self.tokens[0]),
            Door::Operator => (operator, &self.tokens[1]),
        };
        let answered = call(door, token, method, path, key, body);
        app.supervisor.killed().run_until_cancelled_owned(answered).await?.ok()
    }
}
