//! A coordinator inside the test's process, both doors on port 0, and a client that speaks plain HTTP/1.1.

use muster_coordinator::app::App;
use muster_coordinator::base::clock::Clock;
use muster_coordinator::base::cpu::Cpu;
use muster_coordinator::base::rng::Rng;
use muster_coordinator::config::ServeArgs;
use muster_coordinator::{fleet, init, serve};
use muster_tests::Database;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The first operator's password.
pub(crate) const OPERATOR: &str = "operator password";

/// A running coordinator.
#[derive(Debug)]
pub(crate) struct World {
    /// The application.
    pub(crate) app: App,
    /// `host:port` of the console door.
    pub(crate) console: String,
    /// `host:port` of the operator door.
    pub(crate) operator: String,
    /// Where agents connect.
    pub(crate) quic: std::net::SocketAddr,
    clock: Arc<AtomicI64>,
    folder: tempfile::TempDir,
    database: Option<Database>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Lower-case names.
    pub(crate) headers: HashMap<String, String>,
    /// The body; null when it is no JSON.
    pub(crate) json: Value,
    /// The body.
    pub(crate) text: String,
}

impl Answer {
    /// Status and problem code.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        if self.status >= 400 {
            assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text);
            assert_eq!(self.json["correlation_id"], self.headers["x-correlation-id"].as_str(), "{}", self.text);
        }
        (self.status, self.json["code"].as_str().unwrap_or_default())
    }

    /// The body of a success.
    pub(crate) fn ok(self) -> Value {
        assert!(self.status < 300, "{} {}", self.status, self.text);
        self.json
    }
}

/// Runs a test against a fresh coordinator on a current-thread runtime, as in production.
pub(crate) fn with_world<F: AsyncFnOnce(&World)>(test: F) {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let database = Database::fresh();
    let url = database.as_ref().map(Database::url);
    init::init(&data_dir, url.as_deref(), "root", OPERATOR).unwrap();
    let store = fleet::Database::of(&data_dir, url.as_deref()).unwrap().open().unwrap();
    let any = "127.0.0.1:0".parse().ok();
    let args = ServeArgs {
        data_dir: Some(data_dir),
        console: any,
        operator: any,
        quic: any,
        scrape_token: Some("scrape me".to_owned()),
        ..Default::default()
    };
    let clock = Arc::new(AtomicI64::new(1_800_000_000_000));
    let cpu = Cpu::start().unwrap();
    let app = App::build(args.resolve().unwrap(), store, cpu, Clock::Manual(clock.clone()), Rng::from_seed(7)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let addresses = serve::start(&app).await.unwrap();
        let bare = |url: &str| url.trim_start_matches("http://").to_owned();
        let (console, operator) = (bare(&addresses.console_url), bare(&addresses.operator_url));
        let world = World {
            app: app.clone(),
            console,
            operator,
            quic: addresses.quic_addr.parse().unwrap(),
            clock,
            folder,
            database,
        };
        test(&world).await;
        serve::stop(&app).await;
    });
    drop(runtime);
    app.store.close();
}

impl World {
    /// Moves the clock.
    pub(crate) fn pass_ms(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    /// A number that changes with every commit of the coordinator.
    pub(crate) fn commits(&self) -> Box<dyn Fn() -> i64> {
        match &self.database {
            Some(database) => Box::new(database.writes()),
            None => {
                let connection = rusqlite::Connection::open(fleet::file(&self.folder.path().join("data"))).unwrap();
                Box::new(move || connection.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap())
            }
        }
    }

    /// Signs a person up and in at the console; returns the whole answer of the sign-in.
    pub(crate) async fn person(&self, name: &str) -> Value {
        let body = format!(r#"{{"username":"{name}","password":"{name} has a password"}}"#);
        post(&self.console, "/api/v1/auth/personal/signup", &[], &body).await.ok();
        post(&self.console, "/api/v1/auth/personal/login", &[], &body).await.ok()
    }

    /// The bearer header of a person who was signed up now.
    pub(crate) async fn bearer_of(&self, name: &str) -> String {
        format!("Bearer {}", self.person(name).await["access_token"].as_str().unwrap())
    }

    /// The bearer header of the first operator.
    pub(crate) async fn operator_bearer(&self) -> String {
        let body = format!(r#"{{"username":"root","password":"{OPERATOR}"}}"#);
        let session = post(&self.operator, "/api/v1/auth/personal/login", &[], &body).await.ok();
        format!("Bearer {}", session["access_token"].as_str().unwrap())
    }
}

/// POST with a JSON body.
pub(crate) async fn post(host: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut all = vec![("content-type", "application/json")];
    all.extend(headers);
    send(host, "POST", path, &all, body.as_bytes()).await
}

/// GET.
pub(crate) async fn get(host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(host, "GET", path, headers, b"").await
}

/// Any request, on a connection of its own.
pub(crate) async fn send(host: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(host).await.unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    head.push_str(&format!("content-length: {}\r\n", body.len()));
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // A door that refuses a large body may close before it has all of it.
    let _ = stream.write_all(body).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Answer {
        status: status.unwrap_or_else(|| panic!("no answer to {method} {path}: {text}")),
        headers: lines.filter_map(header).collect(),
        json: serde_json::from_str(body).unwrap_or(Value::Null),
        text: body.to_owned(),
    }
}
