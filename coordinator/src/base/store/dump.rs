//! Every row of a database, read in one snapshot and written into an empty one, whatever the engines.

use super::postgres::Place;
use super::tables::{self, Column, Kind, Table};
use super::{MIGRATIONS, StoreError, Tx, Value, migrate, sqlite};
use crate::base::http::Problem;
use std::path::Path;

/// A whole database that is looked at. It goes on working meanwhile, and nothing of what it does then is seen.
#[derive(Debug)]
pub struct Snapshot {
    tx: Tx,
    tables: Vec<Table>,
}

/// One thing of a snapshot.
#[derive(Debug)]
pub enum Piece<'s> {
    /// The rows of this table follow.
    Table {
        /// Its name.
        name: &'s str,
        /// Its columns.
        columns: Vec<&'s str>,
    },
    /// A row.
    Row(&'s [Value]),
}

impl Snapshot {
    /// Looks at a SQLite file.
    ///
    /// # Errors
    /// It cannot be read, or is not of this build.
    pub fn of_file(path: &Path) -> Result<Self, StoreError> {
        let tx = sqlite::open_reader(path).map_err(|error| StoreError::open(path, &error))?;
        Self::begin(tx, &path.display().to_string(), "BEGIN")
    }

    /// Looks at a PostgreSQL database.
    ///
    /// # Errors
    /// It cannot be reached, or is not of this build.
    pub fn of_address(url: &str) -> Result<Self, StoreError> {
        let place = Place::parse(url)?;
        let tx = place.connect_patiently()?;
        Self::begin(tx, place.shown(), "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE")
    }

    fn begin(mut tx: Tx, shown: &str, words: &str) -> Result<Self, StoreError> {
        let open = |problem: Problem| StoreError::Open { path: shown.to_owned(), detail: problem.log_text() };
        tx.script(words).map_err(open)?;
        migrate::require_current(&mut tx, shown)?;
        Ok(Self { tx, tables: tables::all().map_err(open)? })
    }

    /// A setting.
    ///
    /// # Errors
    /// Only what the engine says.
    pub fn setting(&mut self, name: &str) -> Result<Option<String>, Problem> {
        super::settings::get_in(&mut self.tx, name)
    }

    /// Gives every table and every row, in an order in which they can be written.
    ///
    /// # Errors
    /// What the engine or `take` says.
    pub fn each(&mut self, take: &mut dyn FnMut(Piece<'_>) -> Result<(), Problem>) -> Result<(), Problem> {
        for table in &self.tables {
            take(Piece::Table {
                name: &table.name,
                columns: table.columns.iter().map(|column| column.name.as_str()).collect(),
            })?;
            let mut keys: Vec<&Column> = table.columns.iter().filter(|column| column.key > 0).collect();
            keys.sort_by_key(|column| column.key);
            let sql = format!("SELECT {} FROM {} ORDER BY {}", names(&table.columns), table.name, names(keys));
            self.tx.each(&sql, &mut |row| {
                let own = table.name == "settings" && row.0.first() == Some(&Value::Text(OWNER.to_owned()));
                if own { Ok(()) } else { take(Piece::Row(&row.0)) }
            })?;
        }
        Ok(())
    }
}

/// The setting that is of a running process and not of a fleet.
pub(super) const OWNER: &str = "coordinator";

fn names<'c>(columns: impl IntoIterator<Item = &'c Column>) -> String {
    columns.into_iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Names this build's schema: a backup fits a database with the same one.
#[must_use]
pub fn schema() -> Vec<(i64, String)> {
    MIGRATIONS.iter().map(|migration| (migration.version, migration.sha256())).collect()
}

/// Writes the rows of one table.
#[derive(Debug)]
pub struct Filler {
    kinds: Vec<(Kind, bool)>,
    insert: &'static str,
}

impl Filler {
    /// For a table of this build, with the columns in the order of its rows.
    ///
    /// # Errors
    /// This build has no such table, or one with other columns.
    pub fn new(name: &str, columns: &[String]) -> Result<Self, Problem> {
        let unknown = || Problem::internal(format!("this build has no table {name}({})", columns.join(", ")));
        let table = tables::all()?.into_iter().find(|table| table.name == name).ok_or_else(unknown)?;
        if !table.columns.iter().map(|column| &column.name).eq(columns) {
            return Err(unknown());
        }
        let marks: Vec<_> = (1..=columns.len()).map(|number| format!("${number}")).collect();
        let insert = format!("INSERT INTO {name}({}) VALUES({})", columns.join(", "), marks.join(", "));
        let kinds = table.columns.iter().map(|column| (column.kind, column.required)).collect();
        // One short text a table, in a process that ends with the restore.
        Ok(Self { kinds, insert: insert.leak() })
    }

    /// Writes a row.
    ///
    /// # Errors
    /// It does not fit the table.
    pub fn put(&self, tx: &mut Tx, row: &[Value]) -> Result<(), Problem> {
        let fits = |(value, (kind, required)): (&Value, &(Kind, bool))| match value {
            Value::Null => !required,
            Value::Int(_) => *kind == Kind::Int,
            Value::Text(_) => *kind == Kind::Text,
            Value::Bytes(_) => *kind == Kind::Bytes,
        };
        if row.len() != self.kinds.len() || !row.iter().zip(&self.kinds).all(fits) {
            return Err(Problem::internal(format!("a row that does not fit: {}", self.insert)));
        }
        tx.exec(self.insert, row).map(|_| ())
    }
}
