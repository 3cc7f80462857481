//! One frame of each kind, with every field set to something that is not its default.

use muster_protocol::{
    Kind, cell, control, enrol, facts,
    frame::{HEADER_LEN, encode, encode_numbered, parse_header},
    inventory, report, session, task, telemetry, tunnel,
};
use std::collections::BTreeMap;

fn text(word: &str) -> String {
    word.to_owned()
}

fn generation() -> control::Generation {
    control::Generation { fleet_epoch: 2, n: 7 }
}

fn control_frames() -> Vec<bytes::Bytes> {
    vec![
        encode(
            Kind::Hello,
            &control::Hello {
                level_lowest: 1,
                level_highest: 3,
                capabilities: vec![text("session"), text("tunnel")],
                boot_id: text("boot"),
                journal_epoch: text("epoch"),
                join_sequence: 4,
                agent_version: text("0.1.0"),
                generation: Some(generation()),
                desired_sha256: vec![1; 4],
                clock_ms: 1_795_000_000_000,
                machine_sha256: vec![2; 4],
            },
        ),
        encode(
            Kind::Welcome,
            &control::Welcome {
                level: 1,
                clock_ms: 1_795_000_000_001,
                fleet_id: text("f1"),
                heartbeat_ms: 4000,
                telemetry_ms: 1000,
            },
        ),
        encode(Kind::Refused, &control::Refused { code: text("revoked"), detail: text("why"), retry_after_ms: 60_000 }),
        encode(Kind::Heartbeat, &control::Heartbeat { sequence: 9, clock_ms: -1 }),
        encode(Kind::HeartbeatAck, &control::HeartbeatAck { sequence: 9, clock_ms: 5 }),
        encode(
            Kind::Desired,
            &control::Desired { generation: generation(), document: "{}".into(), sha256: vec![3; 4] },
        ),
        encode(Kind::RenewRequest, &control::RenewRequest { csr_der: vec![4; 3] }),
        encode(
            Kind::RenewReply,
            &control::RenewReply { chain_der: vec![vec![5]], roots_der: vec![vec![6]], refusal: text("no") },
        ),
        encode(Kind::DrainNotice, &control::DrainNotice { spread_ms: 2000 }),
    ]
}

fn report_frames() -> Vec<bytes::Bytes> {
    let cell = report::CellReport {
        allocation: text("al_x"),
        lease_epoch: 1,
        phase: report::Phase::Exited.into(),
        step: text("home"),
        isolation: text("cell"),
        not_enforced: vec![text("disk")],
        ssh_host_key: text("ssh-ed25519 AAAA"),
        exit_code: Some(0),
        failure_code: text("cell_ended"),
        failure_detail: text("gone"),
        receipt_json: text("{}"),
        unclaimed: true,
        sessions: 2,
        ssh_user: text("muster"),
    };
    let report = report::Report {
        generation: Some(generation()),
        refusal: text("older"),
        cells: vec![cell, report::CellReport::default()],
        sequence: 11,
    };
    vec![encode(Kind::Report, &report), encode(Kind::Inventory, &an_inventory()), encode(Kind::Telemetry, &a_sample())]
}

fn a_host() -> inventory::Host {
    inventory::Host {
        hostname: text("h"),
        machine_id: text("m"),
        board_serial: text("b"),
        boot_id: text("boot"),
        os: text("Debian"),
        kernel: text("6.1"),
        arch: text("x86_64"),
        cpus: 2,
        memory_bytes: 1 << 34,
        disk_bytes: Some(0),
        agent_version: text("0.1.0"),
        name: text("n"),
    }
}

