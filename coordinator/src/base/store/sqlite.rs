//! The SQLite engine: opening, binding by number, and the threads that run closures.

use super::job::{BoxedJob, Job};
use super::queue::Queue;
use super::room;
use super::tx::Engine;
use super::{Row, Tx, Value};
use crate::base::{http::Problem, limits};
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value as LiteValue, ValueRef};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::Arc;

/// What every connection has. Each closure has a savepoint, whose journal SQLite keeps in a file of its own else.
const ALL: &str = "PRAGMA busy_timeout=5000; PRAGMA temp_store=MEMORY;";

/// Opens the one writing connection: WAL, every commit on disk, foreign keys held.
pub(super) fn open_writer(path: &Path) -> rusqlite::Result<Tx> {
    let connection = Connection::open(path)?;
    connection.execute_batch(ALL)?;
    connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")?;
    // Reads a page of the schema, so that a file that is no database is found here and not in a request.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    keep_statements(&connection)?;
    Ok(around(connection))
}

/// Plans of statements are made once. Else SQLite, which is built with STAT4, plans a statement that sorts anew for
/// every other value that is bound, which was a third of its time.
fn keep_statements(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(limits::STORE_STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

/// A connection as it is.
pub(super) fn around(connection: Connection) -> Tx {
    Tx::on(Engine::Sqlite(connection))
}

/// Opens a connection that cannot write.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Tx> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.execute_batch(ALL)?;
    connection.execute_batch("PRAGMA query_only=ON;")?;
    keep_statements(&connection)?;
    Ok(around(connection))
}

/// An engine error as an internal problem that names the statement (in the log only).
pub(super) fn problem(error: &rusqlite::Error, sql: &str) -> Problem {
    let first: String = sql.trim().chars().take(120).collect();
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => {
            Problem::unavailable("dependency_unavailable", "The coordinator's disk is full.").caused_by(first)
        }
        _ => Problem::internal(format!("{error} in: {first}")),
    }
}

struct Bound<'v>(&'v Value);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Owned(LiteValue::Null),
            Value::Int(number) => ToSqlOutput::Owned(LiteValue::Integer(*number)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

/// Binds by the number in `$n`: SQLite itself would bind by order of first appearance. A value that no `$n` asks
/// for is refused, as PostgreSQL does.
fn bind(statement: &mut rusqlite::CachedStatement<'_>, params: &[Value]) -> rusqlite::Result<()> {
    if statement.parameter_count() != params.len() {
        return Err(rusqlite::Error::InvalidParameterCount(params.len(), statement.parameter_count()));
    }
    for index in 1..=statement.parameter_count() {
        let number = statement
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok())
            .ok_or_else(|| rusqlite::Error::InvalidParameterName("only $1, $2, … may be used".to_owned()))?;
        let value = number
            .checked_sub(1)
            .and_then(|at| params.get(at))
            .ok_or(rusqlite::Error::InvalidParameterCount(params.len(), number))?;
        statement.raw_bind_parameter(index, Bound(value))?;
    }
    Ok(())
}

pub(super) fn exec(connection: &Connection, sql: &str, params: &[Value]) -> Result<u64, Problem> {
    let run = || -> rusqlite::Result<usize> {
        let mut statement = connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        statement.raw_execute()
    };
    run().map(|rows| rows as u64).map_err(|error| problem(&error, sql))
}

pub(super) fn query<T>(
    connection: &Connection,
    sql: &str,
    params: &[Value],
    most: usize,
    read: &dyn Fn(&Row) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    let failed = |error: rusqlite::Error| problem(&error, sql);
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    bind(&mut statement, params).map_err(failed)?;
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let mut out = Vec::new();
    while out.len() < most {
        let Some(row) = rows.next().map_err(failed)? else { break };
        out.push(read(&copied(row, columns, sql)?)?);
    }
    // A statement with RETURNING must be stepped to its end, or its change is not complete.
    if out.len() == most {
        while rows.next().map_err(failed)?.is_some() {}
    }
    Ok(out)
}

