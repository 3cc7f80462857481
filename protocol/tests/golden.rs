//! Golden bytes of every frame at every level: what was once sent can be read for ever.
//!
//! `GOLDEN=write cargo test -p muster-protocol --test golden` renews the newest level's file after a wanted
//! change; files of older levels are never written again.

mod examples;

use examples::examples;
use muster_protocol::{
    Frame, FrameDecoder, Kind, cell, control, enrol, facts,
    frame::{encode, encode_numbered},
    inventory, level, report, session, task, telemetry, tunnel,
};
use std::{fmt::Write as _, path::PathBuf};

fn one(bytes: &[u8]) -> Frame {
    let mut decoder = FrameDecoder::default();
    decoder.push(bytes);
    let frame = decoder.next().unwrap().expect("a whole frame");
    assert_eq!(decoder.pending(), 0);
    frame
}

/// Decodes a body as the message of its kind and encodes it again.
fn again(frame: &Frame) -> bytes::Bytes {
    macro_rules! messages {
        ($($kind:ident $message:ty;)*) => {
            match frame.kind {
                $(Kind::$kind => encode(Kind::$kind, &frame.decode::<$message>().unwrap()),)*
                kind => {
                    let (offset, bytes) = frame.numbered().unwrap();
                    encode_numbered(kind, offset, &bytes)
                }
            }
        };
    }
    messages! {
        Hello control::Hello; Welcome control::Welcome; Refused control::Refused; Heartbeat control::Heartbeat;
        HeartbeatAck control::HeartbeatAck; Desired control::Desired; RenewRequest control::RenewRequest;
        RenewReply control::RenewReply; DrainNotice control::DrainNotice; Report report::Report;
        Inventory inventory::Inventory; Telemetry telemetry::Sample; EnrolRequest enrol::EnrolRequest;
        EnrolPoll enrol::EnrolPoll; EnrolReply enrol::EnrolReply; FactsOpen facts::FactsOpen; Facts facts::Facts;
        FactsAck facts::FactsAck; TaskOffer task::TaskOffer; TaskAccepted task::TaskAccepted;
        TaskProgress task::TaskProgress; TaskLog task::TaskLog; TaskResult task::TaskResult;
        TaskResultAck task::TaskResultAck; SessionAttach session::SessionAttach;
        SessionAttached session::SessionAttached; SessionAck session::SessionAck;
        SessionResize session::SessionResize; SessionSignal session::SessionSignal; SessionEof session::SessionEof;
        SessionExit session::SessionExit; SessionError session::SessionError;
        SessionSkipped session::SessionSkipped; TunnelOpen tunnel::TunnelOpen; TunnelReady tunnel::TunnelReady;
        TunnelRefused tunnel::TunnelRefused; CellWatch cell::CellWatch; CellStatus cell::CellStatus;
        CellEnd cell::CellEnd;
    }
}

fn file(level: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/level-{level}.txt"))
}

fn golden(level: u32) -> Vec<(String, Vec<u8>)> {
    let text = std::fs::read_to_string(file(level)).expect("the golden file of the level");
    text.lines()
        .map(|line| {
            let (kind, bytes) = line.split_once(' ').unwrap();
            (kind.to_owned(), hex::decode(bytes).unwrap())
        })
        .collect()
}

#[test]
fn golden_bytes_of_the_newest_level_are_what_is_sent() {
    let examples = examples();
    assert_eq!(examples.len(), Kind::ALL.len(), "an example of each kind");
    let mut now = String::new();
    for (kind, bytes) in &examples {
        writeln!(now, "{kind} {}", hex::encode(bytes)).unwrap();
    }
    let path = file(level::HIGHEST);
    if std::env::var("GOLDEN").is_ok_and(|word| word == "write") {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).expect("the golden file; GOLDEN=write makes it");
    assert_eq!(kept, now, "the wire changed: that is a new field (GOLDEN=write) or a mistake");
}

#[test]
fn golden_bytes_of_every_level_are_still_understood() {
    for level in level::LOWEST..=level::HIGHEST {
        for (kind, bytes) in golden(level) {
            let frame = one(&bytes);
            assert_eq!(format!("{:?}", frame.kind), kind, "a number is never given to another kind");
            let again = again(&frame);
            assert!(again.len() >= bytes.len(), "{kind} of level {level} lost something");
            if level == level::HIGHEST {
                assert_eq!(again.as_ref(), bytes, "{kind}");
            }
        }
    }
}

#[test]
fn golden_messages_pass_readers_that_know_less() {
    // A field of tag 15 and one of tag 2047, of a newer peer.
    let newer = [0x78, 0x01, 0xf8, 0x7f, 0x01];
    for (kind, bytes) in golden(level::HIGHEST) {
        let frame = one(&bytes);
        if frame.numbered().is_ok() && kind.contains("put") {
            continue;
        }
        let mut body = frame.body.to_vec();
        body.extend_from_slice(&newer);
        let newer = Frame { kind: frame.kind, body: body.into() };
        assert_eq!(again(&newer).as_ref(), bytes, "{kind}: unknown fields change nothing");
    }
}
