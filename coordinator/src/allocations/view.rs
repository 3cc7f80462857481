//! An allocation as it is shown.

use super::labels;
use super::model::Wish;
use super::store::{self, Allocation};
use crate::base::authz::Verb;
use crate::base::clock::{rfc3339, rfc3339_opt};
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::catalog::Price;
use crate::{audit, nodes, users};
use muster_protocol::desired::Slot;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An allocation.
#[derive(Debug, Serialize, ToSchema)]
pub struct AllocationView {
    /// `al_…`
    pub id: String,
    /// The host name inside.
    pub name: String,
    /// `requested`, `provisioning`, `active`, `degraded`, `releasing`, `released`, `failed`, `release_failed`.
    pub state: &'static str,
    /// The word for people: provisioning from the reservation on, `exited` after its command has ended.
    pub display_status: &'static str,
    /// `reserved`, `provisioning`, `placed`, `none`.
    pub placement_state: &'static str,
    /// Name of the SKU when it was launched.
    pub sku: String,
    /// Its id.
    pub sku_id: String,
    /// What an hour of it cost when it was launched, and costs to its end; null: it had no price.
    pub price: Option<Price>,
    /// Where it is.
    pub node_id: String,
    /// What operators call that node; null if it is gone.
    pub node_name: Option<String>,
    /// Whose it is.
    pub project_id: String,
    /// Who launched it.
    pub user_id: String,
    /// Their sign-in name.
    pub user_name: Option<String>,
    /// Its slots, also after its end.
    pub slots: Vec<SlotView>,
    /// How to log in.
    pub ssh: SshView,
    /// Keys that may log in.
    pub ssh_key_ids: Vec<String>,
    /// Batch command.
    pub command: Option<Vec<String>>,
    /// Names of the environment; values are shown to nobody.
    pub env: Vec<String>,
    /// For people.
    pub labels: BTreeMap<String, String>,
    /// Counts the edits of its labels; for `If-Match`.
    pub version: i64,
    /// Ends the command after so many seconds.
    pub max_runtime_s: Option<u64>,
    /// Released by itself when the command has ended.
    pub release_on_exit: bool,
    /// Of the command; null while it runs.
    pub exit_code: Option<i32>,
    /// Isolation in force: `cell`, `userns`, `none`; null before the node said it.
    pub isolation: Option<String>,
    /// Limits that its node cannot enforce.
    pub not_enforced: Vec<String>,
    /// Step in words while it is built or ended.
    pub step: Option<String>,
    /// Why it failed.
    pub failure_reason: Option<FailureReason>,
    /// Why its release has not been proved.
    pub release_failed_reason: Option<String>,
    /// Who of the operators ended it, and why; null if none did.
    pub forced: Option<ForcedView>,
    /// Its launch.
    pub operation_id: String,
    /// Its last release.
    pub release_operation_id: Option<String>,
    /// The node's proof of what was removed.
    pub receipt: Option<serde_json::Value>,
    /// When it was asked for.
    pub created_at: String,
    /// When it ran first.
    pub active_at: Option<String>,
    /// Since when its node is lost, while it is degraded: its cell ran when the node was last heard.
    pub degraded_at: Option<String>,
    /// When its end was asked for.
    pub release_at: Option<String>,
    /// When it was over.
    pub ended_at: Option<String>,
    /// How long its node has seen its cell stand, ms, told every minute and at its end; null before.
    pub used_ms: Option<i64>,
}

/// A slot of an allocation.
#[derive(Debug, Serialize, ToSchema)]
pub struct SlotView {
    /// `sl_…`
    pub id: String,
    /// `gpu`, `mig`, `cpu`.
    pub kind: &'static str,
    /// Its GPU; null for `cpu`.
    pub gpu_uuid: Option<String>,
    /// MIG profile.
    pub profile: Option<String>,
}

/// An end that was forced.
#[derive(Debug, Serialize, ToSchema)]
pub struct ForcedView {
    /// The operator's name.
    pub by: String,
    /// In the operator's words.
    pub reason: String,
    /// When.
    pub at: String,
}

/// What other rooms know of an allocation.
#[derive(Debug, Default)]
struct Around {
    node_name: Option<String>,
    user_name: Option<String>,
    forced: Option<ForcedView>,
    labels: BTreeMap<String, String>,
    version: i64,
}

/// How to log in by SSH; null until it is possible.
#[derive(Debug, Serialize, ToSchema)]
pub struct SshView {
    /// One line for a shell. Its destination comes last, so that a command can be added.
    pub command: Option<String>,
    /// `type base64`.
    pub host_key: Option<String>,
    /// The login name: `muster`, or on a node without walls the account that its agent has.
    pub user: Option<String>,
}

