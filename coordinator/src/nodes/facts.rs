//! What an agent says about its machine, cut to size: an agent is untrusted, and its words reach people.

use muster_protocol::{
    inventory::{Gpu, Host, Inventory, MigInstance},
    limits::GPUS_PER_NODE,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest text taken from an agent, in characters.
const TEXT_MAX: usize = 200;
/// Most words of a list taken from an agent.
const WORDS_MAX: usize = 32;
/// Most MIG instances of one GPU.
const MIG_MAX: usize = 16;
/// Words for the state of a node's GPUs.
const GPU_STATES: [&str; 5] = ["ok", "none", "driver_missing", "driver_error", "degraded"];
/// Words for the isolation of cells.
const ISOLATION: [&str; 3] = ["cell", "userns", "none"];

/// A machine. Null where it was not measured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Facts {
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
    /// Size of the file system of homes, bytes.
    pub disk_bytes: Option<u64>,
    /// `ok`, `none`, `driver_missing`, `driver_error` or `degraded`; empty before the first inventory.
    pub gpu_state: String,
    /// Why, for people; empty at `ok`.
    pub gpu_detail: String,
    /// Driver version; empty without one.
    pub driver_version: String,
    /// Highest CUDA version of the driver; empty without one.
    pub cuda_version: String,
    /// Strongest isolation the agent can give.
    pub isolation: String,
    /// Limits and walls that are not enforced there.
    pub not_enforced: Vec<String>,
    /// GPUs in index order.
    pub gpus: Vec<GpuFacts>,
}

/// A GPU. Null where NVML did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct GpuFacts {
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
    /// MIG mode; null if the GPU cannot.
    pub mig_enabled: Option<bool>,
    /// MIG instances.
    pub mig: Vec<MigFacts>,
    /// NUMA node of its PCI device.
    pub numa_node: Option<i32>,
    /// Active NVLinks.
    pub nvlinks: Option<u32>,
    /// ECC mode; null if the GPU cannot.
    pub ecc_enabled: Option<bool>,
    /// Power limit in mW.
    pub power_limit_mw: Option<u32>,
    /// What NVML said if the GPU does not answer; empty if it does.
    pub error: String,
}

/// A MIG instance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct MigFacts {
    /// `MIG-…`.
    pub uuid: String,
    /// `1g.10gb`.
    pub profile: String,
    /// First memory slice.
    pub start: u32,
    /// Memory slices.
    pub size: u32,
    /// Memory in bytes.
    pub memory_total_bytes: Option<u64>,
}

/// An agent's text without control characters, cut to [`TEXT_MAX`].
#[must_use]
pub fn text(said: &str) -> String {
    said.chars().filter(|letter| !letter.is_control()).take(TEXT_MAX).collect()
}

fn one_of(said: &str, words: &[&str]) -> String {
    words.iter().find(|word| **word == said).copied().unwrap_or_default().to_owned()
}

impl Facts {
    /// Takes over what a host says of itself.
    pub fn set_host(&mut self, host: &Host) {
        self.hostname = text(&host.hostname);
        self.os = text(&host.os);
        self.kernel = text(&host.kernel);
        self.arch = text(&host.arch);
        self.cpus = host.cpus;
        self.memory_bytes = host.memory_bytes;
        self.disk_bytes = host.disk_bytes;
    }

    /// What an inventory says.
    #[must_use]
    pub fn of(inventory: &Inventory) -> Self {
        let mut facts = Self {
            gpu_state: one_of(&inventory.gpu_state, &GPU_STATES),
            gpu_detail: text(&inventory.gpu_detail),
            driver_version: text(&inventory.driver_version),
            cuda_version: text(&inventory.cuda_version),
            isolation: one_of(&inventory.isolation, &ISOLATION),
            not_enforced: inventory.not_enforced.iter().take(WORDS_MAX).map(|word| text(word)).collect(),
            gpus: inventory.gpus.iter().take(GPUS_PER_NODE).map(GpuFacts::of).collect(),
            ..Self::default()
        };
        facts.set_host(&inventory.host);
        facts
    }

    /// The machine can be read well enough to say that a GPU it does not list is gone.
    #[must_use]
    pub fn sees_all_gpus(&self) -> bool {
        matches!(self.gpu_state.as_str(), "ok" | "none")
    }
}

impl GpuFacts {
    fn of(gpu: &Gpu) -> Self {
        Self {
            uuid: text(&gpu.uuid),
            model: text(&gpu.model),
            index: gpu.index,
            pci_bus_id: text(&gpu.pci_bus_id),
            memory_total_bytes: gpu.memory_total_bytes,
            mig_enabled: gpu.mig_enabled,
            mig: gpu.mig.iter().take(MIG_MAX).map(MigFacts::of).collect(),
            numa_node: gpu.numa_node,
            nvlinks: gpu.nvlinks,
            ecc_enabled: gpu.ecc_enabled,
            power_limit_mw: gpu.power_limit_mw,
            error: text(&gpu.error),
        }
    }
}

impl MigFacts {
    fn of(instance: &MigInstance) -> Self {
        Self {
            uuid: text(&instance.uuid),
            profile: text(&instance.profile),
            start: instance.start,
            size: instance.size,
            memory_total_bytes: instance.memory_total_bytes,
        }
    }
}

/// The name for a new node: what the agent was told to be called, else its host name, else `node`.
#[must_use]
pub fn node_name(host: &Host) -> String {
    let allowed = |name: &str| -> String {
        name.chars()
            .filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'))
            .take(63)
            .collect()
    };
    let names = [allowed(&host.name), allowed(&host.hostname)];
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| "node".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_words_are_cut_and_cleaned() {
        let inventory = Inventory {
            host: Host { hostname: "a\u{1b}[31mb".into(), os: "x".repeat(10_000), ..Host::default() },
            gpu_state: "splendid".into(),
            not_enforced: vec!["memory".into(); 1_000],
            gpus: vec![Gpu::default(); 1_000],
            ..Inventory::default()
        };
        let facts = Facts::of(&inventory);
        assert_eq!(facts.hostname, "a[31mb");
        assert_eq!(facts.os.len(), TEXT_MAX);
        assert_eq!(facts.gpu_state, "");
        assert_eq!((facts.not_enforced.len(), facts.gpus.len()), (WORDS_MAX, GPUS_PER_NODE));
        assert!(!facts.sees_all_gpus());
    }

    #[test]
    fn names_are_plain() {
        let host = Host { hostname: "gpu 7/../x".into(), ..Host::default() };
        assert_eq!(node_name(&host), "gpu7..x");
        assert_eq!(node_name(&Host::default()), "node");
    }
}