fn copied(row: &rusqlite::Row<'_>, columns: usize, sql: &str) -> Result<Row, Problem> {
    let mut values = Vec::with_capacity(columns);
    for index in 0..columns {
        values.push(match row.get_ref(index).map_err(|error| problem(&error, sql))? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Int(number),
            ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
            ValueRef::Real(_) => return Err(Problem::internal(format!("a floating point column in: {sql}"))),
        });
    }
    Ok(Row(values))
}

pub(super) fn each(
    connection: &Connection,
    sql: &str,
    take: &mut dyn FnMut(&Row) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let failed = |error: rusqlite::Error| problem(&error, sql);
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(failed)? {
        take(&copied(row, columns, sql)?)?;
    }
    Ok(())
}

/// Batches between two looks at the room that is left in the file.
const ROOM_LOOK: u32 = 1_000;

/// The writer's loop: one transaction a batch, one savepoint a closure, answers after the commit.
pub(super) fn write_loop(mut tx: Tx, queue: &Arc<Queue<BoxedJob>>) {
    for number in 0_u32.. {
        if number.is_multiple_of(ROOM_LOOK)
            && let Engine::Sqlite(connection) = &tx.engine
            && let Err(error) = room::make(connection, number == 0)
        {
            tracing::warn!(%error, "no room could be set aside for a full disk");
        }
        let batch = queue.take(limits::STORE_BATCH);
        if batch.is_empty() {
            break;
        }
        write_batch(&mut tx, batch);
    }
    // Closing cleanly folds the log into the database file.
    let _ = tx.script("PRAGMA wal_checkpoint(TRUNCATE)");
}

fn write_batch(tx: &mut Tx, mut batch: Vec<BoxedJob>) {
    let done = write_all(tx, batch.iter_mut().map(|job| &mut **job));
    for job in batch {
        job.answer(done.clone());
    }
}

/// One job in a transaction of its own.
pub(super) fn write_alone(tx: &mut Tx, job: &mut (dyn Job + 'static)) -> Result<(), Problem> {
    write_all(tx, std::iter::once(job))
}

fn write_all<'j>(tx: &mut Tx, jobs: impl Iterator<Item = &'j mut (dyn Job + 'static)>) -> Result<(), Problem> {
    tx.script("BEGIN IMMEDIATE")?;
    let mut jobs = jobs;
    let done = jobs.try_for_each(|job| write_one(tx, job)).and_then(|()| tx.script("COMMIT"));
    if done.is_err() {
        // The engine may have ended the transaction by itself already.
        let _ = tx.script("ROLLBACK");
    }
    done
}

/// One closure inside the batch. Debug builds run it once for nothing, so that a closure which cannot be
/// run again (as PostgreSQL's retry will) is found by every test.
fn write_one(tx: &mut Tx, job: &mut dyn Job) -> Result<(), Problem> {
    if cfg!(debug_assertions) {
        tx.script("SAVEPOINT job")?;
        job.run(tx);
        tx.script("ROLLBACK TO job; RELEASE job")?;
    }
    tx.script("SAVEPOINT job")?;
    let end = if job.run(tx) { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
    tx.script(end)
}

/// A reader's loop: each closure sees one consistent snapshot.
pub(super) fn read_loop(mut tx: Tx, queue: &Arc<Queue<BoxedJob>>) {
    loop {
        let batch = queue.take([1, 0, 0]);
        let Some(mut job) = batch.into_iter().next() else { break };
        let done = read_alone(&mut tx, job.as_mut());
        job.answer(done);
    }
}

/// One job on one consistent snapshot, of which nothing is kept.
pub(super) fn read_alone(tx: &mut Tx, job: &mut dyn Job) -> Result<(), Problem> {
    let run = tx.script("BEGIN").map(|()| {
        job.run(tx);
    });
    let end = tx.script("ROLLBACK");
    run.and(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::StatementStatus;

    #[test]
    fn another_value_does_not_plan_a_statement_anew() {
        let connection = Connection::open_in_memory().expect("a database");
        keep_statements(&connection).expect("settings");
        connection.execute_batch("CREATE TABLE t(a TEXT, b TEXT, PRIMARY KEY(a, b))").expect("a table");
        let mut statement = connection.prepare("SELECT b FROM t WHERE a = ?1 ORDER BY b").expect("a statement");
        for value in ["x", "y", "z"] {
            assert!(!statement.exists([value]).expect("a query"));
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
