//! A coordinator that lost its memory, and what a backup brings back: nothing that runs is ended, and nothing that was
//! ended since comes back.

use muster_tests::{
    Agent, Api, Terminal, World, WorldOptions, binary, eventually,
    flow::{cell_pids, in_state, launch, online, receipt, release},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

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

#[tokio::test]
async fn a_restored_coordinator_ends_no_cell() {
    let mut world = World::start().await;
    world.kill_demo().await;
    world.keep_database();
    world.start_again(&WorldOptions::default()).await;
    let user = world.user().await;
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let mut terminal = Terminal::open(&user, &id).await;
    assert_eq!(terminal.run("x=1; echo up").await, "up");
    let pids = cell_pids(&id);
    assert_eq!(pids.len(), 1);

    // Put back as it was before the launch: its document is older than the node's, and says nothing of the cell.
    world.kill_demo().await;
    assert_eq!(cell_pids(&id), pids, "the end of agent and coordinator ends no cell");
    world.put_back_database();
    world.start_again(&WorldOptions::default()).await;
    let agent = world.ready().pids.agents[0].clone();
    let _ = online(&world.operator().await, &agent.node_id).await;
    unclaimed(&agent, &id, true).await;
    assert_eq!(cell_pids(&id), pids, "an older document ends no cell");

    // With a higher epoch: the node takes the empty document, keeps the cell and names it.
    world.kill_demo().await;
    world.put_back_database();
    world.sql("UPDATE settings SET value = '2' WHERE name = 'fleet_epoch'; DELETE FROM desired_documents");
    world.start_again(&WorldOptions::default()).await;
    let agent = world.ready().pids.agents[0].clone();
    unclaimed(&agent, &id, true).await;
    assert_eq!(cell_pids(&id), pids, "an empty document ends no cell");
    let log = fs::read_to_string(world.dir().join("demo/logs/coordinator.log")).expect("a log");
    assert!(log.contains(&id) && log.contains("does not name"), "the coordinator says so, too");
}

#[tokio::test]
async fn a_database_that_went_back_by_itself_revives_nothing_and_sells_nothing_twice() {
    let mut world = World::start().await;
    let old = launched(&world.user().await, "h100").await;
    world.kill_demo().await;
    world.keep_database();
    world.start_again(&WorldOptions::default()).await;
    let (user, operator) = (world.user().await, world.operator().await);
    let _ = online(&operator, &world.node(0)).await;
    let _ = release(&user, &operator, &old).await;
    let new = launched(&user, "h100").await;

    world.kill_demo().await;
    world.put_back_database();
    world.start_again(&WorldOptions::default()).await;
    let (user, operator, agent) = (world.user().await, world.operator().await, world.ready().pids.agents[0].clone());
    node_is(&operator, &agent.node_id, "scheduling", "cordoned").await;
    let trail = operator.get("/api/v1/admin/audit-logs?action=nodes.database_older").await.ok();
    assert_eq!(trail["items"][0]["target"], agent.node_id.as_str(), "{trail:#}");
    unclaimed(&agent, &new, true).await;
    let over = in_state(&user, &old, &["failed"]).await;
    assert_eq!(over["failure_reason"]["code"], "not_found_after_restore");
    assert_eq!((cell_pids(&old).len(), cell_pids(&new).len()), (0, 1));
    let refused = user.post("/api/v1/allocations", json!({"sku": "h100", "ssh_key_ids": []})).await;
    assert_eq!(refused.status, 409, "{}", refused.text);

    // An operator ends what nobody stands behind, and opens the node: it takes documents as any other.
    let cell = format!("/api/v1/admin/nodes/{}/cells/{new}/end", agent.node_id);
    assert_eq!(operator.post(&cell, json!({"reason": "nobody's"})).await.status, 202);
    eventually("the cell has ended", async || cell_pids(&new).is_empty().then_some(())).await;
    let _ = operator.post(&format!("/api/v1/admin/nodes/{}/uncordon", agent.node_id), json!({})).await;
    let id = launched(&user, "h100").await;
    let _ = release(&user, &operator, &id).await;
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// What a command said, when it succeeded or when it failed, as is wanted.
fn said(output: &Output, wanted: bool) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), wanted, "{text}");
    text
}

