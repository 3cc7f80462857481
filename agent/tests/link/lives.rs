//! What goes well: documents, cells, tasks, facts, renewal, coming back.

use crate::double::{Double, an_allocation, now_ms, one_cell, soon, tombstone};
use muster_agent::link::wire::FrameReader;
use muster_pki::Csr;
use muster_protocol::{
    Kind,
    control::{RenewReply, RenewRequest},
    enrol::{EnrolPoll, EnrolReply, PROOF_LABEL, PROOF_LEN},
    facts::{FactBody, Facts, FactsAck},
    frame::encode,
    ids::NodeTaskId,
    inventory::Inventory,
    report::{Phase, Receipt},
    task::{TaskOffer, TaskResult},
    telemetry::Sample,
};

#[tokio::test]
async fn a_cell_lives_by_documents_and_outlives_its_agent() {
    let double = Double::start();
    let mut agent = double.agent(now_ms(), 3600);
    let mut link = double.link().await;
    assert_eq!(link.hello.generation, None);
    let inventory: Inventory = link.expect(Kind::Inventory).await.decode().unwrap();
    assert_eq!((inventory.gpu_state.as_str(), inventory.slots.len()), ("driver_missing", 2));

    let allocation = an_allocation();
    link.desire(1, 5, &one_cell(allocation, "")).await;
    let cell = link.cell(allocation, Phase::Running).await;
    assert_eq!(cell.isolation, "none");

    // Older, and the same with other bytes: refused. Nothing ends.
    link.desire(1, 4, "{}").await;
    assert_eq!(link.report(|report| !report.refusal.is_empty()).await.refusal, "older");
    link.desire(1, 5, "{}").await;
    let refused = link.report(|report| report.refusal != "older" && !report.refusal.is_empty()).await;
    assert_eq!(refused.refusal, "same_generation_other_bytes");
    // Empty and newer: taken, and the cell is kept and named.
    link.desire(1, 6, "{}").await;
    let unclaimed = link.report(|report| report.cells.iter().any(|cell| cell.unclaimed)).await;
    assert_eq!(unclaimed.cells[0].phase(), Phase::Running);

    // kill -9 of the agent: the next one knows the document and finds the cell.
    agent.kill();
    agent.start();
    let mut link = double.link().await;
    assert_eq!(link.hello.generation.map(|generation| generation.n), Some(6));
    assert_eq!(link.hello.join_sequence, 2);
    link.cell(allocation, Phase::Running).await;

    link.desire(1, 7, &tombstone(allocation)).await;
    let ended = link.cell(allocation, Phase::Ended).await;
    let receipt: Receipt = serde_json::from_str(&ended.receipt_json).unwrap();
    assert!(receipt.clean, "{receipt:?}");
    // Kept until the document names it no more.
    link.desire(1, 8, "{}").await;
    link.report(|report| report.cells.is_empty()).await;
}

#[tokio::test]
async fn a_batch_command_tells_its_output_before_its_end() {
    let double = Double::start();
    let _agent = double.agent(now_ms(), 3600);
    let mut link = double.link().await;
    let allocation = an_allocation();
    link.desire(1, 1, &one_cell(allocation, "echo out; exit 7")).await;
    let exited = link.cell(allocation, Phase::Exited).await;
    assert_eq!(exited.exit_code, Some(7));
    let (mut send, receive) = soon("the facts stream", link.connection.accept_bi()).await.unwrap();
    let mut frames = FrameReader::new(receive);
    let (mut printed, mut next, mut done) = (Vec::new(), 1, false);
    while !done {
        let frame = soon("facts", frames.next()).await.unwrap().unwrap();
        if frame.kind != Kind::Facts {
            assert_eq!(frame.kind, Kind::FactsOpen);
            continue;
        }
        for fact in frame.decode::<Facts>().unwrap().items {
            assert_eq!(fact.number, next, "no gap");
            next += 1;
            if let Some(FactBody::Log(piece)) = fact.body {
                printed.extend(piece.bytes);
                done |= piece.last;
            }
        }
        send.write_chunk(encode(Kind::FactsAck, &FactsAck { number: next - 1 })).await.unwrap();
    }
    assert_eq!(String::from_utf8(printed).unwrap(), "out\n");
}

#[tokio::test]
async fn samples_come_and_what_is_not_measured_is_absent() {
    let double = Double::start();
    let _agent = double.agent(now_ms(), 3600);
    let link = double.link().await;
    for number in 0..2 {
        let stream = soon("a sample", link.connection.accept_uni()).await.unwrap();
        let frame = soon("its frame", FrameReader::new(stream).next()).await.unwrap().unwrap();
        let sample: Sample = frame.decode().unwrap();
        let host = sample.host.unwrap();
        assert!(host.memory_used_bytes.is_some() && sample.gpus.is_empty());
        assert_eq!(host.cpu_milli.is_some(), number > 0, "one look gives no rate");
    }
}

async fn task(link: &crate::double::Link, id: &str, kind: &str, not_after_ms: i64) -> TaskResult {
    let (mut send, receive) = link.connection.open_bi().await.unwrap();
    let offer = TaskOffer {
        id: id.into(),
        kind: kind.into(),
        deadline_ms: 30_000,
        attempt: 1,
        not_after_ms,
        ..TaskOffer::default()
    };
    send.write_chunk(encode(Kind::TaskOffer, &offer)).await.unwrap();
    let mut frames = FrameReader::new(receive);
    loop {
        let frame = soon("a result", frames.next()).await.unwrap().unwrap();
        if frame.kind == Kind::TaskResult {
            return frame.decode().unwrap();
        }
    }
}

