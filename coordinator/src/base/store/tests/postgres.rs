//! What only PostgreSQL can do to the store: refuse to fit, have another owner, go away and come back. Without a
//! server (`MUSTER_TEST_DATABASE`) what is left is that an address is read with care.

use super::super::{Recorded, Store, StoreError};
use super::{names, set};
use muster_tests::Database;
use std::time::Duration;

#[test]
fn an_address_that_makes_no_sense_is_refused_without_its_password() {
    let roots = "postgres://u:secret@h/x?sslmode=require&sslrootcert=/nowhere";
    for url in [
        "",
        "muster.db",
        "postgres://",
        roots,
        "postgres://u:secret@h/x?sslrootcert=/nowhere",
        "postgres://u:secret@h:port/x",
        "mysql://u:secret@h/x",
    ] {
        let error = Store::open_postgres(url).unwrap_err();
        assert!(matches!(error, StoreError::Address { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let away = Store::open_postgres("postgres://u:secret@127.0.0.1:1/muster").unwrap_err();
    assert!(away.to_string().contains("postgres://127.0.0.1:1/muster"), "{away}");
    assert!(!away.to_string().contains("secret"), "{away}");
}

#[test]
fn a_database_that_answers_otherwise_is_refused_with_the_way_out() {
    for (options, word) in
        [("LOCALE 'C.UTF-8' ENCODING 'UTF8'", "byte by byte"), ("LOCALE 'C' ENCODING 'LATIN1'", "UTF8")]
    {
        let Some(database) = Database::with(&format!("TEMPLATE template0 {options}")) else { return };
        let error = Store::open_postgres(&database.url()).unwrap_err();
        assert!(matches!(error, StoreError::Unfit { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(word) && text.contains("CREATE DATABASE"), "{text}");
    }
}

#[test]
fn a_second_coordinator_is_refused_until_the_first_has_ended() {
    let Some(database) = Database::fresh() else { return };
    let first = Store::open_postgres(&database.url()).unwrap();
    let second = Store::open_postgres_within(&database.url(), Duration::ZERO).unwrap_err();
    assert!(matches!(second, StoreError::Taken { .. }), "{second}");
    first.close();
    Store::open_postgres(&database.url()).unwrap().close();
}

#[test]
fn one_that_lost_its_database_to_another_changes_nothing_any_more() {
    let Some(database) = Database::fresh() else { return };
    let first = Store::open_postgres(&database.url()).unwrap();
    database.cut();
    let second = Store::open_postgres(&database.url()).unwrap();
    let late = first.write_blocking(|tx| set(tx, "late", "1").map(Recorded::by_audit));
    assert_eq!(late.unwrap_err().code(), "dependency_unavailable");
    assert!(names(&second).is_empty());
}

#[test]
fn a_lost_connection_is_made_anew_and_meanwhile_it_says_so() {
    let Some(database) = Database::fresh() else { return };
    let store = Store::open_postgres(&database.url()).unwrap();
    let keep = |name: &'static str| store.write_blocking(move |tx| set(tx, name, "1").map(Recorded::by_audit));
    keep("a").unwrap();
    // Every thread's connection is gone; none of the next acts fails for it.
    database.cut();
    (0..20).for_each(|_| keep("b").unwrap());
    assert_eq!(names(&store), ["a", "b"]);
    database.open(false);
    database.cut();
    assert_eq!(keep("c").unwrap_err().code(), "dependency_unavailable");
    let read = store.read_blocking(|tx| super::super::settings::get_in(tx, "a"));
    assert_eq!(read.unwrap_err().code(), "dependency_unavailable");
    database.open(true);
    keep("d").unwrap();
    assert_eq!(names(&store), ["a", "b", "d"]);
}
