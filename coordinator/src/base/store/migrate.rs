//! Numbered migrations, each in one transaction together with its row in `schema_migrations`.
//!
//! Migration 1 is the sum of the rooms' `schema.sql` in room order. Once a version is released its text is
//! frozen: a database made from another text of the same number is refused.

use super::Tx;
use crate::base::http::Problem;
use crate::values;
use sha2::{Digest, Sha256};
use std::path::Path;

/// The rooms that own tables, in room order, with the text of their `schema.sql`. A new room adds its line.
const ROOMS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("../../audit/schema.sql"),
    include_str!("../../tenants/schema.sql"),
    include_str!("../../projects/schema.sql"),
    include_str!("../../users/schema.sql"),
    include_str!("../../access/schema.sql"),
    include_str!("../../operations/schema.sql"),
    include_str!("../../catalog/schema.sql"),
    include_str!("../../nodes/schema.sql"),
    include_str!("../../enrolment/schema.sql"),
    include_str!("../../links/schema.sql"),
    include_str!("../../telemetry/schema.sql"),
    include_str!("../../slots/schema.sql"),
    include_str!("../../allocations/schema.sql"),
    include_str!("../../terminals/schema.sql"),
    include_str!("../../attention/schema.sql"),
];

/// One step of the schema.
#[derive(Debug)]
pub struct Migration {
    /// Its number, from 1 without holes.
    pub version: i64,
    /// What it does, in a few words.
    pub name: &'static str,
    /// The parts of its text, run in order.
    pub parts: &'static [&'static str],
}

impl Migration {
    /// Names its text.
    pub(super) fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.parts.join("\n")))
    }
}

/// Every migration there is, in order.
pub const MIGRATIONS: &[Migration] = &[Migration { version: 1, name: "rooms", parts: ROOMS }];

/// Why the database cannot be used. Each text is one sentence for the person who started the coordinator.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened at all.
    #[error("cannot open the database {path}: {detail}")]
    Open {
        /// The file.
        path: String,
        /// The engine's words.
        detail: String,
    },
    /// The file is not a database or is damaged.
    #[error("the database {path} is damaged or not a Muster database ({detail}); restore it from a backup")]
    Corrupt {
        /// The file.
        path: String,
        /// The engine's words.
        detail: String,
    },
    /// The database was made by a newer build.
    #[error(
        "the database {path} is at version {found}, this coordinator knows up to {known}; start a newer coordinator"
    )]
    Newer {
        /// The file.
        path: String,
        /// The version in the file.
        found: i64,
        /// The newest version of this build.
        known: i64,
    },
    /// The same version number with another text.
    #[error("the database {path} was made by another build: migration {version} ({name}) differs from this one")]
    Differs {
        /// The file.
        path: String,
        /// The number of the migration.
        version: i64,
        /// Its name.
        name: &'static str,
    },
    /// It is to be looked at as it is, and is not of this build.
    #[error("the database {path} is not at the version of this build: start this build's coordinator on it once")]
    Other {
        /// Where it is.
        path: String,
    },
    /// A step failed; nothing of it was kept.
    #[error("the database {path} could not be brought to version {version}: {detail}")]
    Failed {
        /// The file.
        path: String,
        /// The number of the migration.
        version: i64,
        /// What the engine said.
        detail: String,
    },
    /// The address of a database makes no sense.
    #[error("the address of the database is not usable: {detail}; it looks like postgres://user@host:5432/muster")]
    Address {
        /// What is wrong with it.
        detail: String,
    },
    /// The server or the database would answer otherwise than SQLite.
    #[error("the database {path} does not fit: {detail}")]
    Unfit {
        /// Where it is.
        path: String,
        /// What is wrong, and what to do.
        detail: String,
    },
    /// Two coordinators would undo each other's work.
    #[error("another coordinator serves the database {path}")]
    Taken {
        /// Where it is.
        path: String,
    },
    /// A thread could not be started.
    #[error("cannot start a database thread: {detail}")]
    Thread {
        /// What the system said.
        detail: String,
    },
}

impl StoreError {
    pub(super) fn open(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, detail) = (path.display().to_string(), error.to_string());
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
                Self::Corrupt { path, detail }
            }
            _ => Self::Open { path, detail },
        }
    }

    /// The answer to those who ask for something meanwhile.
    pub(super) fn problem(&self) -> Problem {
        let detail = match self {
            Self::Taken { .. } => "Another coordinator serves the database now.",
            _ => "The database cannot be reached.",
        };
        Problem::unavailable("dependency_unavailable", detail).caused_by(self)
    }
}

/// Brings the database to this build's version.
pub(super) fn run(tx: &mut Tx, shown: &str) -> Result<(), StoreError> {
    let failed = |version: i64, problem: &Problem| StoreError::Failed {
        path: shown.to_owned(),
        version,
        detail: problem.log_text(),
    };
    let table = tx.dialect(
        "CREATE TABLE IF NOT EXISTS schema_migrations(version {{I64}} PRIMARY KEY, name TEXT NOT NULL, \
         sha256 TEXT NOT NULL){{STRICT}}",
    );
    tx.script(&table).map_err(|problem| failed(0, &problem))?;
    let applied = tx
        .all("SELECT version, sha256 FROM schema_migrations ORDER BY version", &[], |row| {
            Ok((row.get::<i64>(0)?, row.get::<String>(1)?))
        })
        .map_err(|problem| failed(0, &problem))?;
    let known = MIGRATIONS.last().map_or(0, |migration| migration.version);
    if let Some((found, _)) = applied.last().filter(|(version, _)| *version > known) {
        return Err(StoreError::Newer { path: shown.to_owned(), found: *found, known });
    }
    for migration in MIGRATIONS {
        let sha256 = migration.sha256();
        match applied.iter().find(|(version, _)| *version == migration.version) {
            Some((_, found)) if *found == sha256 => {}
            Some(_) => {
                return Err(StoreError::Differs {
                    path: shown.to_owned(),
                    version: migration.version,
                    name: migration.name,
                });
            }
            None => apply(tx, migration, &sha256).map_err(|problem| failed(migration.version, &problem))?,
        }
    }
    Ok(())
}

/// Refuses a database that is not at this build's version, without changing it.
pub(super) fn require_current(tx: &mut Tx, shown: &str) -> Result<(), StoreError> {
    let failed = |problem: Problem| StoreError::Open { path: shown.to_owned(), detail: problem.log_text() };
    let found = tx.all("SELECT version, sha256 FROM schema_migrations ORDER BY version", &[], |row| {
        Ok((row.get::<i64>(0)?, row.get::<String>(1)?))
    });
    let found = found.map_err(failed)?;
    let known: Vec<_> = MIGRATIONS.iter().map(|migration| (migration.version, migration.sha256())).collect();
    if found == known { Ok(()) } else { Err(StoreError::Other { path: shown.to_owned() }) }
}

fn apply(tx: &mut Tx, migration: &Migration, sha256: &str) -> Result<(), Problem> {
    tx.begin()?;
    let steps = |tx: &mut Tx| {
        for part in migration.parts {
            let text = tx.dialect(part);
            tx.script(&text)?;
        }
        tx.exec(
            "INSERT INTO schema_migrations(version, name, sha256) VALUES($1, $2, $3)",
            &values![migration.version, migration.name, sha256],
        )?;
        tx.script("COMMIT")
    };
    steps(tx).inspect_err(|_| {
        // Nothing of a broken step may stay; the first error is the one worth showing.
        let _ = tx.script("ROLLBACK");
    })
}
