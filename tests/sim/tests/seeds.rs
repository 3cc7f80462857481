//! A seed replays exactly, in processes of its own; `muster-sim seeds` runs as many as one likes.

use muster_sim::seed::{self, Size, Verdict};
use muster_sim::template::Template;
use std::path::Path;
use std::time::Duration;

fn run(seed: u64, size: Size, template: &Template) -> Verdict {
    let program = Path::new(env!("CARGO_BIN_EXE_muster-sim"));
    seed::apart(program, seed, size, template).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"))
}

#[test]
fn a_seed_replays_exactly() {
    let (template, another) = (Template::make().expect("a template"), Template::make().expect("a template"));
    let size = Size { machines: 3, time: Duration::from_secs(300) };
    for seed in [3, 4] {
        let (first, again) = (run(seed, size, &template), run(seed, size, &another));
        assert_eq!(first.lines, again.lines, "seed {seed} told another story");
        assert_eq!((first.trace, first.datagrams), (again.trace, again.datagrams), "seed {seed}");
    }
    assert_ne!(run(5, size, &template).trace, run(6, size, &template).trace);
}
