//! The demo's nodes: real agents, each with its own state and its own simulated GPUs.

use super::{
    DemoArgs, Gpu, Isolation,
    children::{Children, run_with_input},
    door::items,
    layout::Layout,
};
use crate::{api::Client, isolation, output::text};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    time::{Duration, Instant},
};

const ONLINE_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Two of the four GPUs are cut: into halves, and into a half, a quarter and small ones.
const A100_WITH_MIG: &[&str] = &["a100-80*2", "a100-80:3g.40gb@0,3g.40gb@4", "a100-80:3g.40gb@0,2g.20gb@4,1g.10gb@6"];

/// One node.
#[derive(Debug, Clone)]
pub(super) struct DemoNode {
    pub(super) name: String,
    /// Lines of `simgpu-init --gpu`; none: this machine's own GPUs.
    gpus: Option<&'static [&'static str]>,
}

impl DemoNode {
    pub(super) fn child_name(&self) -> String {
        format!("agent-{}", self.name)
    }

    /// Its id, once it is enrolled.
    pub(super) fn node_id(&self, layout: &Layout) -> Result<String> {
        let path = layout.state_dir(&self.name).join("identity.json");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let identity: serde_json::Value = serde_json::from_str(&text)?;
        Ok(identity["node_id"].as_str().context("identity.json has no node_id")?.to_owned())
    }
}

/// The nodes of this demo, in order.
pub(super) fn plan(args: &DemoArgs, _layout: &Layout) -> Vec<DemoNode> {
    let mut nodes: Vec<DemoNode> = (0..args.nodes)
        .map(|number| match number {
            0 => DemoNode { name: "h100".into(), gpus: Some(&["h100*8"]) },
            1 => DemoNode { name: "a100".into(), gpus: Some(A100_WITH_MIG) },
            2 => DemoNode { name: "l40s".into(), gpus: Some(&["l40s"]) },
            more => DemoNode { name: format!("l40s-{}", more - 1), gpus: Some(&["l40s"]) },
        })
        .collect();
    if args.gpu == Gpu::Real {
        nodes.push(DemoNode { name: "this-machine".into(), gpus: None });
    }
    nodes
}

/// Makes the node if it is new, starts its agent, waits until it is online.
pub(super) async fn start(
    args: &DemoArgs,
    layout: &Layout,
    node: &DemoNode,
    client: &mut Client,
    children: &mut Children,
) -> Result<()> {
    configure(args, layout, node)?;
    if node.node_id(layout).is_err() {
        enrol(layout, node, client).await?;
    }
    let mut run = layout.command("muster-agent");
    run.arg("run").arg("--state-dir").arg(layout.state_dir(&node.name));
    let child = node.child_name();
    children.start(&child, run)?;
    let path = format!("/api/v1/admin/nodes/{}", node.node_id(layout)?);
    let began = Instant::now();
    while client.get(&path).await?["presence"] != "online" {
        children.check()?;
        if began.elapsed() > ONLINE_WITHIN {
            bail!("node {} does not come online; see {}/{child}.log", node.name, layout.logs().display());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn enrol(layout: &Layout, node: &DemoNode, client: &mut Client) -> Result<()> {
    let token = client.post("/api/v1/admin/bootstrap-tokens", &json!({"auto_approve": true})).await?;
    let mut enroll = layout.command("muster-agent");
    enroll.arg("enroll").arg("--state-dir").arg(layout.state_dir(&node.name)).arg("--wait");
    enroll.args(["--coordinator", &layout.quic.to_string()]);
    enroll.args(["--token", token["token"].as_str().context("a token")?]);
    let _ = run_with_input(enroll, b"").with_context(|| format!("node {} does not enrol", node.name))?;
    Ok(())
}

/// Writes the agent's configuration and, for a new node, its simulated GPUs.
fn configure(args: &DemoArgs, layout: &Layout, node: &DemoNode) -> Result<()> {
    let state = layout.state_dir(&node.name);
    fs::create_dir_all(&state)?;
    // The address as well: a demo that is started again may listen elsewhere than where its nodes enrolled.
    let mut config = format!("name = \"{}\"\ncoordinator = \"{}\"\n", node.name, layout.quic);
    if let Some(isolation) = args.isolation {
        let word = match isolation {
            Isolation::Cell => "cell",
            Isolation::Userns => "userns",
            Isolation::None => "none",
        };
        config += &format!("isolation = \"{word}\"\n");
    }
    if let Some(gpus) = node.gpus {
        let mut init = layout.command("simgpu-init");
        init.arg(state.join("gpu")).args(gpus.iter().flat_map(|line| ["--gpu", line]));
        // What it prints are the settings of an agent that uses these GPUs.
        config += &run_with_input(init, b"").context("simgpu-init")?;
    }
    // A new file each time: an agent that is root obeys none that is or was anybody else's.
    let file = state.join("agent.toml");
    match fs::remove_file(&file) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut file = fs::File::options().write(true).create_new(true).mode(0o644).open(file)?;
    Ok(file.write_all(config.as_bytes())?)
}

/// Walls as the nodes report them.
#[derive(Debug)]
pub(super) struct Walls {
    /// Level of isolation.
    pub(super) level: String,
    /// The same with all that does not hold, for people.
    pub(super) said: String,
}

/// The walls of the weakest node; those of the strongest level without nodes.
pub(super) async fn walls(client: &mut Client) -> Result<Walls> {
    let list = client.get("/api/v1/admin/nodes").await?;
    let node = |level: &str| items(&list).iter().find(|node| node["isolation"] == level);
    let strongest = json!({"isolation": "cell"});
    let weakest = ["none", "userns", "cell"].into_iter().find_map(node).unwrap_or(&strongest);
    Ok(Walls { level: text(weakest, "isolation"), said: isolation::said(weakest) })
}

/// Says so if this machine's own GPUs were wanted and cannot be had.
pub(super) async fn own_gpus(layout: &Layout, nodes: &[DemoNode], client: &mut Client) -> Result<()> {
    for node in nodes.iter().filter(|node| node.gpus.is_none()) {
        let shown = client.get(&format!("/api/v1/admin/nodes/{}", node.node_id(layout)?)).await?;
        let why = text(&shown, "gpu_detail");
        let missing = match shown["gpu_state"].as_str() {
            Some("ok") => continue,
            Some("none") => "has no NVIDIA driver, nor a GPU that needs one".to_owned(),
            Some("driver_missing") => format!("has no NVIDIA driver ({why}): install it and start the demo again"),
            _ => format!("has GPUs that cannot be used ({why}): muster-agent doctor says more"),
        };
        super::say(&format!("--gpu real: this machine {missing}. Its node offers CPU slots"));
    }
    Ok(())
}

/// Process id of the half of an agent that has the rights: its child.
pub(super) fn root_half(agent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{agent}/task/{agent}/children")).ok()?;
    children.split_whitespace().find_map(|pid| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let is_root_half = words.split(|byte| *byte == 0).nth(1) == Some(b"root");
        if is_root_half { pid.parse().ok() } else { None }
    })
}

/// Ends all cells of the demo's nodes, which would outlive their agents otherwise.
pub(super) async fn end_cells(args: &DemoArgs, layout: &Layout) {
    for node in plan(args, layout) {
        let state = layout.state_dir(&node.name);
        if node.node_id(layout).is_err() {
            continue;
        }
        let mut end = layout.command("muster-agent");
        end.arg("root").arg("--end-cells").arg("--state-dir").arg(&state);
        if let Err(error) = run_with_input(end, b"") {
            super::say(&format!("cells of {}: {error:#}", node.name));
        }
    }
}
