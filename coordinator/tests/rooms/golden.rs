//! The two API documents as they were last agreed to: `make golden` writes them anew after a wanted change.

use muster_coordinator::base::http::Door;
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
