//! What a browser has to load before the first page of a door stands.

use std::{fs, path::Path};

/// Most bytes of scripts and styles, compressed, before terminals and charts.
const FIRST_LOAD_MAX: u64 = 200_000;

#[test]
fn the_first_load_is_small() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("console/dist");
    for door in ["console", "operator"] {
        let page = fs::read_to_string(dist.join(door).join("index.html")).expect("the pages are built: make pages");
        // Everything the page names is loaded at once: entry, its static imports, styles.
        let names: Vec<&str> =
            page.split('"').filter(|word| word.starts_with("/assets/") || word.starts_with("./assets/")).collect();
        assert!(names.len() >= 2, "{door}: a script and a style, not {names:?}");
        let size = |name: &&str| {
            let file = dist.join(door).join(name.trim_start_matches(['.', '/'])).display().to_string() + ".gz";
            fs::metadata(&file).unwrap_or_else(|error| panic!("{file}: {error}")).len()
        };
        let first: u64 = names.iter().map(size).sum();
        assert!(first <= FIRST_LOAD_MAX, "{door}: {first} bytes of {names:?}");
    }
}

#[test]
fn the_console_door_has_nothing_of_the_operators() {
    let dist =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("console/dist/console/assets");
    let scripts = fs::read_dir(&dist).expect("the pages are built: make pages").flatten().map(|entry| entry.path());
    for script in scripts.filter(|path| path.extension().is_some_and(|end| end == "js")) {
        let text = fs::read_to_string(&script).expect("text");
        assert!(!text.contains("/api/v1/admin/"), "{} asks an operator's route", script.display());
    }
}
