//! The PostgreSQL engine: one connection, what is bound to its statements and what they answer.

mod connect;
mod run;
mod tls;

pub(super) use connect::{Owner, Place, Role};
pub(super) use run::{Crowd, Seat};

use super::{Row, Value};
use crate::base::http::Problem;
use ::postgres::error::SqlState;
use ::postgres::fallible_iterator::FallibleIterator;
use ::postgres::types::private::BytesMut;
use ::postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use ::postgres::{Client, Error, Statement};
use std::collections::HashMap;
use std::error::Error as StdError;

type Refusal = Box<dyn StdError + Sync + Send>;

/// Why a transaction did not come to its end, where that is no fault of its closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Another transaction was in the way: the closure is run again.
    Again,
    /// The connection is gone.
    Lost,
}

/// One connection, with the statements prepared on it. There are as many as there are SQL texts in the build.
pub(super) struct Link {
    client: Client,
    statements: HashMap<&'static str, Statement>,
    trouble: Option<(Trouble, Problem)>,
    failed: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("trouble", &self.trouble).finish_non_exhaustive()
    }
}

impl Link {
    fn new(client: Client) -> Self {
        Self { client, statements: HashMap::new(), trouble: None, failed: false }
    }

    /// What went wrong since the last call: the trouble, and whether any statement failed.
    pub(super) fn take_trouble(&mut self) -> (Option<(Trouble, Problem)>, bool) {
        (self.trouble.take(), std::mem::take(&mut self.failed))
    }

    pub(super) fn exec(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, Problem> {
        let statement = self.prepared(sql, params.len())?;
        let bound: Vec<Bound<'_>> = params.iter().map(Bound).collect();
        let result = self.client.execute(&statement, &references(&bound));
        result.map_err(|error| self.problem(&error, sql))
    }

    pub(super) fn query<T>(
        &mut self,
        sql: &'static str,
        params: &[Value],
        most: usize,
        read: &dyn Fn(&Row) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        let statement = self.prepared(sql, params.len())?;
        let bound: Vec<Bound<'_>> = params.iter().map(Bound).collect();
        let rows = self.client.query(&statement, &references(&bound));
        let rows = rows.map_err(|error| self.problem(&error, sql))?;
        rows.iter().take(most).map(|found| read(&copied(found, sql)?)).collect()
    }

    pub(super) fn each(&mut self, sql: &str, take: &mut dyn FnMut(&Row) -> Result<(), Problem>) -> Result<(), Problem> {
        walk(&mut self.client, sql, take).unwrap_or_else(|error| Err(self.problem(&error, sql)))
    }

    /// A script of statements without parameters.
    pub(super) fn script(&mut self, sql: &str) -> Result<(), Problem> {
        self.client.batch_execute(sql).map_err(|error| self.problem(&error, sql))
    }

    fn prepared(&mut self, sql: &'static str, params: usize) -> Result<Statement, Problem> {
        let known = self.statements.get(sql).cloned();
        let statement = match known {
            Some(statement) => statement,
            None => {
                let made = self.client.prepare(sql).map_err(|error| self.problem(&error, sql))?;
                self.statements.insert(sql, made.clone());
                made
            }
        };
        // The client asserts this, and a store thread must not panic.
        if statement.params().len() != params {
            return Err(Problem::internal(format!("{params} parameters for: {sql}")));
        }
        Ok(statement)
    }

    /// An engine error as a problem, after noting what it means for the transaction.
    fn problem(&mut self, error: &Error, sql: &str) -> Problem {
        let first: String = sql.trim().chars().take(120).collect();
        let cause = format!("{} in: {first}", words(error));
        self.failed = true;
        let (trouble, problem) = judged(error, self.client.is_closed(), cause);
        if let Some(trouble) = trouble {
            self.trouble = Some((trouble, problem.clone()));
        }
        problem
    }
}

fn judged(error: &Error, closed: bool, cause: String) -> (Option<Trouble>, Problem) {
    if closed || is_lost(error) {
        return (Some(Trouble::Lost), unavailable("The database cannot be reached.", cause));
    }
    let busy = |cause| unavailable("The database is busy with other changes.", cause);
    match error.code() {
        Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED) => {
            (Some(Trouble::Again), busy(cause))
        }
        // The row of a transaction that this one could not see yet, or else a fault that every try will find.
        Some(&SqlState::UNIQUE_VIOLATION) => (Some(Trouble::Again), Problem::internal(cause)),
        Some(&SqlState::QUERY_CANCELED | &SqlState::LOCK_NOT_AVAILABLE) => (None, busy(cause)),
        Some(&SqlState::DISK_FULL) => (None, unavailable("The database's disk is full.", cause)),
        // Class 53: memory, connections, limits of the configuration.
        Some(state) if state.code().starts_with("53") => {
            (None, unavailable("The database is out of resources.", cause))
        }
        _ => (None, Problem::internal(cause)),
    }
}

