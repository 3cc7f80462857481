//! Without root, without a GPU, and over HTTPS: the same journey under other circumstances.

use muster_tests::{
    Cli, Terminal, World, WorldOptions, eventually,
    flow::{Machine, in_state, launch, online, release},
    is_root,
};
use serde_json::json;
use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

fn login(world: &World, operator: bool, more: &[&str]) -> Cli {
    let (ready, cli) = (world.ready(), Cli::default());
    let (url, who) = if operator { (ready.operator_url, ready.operator) } else { (ready.console_url, ready.user) };
    let mut args = vec!["login", "--url", &url, "--username", &who.username, "--password-stdin"];
    args.extend(more);
    let _ = cli.run_with(&args, who.password.as_bytes()).ok();
    cli
}

/// A fresh key of this world; its private half's path.
fn add_key(world: &World, cli: &Cli) -> String {
    let key = world.dir().join("key").display().to_string();
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]).status();
    assert!(made.expect("ssh-keygen").success());
    let _ = cli.run(&["keys", "add", &format!("{key}.pub")]).ok();
    key
}

#[tokio::test]
async fn an_ordinary_user_has_a_whole_muster() {
    assert!(is_root(), "make test needs root, to become somebody else");
    let options = WorldOptions { user: Some("nobody"), isolation: Some("userns"), ..WorldOptions::default() };
    let world = World::with(options).await;
    let ready = world.ready();
    assert_eq!(ready.isolation, "userns");
    let owner = std::os::unix::fs::MetadataExt::uid(
        &std::fs::metadata(format!("/proc/{}", ready.pids.agents[0].pid)).expect("it runs"),
    );
    assert_ne!(owner, 0, "the agent does not run as root");
    let (user, operator, cli) = (world.user().await, world.operator().await, login(&world, false, &[]));
    let key = add_key(&world, &cli);
    let accepted = user.post("/api/v1/allocations", json!({"sku": "h100", "name": "small"})).await.ok();
    let id = accepted["allocation_ids"][0].as_str().expect("an id").to_owned();
    let active = in_state(&user, &id, &["active"]).await;
    // What an unprivileged agent cannot wall off, it says.
    assert_eq!(active["isolation"], "userns", "{active:#}");
    assert!(active["not_enforced"].as_array().is_some_and(|words| !words.is_empty()), "{active:#}");
    let node = online(&operator, &world.node(0)).await;
    assert_eq!(node["isolation"], "userns", "{node:#}");

    let mut terminal = Terminal::open(&user, &id).await;
    assert_eq!(terminal.run("id -un; ls -d /dev/nvidia[0-9]* | wc -l").await, "muster\n1");
    // The files of the devices belong to the same user, and are not the cell's to write to.
    assert_eq!(terminal.run("chmod u+w /dev/nvidia[0-9]* 2>/dev/null || echo refused").await, "refused");
    let used = "simgpu-use --memory 2GiB --seconds 1000 | grep -m1 . >~/up & \
                until [ -s ~/up ]; do :; done; simgpu-smi | grep -c ' 2048 MiB'";
    assert!(terminal.run(used).await.lines().any(|line| line == "1"));
    let ran = cli.run(&["exec", &id, "--", "sh", "-c", "id -un; exit 6"]);
    assert_eq!((ran.code, ran.out.as_str()), (6, "muster\n"), "{}", ran.err);
    let shell = cli.run(&["ssh", &id, "--", "-i", &key, "-o", "BatchMode=yes", "hostname"]);
    assert_eq!((shell.code, shell.out.as_str()), (0, "small\n"), "{}", shell.err);
    let receipt = release(&user, &operator, &id).await;
    assert_eq!(receipt["after"]["clean"], true, "{receipt:#}");

    // What does not hold is said wherever people look.
    let weaker = "userns, not enforced: CPU, memory, processes, disk";
    eventually("the demo says it", async || world.said().contains(weaker).then_some(())).await;
    let launched = cli.run(&["launch", "--sku", "h100", "--no-ssh", "--name", "weak", "--wait"]);
    assert!(launched.code == 0 && launched.err.contains(weaker), "{}", launched.err);
    let shown = cli.run(&["allocations", "show", "weak"]).ok();
    assert!(shown.contains(weaker), "{shown}");
    let shown = login(&world, true, &["--operator"]).run(&["nodes", "show", &world.node(0)]).ok();
    assert!(shown.contains(weaker), "{shown}");
}

