//! SSH into a cell of a node without a public address, and commands that run and release themselves.

use muster_tests::{
    Cli, World,
    flow::{in_state, launch, receipt},
    signal,
};
use serde_json::json;
use std::{
    io::Read,
    process::{Command, Stdio},
};

fn user_cli(world: &World) -> Cli {
    let ready = world.ready();
    Cli::login(&ready.console_url, &ready.user.username, &ready.user.password, false)
}

#[tokio::test]
async fn a_plain_ssh_line_lands_in_the_cell() {
    let world = World::start().await;
    let (user, cli) = (world.user().await, user_cli(&world));
    let key = world.dir().join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.expect("ssh-keygen").success());
    let _ = cli.run(&["keys", "add", &format!("{}.pub", key.display())]).ok();
    let accepted = user.post("/api/v1/allocations", json!({"sku": "h100", "name": "box"})).await.ok();
    let id = accepted["allocation_ids"][0].as_str().expect("an id");
    let allocation = in_state(&user, id, &["active"]).await;
    assert!(
        allocation["ssh"]["host_key"].as_str().is_some_and(|key| key.starts_with("ssh-ed25519 ")),
        "{allocation:#}"
    );

    let line = allocation["ssh"]["command"].as_str().expect("a command");
    assert!(line.starts_with("ssh "), "{line}");
    let line = line.replacen("ssh ", &format!("ssh -i {} -o IdentitiesOnly=yes -o BatchMode=yes ", key.display()), 1);
    let path = cli.command(&[]);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{line} 'id -un; hostname; exit 3'"));
    for (name, value) in path.get_envs() {
        shell.env(name, value.expect("set"));
    }
    let output = shell.output().expect("sh starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((out.as_ref(), output.status.code()), ("muster\nbox\n", Some(3)), "{err}");

    let via_cli = cli.run(&["ssh", id, "--", "-i", &key.display().to_string(), "id", "-un"]);
    assert_eq!((via_cli.code, via_cli.out.as_str()), (0, "muster\n"), "{}", via_cli.err);

    // A pipe whose near end closes first still brings what the far end says.
    let pipe = cli.run_with(&["ssh", "--stdio", id], b"SSH-2.0-nobody\r\n");
    assert!(pipe.out.starts_with("SSH-2.0-") && pipe.code == 0 && pipe.err.is_empty(), "{pipe:?}");
}

#[tokio::test]
async fn without_a_key_a_launch_says_so() {
    let world = World::start().await;
    let stranger = world.stranger().await;
    let refused = stranger.post("/api/v1/allocations", json!({"sku": "h100"})).await;
    refused.refused(409, "ssh_key_missing");
    let list = stranger.get("/api/v1/allocations").await.ok();
    assert_eq!(list["items"], json!([]));
    let id = launch(&stranger, json!({"sku": "h100", "ssh_key_ids": []})).await["id"].clone();
    let path = format!("/api/v1/allocations/{}/tunnel-token", id.as_str().expect("an id"));
    stranger.post(&path, json!({"target": "ssh"})).await.refused(409, "no_ssh");
}

#[tokio::test]
async fn a_batch_allocation_runs_and_releases_itself() {
    let world = World::start().await;
    let (user, operator, cli) = (world.user().await, world.operator().await, user_cli(&world));
    let body = json!({"sku": "h100", "command": ["sh", "-c", "echo out $WHO; echo err >&2; exit 5"], "env": {"WHO": "me"}, "release_on_exit": true});
    let accepted = user.post("/api/v1/allocations", body).await.ok();
    let id = accepted["allocation_ids"][0].as_str().expect("an id");
    let done = in_state(&user, id, &["released"]).await;
    assert_eq!(done["exit_code"], 5, "{done:#}");
    assert_eq!(receipt(&operator, id).await["after"]["clean"], true);
    let logs = cli.run(&["logs", id]).ok();
    assert!(logs.contains("out me") && logs.contains("err"), "{logs}");
    let document = cli.run(&["logs", id, "--json"]);
    assert!(document.code == 1 && document.out.is_empty() && document.err.contains("--json"), "{document:?}");
}

#[tokio::test]
async fn a_log_is_followed_over_deaths_without_gap_or_repeat() {
    const LINES: u32 = 100;
    let world = World::start().await;
    let (user, cli) = (world.user().await, user_cli(&world));
    let script = format!("for i in $(seq {LINES}); do echo line $i; sleep 0.1; done");
    let body = json!({"sku": "h100", "command": ["sh", "-c", script]});
    let id = launch(&user, body).await["id"].as_str().expect("an id").to_owned();
    let mut follow = cli.command(&["logs", "--follow", &id]);
    let mut follower = follow.stdout(Stdio::piped()).spawn().expect("muster logs");
    let mut output = follower.stdout.take().expect("a pipe");
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).map(|_| text)
    });
    let path = format!("/api/v1/allocations/{id}/logs");
    let printed = async |line: u32| {
        let wanted = format!("line {line}\n");
        let seen = async || user.get(&path).await.text.contains(&wanted).then_some(());
        muster_tests::eventually(&wanted, seen).await;
    };
    printed(10).await;
    let agent = world.ready().pids.agents[0].clone();
    signal(agent.pid, nix::sys::signal::Signal::SIGKILL);
    printed(40).await;
    world.crash().await;
    let status = follower.wait().expect("it ends");
    let text = read.join().expect("read").expect("UTF-8");
    assert!(status.success(), "{status}");
    let whole: String = (1..=LINES).map(|line| format!("line {line}\n")).collect();
    assert_eq!(text, whole);

    let last = whole.len() - 9;
    let rest = user.get(&format!("{path}?from={last}")).await;
    assert_eq!(rest.text, "line 100\n");
    assert_eq!(rest.headers["muster-log-offset"], last.to_string());
}

#[tokio::test]
async fn exec_keeps_streams_apart_and_gives_the_code() {
    let world = World::start().await;
    let (user, cli) = (world.user().await, user_cli(&world));
    let id = launch(&user, json!({"sku": "h100", "name": "runner"})).await["id"].as_str().expect("an id").to_owned();
    let output = cli.run_with(&["exec", &id, "--", "sh", "-c", "cat; echo oops >&2; exit 9"], b"through\n");
    assert_eq!((output.code, output.out.as_str()), (9, "through\n"), "{}", output.err);
    assert!(output.err.contains("oops"), "{}", output.err);
    let listed = cli.run(&["exec", "runner", "--", "simgpu-smi"]).ok();
    assert_eq!(listed.matches("NVIDIA H100").count(), 1, "{listed}");
    assert_eq!(cli.run(&["exec", "al_00000000000000000000000000", "--", "true"]).code, 255);
}
