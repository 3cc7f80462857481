//! `muster-sim`: runs seeds, each in a process of its own, and says which failed.

use clap::{Args, Parser, Subcommand};
use muster_sim::seed::{self, Size, Verdict};
use muster_sim::steps::{self, Story, Whose};
use muster_sim::template::Template;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The simulation of Muster: coordinator and agents under one seed, in virtual time.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Run seeds; those that fail are printed with every event
    Seeds(Seeds),
    /// Run one seed in this process and print its verdict as JSON
    One(One),
    /// Run a short story once for each of its writes, failed before it is done and when it is done
    Steps(Steps),
    /// Run the story once in this process, with or without a write that fails, and print what happened as JSON
    Step(Story),
}

#[derive(Debug, Args)]
struct Seeds {
    /// First seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many seeds
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// Seeds at a time
    #[arg(long, default_value_t = 1)]
    jobs: u64,
    /// Machines of a seed
    #[arg(long, default_value_t = Size::FULL.machines)]
    machines: usize,
    /// Virtual minutes of a seed
    #[arg(long, default_value_t = Size::FULL.time.as_secs() / 60)]
    minutes: u64,
    /// Stop at the first seed that fails
    #[arg(long)]
    first: bool,
    /// Print every event of every seed
    #[arg(long)]
    events: bool,
    /// Print failures and the last line only
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, Args)]
struct One {
    /// Which
    seed: u64,
    /// Machines
    #[arg(long, default_value_t = Size::FULL.machines)]
    machines: usize,
    /// Virtual seconds
    #[arg(long, default_value_t = Size::FULL.time.as_secs())]
    seconds: u64,
    /// What it begins with; made anew without it
    #[arg(long)]
    template: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Steps {
    /// Runs at a time
    #[arg(long, default_value_t = 1)]
    jobs: u64,
    /// The writes of one side only
    #[arg(long)]
    whose: Option<Whose>,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("MUSTER_LOG"))
        .with_writer(std::io::stderr)
        .init();
    let done = match Cli::parse().command {
        What::Seeds(arguments) => seeds(&arguments),
        What::One(arguments) => one(&arguments),
        What::Steps(arguments) => all_steps(&arguments),
        What::Step(story) => step(&story),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("muster-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn one(arguments: &One) -> anyhow::Result<bool> {
    let template = Arc::new(match &arguments.template {
        Some(folder) => Template::open(folder)?,
        None => Template::make()?,
    });
    let size = Size { machines: arguments.machines, time: Duration::from_secs(arguments.seconds) };
    let verdict = seed::run(arguments.seed, size, &template)?;
    println!("{}", serde_json::to_string(&verdict)?);
    Ok(verdict.violations.is_empty())
}

fn step(story: &Story) -> anyhow::Result<bool> {
    let told = steps::run(story)?;
    println!("{}", serde_json::to_string(&told)?);
    Ok(told.violations.is_empty())
}

fn all_steps(arguments: &Steps) -> anyhow::Result<bool> {
    let (program, template, began) = (std::env::current_exe()?, Template::make()?, Instant::now());
    let mut stories = Vec::new();
    for whose in Whose::ALL.into_iter().filter(|whose| arguments.whose.is_none_or(|only| only == *whose)) {
        stories.extend(steps::all(&program, &template, whose)?);
    }
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        while let Some(story) =
            usize::try_from(next.fetch_add(1, Ordering::Relaxed)).ok().and_then(|at| stories.get(at))
        {
            let wrong = match steps::apart(&program, story) {
                Ok(told) if told.violations.is_empty() && told.sprung => continue,
                Ok(told) if told.violations.is_empty() => vec!["the write never came".to_owned()],
                Ok(told) => [told.lines, told.violations].concat(),
                Err(error) => vec![format!("{error:#}")],
            };
            failed.fetch_add(1, Ordering::Relaxed);
            println!("{}\n{story}: FAILED", wrong.join("\n"));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(work);
        }
    });
    let failed = failed.load(Ordering::Relaxed);
    println!("{} failed writes of the story: {failed} ended badly, in {:?}", stories.len(), began.elapsed());
    Ok(failed == 0)
}

/// Sums over all seeds.
#[derive(Debug, Default)]
struct Sums {
    failed: AtomicU64,
    launched: AtomicU64,
    faults: AtomicU64,
}

fn seeds(arguments: &Seeds) -> anyhow::Result<bool> {
    let (program, template) = (std::env::current_exe()?, Template::make()?);
    let size = Size { machines: arguments.machines, time: Duration::from_secs(arguments.minutes * 60) };
    let (next, sums, began) = (AtomicU64::new(0), Sums::default(), Instant::now());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= arguments.count || (arguments.first && sums.failed.load(Ordering::Relaxed) > 0) {
                return;
            }
            let started = Instant::now();
            match seed::apart(&program, arguments.from + index, size, &template) {
                Ok(verdict) => tell(arguments, &sums, &verdict, started.elapsed()),
                Err(error) => {
                    println!("seed {}: FAILED: {error:#}", arguments.from + index);
                    sums.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(work);
        }
    });
    let failed = sums.failed.load(Ordering::Relaxed);
    println!(
        "{} seeds from {}: {} launches, {} faults, {failed} failed, in {:?}",
        next.load(Ordering::Relaxed).min(arguments.count),
        arguments.from,
        sums.launched.load(Ordering::Relaxed),
        sums.faults.load(Ordering::Relaxed),
        began.elapsed()
    );
    Ok(failed == 0)
}

fn tell(arguments: &Seeds, sums: &Sums, verdict: &Verdict, took: Duration) {
    let clean = verdict.violations.is_empty();
    sums.launched.fetch_add(verdict.launched, Ordering::Relaxed);
    sums.faults.fetch_add(verdict.faults, Ordering::Relaxed);
    sums.failed.fetch_add(u64::from(!clean), Ordering::Relaxed);
    if arguments.quiet && clean {
        return;
    }
    let mut text = String::new();
    if arguments.events || !clean {
        text = verdict.lines.join("\n") + "\n";
    }
    text += &format!(
        "seed {}: trace {:016x}, {} datagrams, {} launches, {} faults, {took:?}: {}",
        verdict.seed,
        verdict.trace,
        verdict.datagrams,
        verdict.launched,
        verdict.faults,
        if clean { "clean" } else { "FAILED" }
    );
    for violation in &verdict.violations {
        text += &format!("\n  {violation}");
    }
    println!("{text}");
}
