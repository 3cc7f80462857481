//! A real browser: Playwright scripts of `tests/browser` on Chromium, against a real world.

use crate::World;
use std::{path::Path, process::Stdio, time::Duration};
use tokio::process::Command;

/// How long a script may take: it waits for conditions, each with a shorter end of its own.
const SCRIPT_WITHIN: Duration = Duration::from_secs(600);

/// Runs `tests/browser/<script>.mjs` with the world's ready file, and shows what it said if it fails.
///
/// # Panics
/// If the pages are not built, Node or Chromium is missing, or the script ends with anything but 0.
pub async fn browse(world: &World, script: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    assert!(
        root.join("console/dist/console/index.html").exists() && root.join("console/node_modules").exists(),
        "the console is not built: run `make pages` (needs Node 20.19 or newer)"
    );
    let run = Command::new("node")
        .arg(root.join("tests/browser").join(format!("{script}.mjs")))
        .arg(world.dir().join("ready.json"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(SCRIPT_WITHIN, run).await.expect("the script ends in time").expect("node starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{script}: {}\n{said}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    eprintln!("{said}");
}
