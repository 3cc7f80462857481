//! A node as the API shows it: its row, its live presence and its latest values.

use super::acts::{self, NodeOperation};
use super::facts::{Facts, GpuFacts, MigFacts};
use super::model::{Facets, Health, Lifecycle, Presence, Scheduling};
use super::store::{self, Brief, NodeRow};
use super::tasks::{self, BacklogItem};
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::{rfc3339, rfc3339_opt};
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::operations;
use muster_protocol::ids::NodeId;
use muster_protocol::telemetry::GpuSample;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A node. Null where nothing was measured, or not lately.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NodeItem {
    /// Fixed for life.
    #[schema(value_type = String)]
    pub id: NodeId,
    /// What operators call it.
    pub name: String,
    /// The first that applies of removed, pending_approval, enrolling, offline, stale, quarantined,
    /// maintenance, draining, cordoned, active.
    pub state: String,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// Whether its agent is heard.
    pub presence: Presence,
    /// Whether new work may come.
    pub scheduling: Scheduling,
    /// Whether its hardware is trusted.
    pub health: Health,
    /// Why health is not `ok`; null if it is.
    pub health_reason: Option<String>,
    /// `ok`, `none`, `driver_missing`, `driver_error` or `degraded`; null before the first inventory.
    pub gpu_state: Option<String>,
    /// Why, for people; null at `ok`.
    pub gpu_detail: Option<String>,
    /// Strongest isolation the agent can give: `cell`, `userns` or `none`; null before the first inventory.
    pub isolation: Option<String>,
    /// Limits and walls that are not enforced there.
    pub not_enforced: Vec<String>,
    /// Its GPUs in index order.
    pub gpus: Vec<GpuItem>,
    /// The machine at the moment.
    pub host: HostItem,
    /// Version of the agent; null before its first link.
    pub agent_version: Option<String>,
    /// When the drain releases what still runs; null if it waits as long as that takes, or there is none.
    pub drain_deadline: Option<String>,
    /// What an operator should look at, worst first.
    pub conditions: Vec<Condition>,
    /// Its tasks that have not ended.
    pub backlog: BacklogItem,
    /// When it was last heard.
    pub last_seen_at: Option<String>,
    /// Its kernel's boot id: another one after a restart, the same one after a partition; null before its
    /// first link.
    pub boot_id: Option<String>,
    /// Operators' labels.
    pub labels: BTreeMap<String, String>,
    /// For `If-Match`.
    pub version: i64,
    /// SHA-256 of its public key, to compare with what the machine shows.
    pub key_fingerprint: String,
    /// The token that let it in.
    pub token_id: String,
    /// Other nodes that say they are the same machine.
    #[schema(value_type = Vec<String>)]
    pub shares_machine_with: Vec<NodeId>,
    /// When the token was presented.
    pub created_at: String,
    /// What the caller can do with it now, and why not, in the order of intents.
    pub operations: Vec<NodeOperation>,
    /// Operations about it that have not ended, oldest first.
    pub running: Vec<RunningItem>,
}

/// An operation that has not ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RunningItem {
    /// `op_…`
    pub operation_id: String,
    /// `nodes.probe`, …
    pub kind: String,
}

/// A GPU with its latest values.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GpuItem {
    /// `GPU-…`.
    pub uuid: String,
    /// What it is called.
    pub model: String,
    /// NVML index.
    pub index: u32,
    /// Address on the PCI bus.
    pub pci_bus_id: String,
    /// Memory in bytes.
    pub memory_total_bytes: Option<u64>,
    /// Memory in use, bytes.
    pub memory_used_bytes: Option<u64>,
    /// SM utilisation.
    pub utilization_percent: Option<u32>,
    /// Temperature.
    pub temperature_c: Option<u32>,
    /// Power draw.
    pub power_mw: Option<u32>,
    /// Power limit.
    pub power_limit_mw: Option<u32>,
    /// SM clock.
    pub sm_clock_mhz: Option<u32>,
    /// Memory clock.
    pub memory_clock_mhz: Option<u32>,
    /// NVML's bit set of reasons for lowered clocks.
    pub throttle_reasons: Option<u64>,
    /// Uncorrected ECC errors since the driver was loaded.
    pub ecc_uncorrected: Option<u64>,
    /// Corrected ECC errors since the driver was loaded.
    pub ecc_corrected: Option<u64>,
    /// Compute processes.
    pub processes: Option<u32>,
    /// MIG mode; null if the GPU cannot.
    pub mig_enabled: Option<bool>,
    /// MIG instances.
    pub mig: Vec<MigFacts>,
    /// NUMA node of its PCI device.
    pub numa_node: Option<i32>,
    /// Active NVLinks.
    pub nvlinks: Option<u32>,
    /// What NVML said if it does not answer; null if it does.
    pub error: Option<String>,
    /// When the values were taken; null if they are withdrawn.
    pub sampled_at: Option<String>,
}

