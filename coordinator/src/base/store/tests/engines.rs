//! Both engines answer alike: one table of questions and answers, asked of the engine that these tests run on.

use super::Place;
use crate::base::http::Problem;
use crate::base::store::{Recorded, Store, Tx, Value, tables};
use crate::values;

/// Text in the order of its bytes, which is that of no language.
const TEXTS: [&str; 9] = ["", "A-b", "AB", "B", "Z", "_", "a", "aB", "é"];

fn fill(tx: &mut Tx) -> Result<(), Problem> {
    let row = |tx: &mut Tx, number: i64, text: Option<&str>| {
        let bytes = [0, 255, u8::try_from(number).unwrap_or(9)];
        tx.exec(
            "INSERT INTO allocation_logs(allocation_id, at_byte, bytes) VALUES($1, $2, $3)",
            &values!["al", number, bytes.as_slice()],
        )?;
        tx.exec(
            "INSERT INTO operation_steps(operation_id, seq, name, state, detail, started_ms, ended_ms) \
             VALUES('op', $1, $2, 'x', '', $1, CAST($3 AS BIGINT))",
            &values![number, text.unwrap_or("none"), text.is_some().then_some(number)],
        )
    };
    for (number, text) in (0..).zip(TEXTS) {
        row(tx, number, Some(text))?;
    }
    row(tx, i64::MIN, None)?;
    row(tx, i64::MAX, None)?;
    Ok(())
}

/// What the tables above refer to.
fn found(tx: &mut Tx) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO operations(id, kind, state, subject_kind, subject_id, initiator_kind, initiator_id, \
         initiator_name, correlation_id, context, attempt, created_ms, owner, lease_until_ms) \
         VALUES('op', 'k', 'queued', 's', 's', 'i', 'i', 'n', 'c', '{}', 1, 1, '', 0)",
        &[],
    )?;
    tx.exec(
        "INSERT INTO allocations(id, name, tenant_id, project_id, user_id, sku_id, sku_name, node_id, operation_id, \
         state, wish, lease_epoch, spec, release_on_exit, end_reason, step, isolation, not_enforced, ssh_host_key, \
         ssh_user, boot_id, log_bytes, log_complete, labels_version, proof_wanted, created_ms) \
         VALUES('al', 'n', 't', 'p', 'u', 's', 's', 'nd', 'op', 'x', 'x', 1, '{}', 0, '', '', '', '[]', '', '', '', 0, 0, 1, 0, 1)",
        &[],
    )?;
    Ok(())
}

