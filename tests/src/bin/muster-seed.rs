//! `muster-seed DATABASE [NODES] [ALLOCATIONS]`: a fleet of rows in a demo's database, to look at long lists.

use anyhow::Context;
use muster_tests::seed::{Seed, seed};

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let database = words.next().context("muster-seed DATABASE [NODES] [ALLOCATIONS]")?;
    let mut number = |usual: u32| words.next().map_or(Ok(usual), |word| word.parse());
    let (nodes, allocations) = (number(5_000)?, number(10_000)?);
    seed(database.as_ref(), Seed { nodes, allocations })?;
    println!("{nodes} nodes and {allocations} allocations more");
    Ok(())
}
