//! Terminals: what is typed arrives, what is printed is seen, and nothing of either is lost or doubled.

use muster_tests::{
    Message, Terminal, World, eventually,
    flow::{cell_pids, in_state, launch, online},
    signal,
};
use nix::sys::signal::Signal;
use serde_json::json;

async fn allocation(user: &muster_tests::Api) -> String {
    launch(user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_shell_answers_resizes_and_exits() {
    let world = World::start().await;
    let user = world.user().await;
    let id = allocation(&user).await;
    let mut terminal = Terminal::open(&user, &id).await;
    assert_eq!(terminal.run("echo $((6*7))").await, "42");
    terminal.control(json!({"t": "resize", "cols": 132, "rows": 50})).await;
    assert_eq!(terminal.run("stty size").await, "50 132");
    terminal.type_in("exit 7\n").await;
    assert_eq!(terminal.end().await, (Some(7), 1000));
}

#[tokio::test]
async fn a_cell_that_is_killed_is_named_at_its_terminal() {
    let world = World::start().await;
    let user = world.user().await;
    let id = allocation(&user).await;
    let mut terminal = Terminal::open(&user, &id).await;
    assert_eq!(terminal.run("echo up").await, "up");
    cell_pids(&id).into_iter().for_each(|pid| signal(pid, Signal::SIGKILL));
    assert_eq!(terminal.end().await, (None, 4404));
    let error = terminal.controls.iter().find(|control| control["t"] == "error").expect("a reason");
    assert_eq!(error["code"], "cell_ended");
    let over = in_state(&user, &id, &["failed"]).await;
    assert_eq!(over["failure_reason"]["code"], "cell_ended");
}

#[tokio::test]
async fn a_terminal_says_that_its_agent_is_frozen_and_comes_back() {
    let world = World::start().await;
    let user = world.user().await;
    let id = allocation(&user).await;
    let mut terminal = Terminal::open(&user, &id).await;
    assert_eq!(terminal.run("x=kept; echo up").await, "up");
    let agent = world.ready().pids.agents[0].pid;
    signal(agent, Signal::SIGSTOP);
    // The link itself would stand for longer: nothing else says so.
    assert_eq!(terminal.end().await, (None, 4408));
    let error = terminal.controls.iter().find(|control| control["t"] == "error").expect("a reason");
    assert_eq!(error["code"], "node_timeout");
    signal(agent, Signal::SIGCONT);
    let _ = online(&world.operator().await, &world.node(0)).await;
    let mut back = terminal.again(&user, &id).await;
    assert_eq!(back.run("echo $x").await, "kept");
}

#[tokio::test]
async fn tokens_are_used_once_and_never_in_the_address() {
    let world = World::start().await;
    let user = world.user().await;
    let id = allocation(&user).await;
    let path = format!("/api/v1/allocations/{id}/terminal-token");
    let token = user.post(&path, json!({})).await.ok()["token"].as_str().expect("a token").to_owned();

    let in_query = user.get(&format!("/ws/terminal/{id}?token={token}")).await;
    assert_eq!(in_query.status, 400, "{}", in_query.text);
    let first = json!({"token": token});
    let mut good = Terminal::attach(&user, &id, first.clone()).await;
    good.type_in("echo he''re\n").await;
    good.until("here\r\n").await;
    assert_eq!(close_code(Terminal::try_attach(&user, &id, first).await), 4401);
    assert_eq!(close_code(Terminal::try_attach(&user, &id, json!({"token": "garbage"})).await), 4401);
    assert_eq!(close_code(Terminal::try_attach(&user, &id, json!({"t": "ping"})).await), 4400);

    let stranger = world.stranger().await;
    stranger.post(&path, json!({})).await.refused(404, "not_found");
}

fn close_code(end: Result<Terminal, Message>) -> u16 {
    match end.map(|terminal| terminal.ready) {
        Err(Message::Closed(code)) => code,
        Err(Message::Control(error)) if error["t"] == "error" => u16::MAX,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_cut_link_loses_nothing() {
    let world = World::start().await;
    let user = world.user().await;
    let id = allocation(&user).await;
    let mut terminal = Terminal::open(&user, &id).await;
    terminal.type_in("for i in $(seq 1 20000); do echo line $i; done; echo all done\n").await;
    terminal.until("line 300\r\n").await;
    let mut seen = terminal.output.clone();
    let back = terminal.again(&user, &id);
    let mut terminal = back.await;
    assert_eq!(terminal.ready["resumed"], true);
    terminal.until("all done\r\n").await;
    seen.extend_from_slice(&terminal.output);
    assert_numbered(&seen, 20_000);
}

/// Lines 1 to n, each once and in order.
fn assert_numbered(output: &[u8], n: usize) {
    let text = String::from_utf8_lossy(output).replace('\r', "");
    let numbers: Vec<usize> = text.lines().filter_map(|line| line.strip_prefix("line ")?.parse().ok()).collect();
    assert_eq!(numbers.len(), n, "lost or doubled lines");
    assert!(numbers.iter().enumerate().all(|(at, number)| *number == at + 1), "out of order");
}

#[tokio::test]
async fn agent_and_coordinator_may_die_under_a_terminal() {
    let world = World::start().await;
    let user = world.user().await;
    let id = allocation(&user).await;
    let mut terminal = Terminal::open(&user, &id).await;
    terminal
        .type_in("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; sleep 0.002; done; echo all done\n")
        .await;
    terminal.until("line 100\r\n").await;
    let mut seen = std::mem::take(&mut terminal.output);

    let agent = world.ready().pids.agents[0].clone();
    signal(agent.pid, Signal::SIGKILL);
    agent.root_pid.into_iter().for_each(|pid| signal(pid, Signal::SIGKILL));
    let mut terminal = come_back(&world, &user, &id, terminal, &mut seen).await;
    terminal.until("line 1500\r\n").await;
    seen.append(&mut terminal.output);

    signal(world.ready().pids.coordinator, Signal::SIGKILL);
    let mut terminal = come_back(&world, &user, &id, terminal, &mut seen).await;
    terminal.until("all done\r\n").await;
    seen.append(&mut terminal.output);
    assert_numbered(&seen, 3000);
    let _ = in_state(&user, &id, &["active"]).await;
}

/// Reads what still comes, then attaches again as soon as that works.
async fn come_back(
    world: &World,
    user: &muster_tests::Api,
    id: &str,
    mut old: Terminal,
    seen: &mut Vec<u8>,
) -> Terminal {
    let _ = old.end().await;
    seen.append(&mut old.output);
    let more = json!({"session_id": old.ready["session_id"], "after": old.offset});
    let _ = world;
    eventually("the terminal is back", async || {
        let path = format!("/api/v1/allocations/{id}/terminal-token");
        let key = muster_tests::fresh_key();
        let headers = [("idempotency-key", key.as_str())];
        let minted = user.try_send(reqwest::Method::POST, &path, &headers, Some("{}".into())).await.ok()?;
        if !minted.status.is_success() {
            return None;
        }
        let mut first = more.clone();
        first["token"] = minted.body["token"].clone();
        Terminal::try_attach(user, id, first).await.ok()
    })
    .await
}

#[tokio::test]
async fn typed_input_is_never_doubled() {
    let world = World::start().await;
    let user = world.user().await;
    let id = allocation(&user).await;
    let mut terminal = Terminal::open(&user, &id).await;
    terminal.type_in("cat > got; echo saved\n").await;
    let lines: String = (0..5000).map(|n| format!("typed {n}\n")).collect();
    let before = terminal.sent;
    terminal.type_in(&lines[..20_000]).await;
    let mut terminal = terminal.again(&user, &id).await;
    let resend = usize::try_from(terminal.sent - before).expect("small");
    terminal.type_in(&lines[resend..]).await;
    terminal.type_in([4]).await;
    terminal.until("saved").await;
    let sum = terminal.run("wc -l < got; grep -c 'typed 4999' got; sort -u got | wc -l").await;
    assert_eq!(sum, "5000\n1\n5000");
}

#[tokio::test]
async fn a_large_paste_that_comes_straight_back_does_not_stall() {
    const PASTE: usize = 900_000;
    const ACK_EVERY: u64 = 64 << 10;
    let world = World::start().await;
    let user = world.user().await;
    let id = allocation(&user).await;
    let mut terminal = Terminal::open(&user, &id).await;
    terminal.type_in(format!("stty raw -echo; echo go; head -c {PASTE}; echo over\n")).await;
    terminal.until("go").await;
    // From the first acknowledgement on, output waits for the next ones, which stand behind the paste.
    terminal.control(json!({"t": "ack", "output": terminal.offset})).await;
    let mut acked = terminal.offset;
    terminal.type_in(vec![b'x'; PASTE]).await;
    while !terminal.output.ends_with(b"over\n") {
        let Message::Output(_) = terminal.next().await else { continue };
        if terminal.offset - acked >= ACK_EVERY {
            acked = terminal.offset;
            terminal.control(json!({"t": "ack", "output": acked})).await;
        }
    }
    assert_eq!(terminal.output.iter().filter(|byte| **byte == b'x').count(), PASTE);
}
