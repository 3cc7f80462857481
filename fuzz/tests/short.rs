//! The short run: every corpus as it is, then mutations of it for a few seconds a target. An input that panics is
//! written below `fuzz/artifacts` and belongs into the corpus once the parser is mended.

use muster_fuzz::mutate::Mutator;
use muster_fuzz::{TARGETS, Target};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time of one target; inputs are counted, and their number is never asserted.
const TIME: Duration = Duration::from_secs(4);

fn folder(kind: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder("corpus", target))
        .unwrap_or_else(|error| panic!("{target} has no corpus: {error}"))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a sample")).collect()
}

fn feed((name, target): &Target, data: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(data))).is_err() {
        let artifacts = folder("artifacts", name);
        std::fs::create_dir_all(&artifacts).expect("a folder");
        let path = artifacts.join("found");
        std::fs::write(&path, data).expect("written");
        panic!("{name}: {} breaks it", path.display());
    }
}

fn short(name: &str) {
    let target = TARGETS.iter().find(|(known, _)| *known == name).expect("a target");
    let samples = corpus(name);
    assert!(!samples.is_empty(), "{name} has no samples");
    for sample in &samples {
        feed(target, sample);
    }
    let mut mutator = Mutator::new(samples, 1);
    let began = Instant::now();
    while began.elapsed() < TIME {
        feed(target, &mutator.mutant());
    }
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(#[test] fn $name() { short(stringify!($name)); })*

        #[test]
        fn every_target_is_here() {
            assert_eq!(TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [$(stringify!($name)),*]);
        }
    };
}

targets!(frames, messages, hello, terminal, csr, token, document, config, ssh_key);
