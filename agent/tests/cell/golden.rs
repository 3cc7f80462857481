//! The bytes between an agent and its cells. Cells outlive agents: what stands here may be added to, never
//! changed.

use muster_protocol::cell::{CellEnd, CellSession, CellStatus, CellWatch};
use muster_protocol::session::{
    SessionAck, SessionAttach, SessionAttached, SessionEof, SessionError, SessionExit, SessionResize, SessionSignal,
    SessionSkipped,
};
use muster_protocol::tunnel::{TunnelOpen, TunnelReady, TunnelRefused};
use muster_protocol::{Kind, frame};

fn frames() -> Vec<(&'static str, bytes::Bytes)> {
    let attach = SessionAttach {
        allocation: "al_1".into(),
        session: "se_1".into(),
        create: true,
        terminal: true,
        command: vec!["ls".into(), "-l".into()],
        cols: 80,
        rows: 24,
        after: Some(5),
        read_only: true,
        main: true,
        end_on_detach: true,
    };
    let attached = SessionAttached {
        session: "se_1".into(),
        resumed: true,
        offset: 9,
        input_offset: 3,
        skipped_from: Some(5),
        end: 11,
    };
    let exit = SessionExit { code: 143, signal: "TERM".into(), reason: "released".into() };
    let error = SessionError { code: "stalled".into(), detail: "d".into() };
    let open = TunnelOpen { allocation: "al_1".into(), session: "se_1".into(), target: "ssh".into() };
    let refused = TunnelRefused { code: "no_ssh".into(), detail: "d".into() };
    let session = CellSession {
        session: "se_1".into(),
        kind: "terminal".into(),
        attached: true,
        output_bytes: 300,
        input_bytes: 2,
    };
    let status = CellStatus {
        level: 1,
        allocation: "al_1".into(),
        version: "0.1.0".into(),
        sessions: vec![session],
        main_exit_code: Some(0),
        main_exit_reason: "max_runtime".into(),
    };
    vec![
        ("attach", frame::encode(Kind::SessionAttach, &attach)),
        ("attached", frame::encode(Kind::SessionAttached, &attached)),
        ("input", frame::encode_numbered(Kind::SessionInput, 258, b"in")),
        ("output", frame::encode_numbered(Kind::SessionOutput, 259, b"out")),
        ("err_output", frame::encode_numbered(Kind::SessionErrOutput, 260, b"err")),
        ("ack", frame::encode(Kind::SessionAck, &SessionAck { offset: 300 })),
        ("resize", frame::encode(Kind::SessionResize, &SessionResize { cols: 132, rows: 50 })),
        ("signal", frame::encode(Kind::SessionSignal, &SessionSignal { name: "INT".into() })),
        ("eof", frame::encode(Kind::SessionEof, &SessionEof {})),
        ("exit", frame::encode(Kind::SessionExit, &exit)),
        ("error", frame::encode(Kind::SessionError, &error)),
        ("skipped", frame::encode(Kind::SessionSkipped, &SessionSkipped { from: 1, to: 300 })),
        ("tunnel_open", frame::encode(Kind::TunnelOpen, &open)),
        ("tunnel_ready", frame::encode(Kind::TunnelReady, &TunnelReady {})),
        ("tunnel_refused", frame::encode(Kind::TunnelRefused, &refused)),
        ("watch", frame::encode(Kind::CellWatch, &CellWatch { level: 1 })),
        ("status", frame::encode(Kind::CellStatus, &status)),
        ("end", frame::encode(Kind::CellEnd, &CellEnd { reason: "released".into(), grace_ms: 1000 })),
    ]
}

#[test]
fn level_1_stays_as_it_is() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let now: String = frames().iter().map(|(name, bytes)| format!("{name} {}\n", hex(bytes))).collect();
    assert_eq!(now, include_str!("level_1.golden"));
}
