//! The tables of this build, as the migrations make them: what a backup walks through.

use super::{Tx, migrate, sqlite};
use crate::base::http::Problem;
use rusqlite::Connection;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Text,
    Bytes,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// It is never NULL.
    pub(super) required: bool,
    /// Its place in the primary key, from 1; 0 when it has none there.
    pub(super) key: i64,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
}

/// Every table in the order in which they are made, so that what is referred to comes before what refers to it.
/// Without the book of migrations, which a database keeps by itself.
pub(super) fn all() -> Result<Vec<Table>, Problem> {
    let failed = |error: rusqlite::Error| Problem::internal(error);
    let mut tx = sqlite::around(Connection::open_in_memory().map_err(failed)?);
    migrate::run(&mut tx, "in memory").map_err(Problem::internal)?;
    of_sqlite(&mut tx)
}

/// The tables of a SQLite database.
pub(super) fn of_sqlite(tx: &mut Tx) -> Result<Vec<Table>, Problem> {
    let columns = tx.all(
        "SELECT t.name, c.name, c.type, c.\"notnull\", c.pk FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c \
         WHERE t.type = 'table' AND t.name NOT IN ('schema_migrations', 'room') ORDER BY t.rowid, c.cid",
        &[],
        |row| {
            let (kind, key) = (row.get::<String>(2)?, row.get::<i64>(4)?);
            let kind = kind_of(&kind, &["INTEGER", "TEXT", "BLOB"])?;
            // A part of the primary key of a strict table is required although it does not say so.
            let required = row.get::<bool>(3)? || key > 0;
            Ok((row.get::<String>(0)?, Column { name: row.get(1)?, kind, required, key }))
        },
    )?;
    Ok(gathered(columns))
}

/// The tables of a PostgreSQL database, by name.
#[cfg(test)]
pub(super) fn of_postgres(tx: &mut Tx) -> Result<Vec<Table>, Problem> {
    let columns = tx.all(
        "SELECT CAST(c.table_name AS TEXT), CAST(c.column_name AS TEXT), CAST(c.data_type AS TEXT), \
         c.is_nullable = 'NO', CAST(COALESCE(array_position(i.indkey, a.attnum) + 1, 0) AS BIGINT) \
         FROM information_schema.columns AS c \
         JOIN pg_class AS t ON t.relname = c.table_name AND t.relnamespace = 'public'::regnamespace \
         JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attname = c.column_name \
         LEFT JOIN pg_index AS i ON i.indrelid = t.oid AND i.indisprimary \
         WHERE c.table_schema = 'public' AND c.table_name <> 'schema_migrations' \
         ORDER BY c.table_name, c.ordinal_position",
        &[],
        |row| {
            let kind = kind_of(&row.get::<String>(2)?, &["bigint", "text", "bytea"])?;
            let column = Column { name: row.get(1)?, kind, required: row.get(3)?, key: row.get(4)? };
            Ok((row.get::<String>(0)?, column))
        },
    )?;
    Ok(gathered(columns))
}

fn kind_of(word: &str, words: &[&str; 3]) -> Result<Kind, Problem> {
    let kinds = [Kind::Int, Kind::Text, Kind::Bytes];
    let known = words.iter().zip(kinds).find(|(known, _)| **known == word);
    known.map(|(_, kind)| kind).ok_or_else(|| Problem::internal(format!("a column of the type {word}")))
}

fn gathered(columns: Vec<(String, Column)>) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for (name, column) in columns {
        match tables.last_mut().filter(|last| last.name == name) {
            Some(table) => table.columns.push(column),
            None => tables.push(Table { name, columns: vec![column] }),
        }
    }
    tables
}
