//! The two API documents, and who may pass which route, as they were last agreed to: `make golden` writes them anew after a wanted change.

use muster_coordinator::base::authz::{Gate, Verb};
use muster_coordinator::base::http::{Door, openapi};
use muster_coordinator::cx::Role;
use muster_coordinator::routes::routes;
use std::path::Path;

#[test]
fn golden_api_documents() {
    for door in [Door::Console, Door::Operator] {
        let now = routes(door).1.to_pretty_json().unwrap() + "\n";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("openapi/{}.json", door.as_str()));
        if std::env::var_os("GOLDEN").is_some_and(|wanted| wanted == "write") {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &now).unwrap();
        }
        let agreed = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = agreed.lines().zip(now.lines()).position(|(agreed, now)| agreed != now);
        assert!(
            agreed == now,
            "the API of the {} door differs from openapi/{}.json from line {} on: run `make golden` if that is wanted",
            door.as_str(),
            door.as_str(),
            differs.map_or(agreed.lines().count(), |line| line) + 1
        );
    }
}

/// Who may pass a gate, in words.
fn words(gate: Gate) -> String {
    match gate {
        Gate::Closed => "nobody".to_owned(),
        Gate::Anyone => "anyone".to_owned(),
        Gate::SignedIn => "signed_in".to_owned(),
        Gate::Roles(roles) => roles.iter().map(|role| Role::as_str(*role)).collect::<Vec<_>>().join(" "),
    }
}

#[test]
fn golden_roles_of_routes() {
    let mut lines =
        vec!["# door, route, verb: roles that may pass. From the routes and coordinator/src/base/authz.rs.".to_owned()];
    for door in [Door::Console, Door::Operator] {
        for (path, item) in &routes(door).1.paths.paths {
            for (method, operation) in openapi::operations(item) {
                let named = operation.operation_id.as_deref().unwrap_or_default();
                let gate = Verb::parse(named).map_or("nobody".to_owned(), |verb| words(verb.gate(door)));
                lines.push(format!("{} {} {path} {named}: {gate}", door.as_str(), method.to_uppercase()));
            }
        }
    }
    lines[1..].sort_unstable();
    let now = lines.join("\n") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/roles.txt");
    if std::env::var_os("GOLDEN").is_some_and(|wanted| wanted == "write") {
        std::fs::write(&path, &now).unwrap();
    }
    let agreed = std::fs::read_to_string(&path).unwrap_or_default();
    let new: Vec<_> = now.lines().filter(|line| !agreed.lines().any(|known| known == *line)).collect();
    assert!(agreed == now, "who may do what has changed: run `make golden` if that is wanted\n{}", new.join("\n"));
}
