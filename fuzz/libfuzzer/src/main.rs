//! One target under libFuzzer: the one that `FUZZ_TARGET` names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use muster_fuzz::{TARGETS, Target};
use std::sync::OnceLock;

static CHOSEN: OnceLock<Target> = OnceLock::new();

fn chosen() -> &'static Target {
    CHOSEN.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        match TARGETS.iter().find(|(known, _)| *known == name) {
            Some(target) => *target,
            None => {
                eprintln!("FUZZ_TARGET is `{name}`, but must be one of {:?}", TARGETS.iter().map(|(n, _)| n).collect::<Vec<_>>());
                std::process::exit(2)
            }
        }
    })
}

fuzz_target!(|data: &[u8]| {
    let (_, target) = chosen();
    target(data);
});