type Question = (&'static str, Vec<Value>, Vec<Vec<Value>>);

fn texts(all: &[&str]) -> Vec<Vec<Value>> {
    all.iter().map(|text| vec![Value::from(*text)]).collect()
}

#[rustfmt::skip]
fn questions() -> Vec<Question> {
    let none = || Value::Null;
    let one = |value: Value| vec![vec![value]];
    vec![
        ("SELECT $2 || $1 || $2", values!["a", "b"].into(), one("bab".into())),
        ("SELECT CAST($1 AS TEXT)", vec![none()], one(none())),
        ("SELECT CAST($1 AS BIGINT)", values![i64::MAX].into(), one(i64::MAX.into())),
        ("SELECT CAST($1 AS BIGINT)", values![i64::MIN].into(), one(i64::MIN.into())),
        ("SELECT $1", values!["\u{0}a\u{10ffff}"].into(), one("\u{fffd}a\u{10ffff}".into())),
        ("SELECT CASE WHEN CAST($1 AS TEXT) IS NULL THEN 1 ELSE 0 END", vec![none()], one(1.into())),
        ("SELECT 1 = 1, 1 = 2", vec![], vec![values![1, 0].into()]),
        ("SELECT 7 / 2, -7 / 2, 7 % 4, -7 % 4, 6 & 3, 4 | 1", vec![], vec![values![3, -3, 3, -3, 2, 5].into()]),
        ("SELECT OCTET_LENGTH('é'), LENGTH('é')", vec![], vec![values![2, 1].into()]),
        ("SELECT COUNT(*) FROM settings", vec![], one(0.into())),
        ("SELECT CAST(SUM(at_byte) AS BIGINT) FROM allocation_logs WHERE at_byte < 0 AND at_byte > 5", vec![], one(none())),
        ("SELECT CAST(SUM(at_byte) AS BIGINT) FROM allocation_logs WHERE at_byte >= 0 AND at_byte < 100", vec![], one(36.into())),
        ("SELECT name FROM operation_steps WHERE ended_ms IS NOT NULL ORDER BY name", vec![], texts(&TEXTS)),
        ("SELECT name FROM operation_steps WHERE name > $1 AND name < $2 ORDER BY name DESC", values!["AB", "a"].into(), texts(&["_", "Z", "B"])),
        ("SELECT name FROM operation_steps WHERE (ended_ms, name) > ($1, $2) ORDER BY ended_ms, name LIMIT $3", values![1, "A-b", 2].into(), texts(&["AB", "B"])),
        ("SELECT MIN(name), MAX(name) FROM operation_steps WHERE ended_ms IS NOT NULL", vec![], vec![values!["", "é"].into()]),
        ("SELECT seq FROM operation_steps WHERE ended_ms IS NULL ORDER BY seq", vec![], vec![values![i64::MIN].into(), values![i64::MAX].into()]),
        ("SELECT COUNT(*), COUNT(ended_ms) FROM operation_steps", vec![], vec![values![11, 9].into()]),
        ("SELECT bytes FROM allocation_logs WHERE bytes = $1", vec![Value::Bytes(vec![0, 255, 3])], one(Value::Bytes(vec![0, 255, 3]))),
        ("SELECT at_byte FROM allocation_logs WHERE at_byte < 100 ORDER BY bytes DESC LIMIT 2", vec![], vec![values![i64::MIN].into(), values![8].into()]),
        ("UPDATE operation_steps SET state = 'y' WHERE name = $1 RETURNING seq, state", values!["aB"].into(), vec![values![7, "y"].into()]),
        ("INSERT INTO settings(name, value) VALUES($1, $2) ON CONFLICT DO NOTHING RETURNING value", values!["n", "1"].into(), texts(&["1"])),
        ("INSERT INTO settings(name, value) VALUES($1, $2) ON CONFLICT DO NOTHING RETURNING value", values!["n", "2"].into(), vec![]),
        ("INSERT INTO settings(name, value) VALUES($1, $2) ON CONFLICT(name) DO UPDATE SET value = settings.value || excluded.value RETURNING value", values!["n", "3"].into(), texts(&["13"])),
        ("DELETE FROM settings WHERE name = $1 RETURNING value", values!["n"].into(), texts(&["13"])),
    ]
}

fn ask(store: &Store, (sql, params, wanted): Question) {
    let given = params.clone();
    let answer = store.write_blocking(move |tx| tx.all(sql, &given, |row| Ok(row.0.clone())).map(Recorded::by_audit));
    assert_eq!(answer.unwrap_or_else(|problem| panic!("{sql}: {}", problem.log_text())), wanted, "{sql} {params:?}");
}

#[test]
fn engines_answer_alike() {
    let place = Place::new();
    let store = place.open();
    // Of a running process: there on one engine only.
    place.change("DELETE FROM settings");
    store.write_blocking(|tx| found(tx).and_then(|()| fill(tx)).map(Recorded::by_audit)).unwrap();
    questions().into_iter().for_each(|question| ask(&store, question));
}

#[test]
fn engines_refuse_alike() {
    let place = Place::new();
    let store = place.open();
    let refused = |sql: &'static str, params: Vec<Value>| {
        let answer = store.write_blocking(move |tx| tx.exec(sql, &params).map(Recorded::by_audit));
        assert_eq!(answer.unwrap_err().code(), "internal", "{sql}");
    };
    let insert = "INSERT INTO desired_documents(node_id, fleet_epoch, n, sha256, document, composed_ms) \
                  VALUES($1, $2, 1, $3, $3, 1)";
    let bytes = || Value::Bytes(vec![1]);
    refused(insert, vec!["nd".into(), "text".into(), bytes()]);
    refused(insert, vec!["nd".into(), bytes(), bytes()]);
    refused(insert, vec!["nd".into(), 1.into(), "text".into()]);
    refused(insert, vec![Value::Null, 1.into(), bytes()]);
    refused(insert, vec!["nd".into(), 1.into()]);
    refused(insert, vec!["nd".into(), 1.into(), bytes(), 1.into()]);
    refused("INSERT INTO user_roles(user_id, role) VALUES('nobody', 'x')", vec![]);
    refused("SELECT nonsense", vec![]);
}

#[test]
fn migrations_lead_to_the_rooms_schemas() {
    let place = Place::new();
    let store = place.open();
    let postgres = place.database.is_some();
    let read = move |tx: &mut Tx| if postgres { tables::of_postgres(tx) } else { tables::of_sqlite(tx) };
    let mut found = store.read_blocking(read).unwrap();
    let mut wanted = tables::all().unwrap();
    assert!(wanted.len() > 20 && wanted.iter().all(|table| table.columns.iter().any(|column| column.key > 0)));
    for tables in [&mut found, &mut wanted] {
        tables.sort_by(|a, b| a.name.cmp(&b.name));
    }
    assert_eq!(found, wanted);
}
