//! A coordinator that lost its memory: documents that are older than a node's, or empty, end no cell.

use muster_tests::{
    Agent, Terminal, World, WorldOptions, binary, eventually,
    flow::{cell_pids, launch, online},
};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

/// What the node itself says of its cells.
fn status(agent: &Agent) -> Option<Value> {
    let mut command = Command::new(binary("muster-agent"));
    command.args(["status", "--json", "--state-dir"]).arg(&agent.state_dir);
    serde_json::from_slice(&command.output().expect("muster-agent starts").stdout).ok()
}

async fn unclaimed(agent: &Agent, allocation: &str, wanted: bool) {
    eventually(&format!("the node says unclaimed: {wanted}"), async || {
        let status = status(agent)?;
        assert!(!status["cells"].as_array()?.is_empty() || status["link"]["state"] != "up", "{status:#}");
        let cell = status["cells"].as_array()?.iter().find(|cell| cell["allocation"] == allocation)?.clone();
        (status["link"]["state"] == "up" && cell["unclaimed"] == wanted).then_some(())
    })
    .await;
}

fn put_back(backup: &Path, database: &Path) {
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", database.display()));
    }
    let _ = fs::copy(backup, database).expect("the backup");
}

#[tokio::test]
async fn a_restored_coordinator_ends_no_cell() {
    let mut world = World::start().await;
    let (database, backup) = (world.ready().data_dir.join("muster.db"), world.dir().join("backup.db"));
    let copy = Connection::open(&database).and_then(|db| db.execute("VACUUM INTO ?1", [backup.display().to_string()]));
    let _ = copy.expect("a backup");
    let user = world.user().await;
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let mut terminal = Terminal::open(&user, &id).await;
    assert_eq!(terminal.run("x=1; echo up").await, "up");
    let pids = cell_pids(&id);
    assert_eq!(pids.len(), 1);

    // Restored as it was before the launch: its document is older than the node's, and says nothing of the cell.
    world.kill_demo().await;
    assert_eq!(cell_pids(&id), pids, "the end of agent and coordinator ends no cell");
    put_back(&backup, &database);
    world.start_again(&WorldOptions::default()).await;
    let agent = world.ready().pids.agents[0].clone();
    let _ = online(&world.operator().await, &agent.node_id).await;
    unclaimed(&agent, &id, false).await;
    assert_eq!(cell_pids(&id), pids, "an older document ends no cell");

    // Restored properly, with a higher epoch: the node takes the empty document, keeps the cell and names it.
    world.kill_demo().await;
    put_back(&backup, &database);
    let db = Connection::open(&database).expect("the database");
    let raised = db.execute("UPDATE settings SET value = '2' WHERE name = 'fleet_epoch'", []);
    assert_eq!(raised.expect("the epoch"), 1);
    let touched = db.execute("DELETE FROM desired_documents", []);
    let _ = touched.expect("documents are made anew");
    db.close().expect("closed");
    world.start_again(&WorldOptions::default()).await;
    let agent = world.ready().pids.agents[0].clone();
    unclaimed(&agent, &id, true).await;
    assert_eq!(cell_pids(&id), pids, "an empty document ends no cell");
    let log = fs::read_to_string(world.dir().join("demo/logs/coordinator.log")).expect("a log");
    assert!(log.contains(&id) && log.contains("does not name"), "the coordinator says so, too");
}