fn back_up(world: &World, name: &str) -> PathBuf {
    let file = world.dir().join(name);
    let _ = said(&world.coordinator(&["backup", "--data-dir", text(&world.data_dir()), "--to", text(&file)]), true);
    file
}

fn restore(world: &World, file: &Path, more: &[&str]) -> Output {
    let dir = world.data_dir();
    let mut args = vec!["restore", "--data-dir", text(&dir), "--from", text(file)];
    args.extend(more);
    world.coordinator(&args)
}

async fn launched(api: &Api, sku: &str) -> String {
    launch(api, json!({"sku": sku})).await["id"].as_str().expect("an id").to_owned()
}

async fn node(operator: &Api, id: &str) -> Value {
    operator.get(&format!("/api/v1/admin/nodes/{id}")).await.ok()
}

/// Waits until the coordinator says this of a node.
async fn node_is(operator: &Api, id: &str, field: &str, wanted: &str) {
    eventually(&format!("{id}: {field} is {wanted}"), async || {
        (node(operator, id).await[field] == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_restore_revives_nothing_and_ends_nothing() {
    let world = World::with_nodes(2).await;
    let [first, second] = [0, 1].map(|at| world.ready().pids.agents[at].node_id.clone());
    let (user, operator) = (world.user().await, world.operator().await);
    let stays = launched(&user, "h100").await;
    let goes = launched(&user, "h100").await;
    let mut terminal = Terminal::open(&user, &stays).await;
    assert_eq!(terminal.run("echo kept > ~/file; echo done").await, "done");
    let file = back_up(&world, "backup");
    // What the backup does not know.
    let _ = release(&user, &operator, &goes).await;
    let later = launched(&user, "h100").await;
    let _ = operator.post(&format!("/api/v1/admin/nodes/{second}/revoke"), json!({})).await.ok();
    node_is(&operator, &second, "presence", "offline").await;
    let pids = [cell_pids(&stays), cell_pids(&later)];

    world
        .without_coordinator(|world| {
            world.lose_coordinator();
            let words = said(&restore(world, &file, &[]), true);
            assert!(words.contains("approve"), "{words}");
        })
        .await;
    let old = user.get("/api/v1/me").await;
    assert_eq!(old.status, 401, "sign-ins end with a restore");
    let (user, operator) = (world.user().await, world.operator().await);
    for id in [&first, &second] {
        assert_eq!(node(&operator, id).await["state"], "pending_approval");
    }
    let _ = operator.post(&format!("/api/v1/admin/nodes/{first}/approve"), json!({})).await.ok();
    let _ = online(&operator, &first).await;

    // What was there and is there is there again; what was released stays released.
    let mut terminal = Terminal::open(&user, &stays).await;
    assert_eq!(terminal.run("cat ~/file").await, "kept");
    let gone = eventually("the released allocation is over", async || {
        let now = user.get(&format!("/api/v1/allocations/{goes}")).await.ok();
        (now["state"] == "failed").then_some(now)
    })
    .await;
    assert_eq!(gone["failure_reason"]["code"], "not_found_after_restore", "{gone:#}");
    let _ = receipt(&operator, &goes).await;
    assert!(cell_pids(&goes).is_empty(), "what was released does not come back");
    // What came later is kept, and keeps new work away until an operator has looked.
    let agent = world.ready().pids.agents[0].clone();
    unclaimed(&agent, &later, true).await;
    unclaimed(&agent, &stays, false).await;
    node_is(&operator, &first, "scheduling", "cordoned").await;
    assert_eq!([cell_pids(&stays), cell_pids(&later)], pids, "nothing that runs is ended");
    let ended = operator.post(&format!("/api/v1/admin/nodes/{first}/cells/{later}/end"), json!({})).await;
    assert_eq!(ended.status, 202, "{}", ended.text);
    let _ = receipt(&operator, &later).await;
    let _ = operator.post(&format!("/api/v1/admin/nodes/{first}/uncordon"), json!({})).await.ok();
    let again = launched(&user, "h100").await;
    let _ = release(&user, &operator, &again).await;
    // Nobody approved the node that was revoked.
    let held = node(&operator, &second).await;
    assert!(held["state"] == "pending_approval" && held["presence"] != "online", "{held:#}");
}

#[tokio::test]
async fn an_operator_may_trust_the_nodes_and_name_the_revoked() {
    let world = World::with_nodes(2).await;
    let [first, second] = [0, 1].map(|at| world.ready().pids.agents[at].node_id.clone());
    let user = world.user().await;
    let id = launched(&user, "h100").await;
    let file = back_up(&world, "backup");
    world
        .without_coordinator(|world| {
            world.lose_coordinator();
            let _ = said(&restore(world, &file, &["--trust-nodes", "--revoked", &second]), true);
        })
        .await;
    let (user, operator) = (world.user().await, world.operator().await);
    let _ = online(&operator, &first).await;
    assert_eq!(Terminal::open(&user, &id).await.run("echo here").await, "here");
    eventually("the other agent says that it was revoked", async || {
        let log = fs::read_to_string(world.dir().join("demo/logs").join(agent_log(&world))).ok()?;
        log.contains("revoked").then_some(())
    })
    .await;
    assert_ne!(node(&operator, &second).await["presence"], "online");
    // A second restore of the same file is newer than the first, for the nodes, too.
    world
        .without_coordinator(|world| {
            world.lose_coordinator();
            let _ = said(&restore(world, &file, &["--trust-nodes"]), true);
        })
        .await;
    let (user, operator) = (world.user().await, world.operator().await);
    let _ = online(&operator, &first).await;
    assert_eq!(Terminal::open(&user, &id).await.run("echo here").await, "here");
    let released = release(&user, &operator, &id).await;
    assert_eq!(released["outcome"], "success", "{released:#}");
}

fn agent_log(world: &World) -> String {
    format!("agent-{}.log", world.ready().pids.agents[1].name)
}

#[tokio::test]
async fn a_backup_fits_either_engine_and_overwrites_nothing() {
    let world = World::start().await;
    let id = launched(&world.user().await, "h100").await;
    let file = back_up(&world, "backup");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let again = world.coordinator(&["backup", "--data-dir", text(&world.data_dir()), "--to", text(&file)]);
    assert!(said(&again, false).contains("exists already"));
    assert!(said(&restore(&world, &file, &[]), false).contains("exists already"), "it is in use");

    // Into a file and from there into another, whatever the engine was.
    let place = |name: &str| world.dir().join(name);
    let run = |args: &[&str]| {
        let mut command = Command::new(binary("muster-coordinator"));
        command.args(args).env_remove("MUSTER_DATABASE").env_remove("MUSTER_DATA_DIR").output().expect("starts")
    };
    let (one, two, copy) = (place("one"), place("two"), place("copy"));
    let _ = said(&run(&["restore", "--data-dir", text(&one), "--from", text(&file)]), true);
    let _ = said(&run(&["backup", "--data-dir", text(&one), "--to", text(&copy)]), true);
    let (before, after) = (fs::read_to_string(&file).expect("text"), fs::read_to_string(&copy).expect("text"));
    assert!(before.contains(&id) && after.contains(&id));
    let kept = |text: &str| -> Vec<String> {
        let same = ["{\"columns\"", "{\"bytes\"", "[\"sk_", "[\"us_", "[\"pj_"];
        text.lines().filter(|line| same.iter().any(|start| line.starts_with(start))).map(str::to_owned).collect()
    };
    assert!(kept(&before).len() > 25 && kept(&before) == kept(&after), "rows and keys are the same");

    let mut bytes = before.into_bytes();
    let middle = bytes.len() / 2;
    bytes.truncate(middle);
    fs::write(place("half"), bytes).expect("a file");
    let refused = said(&run(&["restore", "--data-dir", text(&two), "--from", text(&place("half"))]), false);
    assert!(refused.contains("damaged or cut off") && !two.exists(), "{refused}");
    let refused = said(&run(&["backup", "--data-dir", text(&two), "--to", text(&place("none"))]), false);
    assert!(refused.contains("init") && !place("none").exists(), "{refused}");
}
