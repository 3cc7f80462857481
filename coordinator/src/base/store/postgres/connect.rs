//! Connections to PostgreSQL: where it is, how a session is set up, and which coordinator the database is.
//!
//! One coordinator at a time: each of its writing connections holds a shared advisory lock, taken while the
//! first held the exclusive one. So no second can begin while a single connection of the first lives, and a
//! connection that comes back sees by the name in `settings` whether the database has another owner by now.

use super::super::dump::OWNER;
use super::super::migrate::StoreError;
use super::super::tx::Engine;
use super::super::{Tx, migrate, settings};
use super::tls::Tls;
use super::{Link, words};
use crate::base::http::Problem;
use crate::base::limits;
use crate::values;
use ::postgres::config::{Host, SslMode, TargetSessionAttrs};
use ::postgres::{Client, Config, NoTls};
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// The oldest major version whose catalog says how a database sorts.
const OLDEST: i64 = 150_000;

/// Session settings. A server that hangs or a person with a forgotten transaction must not hold a thread for
/// good; an answer means the disk has it, whatever the server's default is.
const SESSION: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = '60s'; SET client_min_messages = 'warning'; \
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
    SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') IN ('off', 'local')";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Role {
    /// Writes: it holds the shared lock of the owner.
    Writer,
    /// Reads.
    Reader,
}

/// Where a database is. Its password is shown nowhere.
#[derive(Debug, Clone)]
pub(in super::super) struct Place {
    config: Config,
    tls: Option<Tls>,
    shown: String,
}

impl Place {
    /// Reads a `postgres://` address. `sslmode=require` secures the connection and checks the server's name by the
    /// CA in the file of `sslrootcert`, or by those of the system.
    pub(in super::super) fn parse(url: &str) -> Result<Self, StoreError> {
        let address = |detail: String| StoreError::Address { detail };
        let (url, roots) = without(url, "sslrootcert");
        let mut config = Config::from_str(&url).map_err(|error| address(words(&error)))?;
        let tls = match config.get_ssl_mode() {
            SslMode::Require => Some(Tls::new(roots.as_deref().map(Path::new)).map_err(address)?),
            _ if roots.is_some() => return Err(address("sslrootcert needs sslmode=require".to_owned())),
            _ => None,
        };
        config
            .application_name("muster-coordinator")
            .connect_timeout(limits::STORE_CONNECT)
            .keepalives_idle(limits::STORE_CONNECT)
            .keepalives_interval(limits::STORE_CONNECT)
            .keepalives_retries(3)
            .tcp_user_timeout(limits::STORE_CONNECT * 4);
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => return Err(address("it names no host".to_owned())),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let name = config.get_dbname().or(config.get_user()).unwrap_or_default();
        let shown = format!("postgres://{host}:{port}/{name}");
        Ok(Self { config, tls, shown })
    }

    /// The address without user and password.
    pub(in super::super) fn shown(&self) -> &str {
        &self.shown
    }

    fn error(&self, detail: impl ToString) -> StoreError {
        StoreError::Open { path: self.shown.clone(), detail: detail.to_string() }
    }

    fn problem(&self, problem: &Problem) -> StoreError {
        self.error(problem.log_text())
    }

