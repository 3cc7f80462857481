//! `muster demo`: a whole Muster on this machine, from nothing to ready, watched until Ctrl-C.
//!
//! [`layout`] says where things stand, [`children`] starts and restarts processes, [`fleet`] makes the nodes,
//! [`seed`] makes what an operator and a user would make by hand, [`ready`] tells scripts. Everything it does
//! goes through the same commands and doors that people use.

mod children;
mod door;
mod fleet;
mod layout;
mod ready;
mod seed;

use crate::error;
use anyhow::{Context, Result, bail};
use children::Children;
use clap::{Parser, ValueEnum};
use layout::Layout;
use std::{ffi::OsString, net::SocketAddr, path::PathBuf, process::ExitCode};

/// Runs a coordinator, simulated GPU nodes, an operator and a user on this machine until Ctrl-C.
#[derive(Debug, Clone, Parser)]
#[command(name = "muster demo", version)]
pub struct DemoArgs {
    /// Folder of all data; the demo starts again on what is there.
    #[arg(long, default_value = "muster-demo", env = "MUSTER_DEMO_DIR")]
    dir: PathBuf,
    /// Simulated nodes: 8×H100, 4×A100-80 (two of them with MIG), 1×L40S, then more L40S.
    #[arg(long, default_value_t = 3, value_parser = nodes)]
    nodes: u32,
    /// Written when all is ready, and again when a process id changes.
    #[arg(long)]
    ready_file: Option<PathBuf>,
    /// Address of the user door; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    console: SocketAddr,
    /// Address of the operator door; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8081")]
    operator: SocketAddr,
    /// Where agents connect to (UDP); port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:7443")]
    quic: SocketAddr,
    /// PostgreSQL for the coordinator instead of its SQLite file: an empty database (postgres://user@host/name).
    #[arg(long, env = "MUSTER_DATABASE", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// HTTPS doors with a certificate of the built-in CA.
    #[arg(long)]
    tls: bool,
    /// Walls of allocations; the default is the strongest that this user can build.
    #[arg(long, value_enum)]
    isolation: Option<Isolation>,
    /// `real` adds this machine, with its NVIDIA driver, as a further node.
    #[arg(long, value_enum, default_value = "sim")]
    gpu: Gpu,
    /// Whether what dies is started again.
    #[arg(long, value_enum, default_value = "on")]
    supervise: Switch,
}

/// Each node is two processes and a state of its own.
const NODES_MAX: u32 = 64;

fn nodes(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number <= NODES_MAX);
    number.ok_or_else(|| {
        format!("the demo has 0 to {NODES_MAX} nodes; more of them are what muster-fleet is for (bench/fleet)")
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Isolation {
    /// Namespaces, cgroups and devices of its own for each allocation: needs root.
    Cell,
    /// The same walls as an ordinary user; limits are not enforced.
    Userns,
    /// No walls: for development only.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Gpu {
    Sim,
    Real,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// The command line of `muster demo`; the first argument is the word `demo`.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args = match DemoArgs::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { error::exit::CLIENT } else { error::exit::OK });
        }
    };
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("a runtime")
        .and_then(|runtime| runtime.block_on(run(args)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::from(error::exit::CLIENT)
        }
    }
}

/// Brings everything up, watches it, and takes it down on Ctrl-C or SIGTERM.
///
/// # Errors
/// If something cannot be brought up; what was started is stopped again, its logs stay.
async fn run(args: DemoArgs) -> Result<()> {
    if args.isolation == Some(Isolation::Cell) && !nix::unistd::geteuid().is_root() {
        bail!("--isolation cell needs root: run the demo as root, or leave --isolation out");
    }
    let layout = Layout::open(&args)?;
    let mut children = Children::new(layout.logs(), args.supervise == Switch::On);
    let outcome = tokio::select! {
        outcome = up_and_watch(&args, &layout, &mut children) => outcome,
        signal = stop_signal() => signal,
    };
    say("stopping…");
    children.stop("agent-").await;
    fleet::end_cells(&args, &layout).await;
    children.stop("").await;
    outcome.map_err(|error| anyhow::anyhow!("{error:#}\ndemo: the logs are in {}", layout.logs().display()))
}

async fn up_and_watch(args: &DemoArgs, layout: &Layout, children: &mut Children) -> Result<()> {
    let nodes = fleet::plan(args, layout);
    let (skus, walls) = match bring_up(args, layout, &nodes, children).await {
        Ok(up) => up,
        Err(error) => {
            // Whatever failed because a process is gone: what that said last is the reason.
            children.check()?;
            return Err(error);
        }
    };
    let mut told = None;
    loop {
        let now = ready::Ready::gather(layout, children, &nodes, &skus, &walls);
        if let Some(now) = now
            && told.as_ref() != Some(&now)
        {
            if let Some(path) = &args.ready_file {
                now.write(path)?;
            }
            if told.is_none() {
                now.print(layout, &walls);
            }
            told = Some(now);
        }
        children.watch().await?;
    }
}

/// Everything once, from nothing to ready; gives the names of what is on sale, and what walls there are.
async fn bring_up(
    args: &DemoArgs,
    layout: &Layout,
    nodes: &[fleet::DemoNode],
    children: &mut Children,
) -> Result<(Vec<String>, fleet::Walls)> {
    say("starting the coordinator");
    start_coordinator(args, layout, children)?;
    let mut operator = door::Door::operator(layout)?.sign_in(children).await?;
    for (number, node) in nodes.iter().enumerate() {
        say(&format!("node {} of {}: {}", number + 1, nodes.len(), node.name));
        fleet::start(args, layout, node, &mut operator, children).await?;
    }
    say("approving slots, putting products on sale");
    let skus = seed::run(layout, &mut operator, nodes).await?;
    fleet::own_gpus(layout, nodes, &mut operator).await?;
    Ok((skus, fleet::walls(&mut operator).await?))
}

fn start_coordinator(args: &DemoArgs, layout: &Layout, children: &mut Children) -> Result<()> {
    let coordinator = || {
        let mut command = layout.command("muster-coordinator");
        // Not an argument: everybody on the machine may read those.
        command.envs(args.database.iter().map(|url| ("MUSTER_DATABASE", url)));
        command
    };
    if !layout.coordinator_exists() {
        let mut init = coordinator();
        init.arg("init").arg("--data-dir").arg(layout.data_dir());
        init.args(["--operator-username", &layout.operator.username, "--operator-password-stdin"]);
        children::run_with_input(init, layout.operator.password.as_bytes()).context("muster-coordinator init")?;
    }
    let mut serve = coordinator();
    serve.arg("serve").arg("--data-dir").arg(layout.data_dir());
    serve.args(["--console", &layout.console.to_string(), "--operator", &layout.operator_addr.to_string()]);
    serve.args(["--quic", &layout.quic.to_string()]);
    if args.tls {
        serve.arg("--tls");
    }
    children.start("coordinator", serve)
}

/// Says what happens, if stderr takes it: a disk that is full there must not end the demo.
fn say(what: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "demo: {what}");
}

async fn stop_signal() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut hup = signal(SignalKind::hangup())?;
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {}, _ = hup.recv() => {} }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_has_as_many_nodes_as_a_machine_can_carry() {
        let demo = |nodes| DemoArgs::try_parse_from(["demo", "--nodes", nodes]);
        assert_eq!(demo("64").expect("taken").nodes, 64);
        for nodes in ["65", "100000", "-1", "many"] {
            let refused = demo(nodes).expect_err("too many").to_string();
            assert!(nodes == "-1" || refused.contains("0 to 64 nodes"), "{refused}");
        }
    }
}
