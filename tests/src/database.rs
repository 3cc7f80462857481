//! Databases on the server of `MUSTER_TEST_DATABASE`: one a world, removed with it. Without that variable the
//! tests run on SQLite.

use postgres::{Client, NoTls};
use std::sync::atomic::{AtomicU32, Ordering};

/// Names the server: the address of a database from which others can be made.
const SERVER: &str = "MUSTER_TEST_DATABASE";

/// What Muster needs.
const EMPTY: &str = "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'";

/// A PostgreSQL database, empty at first.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// A new one that sorts as Muster needs it; none when the tests run on SQLite.
    #[must_use]
    pub fn fresh() -> Option<Self> {
        Self::with(EMPTY)
    }

    /// A new one with other words after its name.
    ///
    /// # Panics
    /// If the server does not make it.
    #[must_use]
    pub fn with(options: &str) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var(SERVER).ok().filter(|server| !server.is_empty())?;
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let database = Self { server, name };
        // Left by a test that was killed, under a process id that is used again.
        database.admin(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database.name));
        database.create(options);
        Some(database)
    }

    /// Its address.
    ///
    /// # Panics
    /// If that of the server has no name of a database.
    #[must_use]
    pub fn url(&self) -> String {
        let (front, _) = self.server.rsplit_once('/').expect("postgres://…/name");
        format!("{front}/{}", self.name)
    }

    /// Runs a script in it, behind the coordinator's back.
    ///
    /// # Panics
    /// If it fails.
    pub fn run(&self, script: &str) {
        batch(self.url(), script.to_owned()).expect("a script");
    }

    /// Makes it empty again.
    pub fn clear(&self) {
        self.admin(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        self.create(EMPTY);
    }

    /// Keeps it as it is now; nobody may be connected.
    pub fn keep(&self) {
        self.admin(&format!("CREATE DATABASE {0}_kept TEMPLATE {0}", self.name));
    }

    /// Makes it what it was when it was kept.
    pub fn put_back(&self) {
        self.admin(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        self.create(&format!("TEMPLATE {}_kept", self.name));
    }

    fn create(&self, options: &str) {
        self.admin(&format!("CREATE DATABASE {} {options}", self.name));
    }

    /// A number that changes with every write. Each row knows which transaction wrote it: it is the sum of them all.
    ///
    /// # Panics
    /// If the database cannot be asked.
    pub fn writes(&self) -> impl Fn() -> i64 + use<> {
        let url = self.url();
        move || {
            let url = url.clone();
            std::thread::spawn(move || rows_written(&url)).join().expect("no panic").expect("a sum")
        }
    }

    /// Ends every connection to it, as a restart of the server does.
    pub fn cut(&self) {
        self.admin(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", self.name));
    }

    /// Lets nobody in (false) or everybody again (true); connections that are there stay.
    pub fn open(&self, open: bool) {
        self.admin(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS {open}", self.name));
    }

    fn admin(&self, script: &str) {
        batch(self.server.clone(), script.to_owned()).expect("the server of MUSTER_TEST_DATABASE");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // One that stays goes with its server.
        for name in [self.name.clone(), format!("{}_kept", self.name)] {
            let _ = batch(self.server.clone(), format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

fn rows_written(url: &str) -> Result<i64, postgres::Error> {
    let mut client = Client::connect(url, NoTls)?;
    let mut sum = 0;
    for table in client.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", &[])? {
        let table: String = table.get(0);
        let of =
            format!("SELECT CAST(COALESCE(SUM(CAST(CAST(xmin AS TEXT) AS BIGINT) + 1), 0) AS BIGINT) FROM {table}");
        sum += client.query_one(&of, &[])?.get::<_, i64>(0);
    }
    Ok(sum)
}

/// The client blocks and brings a runtime of its own, which does not go inside another.
fn batch(url: String, script: String) -> Result<(), postgres::Error> {
    let run = move || Client::connect(&url, NoTls)?.batch_execute(&script);
    std::thread::spawn(run).join().expect("no panic")
}
