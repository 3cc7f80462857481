//! The store as rooms use it.

mod engines;
mod postgres;

use super::{Lane, Recorded, Store, StoreError, Tx};
use crate::base::http::Problem;
use crate::values;
use muster_tests::Database;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A place for a database, on the engine that these tests run on.
struct Place {
    folder: tempfile::TempDir,
    database: Option<Database>,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: Database::fresh() }
    }

    fn try_open(&self) -> Result<Store, StoreError> {
        match &self.database {
            Some(database) => Store::open_postgres(&database.url()),
            None => Store::open(&self.folder.path().join("muster.db")),
        }
    }

    fn open(&self) -> Store {
        self.try_open().unwrap()
    }

    /// Changes something behind the store's back.
    fn change(&self, sql: &str) {
        match &self.database {
            Some(database) => database.run(sql),
            None => {
                let connection = rusqlite::Connection::open(self.folder.path().join("muster.db")).unwrap();
                connection.execute_batch(sql).unwrap();
            }
        }
    }
}

fn set(tx: &mut Tx, name: &str, value: &str) -> Result<(), Problem> {
    super::settings::set_in(tx, name, value)
}

fn names(store: &Store) -> Vec<String> {
    store
        .read_blocking(|tx| {
            tx.all("SELECT name FROM settings WHERE name <> 'coordinator' ORDER BY name", &[], |row| row.get(0))
        })
        .unwrap()
}

fn on_edge(test: impl AsyncFnOnce(Store)) {
    let place = Place::new();
    let store = place.open();
    let edge = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    edge.block_on(test(store.clone()));
    store.close();
}

#[test]
fn parameters_are_bound_by_their_number() {
    let place = Place::new();
    let store = place.open();
    let found = store.read_blocking(|tx| {
        tx.one("SELECT $2 || $1 || $2, CAST($3 AS TEXT) IS NULL", &values!["a", "b", Option::<i64>::None], |row| {
            Ok((row.get::<String>(0)?, row.get::<bool>(1)?))
        })
    });
    assert_eq!(found.unwrap(), ("bab".to_owned(), true));
    let missing = store.read_blocking(|tx| tx.one("SELECT $2", &values!["a"], |row| row.get::<String>(0)));
    assert_eq!(missing.unwrap_err().code(), "internal");
}

#[test]
fn a_write_is_tried_twice_and_kept_once() {
    on_edge(async |store| {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        let rows = store.write(move |tx| {
            counted.fetch_add(1, Ordering::Relaxed);
            set(tx, "once", "x")?;
            let rows: i64 = tx.one("SELECT COUNT(*) FROM settings WHERE name = 'once'", &[], |row| row.get(0))?;
            Ok(Recorded::by_audit(rows))
        });
        assert_eq!(rows.await.unwrap(), 1);
        assert_eq!(runs.load(Ordering::Relaxed), if cfg!(debug_assertions) { 2 } else { 1 });
    });
}

#[test]
fn one_that_fails_or_panics_takes_no_other_with_it() {
    on_edge(async |store| {
        let mut asked = Vec::new();
        for n in 0..200 {
            let store = store.on(if n % 2 == 0 { Lane::People } else { Lane::Upkeep });
            asked.push(async move {
                let written = store.ingest(move |tx| {
                    set(tx, &format!("n{n:03}"), "x")?;
                    match n % 10 {
                        3 => Err(Problem::conflict("no", "no")),
                        7 => panic!("a test's panic"),
                        _ => Ok(n),
                    }
                });
                (n, written.await)
            });
        }
        for (n, answer) in futures_util::future::join_all(asked).await {
            match n % 10 {
                3 => assert_eq!(answer.unwrap_err().code(), "no"),
                7 => assert_eq!(answer.unwrap_err().code(), "internal"),
                _ => assert_eq!(answer.unwrap(), n),
            }
        }
        let kept = store.read(|tx| {
            tx.one("SELECT COUNT(*) FROM settings WHERE name <> 'coordinator'", &[], |row| row.get::<i64>(0))
        });
        assert_eq!(kept.await.unwrap(), 160);
    });
}

#[test]
fn a_read_sees_what_was_answered_and_cannot_write() {
    on_edge(async |store| {
        for n in 0..50 {
            let value = n.to_string();
            store.ingest(move |tx| set(tx, "last", &value)).await.unwrap();
            let seen = store.read(|tx| super::settings::get_in(tx, "last")).await.unwrap();
            assert_eq!(seen, Some(n.to_string()));
        }
        assert!(store.read(|tx| set(tx, "last", "x")).await.is_err());
    });
}

#[test]
fn what_was_answered_is_there_after_a_restart() {
    let place = Place::new();
    let store = place.open();
    store.write_blocking(|tx| set(tx, "a", "1").map(Recorded::by_audit)).unwrap();
    store.close();
    assert!(store.write_blocking(|tx| set(tx, "b", "1").map(Recorded::by_audit)).is_err());
    assert_eq!(names(&place.open()), ["a"]);
}

#[test]
fn foreign_databases_are_refused_in_one_sentence() {
    let place = Place::new();
    place.open().close();
    place.change("INSERT INTO schema_migrations VALUES(99, 'later', 'x')");
    let newer = place.try_open().unwrap_err();
    assert!(matches!(newer, StoreError::Newer { found: 99, .. }), "{newer}");
    place.change("DELETE FROM schema_migrations WHERE version = 99; UPDATE schema_migrations SET sha256 = 'x'");
    assert!(matches!(place.try_open().unwrap_err(), StoreError::Differs { version: 1, .. }));
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("muster.db");
    std::fs::write(&path, vec![7; 50_000]).unwrap();
    assert!(matches!(Store::open(&path).unwrap_err(), StoreError::Corrupt { .. }));
}

#[test]
fn writes_that_meet_lose_nothing() {
    on_edge(async |store| {
        let count = |tx: &mut Tx| {
            let before = super::settings::get_in(tx, "count")?.map_or(0, |text| text.parse::<u32>().unwrap());
            set(tx, "count", &(before + 1).to_string()).map(|()| before)
        };
        let all = (0..200).map(|n| {
            let store = store.on([Lane::People, Lane::Agents, Lane::Upkeep][n % 3]);
            async move { store.ingest(count).await.unwrap() }
        });
        let mut seen = futures_util::future::join_all(all).await;
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..200), "each saw the one before");
    });
}

#[test]
fn a_closure_that_swallows_a_failed_statement_keeps_nothing() {
    let place = Place::new();
    let store = place.open();
    let written = store.write_blocking(|tx| {
        set(tx, "a", "1")?;
        let failed = tx.exec("INSERT INTO settings(name, value) VALUES('a', NULL)", &[]);
        assert!(failed.is_err());
        failed.map(Recorded::by_audit)
    });
    assert!(written.is_err());
    assert!(names(&store).is_empty());
}
