//! Streams that are larger or slower than what is between them: nothing is lost, nothing is hoarded, and who does
//! not read costs nobody but himself.

use muster_tests::{
    Terminal, World, eventually,
    flow::{launch, online},
};
use serde_json::json;
use sha2::{Digest, Sha256};

const PASTE: usize = 16 << 20;
const PIECE: usize = 64 << 10;

/// A field of `/proc/PID/status` in KiB.
fn memory(pid: i32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
    line.trim_start_matches(':').split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
}

#[tokio::test]
async fn a_paste_of_sixteen_mebibytes_arrives_whole_at_a_slow_reader() {
    let world = World::start().await;
    let user = world.user().await;
    let launched = launch(&user, json!({"sku": "h100"})).await;
    let mut terminal = Terminal::open(&user, launched["id"].as_str().expect("an id")).await;
    let pids = world.ready().pids;
    let carriers = [pids.coordinator, pids.agents[0].pid];
    let before: Vec<_> = carriers.iter().map(|pid| memory(*pid, "VmHWM")).collect();
    terminal.type_in("stty raw -echo; echo go\n").await;
    let _ = terminal.until("go").await;
    let pieces = PASTE / (1 << 18);
    terminal
        .type_in(format!(
            "for i in $(seq {pieces}); do head -c 262144; sleep 0.02; done | sha256sum; stty sane -echo; echo over\n"
        ))
        .await;
    let paste: Vec<u8> = (0..PASTE).map(|n| (n % 251) as u8).collect();
    for piece in paste.chunks(PIECE) {
        terminal.type_in(piece).await;
    }
    let text = terminal.until("over").await;
    let digest: String = Sha256::digest(&paste).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(text.contains(&digest), "{text}");
    for (pid, before) in carriers.into_iter().zip(before) {
        let grown = memory(pid, "VmHWM") - before;
        assert!(grown < PASTE as u64 / 2 / 1024, "process {pid} grew by {grown} KiB: it hoards the paste");
    }
}

#[tokio::test]
async fn two_hundred_viewers_who_do_not_read_starve_nobody() {
    let world = World::start().await;
    let (user, operator, node) = (world.user().await, world.operator().await, world.node(0));
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let launched = launch(&user, json!({"sku": "h100"})).await;
        let id = launched["id"].as_str().expect("an id").to_owned();
        for _ in 0..100 {
            let mut viewer = Terminal::attach(&user, &id, json!({"cols": 80, "rows": 24})).await;
            // One that counts what it took, and then takes nothing more.
            viewer.control(json!({"t": "ack", "output": 0})).await;
            viewer.type_in("head -c 2000000 /dev/zero | tr '\\0' x\n").await;
            stalled.push(viewer);
        }
    }
    // The control stream goes on beside them, and so does whoever reads.
    let launched = launch(&user, json!({"sku": "h100"})).await;
    let mut reader = Terminal::open(&user, launched["id"].as_str().expect("an id")).await;
    assert_eq!(reader.run("seq 20000 | tail -1").await, "20000");
    let mut last = online(&operator, &node).await["last_seen_at"].clone();
    for _ in 0..3 {
        last = eventually("its heartbeats go on", async || {
            let now = operator.get(&format!("/api/v1/admin/nodes/{node}")).await.ok();
            assert_eq!(now["presence"], "online");
            (now["last_seen_at"] != last).then(|| now["last_seen_at"].clone())
        })
        .await;
    }
    // Who begins to read again gets all of it.
    let mut viewer = stalled.pop().expect("one of them");
    let mut taken = 0;
    while viewer.output.iter().filter(|byte| **byte == b'x').count() < 2_000_000 {
        let _ = viewer.next().await;
        if viewer.offset - taken > PIECE as u64 {
            taken = viewer.offset;
            viewer.control(json!({"t": "ack", "output": taken})).await;
        }
    }
}
