//! Viewers that stand still cost themselves and nobody else.

use crate::double::{Double, Link, an_allocation, many_cells, now_ms, soon};
use muster_agent::link::wire::FrameReader;
use muster_protocol::{
    Kind,
    frame::encode,
    ids::{AllocationId, SessionId},
    report::Phase,
    session::{SessionAttach, SessionExit},
};
use quinn::{RecvStream, SendStream};
use std::time::{Duration, Instant};

/// Cells, and sessions in each of them.
const CELLS: usize = 4;
const SESSIONS: usize = 50;
/// What control and a new session may take beside them; the machine may be a busy one.
const SWIFT: Duration = Duration::from_secs(10);

async fn session(link: &Link, allocation: AllocationId, number: usize, command: &[&str]) -> (SendStream, RecvStream) {
    let (mut send, receive) = link.connection.open_bi().await.unwrap();
    let mut bytes = allocation.to_bytes();
    bytes[15] = u8::try_from(number).unwrap();
    let attach = SessionAttach {
        allocation: allocation.to_string(),
        session: SessionId::from_bytes(bytes).to_string(),
        create: true,
        terminal: true,
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        end_on_detach: true,
        ..SessionAttach::default()
    };
    send.write_chunk(encode(Kind::SessionAttach, &attach)).await.unwrap();
    (send, receive)
}

#[tokio::test]
async fn two_hundred_stalled_viewers_starve_neither_control_nor_another_session() {
    let double = Double::start();
    let _agent = double.agent(now_ms(), 3600);
    let mut link = double.link().await;
    let allocations: Vec<_> = (0..CELLS).map(|_| an_allocation()).collect();
    link.desire(1, 1, &many_cells(&allocations)).await;
    link.report(|report| report.cells.iter().filter(|cell| cell.phase() == Phase::Running).count() == CELLS).await;
    // Each prints without end; nobody reads beyond the first frame.
    let mut stalled = Vec::new();
    for allocation in &allocations {
        for number in 0..SESSIONS {
            stalled.push(session(&link, *allocation, number, &["yes"]).await);
        }
    }
    let mut held = Vec::new();
    for (send, receive) in stalled {
        let mut frames = FrameReader::new(receive);
        let first = soon("the session", frames.next()).await.unwrap().unwrap();
        assert_eq!(first.kind, Kind::SessionAttached);
        held.push((send, frames));
    }
    // Until everything that may be on its way is.
    for _ in 0..3 {
        link.expect(Kind::Heartbeat).await;
    }
    let began = Instant::now();
    link.expect(Kind::Heartbeat).await;
    assert!(began.elapsed() < SWIFT, "a heartbeat took {:?}", began.elapsed());
    let began = Instant::now();
    let (_send, receive) = session(&link, allocations[0], SESSIONS, &["sh", "-c", "exit 5"]).await;
    let mut frames = FrameReader::new(receive);
    let exit: SessionExit = soon("its exit", async {
        loop {
            let frame = frames.next().await.unwrap().unwrap();
            if frame.kind == Kind::SessionExit {
                return frame.decode().unwrap();
            }
        }
    })
    .await;
    assert_eq!(exit.code, 5);
    assert!(began.elapsed() < SWIFT, "a session took {:?}", began.elapsed());
    assert_eq!(held.len(), CELLS * SESSIONS);
}

#[tokio::test]
async fn a_disk_that_hangs_holds_up_no_heartbeat() {
    let double = Double::start();
    let mut agent = double.agent(now_ms(), 3600);
    drop(double.link().await);
    agent.kill();
    // Whoever opens it to write waits for a reader that never comes.
    let status = agent.dir.path().join(".status.new");
    let _ = std::fs::remove_file(&status);
    nix::unistd::mkfifo(&status, nix::sys::stat::Mode::S_IRWXU).unwrap();
    agent.start();
    let mut link = double.link().await;
    for _ in 0..3 {
        link.expect(Kind::Heartbeat).await;
    }
}
