//! The house rules that a program can check.

use std::{
    fs,
    path::{Path, PathBuf},
};

const FILE_LINES_MAX: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && !["target", ".git", "node_modules"].contains(&name.to_string_lossy().as_ref()) {
                walk(&path, into);
            } else if path.extension().is_some_and(|end| end == "rs") {
                into.push(path);
            }
        }
    }
    let (mut paths, root) = (Vec::new(), root());
    walk(&root, &mut paths);
    assert!(paths.len() > 50, "the walk found nothing");
    let read = |path: PathBuf| {
        (path.strip_prefix(&root).expect("below").to_path_buf(), fs::read_to_string(&path).expect("text"))
    };
    paths.into_iter().map(read).collect()
}

fn complain(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let found: Vec<_> = sources()
        .iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    complain("a file begins with //! and one sentence", &found);
}

#[test]
fn files_hold_one_idea() {
    let found: Vec<_> = sources()
        .iter()
        .filter(|(_, text)| text.lines().count() > FILE_LINES_MAX)
        .map(|(path, text)| format!("{}: {}", path.display(), text.lines().count()))
        .collect();
    complain("a file over the limit becomes a folder", &found);
}

#[test]
fn sql_stands_in_stores_only() {
    let found: Vec<_> = sources()
        .iter()
        .filter(|(path, _)| {
            path.starts_with("coordinator/src")
                && !path.ends_with("store.rs")
                && !path.starts_with("coordinator/src/base/store")
        })
        .filter(|(_, text)| ["SELECT ", "INSERT INTO", "DELETE FROM"].iter().any(|word| text.contains(word)))
        .map(|(path, _)| path.display().to_string())
        .collect();
    complain("SQL belongs into the room's store.rs", &found);
}

#[test]
fn axum_stands_in_the_http_layer_only() {
    let allowed = |path: &Path| {
        path.components().any(|part| part.as_os_str() == "http" || part.as_os_str() == "base")
            || ["http.rs", "routes.rs", "app.rs", "socket.rs", "logs.rs"].iter().any(|name| path.ends_with(name))
    };
    let found: Vec<_> = sources()
        .iter()
        .filter(|(path, _)| path.starts_with("coordinator/src") && !allowed(path))
        .filter(|(_, text)| text.contains("use axum"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    complain("axum belongs into http.rs", &found);
}

/// Rooms in the order of design: each may use those before it.
const ROOMS: &[&str] = &[
    "audit",
    "tenants",
    "projects",
    "users",
    "access",
    "operations",
    "catalog",
    "nodes",
    "enrolment",
    "links",
    "telemetry",
    "slots",
    "scheduler",
    "allocations",
    "terminals",
    "attention",
    "views",
];

#[test]
fn rooms_use_earlier_rooms_only() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let Some(own) = ROOMS.iter().position(|room| path.starts_with(format!("coordinator/src/{room}"))) else {
            continue;
        };
        for later in &ROOMS[own + 1..] {
            if text.contains(&format!("crate::{later}::")) || text.contains(&format!("crate::{later};")) {
                found.push(format!("{}: {later}", path.display()));
            }
        }
    }
    complain("a room calls earlier rooms only", &found);
}

#[test]
fn nothing_is_left_open() {
    // Written in two parts, so that this file does not complain about itself.
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[ig", "nore"),
        concat!("FIX", "ME"),
        concat!("dbg", "!("),
        concat!("allow(dead", "_code)"),
    ];
    let mut found = Vec::new();
    for (path, text) in sources() {
        found
            .extend(words.iter().filter(|word| text.contains(*word)).map(|word| format!("{}: {word}", path.display())));
    }
    complain("unfinished work is not landed", &found);
}

#[test]
fn only_audit_makes_recorded_values() {
    let found: Vec<_> = sources()
        .iter()
        .filter(|(path, text)| {
            let maker = path.ends_with("audit/record.rs") || path.starts_with("coordinator/src/base/store");
            path.starts_with("coordinator/src") && !maker && text.contains("by_audit(")
        })
        .map(|(path, _)| path.display().to_string())
        .collect();
    complain("a write cannot be committed without its event", &found);
}

#[test]
fn a_table_is_written_by_its_room_only() {
    let root = root().join("coordinator/src");
    let mut found = Vec::new();
    for room in ROOMS {
        let schema = fs::read_to_string(root.join(room).join("schema.sql")).unwrap_or_default();
        let tables = schema.lines().filter_map(|line| line.strip_prefix("CREATE TABLE ")?.split('(').next());
        for table in tables {
            let writes = ["INSERT INTO", "UPDATE", "DELETE FROM"].map(|word| format!("{word} {table}"));
            let written = |text: &str, write: &String| {
                text.match_indices(write.as_str()).any(|(at, _)| {
                    !text[at + write.len()..].starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_')
                })
            };
            // A room's own tests may set up what other rooms would have written.
            let test = |path: &Path| path.components().any(|part| part.as_os_str() == "tests");
            let other = |path: &Path| {
                path.starts_with("coordinator/src")
                    && !path.starts_with(format!("coordinator/src/{room}"))
                    && !test(path)
            };
            for (path, text) in sources().iter().filter(|(path, _)| other(path)) {
                if writes.iter().any(|write| written(text, write)) {
                    found.push(format!("{}: {table} of {room}", path.display()));
                }
            }
        }
    }
    complain("a table is written by one room, others may read it", &found);
}
