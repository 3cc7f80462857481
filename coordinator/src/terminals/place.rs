//! What this room needs to know of an allocation.

use crate::allocations::{self, State};
use crate::base::authz::Verb;
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use muster_protocol::ids::{AllocationId, NodeId, TenantId};

/// Whose an allocation is, where it is, and how it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) tenant_id: TenantId,
    pub(super) node_id: NodeId,
    pub(super) state: State,
    /// It runs a command of its own.
    pub(super) has_command: bool,
    /// It was launched with SSH keys.
    pub(super) has_ssh: bool,
}

impl Place {
    /// Sessions may be opened in it.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Active | State::Degraded)
    }
}

/// The place of an allocation, if the actor may do `verb` to it; 404 without.
pub(super) fn find_in(tx: &mut Tx, cx: &Cx, id: AllocationId, verb: Verb) -> Result<Place, Problem> {
    let row = allocations::find_in(tx, cx, id, verb)?;
    let (tenant_id, node_id, state) = (row.tenant_id, row.node_id, row.lease.state);
    let (has_command, has_ssh) = (row.spec.command.is_some(), !row.said.ssh_host_key.is_empty());
    Ok(Place { tenant_id, node_id, state, has_command, has_ssh })
}

/// What was kept of the output of its command from a byte on, and which byte is its first.
pub(super) fn log_in(tx: &mut Tx, id: AllocationId, from: u64) -> Result<(u64, Vec<u8>), Problem> {
    let pieces = allocations::log_of_in(tx, id)?;
    let first = pieces.first().map_or(from, |(offset, _)| *offset);
    let bytes: Vec<u8> = pieces.into_iter().flat_map(|(_, piece)| piece).collect();
    let skip = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX).min(bytes.len());
    Ok((first + skip as u64, bytes[skip..].to_vec()))
}