fn an_inventory() -> inventory::Inventory {
    let mig = inventory::MigInstance {
        uuid: text("MIG-1"),
        profile: text("1g.10gb"),
        start: 6,
        size: 1,
        gpu_instance: 9,
        compute_instance: 1,
        memory_total_bytes: Some(1),
    };
    let gpu = inventory::Gpu {
        uuid: text("GPU-1"),
        model: text("NVIDIA H100"),
        index: 1,
        minor: Some(0),
        pci_bus_id: text("00000000:18:00.0"),
        memory_total_bytes: Some(1),
        mig_enabled: Some(false),
        mig: vec![mig],
        numa_node: Some(-1),
        nvlinks: Some(18),
        error: text("lost"),
        ecc_enabled: Some(true),
        power_limit_mw: Some(700_000),
    };
    let slot = inventory::FoundSlot {
        kind: text("mig"),
        gpu_uuid: text("GPU-1"),
        profile: text("1g.10gb"),
        start: 6,
        size: 1,
        gpu_slices: 8,
    };
    inventory::Inventory {
        host: a_host(),
        gpu_state: text("ok"),
        gpu_detail: text("d"),
        driver_version: text("580"),
        gpus: vec![gpu, inventory::Gpu::default()],
        slots: vec![slot],
        isolation: text("cell"),
        not_enforced: vec![text("disk")],
        cuda_version: text("13.0"),
    }
}

fn a_sample() -> telemetry::Sample {
    let gpu = telemetry::GpuSample {
        uuid: text("GPU-1"),
        utilization_percent: Some(0),
        memory_used_bytes: Some(1),
        memory_total_bytes: Some(2),
        temperature_c: Some(3),
        power_mw: Some(4),
        sm_clock_mhz: Some(5),
        memory_clock_mhz: Some(6),
        throttle_reasons: Some(7),
        ecc_uncorrected: Some(8),
        ecc_corrected: Some(9),
        memory_utilization_percent: Some(10),
        processes: Some(11),
        fan_percent: Some(12),
    };
    let host = telemetry::HostSample {
        cpu_milli: Some(0),
        memory_used_bytes: Some(1),
        load1_milli: Some(2),
        disk_free_bytes: None,
    };
    let cell = telemetry::CellSample {
        allocation: text("al_x"),
        cpu_milli: Some(1),
        memory_used_bytes: Some(2),
        pids: Some(3),
    };
    telemetry::Sample {
        sampled_ms: 5,
        host: Some(host),
        gpus: vec![gpu, telemetry::GpuSample::default()],
        shed: 1,
        span_ms: 10_000,
        cells: vec![cell],
    }
}

fn enrol_frames() -> Vec<bytes::Bytes> {
    let request = enrol::EnrolRequest {
        level_lowest: 1,
        level_highest: 1,
        token_id: text("bt_x"),
        secret: text("s"),
        csr_der: vec![1],
        host: a_host(),
        gpu_uuids: vec![text("GPU-1")],
        clock_ms: 5,
    };
    let poll =
        enrol::EnrolPoll { node_id: text("nd_x"), csr_der: vec![1], proof: vec![2], clock_ms: 5, host: Some(a_host()) };
    let reply = enrol::EnrolReply {
        status: text("issued"),
        node_id: text("nd_x"),
        chain_der: vec![vec![1]],
        roots_der: vec![vec![2]],
        refusal: text("token_spent"),
        detail: text("d"),
        retry_after_ms: 5000,
        clock_ms: 6,
        fleet_id: text("f1"),
    };
    vec![encode(Kind::EnrolRequest, &request), encode(Kind::EnrolPoll, &poll), encode(Kind::EnrolReply, &reply)]
}

fn fact_and_task_frames() -> Vec<bytes::Bytes> {
    let fact = |number, body| facts::Fact { number, at_ms: 5, body: Some(body) };
    let items = vec![
        fact(1, facts::FactBody::Xid(facts::Xid { gpu_uuid: text("GPU-1"), xid: 79, source: text("nvml") })),
        fact(2, facts::FactBody::Cell(facts::CellChange { allocation: text("al_x"), phase: 2, detail: text("d") })),
        fact(
            3,
            facts::FactBody::Log(facts::CellLog { allocation: text("al_x"), offset: 4, bytes: vec![104], last: true }),
        ),
        fact(
            4,
            facts::FactBody::Usage(facts::Usage {
                items: vec![facts::UsageInterval {
                    allocation: text("al_x"),
                    lease_epoch: 3,
                    from_ms: 60_000,
                    until_ms: 120_010,
                }],
            }),
        ),
    ];
    let offer = task::TaskOffer {
        id: text("nt_x"),
        kind: text("probe"),
        arguments_json: text("{}"),
        deadline_ms: 1000,
        attempt: 1,
        not_after_ms: 5,
        correlation_id: text("co_x"),
    };
    let result = task::TaskResult { id: text("nt_x"), code: text("ok"), detail: text("d"), result_json: text("{}") };
    vec![
        encode(Kind::FactsOpen, &facts::FactsOpen { journal_epoch: text("e") }),
        encode(Kind::Facts, &facts::Facts { items }),
        encode(Kind::FactsAck, &facts::FactsAck { number: 3 }),
        encode(Kind::TaskOffer, &offer),
        encode(Kind::TaskAccepted, &task::TaskAccepted { id: text("nt_x") }),
        encode(Kind::TaskProgress, &task::TaskProgress { step: text("gpu"), percent: Some(0) }),
        encode(Kind::TaskLog, &task::TaskLog { line: text("l") }),
        encode(Kind::TaskResult, &result),
        encode(Kind::TaskResultAck, &task::TaskResultAck { id: text("nt_x") }),
    ]
}

