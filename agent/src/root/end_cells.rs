//! `muster-agent root --end-cells`: ends every cell of this node, for a machine that leaves the fleet for good.

use super::Client;
use super::command::start_half;
use super::state::Places;
use super::words::{CellState, Reply, Request};
use crate::args::Common;
use crate::identity::Identity;
use anyhow::bail;

/// Time for processes to end by themselves, ms.
const GRACE_MS: u32 = 500;

/// Starts a root half of its own, ends all cells through it and prints a line for each.
///
/// # Errors
/// A cell could not be ended, or something of it is left.
pub(super) fn run(common: &Common) -> anyhow::Result<()> {
    let Some(identity) = Identity::load(&common.state_dir)? else { return Ok(()) };
    let owner = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    let known = Places::open(&common.state_dir, owner.1)
        .and_then(|places| places.settle().and_then(|()| places.all()))
        .map_err(|fault| anyhow::anyhow!("{fault}"))?;
    if known.is_empty() {
        return Ok(());
    }
    let exe = std::env::current_exe()?;
    let (mut half, socket) = start_half(&exe, &common.state_dir, common.config.as_deref(), owner)?;
    let (client, _events) = Client::new(socket)?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let _ = client.ask_blocking(Request::Hello { version, node: identity.node_id })?;
    let left = end_all(&client)?;
    drop(client);
    let _ = half.wait()?;
    if left > 0 {
        bail!("{left} cells left something behind");
    }
    Ok(())
}

/// All at once, since each may take its grace.
fn end_all(client: &Client) -> anyhow::Result<usize> {
    let Reply::Cells { cells } = client.ask_blocking(Request::CellList)? else { bail!("no list of cells") };
    let mut waiting = Vec::new();
    for cell in cells.into_iter().filter(|cell| cell.state != CellState::Ended) {
        let allocation = cell.allocation;
        let end = Request::CellEnd { allocation, reason: "node_stopped".into(), grace_ms: GRACE_MS };
        waiting.push((allocation, client.send(end)?));
    }
    let mut left = 0;
    for (allocation, answer) in waiting {
        let said = match answer.blocking_recv()? {
            Reply::Ended { receipt, .. } if receipt.clean => "ended".to_owned(),
            Reply::Ended { receipt, .. } => receipt.leftovers.join(", "),
            Reply::Refused { code, detail } => format!("{code}: {detail}"),
            other => bail!("{allocation}: no receipt but {other:?}"),
        };
        println!("{allocation}: {said}");
        left += usize::from(said != "ended");
    }
    Ok(left)
}
