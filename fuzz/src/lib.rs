//! Every parser that faces the network or a node, as a function of bytes that must not panic and must understand
//! again what it wrote itself.
//!
//! `tests/short.rs` feeds each of them mutated corpora on every change; `make fuzz` searches with libFuzzer.

mod messages;
pub mod mutate;

use muster_agent::{config::Config, desired, enrol};
use muster_coordinator::access::PublicKey;
use muster_coordinator::config::ServeArgs;
use muster_coordinator::nodes::{facts::Facts, link::Greeting};
use muster_coordinator::terminals::model::{Auth, Word};
use muster_pki::{Csr, admit};
use muster_protocol::control::Hello;
use muster_protocol::enrol::EnrolRequest;
use muster_protocol::inventory::Inventory;
use muster_protocol::report::Receipt;
use muster_protocol::{Frame, FrameDecoder, Kind};
use prost::Message;
use rustls_pki_types::CertificateDer;

/// A name, as of its folder in `corpus/`, and what is done with the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("frames", frames),
    ("messages", messages),
    ("hello", hello),
    ("terminal", terminal),
    ("csr", csr),
    ("token", token),
    ("document", document),
    ("config", config),
    ("ssh_key", ssh_key),
];

/// A stream of frames, in two pieces: both ways of cutting it give the same.
pub fn frames(data: &[u8]) {
    let Some((cut, data)) = data.split_first() else { return };
    let at = usize::from(*cut).min(data.len());
    let mut found = Vec::new();
    for pieces in [vec![data], vec![&data[..at], &data[at..]]] {
        let mut decoder = FrameDecoder::default();
        let (mut kinds, mut broken) = (Vec::new(), false);
        for piece in pieces {
            decoder.push(piece);
            while !broken {
                match decoder.next() {
                    Ok(Some(frame)) => kinds.push((frame.kind, frame.body)),
                    Ok(None) => break,
                    Err(_) => broken = true,
                }
            }
        }
        found.push((kinds, broken));
    }
    assert_eq!(found[0], found[1], "the cut made a difference");
}

/// The body of any frame: a number of two bytes, then the body.
pub fn messages(data: &[u8]) {
    let Some((number, body)) = data.split_first_chunk::<2>() else { return };
    let kind = Kind::from_number(u16::from_be_bytes(*number));
    if body.len() <= kind.cap() as usize {
        messages::again(&Frame { kind, body: body.to_vec().into() });
    }
}

/// What a machine says of itself, as the coordinator keeps it.
pub fn hello(data: &[u8]) {
    if let Ok(hello) = Hello::decode(data) {
        let greeting = Greeting::of(&hello);
        assert!(greeting.boot_id.len() < 1024 && greeting.agent_version.len() < 1024);
    }
    if let Ok(inventory) = Inventory::decode(data) {
        let facts = Facts::of(&inventory);
        assert!(facts.gpus.len() <= inventory.gpus.len());
    }
    if let Ok(request) = EnrolRequest::decode(data) {
        let _ = Csr::parse(&request.csr_der);
    }
}

/// What a terminal's client says.
pub fn terminal(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = Word::parse(text);
    let _ = serde_json::from_str::<Auth>(text);
}

/// A certificate request, and a certificate.
pub fn csr(data: &[u8]) {
    if let Ok(csr) = Csr::parse(data) {
        assert!(!csr.proves(b"another connection", b"no signature"));
        assert_eq!(csr.fingerprint().len(), 64);
    }
    let certificate = CertificateDer::from(data);
    let _ = admit::identity(&certificate);
    let _ = admit::validity(&certificate);
}

/// A bootstrap token.
pub fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = enrol::Token::parse(text) {
        let said = error.to_string();
        assert!(text.len() < 16 || !said.contains(text), "a refusal quotes the token");
    }
}

/// A desired document, and what a node's receipt says.
pub fn document(data: &[u8]) {
    if let Ok(document) = desired::parse(data) {
        let again = serde_json::to_vec(&document).unwrap_or_default();
        assert_eq!(desired::parse(&again).as_ref(), Ok(&document), "it does not come back");
    }
    let _ = serde_json::from_slice::<Receipt>(data);
}

/// Configuration files of both sides.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(arguments) = toml::from_str::<ServeArgs>(text) {
        let _ = arguments.resolve();
    }
    let _ = toml::from_str::<Config>(text);
}

/// A line of SSH keys.
pub fn ssh_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = PublicKey::parse(text) {
        let again = PublicKey::parse(&key.line());
        assert!(again.is_ok_and(|again| again.fingerprint == key.fingerprint), "its own line is not understood");
        assert!(!key.line().contains(['\n', '"']), "a line that could carry options");
    }
}
