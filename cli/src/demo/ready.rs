//! The ready file: what scripts need to know of a running demo.

use super::{
    children::Children,
    fleet::{self, DemoNode, Walls},
    layout::{Layout, Login},
};
use anyhow::{Context, Result};
use serde::Serialize;
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path, path::PathBuf};

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Ready {
    console_url: String,
    operator_url: String,
    quic_addr: String,
    data_dir: PathBuf,
    ca_file: PathBuf,
    isolation: String,
    operator: Login,
    user: Login,
    pids: Pids,
    skus: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Pids {
    coordinator: u32,
    agents: Vec<Agent>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Agent {
    node_id: String,
    name: String,
    pid: u32,
    root_pid: Option<u32>,
    state_dir: PathBuf,
}

impl Ready {
    /// All of it while every process runs; nothing while one is being restarted.
    pub(super) fn gather(
        layout: &Layout,
        children: &Children,
        nodes: &[DemoNode],
        skus: &[String],
        walls: &Walls,
    ) -> Option<Self> {
        let mut agents = Vec::new();
        for node in nodes {
            let pid = children.pid(&node.child_name())?;
            let root_pid = fleet::root_half(pid);
            let state_dir = layout.state_dir(&node.name);
            agents.push(Agent {
                node_id: node.node_id(layout).ok()?,
                name: node.name.clone(),
                pid,
                root_pid,
                state_dir,
            });
        }
        Some(Self {
            console_url: layout.console_url.clone(),
            operator_url: layout.operator_url.clone(),
            quic_addr: layout.quic.to_string(),
            data_dir: layout.data_dir(),
            ca_file: layout.ca_file(),
            isolation: walls.level.clone(),
            operator: layout.operator.clone(),
            user: layout.user.clone(),
            pids: Pids { coordinator: children.pid("coordinator")?, agents },
            skus: skus.to_vec(),
        })
    }

    /// Replaces the file in one step; it holds passwords and is for its owner only.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let next = path.with_extension("new");
        let _ = fs::remove_file(&next);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&next)
            .with_context(|| next.display().to_string())?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        Ok(fs::rename(&next, path)?)
    }

    /// For people: where to go and what to type next.
    pub(super) fn print(&self, layout: &Layout, walls: &Walls) {
        let ca = if layout.tls { format!(" --ca {}", self.ca_file.display()) } else { String::new() };
        let bin = layout.bin_dir.display();
        let nodes = match self.pids.agents.len() {
            1 => "1 node".to_owned(),
            more => format!("{more} nodes"),
        };
        println!("\nMuster is up: {nodes}\n");
        println!("  users      {}   {} / {}", self.console_url, self.user.username, self.user.password);
        println!("  operators  {}   {} / {}", self.operator_url, self.operator.username, self.operator.password);
        println!("  agents     {} (UDP)", self.quic_addr);
        println!("  isolation  {}", walls.said);
        println!("  on sale    {}", self.skus.join(", "));
        println!("  data       {}\n", layout.dir.display());
        println!("In another terminal:\n");
        println!("  export PATH={bin}:$PATH");
        println!(
            "  muster login --url {}{ca} --username {} --password-stdin <<< '{}'",
            self.console_url, self.user.username, self.user.password
        );
        println!("  muster keys add ~/.ssh/id_ed25519.pub");
        println!("  muster launch --sku {} --name first --wait", self.skus.first().map_or("cpu", String::as_str));
        println!("  muster terminal first\n");
        println!(
            "  muster login --operator --url {}{ca} --username {} --password-stdin <<< '{}'",
            self.operator_url, self.operator.username, self.operator.password
        );
        println!("  muster nodes list\n");
        println!("Ctrl-C stops everything; the data stays.");
        if self.isolation == "none" {
            println!("\nWARNING: isolation none: allocations share this machine without any wall.");
        }
    }
}