fn session_frames() -> Vec<bytes::Bytes> {
    let attach = session::SessionAttach {
        allocation: text("al_x"),
        session: text("se_x"),
        create: true,
        terminal: true,
        command: vec![text("sh")],
        cols: 80,
        rows: 24,
        after: Some(0),
        read_only: true,
        main: true,
        end_on_detach: true,
    };
    let attached = session::SessionAttached {
        session: text("se_x"),
        resumed: true,
        offset: 5,
        input_offset: 6,
        skipped_from: Some(0),
        end: 9,
    };
    let exit = session::SessionExit { code: -1, signal: text("KILL"), reason: text("released") };
    vec![
        encode(Kind::SessionAttach, &attach),
        encode(Kind::SessionAttached, &attached),
        encode_numbered(Kind::SessionInput, 1, b"in"),
        encode_numbered(Kind::SessionOutput, 2, b"out"),
        encode_numbered(Kind::SessionErrOutput, 3, b"err"),
        encode(Kind::SessionAck, &session::SessionAck { offset: 7 }),
        encode(Kind::SessionResize, &session::SessionResize { cols: 1, rows: 2 }),
        encode(Kind::SessionSignal, &session::SessionSignal { name: text("INT") }),
        encode(Kind::SessionEof, &session::SessionEof {}),
        encode(Kind::SessionExit, &exit),
        encode(Kind::SessionError, &session::SessionError { code: text("cell_gone"), detail: text("d") }),
        encode(Kind::SessionSkipped, &session::SessionSkipped { from: 1, to: 2 }),
    ]
}

fn tunnel_and_cell_frames() -> Vec<bytes::Bytes> {
    let open = tunnel::TunnelOpen { allocation: text("al_x"), session: text("se_x"), target: text("ssh") };
    let inside = cell::CellSession {
        session: text("main"),
        kind: text("main"),
        attached: true,
        output_bytes: 1,
        input_bytes: 2,
    };
    let status = cell::CellStatus {
        level: 1,
        allocation: text("al_x"),
        version: text("0.1.0"),
        sessions: vec![inside],
        main_exit_code: Some(0),
        main_exit_reason: text("max_runtime"),
    };
    vec![
        encode(Kind::TunnelOpen, &open),
        encode(Kind::TunnelReady, &tunnel::TunnelReady {}),
        encode(Kind::TunnelRefused, &tunnel::TunnelRefused { code: text("no_ssh"), detail: text("d") }),
        encode(Kind::CellWatch, &cell::CellWatch { level: 1 }),
        encode(Kind::CellStatus, &status),
        encode(Kind::CellEnd, &cell::CellEnd { reason: text("released"), grace_ms: 2000 }),
    ]
}

/// One frame of each kind, every field set.
pub(crate) fn examples() -> BTreeMap<String, bytes::Bytes> {
    let all = [
        control_frames(),
        report_frames(),
        enrol_frames(),
        fact_and_task_frames(),
        session_frames(),
        tunnel_and_cell_frames(),
    ];
    all.into_iter().flatten().map(|bytes| (format!("{:?}", kind(&bytes)), bytes)).collect()
}

fn kind(frame: &[u8]) -> Kind {
    parse_header(&frame[..HEADER_LEN]).unwrap().0
}
