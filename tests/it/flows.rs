//! The flow matrix, `console/flows.json`: whole, true to the tests, and no page or call of a console outside it.

use muster_tests::{Api, World};
use reqwest::Method;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const DOORS: [&str; 2] = ["console", "operator"];
const STATUS: [&str; 3] = ["ready", "partly built", "not built"];
const PATHS: [&str; 6] = ["happy", "empty", "blocked", "recovery", "negative", "cleanup"];
/// The flows that must have a row, built or not.
const FLOWS: [&str; 15] = [
    "FLOW-AUTH-SESSION-001",
    "FLOW-ACCOUNT-MFA-001",
    "FLOW-PROJECT-IAM-001",
    "FLOW-SSH-KEY-001",
    "FLOW-COMPUTE-LAUNCH-001",
    "FLOW-COMPUTE-RELEASE-001",
    "FLOW-TERMINAL-CONNECT-001",
    "FLOW-BILLING-SAFETY-001",
    "FLOW-APP-RUNTIME-001",
    "FLOW-APP-DEVELOPER-001",
    "FLOW-STORAGE-LIFECYCLE-001",
    "FLOW-SCHEDULER-RUNTIME-001",
    "FLOW-ADMIN-LIFECYCLE-001",
    "FLOW-OBS-EVIDENCE-001",
    "FLOW-HARNESS-PREUAT-001",
];

