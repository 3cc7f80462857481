//! `muster-fleet`: drives a coordinator with many simulated nodes and prints what they saw, a JSON line a step.

use clap::Parser;
use muster_agent::chance;
use muster_fleet::{Fleet, Mode};
use serde_json::json;
use std::{path::PathBuf, time::Duration};
use tokio::time::{Instant, interval, sleep};

/// Many simulated nodes for a real coordinator.
///
/// Mint a token that is good for all of them and approves by itself:
/// `muster tokens create --max-uses 200 --auto-approve`.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where agents connect
    #[arg(long, value_name = "HOST:PORT")]
    coordinator: String,
    /// Keys, certificates and identities of the nodes; those of an earlier run are used again
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How many
    #[arg(long, default_value_t = 200)]
    nodes: usize,
    /// A bootstrap token for those that are not enrolled yet
    #[arg(long, env = "MUSTER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// How long the links are kept
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Nodes that lose their link and come back, a minute
    #[arg(long, default_value_t = 0)]
    churn: u32,
    /// All nodes lose their link and come back, so often in a row
    #[arg(long, default_value_t = 0)]
    storms: u32,
    /// So many nodes send as fast as the coordinator takes it
    #[arg(long, default_value_t = 0)]
    flood: usize,
    /// So many nodes fall silent after half of the time
    #[arg(long, default_value_t = 0)]
    silent: usize,
    /// Time between two lines of figures
    #[arg(long, default_value_t = 10)]
    every: u64,
}

/// How long links may take to come up.
const PATIENCE: Duration = Duration::from_secs(120);

fn say(step: &str, what: &impl serde::Serialize) {
    println!("{}", json!({ "step": step, "figures": what }));
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MUSTER_LOG").unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let args = Args::parse();
    let began = Instant::now();
    let mut fleet = Fleet::enrol(&args.dir, args.nodes, &args.coordinator, args.token.as_deref()).await?;
    say("enrolled", &json!({ "nodes": args.nodes, "ms": began.elapsed().as_millis() as u64 }));
    let began = Instant::now();
    fleet.start();
    let all = args.nodes as u64;
    anyhow::ensure!(fleet.up(all, PATIENCE).await, "not all came up: {:?}", fleet.meters.figures());
    say("up", &json!({ "ms": began.elapsed().as_millis() as u64, "arrivals": fleet.meters.arrivals() }));
    for _ in 0..args.storms {
        fleet.all(Mode::Off);
        anyhow::ensure!(fleet.up(0, PATIENCE).await, "not all ended");
        let began = Instant::now();
        fleet.all(Mode::On);
        anyhow::ensure!(fleet.up(all, PATIENCE).await, "not all came back: {:?}", fleet.meters.figures());
        say("storm", &json!({ "ms": began.elapsed().as_millis() as u64, "arrivals": fleet.meters.arrivals() }));
    }
    fleet.some(args.flood, Mode::Flood);
    hold(&args, &fleet).await;
    Ok(())
}

/// Keeps the links, with churn, and prints figures until the time is over.
async fn hold(args: &Args, fleet: &Fleet) {
    let (began, time) = (Instant::now(), Duration::from_secs(args.seconds));
    let mut look = interval(Duration::from_secs(args.every.max(1)));
    look.tick().await;
    let pause = Duration::from_secs(60).checked_div(args.churn).unwrap_or(Duration::MAX / 4);
    let mut churn = Instant::now() + pause.min(time * 2);
    let mut silent = args.silent > 0;
    while began.elapsed() < time {
        tokio::select! {
            _ = look.tick() => {
                if let Some(arrivals) = fleet.meters.arrivals() {
                    say("arrivals", &arrivals);
                }
                say("hold", &fleet.meters.figures());
            }
            () = tokio::time::sleep_until(churn) => {
                churn += pause;
                let drawn = u64::from_be_bytes(chance::bytes());
                let node = &fleet.nodes[usize::try_from(drawn % fleet.nodes.len() as u64).unwrap_or(0)];
                node.mode.send_replace(Mode::Off);
                sleep(Duration::from_millis(50)).await;
                node.mode.send_replace(Mode::On);
            }
            () = sleep(time.saturating_sub(began.elapsed())) => {}
        }
        if silent && began.elapsed() > time / 2 {
            silent = false;
            fleet.some(args.silent, Mode::Silent);
            say("silent", &json!({ "nodes": args.silent }));
        }
    }
    say("end", &fleet.meters.figures());
}