/// The machine: what it is, and its latest values.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HostItem {
    /// Its own name for itself.
    pub hostname: String,
    /// Operating system.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Processor architecture.
    pub arch: String,
    /// CPUs the agent may use.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Size of the file system of homes.
    pub disk_bytes: Option<u64>,
    /// Driver version; null without one.
    pub driver_version: Option<String>,
    /// Highest CUDA version of the driver; null without one.
    pub cuda_version: Option<String>,
    /// CPU in use, thousandths of one CPU.
    pub cpu_milli: Option<u64>,
    /// Memory in use.
    pub memory_used_bytes: Option<u64>,
    /// Free bytes where homes are kept.
    pub disk_free_bytes: Option<u64>,
    /// When the values were taken; null if they are withdrawn.
    pub sampled_at: Option<String>,
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The facets of a short row with its live presence.
#[must_use]
pub fn brief_facets(app: &App, node: &Brief) -> Facets {
    live_facets(app, node.id, node.facets, node.revoked_ms)
}

/// Settled facets with the live presence. Nothing that a revoked node says is heard.
fn live_facets(app: &App, id: NodeId, settled: Facets, revoked_ms: Option<i64>) -> Facets {
    let live = app.board.of(id).after(settled.presence);
    let presence = if revoked_ms.is_some() { Presence::Offline } else { live };
    Facets { presence, ..settled }
}

/// A node as shown now to who asks.
///
/// # Errors
/// Only what the store says.
pub fn item_in(tx: &mut Tx, app: &App, cx: &Cx, node: &NodeRow) -> Result<NodeItem, Problem> {
    let now_ms = app.clock.now_ms();
    let facets = live_facets(app, node.id, node.facets, node.revoked_ms);
    let open = operations::open_of_in(tx, &node.id.to_string())?;
    let kinds: Vec<_> = open.iter().map(|operation| operation.kind.clone()).collect();
    let may = |verb: Verb| authz::require(cx, verb, Scope::Platform).is_ok();
    let seen_ms = app.board.age_ms(node.id).map(|age| now_ms - age).or(node.last_seen_ms);
    let mut samples = app.telemetry.gpus(node.id, now_ms);
    let gpus = node.facts.gpus.iter().map(|gpu| {
        let (taken_ms, sample) =
            samples.remove(&gpu.uuid).map_or((None, None), |taken| (Some(taken.at_ms), Some(taken.value)));
        gpu_item(gpu, taken_ms, sample)
    });
    Ok(NodeItem {
        id: node.id,
        name: node.name.clone(),
        state: facets.state().to_owned(),
        lifecycle: facets.lifecycle,
        presence: facets.presence,
        scheduling: facets.scheduling,
        health: facets.health,
        health_reason: some(&node.health_reason),
        gpu_state: some(&node.facts.gpu_state),
        gpu_detail: some(&node.facts.gpu_detail),
        isolation: some(&node.facts.isolation),
        not_enforced: node.facts.not_enforced.clone(),
        gpus: gpus.collect(),
        host: host_item(app, node.id, &node.facts, now_ms),
        agent_version: some(&node.agent_version),
        drain_deadline: rfc3339_opt(node.drain_deadline_ms),
        conditions: conditions(app, node.id, now_ms),
        backlog: tasks::backlog_in(tx, node.id, now_ms)?,
        last_seen_at: rfc3339_opt(seen_ms),
        boot_id: some(&node.boot_id),
        labels: node.labels.clone(),
        version: node.version,
        key_fingerprint: node.key_sha256.clone(),
        token_id: node.token_id.clone(),
        shares_machine_with: store::same_machine_in(tx, node.id, &node.machine_sha256)?,
        created_at: rfc3339(node.created_ms),
        operations: acts::of(may, &facets, node.revoked_ms.is_some(), &kinds),
        running: open.into_iter().map(|one| RunningItem { operation_id: one.id.to_string(), kind: one.kind }).collect(),
    })
}

