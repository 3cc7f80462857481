//! A transaction as rooms see it: four calls over SQL text that is the same on every engine.
//!
//! Parameters are written `$1..$n` and bound by number. Only the portable subset is allowed: no LIKE, no
//! booleans, no date functions, `CAST($n AS BIGINT|TEXT)` where a parameter may be NULL or has no typed
//! neighbour, `CAST(SUM(x) AS BIGINT)`, lists by repeated statement. A statement must not be expected to fail
//! (PostgreSQL would abort the transaction): use `ON CONFLICT DO NOTHING` and look at the count.

use super::postgres::{Link, Trouble};
use super::{Row, Value, sqlite};
use crate::base::feed::{Change, Changes};
use crate::base::http::Problem;

/// The connection of a running transaction. Never leaves its closure.
#[derive(Debug)]
pub struct Tx {
    pub(super) engine: Engine,
    pub(super) changes: Changes,
}

/// The engines there are.
#[derive(Debug)]
pub(super) enum Engine {
    /// The embedded default.
    Sqlite(rusqlite::Connection),
    /// For fleets that outgrow one machine.
    Postgres(Box<Link>),
}

impl Tx {
    /// A connection before its first transaction.
    pub(super) fn on(engine: Engine) -> Self {
        Self { engine, changes: Changes::default() }
    }

    /// Runs a statement and returns how many rows it changed.
    pub fn exec(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, Problem> {
        match &mut self.engine {
            Engine::Sqlite(connection) => sqlite::exec(connection, sql, params),
            Engine::Postgres(link) => link.exec(sql, params),
        }
    }

    /// All rows of a query, each through `read`. The caller bounds the query with LIMIT.
    pub fn all<T>(
        &mut self,
        sql: &'static str,
        params: &[Value],
        read: impl Fn(&Row) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        self.query(sql, params, usize::MAX, &read)
    }

    fn query<T>(
        &mut self,
        sql: &'static str,
        params: &[Value],
        most: usize,
        read: &dyn Fn(&Row) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        match &mut self.engine {
            Engine::Sqlite(connection) => sqlite::query(connection, sql, params, most, read),
            Engine::Postgres(link) => link.query(sql, params, most, read),
        }
    }

    /// The first row, or `None` when there is none.
    pub fn opt<T>(
        &mut self,
        sql: &'static str,
        params: &[Value],
        read: impl Fn(&Row) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        Ok(self.query(sql, params, 1, &read)?.pop())
    }

    /// Every row of a query without parameters, one after the other: for tables that do not fit into memory.
    pub(super) fn each(&mut self, sql: &str, take: &mut dyn FnMut(&Row) -> Result<(), Problem>) -> Result<(), Problem> {
        match &mut self.engine {
            Engine::Sqlite(connection) => sqlite::each(connection, sql, take),
            Engine::Postgres(link) => link.each(sql, take),
        }
    }

    /// The first row of a query that always has one (a count, a `RETURNING`). No row is an internal error.
    pub fn one<T>(
        &mut self,
        sql: &'static str,
        params: &[Value],
        read: impl Fn(&Row) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.opt(sql, params, read)?.ok_or_else(|| Problem::internal(format!("no row where one must be: {sql}")))
    }

    /// Tells followers of this change, if it is committed.
    pub fn changed(&mut self, change: Change) {
        self.changes.add(change);
    }

    /// Runs a script of statements without parameters; migrations and the ends of transactions only.
    pub(super) fn script(&mut self, sql: &str) -> Result<(), Problem> {
        match &mut self.engine {
            Engine::Sqlite(connection) => connection.execute_batch(sql).map_err(|error| sqlite::problem(&error, sql)),
            Engine::Postgres(link) => link.script(sql),
        }
    }

    /// Begins a transaction that writes.
    pub(super) fn begin(&mut self) -> Result<(), Problem> {
        match &self.engine {
            Engine::Sqlite(_) => self.script("BEGIN IMMEDIATE"),
            Engine::Postgres(_) => self.script("BEGIN"),
        }
    }

    /// What went wrong since the last call, and whether any statement failed. Nothing ever does on SQLite, where
    /// a statement that fails leaves the transaction as it was.
    pub(super) fn take_trouble(&mut self) -> (Option<(Trouble, Problem)>, bool) {
        match &mut self.engine {
            Engine::Sqlite(_) => (None, false),
            Engine::Postgres(link) => link.take_trouble(),
        }
    }

    /// The word of this engine for one of the three macros of `schema.sql`.
    pub(super) fn dialect(&self, sql: &str) -> String {
        match &self.engine {
            Engine::Sqlite(_) => {
                sql.replace("{{I64}}", "INTEGER").replace("{{BYTES}}", "BLOB").replace("{{STRICT}}", " STRICT")
            }
            Engine::Postgres(_) => {
                sql.replace("{{I64}}", "BIGINT").replace("{{BYTES}}", "BYTEA").replace("{{STRICT}}", "")
            }
        }
    }
}