/// Gives every row to `take`, until it refuses one; the error is the engine's.
fn walk(
    client: &mut Client,
    sql: &str,
    take: &mut dyn FnMut(&Row) -> Result<(), Problem>,
) -> Result<Result<(), Problem>, Error> {
    let none: [&(dyn ToSql + Sync); 0] = [];
    let mut rows = client.query_raw(sql, none)?;
    while let Some(found) = rows.next()? {
        if let Err(problem) = copied(&found, sql).and_then(|row| take(&row)) {
            return Ok(Err(problem));
        }
    }
    Ok(Ok(()))
}

fn copied(found: &::postgres::Row, sql: &str) -> Result<Row, Problem> {
    let cell = |at| found.try_get::<_, Cell>(at).map(|cell| cell.0);
    let cells = (0..found.len()).map(cell).collect::<Result<_, _>>();
    cells.map(Row).map_err(|error| Problem::internal(format!("{} in: {sql}", words(&error))))
}

fn unavailable(detail: &str, cause: String) -> Problem {
    Problem::unavailable("dependency_unavailable", detail).caused_by(cause)
}

/// Whether a connection is worth nothing after this error.
fn is_lost(error: &Error) -> bool {
    match error.code().map(SqlState::code) {
        // Class 08: the connection. 57P: shut down by an administrator or by a crash. 25P03: it idled too long.
        Some(state) => state.starts_with("08") || state.starts_with("57P") || state == "25P03",
        None => error.is_closed() || error.source().is_some_and(<dyn StdError>::is::<std::io::Error>),
    }
}

/// An error with its reason: the client's own text says only what it was doing.
fn words(error: &Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(said), _) => format!("{} {}", said.code().code(), said.message()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

fn references<'v>(bound: &'v [Bound<'v>]) -> Vec<&'v (dyn ToSql + Sync)> {
    bound.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// A parameter. It is never made into another type than its own: what SQLite's strict tables refuse is
/// refused here.
#[derive(Debug)]
struct Bound<'v>(&'v Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Refusal> {
        match (self.0, ty) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Int(number), &Type::INT8) => number.to_sql(ty, out),
            (Value::Int(number), &Type::INT4) => i32::try_from(*number)?.to_sql(ty, out),
            (Value::Text(text), &Type::TEXT | &Type::VARCHAR | &Type::UNKNOWN) => text.to_sql(ty, out),
            (Value::Bytes(bytes), &Type::BYTEA) => bytes.to_sql(ty, out),
            (value, ty) => Err(format!("{value:?} where {ty} is wanted").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A column. A comparison is 0 or 1, as on SQLite.
struct Cell(Value);

impl<'r> FromSql<'r> for Cell {
    fn from_sql(ty: &Type, raw: &'r [u8]) -> Result<Self, Refusal> {
        Ok(Self(match *ty {
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(ty, raw)?.into()),
            Type::BOOL => Value::Int(bool::from_sql(ty, raw)?.into()),
            Type::TEXT | Type::VARCHAR | Type::NAME | Type::UNKNOWN => Value::Text(String::from_sql(ty, raw)?),
            Type::BYTEA => Value::Bytes(Vec::from_sql(ty, raw)?),
            _ => return Err(format!("a column of the type {ty}").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Refusal> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