/// With less than this free a node's disk counts as full, bytes.
const DISK_FULL: u64 = 64 << 20;
/// With less than this free operators are warned, bytes.
const DISK_LOW: u64 = 2 << 30;
/// A clock further off than this is said, ms.
const SKEW_MS: i64 = 60_000;

/// What is not as it should be on a node that runs all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Condition {
    /// `disk_full`, `disk_low` or `clock_skew`.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

fn conditions(app: &App, node: NodeId, now_ms: i64) -> Vec<Condition> {
    let disk = app.telemetry.host(node, now_ms).and_then(|taken| taken.value.disk_free_bytes).and_then(disk_condition);
    let clock = app.links.get(node).and_then(|link| clock_condition(link.clock_skew_ms()));
    disk.into_iter().chain(clock).collect()
}

fn disk_condition(free: u64) -> Option<Condition> {
    let code = match free {
        ..DISK_FULL => "disk_full",
        DISK_FULL..DISK_LOW => "disk_low",
        _ => return None,
    };
    Some(Condition { code, detail: format!("{} MiB are free where its journal and its homes lie.", free >> 20) })
}

fn clock_condition(skew_ms: i64) -> Option<Condition> {
    let side = if skew_ms > 0 { "ahead of" } else { "behind" };
    let detail = format!("Its clock is {} s {side} the coordinator's.", skew_ms.saturating_abs() / 1000);
    (skew_ms.saturating_abs() >= SKEW_MS).then_some(Condition { code: "clock_skew", detail })
}

fn gpu_item(gpu: &GpuFacts, taken_ms: Option<i64>, sample: Option<GpuSample>) -> GpuItem {
    let sample = sample.unwrap_or_default();
    GpuItem {
        uuid: gpu.uuid.clone(),
        model: gpu.model.clone(),
        index: gpu.index,
        pci_bus_id: gpu.pci_bus_id.clone(),
        memory_total_bytes: sample.memory_total_bytes.or(gpu.memory_total_bytes),
        memory_used_bytes: sample.memory_used_bytes,
        utilization_percent: sample.utilization_percent,
        temperature_c: sample.temperature_c,
        power_mw: sample.power_mw,
        power_limit_mw: gpu.power_limit_mw,
        sm_clock_mhz: sample.sm_clock_mhz,
        memory_clock_mhz: sample.memory_clock_mhz,
        throttle_reasons: sample.throttle_reasons,
        ecc_uncorrected: sample.ecc_uncorrected,
        ecc_corrected: sample.ecc_corrected,
        processes: sample.processes,
        mig_enabled: gpu.mig_enabled,
        mig: gpu.mig.clone(),
        numa_node: gpu.numa_node,
        nvlinks: gpu.nvlinks,
        error: some(&gpu.error),
        sampled_at: rfc3339_opt(taken_ms),
    }
}

fn host_item(app: &App, node: NodeId, facts: &Facts, now_ms: i64) -> HostItem {
    let (taken_ms, sample) =
        app.telemetry.host(node, now_ms).map_or_else(Default::default, |taken| (Some(taken.at_ms), taken.value));
    HostItem {
        hostname: facts.hostname.clone(),
        os: facts.os.clone(),
        kernel: facts.kernel.clone(),
        arch: facts.arch.clone(),
        cpus: facts.cpus,
        memory_bytes: facts.memory_bytes,
        disk_bytes: facts.disk_bytes,
        driver_version: some(&facts.driver_version),
        cuda_version: some(&facts.cuda_version),
        cpu_milli: sample.cpu_milli,
        memory_used_bytes: sample.memory_used_bytes,
        disk_free_bytes: sample.disk_free_bytes,
        sampled_at: rfc3339_opt(taken_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_have_their_bounds() {
        let disk = |free| disk_condition(free).map(|found| found.code);
        assert_eq!((disk(DISK_FULL - 1), disk(DISK_FULL), disk(DISK_LOW)), (Some("disk_full"), Some("disk_low"), None));
        assert_eq!(clock_condition(SKEW_MS - 1), None);
        assert!(clock_condition(i64::MIN).is_some_and(|found| found.detail.contains("behind")));
        assert!(clock_condition(3_600_000).is_some_and(|found| found.detail.contains("3600 s ahead")));
    }
}