/// Why an allocation failed.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailureReason {
    /// A word scripts may rely on.
    pub code: String,
    /// For people.
    pub detail: String,
    /// Names the report that made it fail, in logs and audit trail.
    pub correlation_id: Option<String>,
}

/// Who logs in where the node did not say.
const LOGIN_NAME: &str = "muster";

/// The line that logs in. `%H` is what ssh looks a host key up by, so the one key of this cell is pinned
/// without a file; the tunnel is the command line's.
fn ssh_command(user: &str, id: &str, host_key: &str) -> String {
    format!(
        "ssh -o ProxyCommand='muster ssh --stdio {id}' -o KnownHostsCommand='/bin/echo %H {host_key}' \
         -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes {user}@{id}"
    )
}

/// The view of a row, with what other rooms know of it.
///
/// # Errors
/// Only what the store says.
pub(super) fn shown_in(tx: &mut Tx, row: Allocation) -> Result<AllocationView, Problem> {
    let slots = store::slots_of(tx, row.id)?;
    let forced = match row.release_ms {
        Some(_) => audit::last_in(tx, Verb::AllocationsForceRelease.as_str(), &row.id.to_string())?,
        None => None,
    };
    let around = Around {
        node_name: nodes::store::name_in(tx, row.node_id)?,
        user_name: users::name_in(tx, row.user_id)?,
        labels: labels::store::of(tx, row.id)?,
        version: labels::store::version(tx, row.id)?,
        forced: forced.map(|event| ForcedView {
            by: event.actor_name,
            reason: event.reason.unwrap_or_default(),
            at: rfc3339(event.at_ms),
        }),
    };
    Ok(view(row, slots, around))
}

fn view(row: Allocation, slots: Vec<Slot>, around: Around) -> AllocationView {
    let id = row.id.to_string();
    let host_key = Some(row.said.ssh_host_key.clone()).filter(|key| !key.is_empty());
    let open = row.lease.wish == Wish::Wanted && row.active_ms.is_some() && row.keys.is_some();
    let user = if row.said.ssh_user.is_empty() { LOGIN_NAME } else { &row.said.ssh_user };
    let ssh = SshView {
        command: host_key.as_ref().filter(|_| open).map(|key| ssh_command(user, &id, key)),
        user: host_key.as_ref().map(|_| user.to_owned()),
        host_key,
    };
    let correlation_id = row.failure_correlation;
    let failure_reason = row.lease.failure.clone().map(|failure| FailureReason {
        code: failure.code,
        detail: failure.detail,
        correlation_id,
    });
    let late = row.lease.state == super::model::State::ReleaseFailed;
    let slots = slots.into_iter().map(|slot| SlotView {
        id: slot.id.to_string(),
        kind: slot.kind.word(),
        gpu_uuid: slot.gpu_uuid,
        profile: slot.profile,
    });
    AllocationView {
        name: row.name,
        state: row.lease.state.word(),
        display_status: row.lease.display_status(),
        placement_state: row.lease.placement(),
        sku: row.sku_name,
        sku_id: row.sku_id.to_string(),
        price: row.price,
        node_id: row.node_id.to_string(),
        node_name: around.node_name,
        project_id: row.project_id.to_string(),
        user_id: row.user_id.to_string(),
        user_name: around.user_name,
        slots: slots.collect(),
        ssh,
        ssh_key_ids: row.keys.iter().flat_map(|keys| &keys.ids).map(ToString::to_string).collect(),
        command: row.spec.command,
        env: row.spec.env.into_keys().collect(),
        labels: around.labels,
        version: around.version,
        max_runtime_s: row.spec.max_runtime_s,
        release_on_exit: row.lease.release_on_exit,
        exit_code: row.lease.exit_code,
        isolation: Some(row.said.isolation).filter(|word| !word.is_empty()),
        not_enforced: row.said.not_enforced,
        step: Some(row.said.step).filter(|word| !word.is_empty() && row.lease.wish != Wish::Gone),
        failure_reason,
        release_failed_reason: late.then(|| "The node has not proved in time that the cell is gone.".to_owned()),
        forced: around.forced,
        operation_id: row.operation_id.to_string(),
        release_operation_id: row.release_operation_id.map(|id| id.to_string()),
        receipt: row.receipt.and_then(|text| serde_json::from_str(&text).ok()),
        created_at: rfc3339(row.created_ms),
        active_at: rfc3339_opt(row.active_ms),
        degraded_at: rfc3339_opt(row.degraded_ms),
        release_at: rfc3339_opt(row.release_ms),
        ended_at: rfc3339_opt(row.ended_ms),
        used_ms: row.used_ms,
        id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_begins_with_ssh_and_ends_with_the_destination() {
        let line = ssh_command("muster", "al_x", "ssh-ed25519 AAAA");
        assert!(line.starts_with("ssh ") && line.ends_with(" muster@al_x") && !line.contains('\n'));
    }
}