#[tokio::test]
async fn tasks_run_once_and_unknown_or_late_ones_never() {
    let double = Double::start();
    let _agent = double.agent(now_ms(), 3600);
    let link = double.link().await;
    let id = |n: u8| NodeTaskId::new(now_ms().unsigned_abs(), [n; 10]).to_string();
    assert_eq!(task(&link, &id(1), "shell", 0).await.code, "unsupported");
    assert_eq!(task(&link, &id(2), "probe", now_ms() - 60_000).await.code, "expired");
    let probe = id(3);
    let first = task(&link, &probe, "probe", 0).await;
    let facts: serde_json::Value = serde_json::from_str(&first.result_json).unwrap();
    assert_eq!(facts["gpu_count"], 0);
    assert!(facts["checks"].as_array().unwrap().len() >= 6 && facts["clock_skew_ms"].is_i64());
    // Offered again before it was acknowledged: the kept result, not a second run.
    let again = task(&link, &probe, "probe", 0).await;
    assert_eq!(again, first);
}

#[tokio::test]
async fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
    let double = Double::start();
    let agent = double.agent(now_ms(), 6);
    let mut link = double.link().await;
    let request: RenewRequest = link.expect(Kind::RenewRequest).await.decode().unwrap();
    let csr = Csr::parse(&request.csr_der).unwrap();
    let chain_der = double.issue(&csr, now_ms(), 3600);
    let reply = RenewReply {
        chain_der: chain_der.clone(),
        roots_der: vec![double.ca.certificate().to_vec()],
        refusal: String::new(),
    };
    link.say(encode(Kind::RenewReply, &reply)).await;
    soon("the new certificate on disk", async {
        while muster_pki::files::load_node_certificate(agent.dir.path()).unwrap().unwrap().chain[0].as_ref()
            != chain_der[0]
        {
            link.expect(Kind::Heartbeat).await;
        }
    })
    .await;
    // The next link comes with it.
    link.connection.close(0u32.into(), b"");
    let (connection, ..) = double.hello().await;
    let arrival = double.trust.admit(&connection, now_ms() + 60_000);
    assert!(arrival.is_ok(), "the old one would have expired by then: {arrival:?}");
}

#[tokio::test]
async fn a_node_that_was_away_comes_back_by_proof_of_its_key() {
    let double = Double::start();
    // Issued two days ago for a day; the build is older than that, so only the coordinator knows.
    let _agent = double.agent(now_ms() - 2 * 24 * 3_600_000, 24 * 3600);
    let connection = soon("a connection", async {
        loop {
            let connection = double.door.accept().await.unwrap().await.unwrap();
            match double.trust.admit(&connection, now_ms()) {
                Ok(muster_pki::Arrival::Enrol) => return connection,
                Ok(other) => panic!("{other:?}"),
                Err(rejection) => rejection.tell(&connection),
            }
        }
    })
    .await;
    let (mut send, receive) = soon("a stream", connection.accept_bi()).await.unwrap();
    let poll: EnrolPoll = FrameReader::new(receive).next().await.unwrap().unwrap().decode().unwrap();
    let csr = Csr::parse(&poll.csr_der).unwrap();
    let mut exporter = [0; PROOF_LEN];
    connection.export_keying_material(&mut exporter, PROOF_LABEL, b"").unwrap();
    assert!(csr.proves(&exporter, &poll.proof));
    let reply = EnrolReply {
        status: "issued".into(),
        node_id: double.node.to_string(),
        fleet_id: crate::double::FLEET.into(),
        chain_der: double.issue(&csr, now_ms(), 3600),
        roots_der: vec![double.ca.certificate().to_vec()],
        clock_ms: now_ms(),
        ..EnrolReply::default()
    };
    send.write_chunk(encode(Kind::EnrolReply, &reply)).await.unwrap();
    send.finish().unwrap();
    let link = double.link().await;
    assert_eq!(link.hello.join_sequence, 1);
}

/// Tasks that an agent runs at a time.
const AT_A_TIME: u8 = 32;

#[tokio::test]
async fn a_task_too_many_is_left_to_be_offered_again() {
    let double = Double::start();
    let agent = double.agent(now_ms(), 3600);
    let link = double.link().await;
    let offer = async |n: u8| {
        let (mut send, receive) = link.connection.open_bi().await.unwrap();
        let id = NodeTaskId::new(now_ms().unsigned_abs(), [n; 10]).to_string();
        let offer = TaskOffer { id, kind: "probe".into(), deadline_ms: 60_000, attempt: 1, ..TaskOffer::default() };
        send.write_chunk(encode(Kind::TaskOffer, &offer)).await.unwrap();
        let mut frames = FrameReader::new(receive);
        let first = soon("an answer", frames.next()).await.unwrap();
        (send, frames, first.map(|frame| frame.kind))
    };
    // Each probe asks the root half for its cells.
    agent.signal_root_half(nix::sys::signal::Signal::SIGSTOP);
    let mut running = Vec::new();
    for n in 0..AT_A_TIME {
        let (send, frames, first) = offer(n).await;
        assert_eq!(first, Some(Kind::TaskAccepted));
        running.push((send, frames));
    }
    let (.., first) = offer(AT_A_TIME).await;
    assert_eq!(first, None, "no result: nothing is known of it yet");
    agent.signal_root_half(nix::sys::signal::Signal::SIGCONT);
    for (_send, mut frames) in running {
        while soon("a result", frames.next()).await.unwrap().unwrap().kind != Kind::TaskResult {}
    }
    assert_eq!(offer(AT_A_TIME).await.2, Some(Kind::TaskAccepted));
}