    fn connect(&self, role: Role) -> Result<Tx, StoreError> {
        let mut config = self.config.clone();
        if role == Role::Writer {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let connected = match &self.tls {
            Some(tls) => config.connect(tls.clone()),
            None => config.connect(NoTls),
        };
        let mut client = connected.map_err(|error| self.error(words(&error)))?;
        client.batch_execute(SESSION).map_err(|error| self.error(words(&error)))?;
        self.require_fit(&mut client)?;
        Ok(Tx::on(Engine::Postgres(Box::new(Link::new(client)))))
    }

    /// A connection that looks at everything, however long it takes.
    pub(in super::super) fn connect_patiently(&self) -> Result<Tx, StoreError> {
        let mut tx = self.connect(Role::Reader)?;
        let patience = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";
        tx.script(patience).map_err(|error| self.problem(&error))?;
        Ok(tx)
    }

    /// Refuses a server or a database whose answers would differ from SQLite's.
    fn require_fit(&self, client: &mut Client) -> Result<(), StoreError> {
        let row = client.query_one(
            "SELECT current_setting('server_version_num')::bigint, current_setting('server_version'), \
             current_setting('server_encoding'), datcollate, datlocprovider = 'c' \
             FROM pg_database WHERE datname = current_database()",
            &[],
        );
        let unfit = |detail: String| StoreError::Unfit { path: self.shown.clone(), detail };
        let row = row.map_err(|error| unfit(format!("PostgreSQL 15 or newer is needed ({})", words(&error))))?;
        let text = |at: usize| row.get::<_, String>(at);
        if row.get::<_, i64>(0) < OLDEST {
            return Err(unfit(format!("PostgreSQL 15 or newer is needed, this is {}", text(1))));
        }
        let make = "make it with: CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'";
        if text(2) != "UTF8" {
            return Err(unfit(format!("its encoding is {}, not UTF8; {make}", text(2))));
        }
        if !row.get::<_, bool>(4) || !["C", "POSIX"].contains(&text(3).as_str()) {
            return Err(unfit(format!("it sorts text by {}, not byte by byte; {make}", text(3))));
        }
        Ok(())
    }
}

/// An address without one of its options, and what that said: one which the client does not know.
fn without(url: &str, name: &str) -> (String, Option<String>) {
    let Some((front, options)) = url.split_once('?') else { return (url.to_owned(), None) };
    let of_name = |option: &&str| option.split_once('=').is_some_and(|(found, _)| found == name);
    let found =
        options.split('&').find(of_name).and_then(|option| option.split_once('=')).map(|(_, value)| value.to_owned());
    let rest: Vec<_> = options.split('&').filter(|option| !of_name(option)).collect();
    (if rest.is_empty() { front.to_owned() } else { format!("{front}?{}", rest.join("&")) }, found)
}

/// The one coordinator of a database.
#[derive(Debug)]
pub(in super::super) struct Owner {
    place: Place,
    name: String,
}

impl Owner {
    /// Makes this process the owner, brings the database to this build's version, and gives the first writing
    /// connection. Waits a moment for the connections of a coordinator that just ended.
    pub(in super::super) fn begin(place: Place, patience: Duration) -> Result<(Self, Tx), StoreError> {
        let mut tx = place.connect(Role::Writer)?;
        let began = Instant::now();
        while !lock(&mut tx, "SELECT pg_try_advisory_lock(CAST($1 AS BIGINT))")
            .map_err(|error| place.problem(&error))?
        {
            if began.elapsed() > patience {
                return Err(StoreError::Taken { path: place.shown.clone() });
            }
            std::thread::sleep(limits::STORE_PAUSE);
        }
        migrate::run(&mut tx, &place.shown)?;
        let mut settle = || -> Result<String, Problem> {
            let name: String = tx.one(
                "SELECT CAST(pid AS TEXT) || ' ' || CAST(backend_start AS TEXT) FROM pg_stat_activity \
                 WHERE pid = pg_backend_pid()",
                &[],
                |row| row.get(0),
            )?;
            settings::set_in(&mut tx, OWNER, &name)?;
            // First shared, then no longer exclusive: in between nobody else gets in.
            lock(&mut tx, "SELECT pg_try_advisory_lock_shared(CAST($1 AS BIGINT))")?;
            lock(&mut tx, "SELECT pg_advisory_unlock(CAST($1 AS BIGINT))")?;
            Ok(name)
        };
        let name = settle().map_err(|error| place.problem(&error))?;
        Ok((Self { place, name }, tx))
    }

    /// Another connection. A writing one is refused when the database has another owner by now.
    pub(super) fn connect(&self, role: Role) -> Result<Tx, StoreError> {
        let mut tx = self.place.connect(role)?;
        if role == Role::Writer {
            let taken = || StoreError::Taken { path: self.place.shown.clone() };
            let mut check = || -> Result<bool, Problem> {
                let shared = lock(&mut tx, "SELECT pg_try_advisory_lock_shared(CAST($1 AS BIGINT))")?;
                Ok(shared && settings::get_in(&mut tx, OWNER)?.as_ref() == Some(&self.name))
            };
            if !check().map_err(|error| self.place.problem(&error))? {
                return Err(taken());
            }
        }
        Ok(tx)
    }
}

/// The advisory lock of the owner, per database: the bytes of `muster`.
const LOCK: i64 = 0x6d75_7374_6572;

fn lock(tx: &mut Tx, sql: &'static str) -> Result<bool, Problem> {
    tx.one(sql, &values![LOCK], |row| row.get(0))
}