#[tokio::test]
async fn without_walls_ssh_logs_in_as_the_account_of_the_agent() {
    assert!(is_root(), "make test needs root");
    let world = World::with(WorldOptions { isolation: Some("none"), ..WorldOptions::default() }).await;
    let (user, cli) = (world.user().await, login(&world, false, &[]));
    let key = add_key(&world, &cli);
    let accepted = user.post("/api/v1/allocations", json!({"sku": "h100", "name": "bare"})).await.ok();
    let id = accepted["allocation_ids"][0].as_str().expect("an id").to_owned();
    let active = in_state(&user, &id, &["active"]).await;
    assert_eq!((&active["isolation"], &active["ssh"]["user"]), (&json!("none"), &json!("root")), "{active:#}");

    let launched = cli.run(&["launch", "--sku", "h100", "--wait"]);
    eventually("the demo says it", async || world.said().contains("none: NO WALLS").then_some(())).await;
    for said in [launched.err, cli.run(&["allocations", "show", &id]).ok()] {
        assert!(said.contains("none: NO WALLS"), "{said}");
    }
    let shell = cli.run(&["ssh", &id, "--", "-i", &key, "-o", "BatchMode=yes", "id -un; exit 3"]);
    assert_eq!((shell.code, shell.out.as_str()), (3, "root\n"), "{}", shell.err);
    let line = active["ssh"]["command"].as_str().expect("a command");
    let line = line.replacen("ssh ", &format!("ssh -i {key} -o IdentitiesOnly=yes -o BatchMode=yes "), 1);
    let mut plain = Command::new("sh");
    let _ = plain.arg("-c").arg(format!("{line} id -un"));
    for (name, value) in cli.command(&[]).get_envs() {
        let _ = plain.env(name, value.expect("set"));
    }
    let output = plain.output().expect("sh starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "root\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_node_without_a_gpu_serves_cpu_slots() {
    let world = World::with_nodes(0).await;
    let (user, operator) = (world.user().await, world.operator().await);
    let token = operator.post("/api/v1/admin/bootstrap-tokens", json!({"auto_approve": true})).await.ok();
    let mut machine = Machine::default();
    machine.join(&world.ready().quic_addr, token["token"].as_str().expect("a token"));
    machine.run();
    let list = operator.get("/api/v1/admin/nodes").await.ok();
    let node = list["items"][0]["id"].as_str().expect("an id").to_owned();
    let _ = online(&operator, &node).await;
    let slots = format!("/api/v1/admin/nodes/{node}/slots");
    eventually("CPU slots are found", async || {
        let list = operator.get(&slots).await.ok();
        (list["items"].as_array().map(Vec::len) == Some(4)).then_some(())
    })
    .await;
    let _ = operator.post(&format!("{slots}:batch"), json!({"op": "approve", "all": true})).await.ok();
    let made = operator.post("/api/v1/admin/skus", json!({"name": "cpu", "kind": "cpu"})).await.ok();
    let activate = format!("/api/v1/admin/skus/{}/activate", made["id"].as_str().expect("an id"));
    let _ = operator.post(&activate, json!({})).await.ok();
    let allocation = launch(&user, json!({"sku": "cpu"})).await;
    let id = allocation["id"].as_str().expect("an id");
    assert_eq!(allocation["slots"][0]["gpu_uuid"], json!(null), "{allocation:#}");
    let mut terminal = Terminal::open(&user, id).await;
    assert_eq!(terminal.run("ls /dev/nvidia* 2>/dev/null | wc -l; echo works").await, "0\nworks");
    assert_eq!(release(&user, &operator, id).await["after"]["clean"], true);
}

#[tokio::test]
async fn a_password_that_is_typed_is_asked_for_and_not_shown() {
    let world = World::with_nodes(0).await;
    let (ready, cli) = (world.ready(), Cli::default());
    let login = cli.command(&[]);
    let mut script = Command::new("script");
    let line = format!(
        "{} login --url {} --username {} --password-stdin",
        login.get_program().display(),
        ready.console_url,
        ready.user.username
    );
    let _ = script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    for (name, value) in login.get_envs() {
        let _ = script.env(name, value.expect("set"));
    }
    let mut child = script.spawn().expect("script starts");
    let (mut screen, mut shown) = (child.stdout.take().expect("a pipe"), Vec::new());
    while !String::from_utf8_lossy(&shown).contains("Password of") {
        let mut piece = [0; 256];
        let count = screen.read(&mut piece).expect("a screen");
        assert!(count > 0, "it ends without a question: {}", String::from_utf8_lossy(&shown));
        shown.extend_from_slice(&piece[..count]);
    }
    let mut keys = child.stdin.take().expect("a pipe");
    keys.write_all(format!("{}\r", ready.user.password).as_bytes()).expect("typed");
    let _ = screen.read_to_end(&mut shown).expect("a screen");
    let shown = String::from_utf8_lossy(&shown);
    assert!(child.wait().expect("it ends").success() && !shown.contains(&ready.user.password), "{shown}");
    assert!(cli.run(&["whoami"]).ok().contains(&ready.user.username));
}

#[tokio::test]
async fn everything_works_over_https() {
    let world = World::with(WorldOptions { tls: true, ..WorldOptions::default() }).await;
    let ready = world.ready();
    assert!(ready.console_url.starts_with("https://") && ready.operator_url.starts_with("https://"), "{ready:?}");
    let ca = ready.ca_file.display().to_string();
    // Without the CA nobody is believed, and nothing is sent.
    let (who, untold) = (&ready.user, Cli::default());
    let args = ["login", "--url", &ready.console_url, "--username", &who.username, "--password-stdin"];
    let refused = untold.run_with(&args, who.password.as_bytes());
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("--ca FILE") && refused.err.contains("keys/ca.pem"), "{}", refused.err);
    let nowhere = untold.run(&[&args[..], &["--ca", "/nowhere/ca.pem"]].concat());
    assert!(nowhere.code == 1 && nowhere.err.contains("/nowhere/ca.pem"), "{}", nowhere.err);

    let cli = login(&world, false, &["--ca", &ca]);
    let operator = login(&world, true, &["--operator", "--ca", &ca]);
    assert_eq!(operator.json(&["nodes", "list"])["items"].as_array().map(Vec::len), Some(1));
    let key = add_key(&world, &cli);
    let _ = cli.run(&["launch", "--sku", "h100", "--name", "far", "--wait"]).ok();
    let ran = cli.run_with(&["exec", "far", "--", "sh", "-c", "cat; exit 3"], b"over wss\n");
    assert_eq!((ran.code, ran.out.as_str()), (3, "over wss\n"), "{}", ran.err);
    let shell = cli.run(&["ssh", "far", "--", "-i", &key, "-o", "BatchMode=yes", "hostname"]);
    assert_eq!((shell.code, shell.out.as_str()), (0, "far\n"), "{}", shell.err);
    // A terminal wants one: script(1) gives it a tty.
    let terminal = cli.command(&[]);
    let mut script = Command::new("script");
    let _ = script.args(["-qec", &format!("{} terminal far", terminal.get_program().display()), "/dev/null"]);
    for (name, value) in terminal.get_envs() {
        let _ = script.env(name, value.expect("set"));
    }
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script starts");
    child.stdin.as_mut().expect("a pipe").write_all(b"echo $((6*7)) is it; exit 9\n").expect("typed");
    let output = child.wait_with_output().expect("output");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("42 is it"), "{text}");
    assert_eq!(output.status.code(), Some(9), "{text}");
    let _ = cli.run(&["release", "far"]).ok();
}