type ByDoor = BTreeMap<String, Vec<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Matrix {
    about: String,
    /// Pages that belong to no flow.
    shared: ByDoor,
    flows: Vec<Flow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flow {
    id: String,
    persona: String,
    entry: Vec<String>,
    status: String,
    level: String,
    #[serde(default)]
    missing: Vec<String>,
    paths: BTreeMap<String, Way>,
    pages: ByDoor,
    operations: ByDoor,
}

/// One of the six paths of a flow.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Way {
    says: String,
    tests: Vec<String>,
    missing: Option<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn matrix() -> Matrix {
    serde_json::from_str(&read("console/flows.json")).unwrap_or_else(|error| panic!("console/flows.json: {error}"))
}

fn complain(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

fn of_all(flows: &[Flow], door: &str, part: impl Fn(&Flow) -> &ByDoor) -> BTreeSet<String> {
    flows.iter().filter_map(|flow| part(flow).get(door)).flatten().cloned().collect()
}

#[test]
fn the_matrix_is_whole() {
    let Matrix { about, flows, .. } = matrix();
    assert!(!about.is_empty());
    let ids: BTreeSet<_> = flows.iter().map(|flow| flow.id.as_str()).collect();
    let mut found: Vec<_> = FLOWS.iter().filter(|id| !ids.contains(*id)).map(|id| format!("{id} has no row")).collect();
    if ids.len() < flows.len() {
        found.push("an id stands twice".to_owned());
    }
    for flow in &flows {
        let mut say = |what: String| found.push(format!("{}: {what}", flow.id));
        if flow.persona.is_empty() || flow.entry.is_empty() {
            say("persona and entry are named".to_owned());
        }
        if !STATUS.contains(&flow.status.as_str()) {
            say(format!("a status is one of {STATUS:?}"));
        }
        let level = flow.level.strip_prefix('L').and_then(|level| level.parse::<u8>().ok()).unwrap_or(99);
        if level > 5 {
            say("a level is L0 to L5".to_owned());
        }
        if !flow.paths.keys().map(String::as_str).eq(sorted(PATHS)) {
            say(format!("the paths are {PATHS:?}"));
        }
        if flow.pages.keys().chain(flow.operations.keys()).any(|door| !DOORS.contains(&door.as_str())) {
            say(format!("the doors are {DOORS:?}"));
        }
        for (name, way) in &flow.paths {
            if way.says.is_empty() || way.tests.is_empty() != way.missing.is_some() {
                say(format!("{name} says what happens, and names tests or else what is missing"));
            }
        }
        let tests: Vec<_> = flow.paths.values().flat_map(|way| &way.tests).collect();
        let whole = flow.paths.values().all(|way| way.missing.is_none());
        let fits = match flow.status.as_str() {
            "ready" => whole && flow.missing.is_empty() && level >= 3,
            "not built" => tests.is_empty() && flow.pages.is_empty() && flow.operations.is_empty() && level <= 1,
            _ => !tests.is_empty(),
        };
        if !fits || (flow.status != "ready" && flow.missing.is_empty()) {
            say(format!("it cannot be {} with these paths, this level and this `missing`", flow.status));
        }
        if (level >= 2 && tests.is_empty())
            || (level >= 3 && !tests.iter().any(|name| name.starts_with("tests/browser/")))
        {
            say(format!("{} wants tests, from L3 on one in a browser", flow.level));
        }
    }
    complain("console/flows.json", &found);
}

fn sorted<const N: usize>(mut words: [&str; N]) -> impl Iterator<Item = &str> {
    words.sort_unstable();
    words.into_iter()
}

#[test]
fn every_test_that_is_named_exists() {
    let mut found = Vec::new();
    for flow in matrix().flows {
        for test in flow.paths.into_values().flat_map(|way| way.tests) {
            let there = test.split_once(": ").is_some_and(|(file, name)| has_test(file, name));
            if !there {
                found.push(format!("{}: {test}", flow.id));
            }
        }
    }
    complain("a test is named as FILE: NAME and exists", &found);
}

/// A function with a test attribute, or a step or page of a browser's script.
fn has_test(file: &str, name: &str) -> bool {
    let Ok(text) = fs::read_to_string(root().join(file)) else { return false };
    if !file.ends_with(".rs") {
        let text = text.replace("${", "{");
        return ['"', '`'].iter().any(|quote| text.contains(&format!("{quote}{name}{quote}")));
    }
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let is_fn = |line: &str| {
        line.trim_start_matches("async ").strip_prefix("fn ").is_some_and(|rest| rest.starts_with(&format!("{name}(")))
    };
    (1..lines.len()).any(|at| {
        is_fn(lines[at])
            && lines[..at]
                .iter()
                .rev()
                .take_while(|line| !line.is_empty() && !line.ends_with('}'))
                .any(|line| line.contains("test"))
    })
}

#[test]
fn every_page_stands_in_a_flow() {
    let Matrix { shared, flows, .. } = matrix();
    let mut found = Vec::new();
    for door in DOORS {
        let pages = pages(door);
        assert!(pages.len() > 10, "the router of the {door} has more pages than {pages:?}");
        let mut named = of_all(&flows, door, |flow| &flow.pages);
        named.extend(shared.get(door).cloned().unwrap_or_default());
        found.extend(
            pages
                .difference(&named)
                .map(|page| format!("{door} {page} stands in no flow: add it to a row of console/flows.json")),
        );
        found.extend(named.difference(&pages).map(|page| format!("{door} {page} is no page of its router")));
    }
    complain("pages and flows", &found);
}

#[tokio::test]
async fn every_page_is_answered_and_nothing_else_is_one() {
    let world = World::with_nodes(0).await;
    let ready = world.ready();
    for (door, url) in [("console", &ready.console_url), ("operator", &ready.operator_url)] {
        let browser = Api::anonymous(url);
        let status = async |path: &str| browser.send(Method::GET, path, &[("accept", "text/html")], None).await.status;
        for page in pages(door) {
            assert_eq!(status(&page).await, 200, "{door} {page}");
        }
        for nothing in ["/nope", "/nope/al_1", "/index.php"] {
            assert_eq!(status(nothing).await, 404, "{door} {nothing}");
        }
    }
    let console = Api::anonymous(&ready.console_url);
    for staff in ["/platform/overview", "/platform/lifecycle", "/admin/nodes", "/nodes", "/skus"] {
        let answer = console.send(Method::GET, staff, &[("accept", "text/html")], None).await;
        assert_eq!(answer.status, 404, "{staff} is no page of users");
    }
}

/// The addresses of a door's router; older addresses that only lead on are none.
fn pages(door: &str) -> BTreeSet<String> {
    let files = ["console/src/rooms/paths.tsx", "console/src/routes.tsx", &format!("console/src/{door}.tsx")].map(read);
    let constants: BTreeMap<_, _> = files.iter().flat_map(|text| text.lines()).filter_map(constant).collect();
    let mut pages = BTreeSet::new();
    for made in files.iter().flat_map(|text| text.split("createRoute({").skip(1)) {
        // What makes the older addresses, and the frame around all pages.
        if made.trim_start().starts_with("...parent,\n    path,") || made.contains("id: \"inside\"") {
            continue;
        }
        let (_, rest) = made.split_once("path: ").unwrap_or_else(|| panic!("a route without a path: {made:.80}"));
        let end = rest
            .find([',', '\n', '}'])
            .filter(|_| !rest.starts_with('`'))
            .or_else(|| rest[1..].find('`').map(|at| at + 2));
        let word = &rest[..end.expect("the end of a path")];
        let mut path = if word.starts_with(['"', '`']) {
            word.trim_matches(['"', '`']).to_owned()
        } else {
            format!("${{{word}}}")
        };
        for (name, value) in &constants {
            path = path.replace(&format!("${{{name}}}"), value);
        }
        assert!(path.starts_with('/'), "a path is a text or a constant of paths.tsx: {word}");
        pages.insert(path);
    }
    pages
}

fn constant(line: &str) -> Option<(String, String)> {
    let (name, value) = line.trim_start_matches("export ").strip_prefix("const ")?.split_once(" = \"")?;
    Some((name.to_owned(), value.strip_suffix("\";")?.to_owned()))
}

#[test]
fn every_operation_that_is_named_exists() {
    let flows = matrix().flows;
    let mut found = Vec::new();
    for door in DOORS {
        let there = operations(door);
        let named = of_all(&flows, door, |flow| &flow.operations);
        found.extend(named.difference(&there).map(|operation| format!("{door} {operation}")));
    }
    complain("an operation is METHOD PATH of the door's OpenAPI document", &found);
}

fn operations(door: &str) -> BTreeSet<String> {
    let document: serde_json::Value =
        serde_json::from_str(&read(&format!("coordinator/openapi/{door}.json"))).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let of_path = |(path, methods): (&String, &serde_json::Value)| {
        let methods = methods.as_object().expect("methods");
        methods.keys().map(|method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn every_call_of_a_page_stands_in_a_flow() {
    let flows = matrix().flows;
    let named: BTreeSet<_> = DOORS.iter().flat_map(|door| of_all(&flows, door, |flow| &flow.operations)).collect();
    let known: Vec<_> = named.iter().filter_map(|operation| operation.split_once(' ')).map(|(_, path)| path).collect();
    let mut calls = BTreeSet::new();
    scripts(&root().join("console/src"), &mut |text| {
        for quote in ['"', '`'] {
            let begin = format!("{quote}/api/v1/");
            let opened = text.split(&begin).skip(1);
            calls.extend(
                opened.filter_map(|rest| rest.split([quote, '?']).next()).map(|path| format!("/api/v1/{path}")),
            );
        }
    });
    assert!(calls.len() > 50, "{calls:?}");
    let found: Vec<_> = calls.iter().filter(|call| !known.iter().any(|path| same(call, path))).cloned().collect();
    complain("what a page calls stands among the operations of a flow in console/flows.json", &found);
}

/// Whether two paths are one, whatever fills their names.
fn same(one: &str, other: &str) -> bool {
    let (one, other): (Vec<_>, Vec<_>) = (one.split('/').collect(), other.split('/').collect());
    one.len() == other.len()
        && one
            .iter()
            .zip(&other)
            .all(|(a, b)| a == b || b.starts_with('{') || (a.starts_with('$') && b.starts_with('{')))
}

fn scripts(dir: &Path, see: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(dir).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            scripts(&path, see);
        } else if (name.ends_with(".ts") || name.ends_with(".tsx")) && !name.ends_with(".d.ts") {
            see(&fs::read_to_string(&path).expect("text"));
        }
    }
}
