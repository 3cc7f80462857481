//! Which GPUs a simulation has: made by a program or a line of text, kept as `scenario.json`.

use crate::device_files;
use crate::mig;
use crate::models;
use crate::place::{self, Place};
use crate::state::{self, GpuState, State};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// GPUs of one simulation at most; so many have minor numbers that NVIDIA's capability table can hold.
pub const GPUS_MAX: usize = 32;

/// Driver and GPUs of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    /// What `nvmlSystemGetDriverVersion` says.
    pub driver_version: String,
    /// What `nvmlSystemGetNVMLVersion` says.
    pub nvml_version: String,
    /// What `nvmlSystemGetCudaDriverVersion` says: 13000 is 13.0.
    pub cuda_version: i32,
    /// What makes the UUIDs of this scenario its own.
    pub seed: String,
    /// The GPUs by index.
    pub gpus: Vec<Gpu>,
}

/// A GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// Key of its [`models::Model`].
    pub model: String,
    /// `GPU-…`.
    pub uuid: String,
    /// Serial number.
    pub serial: String,
    /// The N of `nvidiaN`.
    pub minor: u32,
    /// PCI bus number.
    pub bus: u32,
    /// NUMA node.
    pub numa_node: u32,
    /// MIG mode at the beginning and the instances that exist then; null: MIG is off.
    #[serde(default)]
    pub mig: Option<Vec<Carve>>,
}

/// A MIG instance at the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carve {
    /// `3g.40gb`.
    pub profile: String,
    /// First memory slice.
    pub start: u32,
}

impl Scenario {
    /// A scenario without GPUs. Equal seeds give equal UUIDs.
    #[must_use]
    pub fn new(seed: &str) -> Self {
        Self {
            driver_version: "580.95.05".into(),
            nvml_version: "13.580.95.05".into(),
            cuda_version: 13_000,
            seed: seed.into(),
            gpus: Vec::new(),
        }
    }

    /// Adds `count` GPUs of a model.
    ///
    /// # Errors
    /// An unknown model, or too many GPUs.
    pub fn with(mut self, model: &str, count: usize) -> Result<Self, String> {
        for _ in 0..count {
            self.add(model, None)?;
        }
        Ok(self)
    }

    /// Adds a GPU with MIG on and these instances, each `(profile, start)`.
    ///
    /// # Errors
    /// An unknown model or profile, one without MIG, instances that do not fit.
    pub fn with_mig(mut self, model: &str, instances: &[(&str, u32)]) -> Result<Self, String> {
        let carves =
            instances.iter().map(|(profile, start)| Carve { profile: (*profile).into(), start: *start }).collect();
        self.add(model, Some(carves))?;
        Ok(self)
    }

    /// Adds GPUs from a line such as `h100*8` or `a100-80:3g.40gb@0,1g.10gb@4`.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn with_line(self, line: &str) -> Result<Self, String> {
        if let Some((model, carves)) = line.split_once(':') {
            let mut instances = Vec::new();
            for carve in carves.split(',').filter(|carve| !carve.is_empty()) {
                let (profile, start) = carve.split_once('@').ok_or_else(|| format!("{carve}: PROFILE@START wanted"))?;
                instances.push((profile, start.parse().map_err(|_| format!("{carve}: START is a number"))?));
            }
            return self.with_mig(model, &instances);
        }
        let (model, count) = line.split_once('*').unwrap_or((line, "1"));
        self.with(model, count.parse().map_err(|_| format!("{line}: MODEL*COUNT wanted"))?)
    }

    fn add(&mut self, model: &str, mig: Option<Vec<Carve>>) -> Result<(), String> {
        if self.gpus.len() == GPUS_MAX {
            return Err(format!("at most {GPUS_MAX} GPUs"));
        }
        let index = self.gpus.len() as u32;
        let gpu = Gpu {
            model: model.into(),
            uuid: format!("GPU-{}", uuid(&format!("{}/{index}", self.seed))),
            serial: format!("16{:011}", fold(&format!("{}/{index}/serial", self.seed)) % 100_000_000_000),
            minor: index,
            bus: 0x18 + 0x10 * (index % 8) + index / 8,
            numa_node: index / 4 % 2,
            mig,
        };
        first_state(&gpu)?;
        self.gpus.push(gpu);
        Ok(())
    }

    /// Index of a GPU by its UUID.
    #[must_use]
    pub fn index_of(&self, uuid: &str) -> Option<usize> {
        self.gpus.iter().position(|gpu| gpu.uuid == uuid)
    }
}

/// The state a GPU begins with.
fn first_state(gpu: &Gpu) -> Result<GpuState, String> {
    let model = models::by_key(&gpu.model).ok_or_else(|| {
        format!("{}: no such model; there are {}", gpu.model, models::MODELS.map(|m| m.key).join(", "))
    })?;
    let mut state = GpuState { persistence: true, ..GpuState::default() };
    let Some(carves) = &gpu.mig else { return Ok(state) };
    if model.mig.is_none() {
        return Err(format!("{}: has no MIG", gpu.model));
    }
    state.mig_enabled = true;
    state.mig_pending = true;
    for carve in carves {
        let wrong = |why: &str| format!("{} {}@{}: {why}", gpu.model, carve.profile, carve.start);
        let profile = model.profile(&carve.profile).ok_or_else(|| wrong("no such profile"))?;
        let id = mig::create(&mut state.instances, profile, carve.start).map_err(|_| wrong("does not fit"))?;
        let instance = state.instances.iter_mut().find(|instance| instance.id == id).ok_or_else(|| wrong("is gone"))?;
        let all = instance.family().compute;
        mig::create_compute(instance, all, None).map_err(|_| wrong("takes no compute instance"))?;
    }
    Ok(state)
}

/// Reads a place's scenario.
///
/// # Errors
/// It cannot be read, or is none.
pub fn read(place: &Place) -> io::Result<Scenario> {
    let scenario: Scenario = serde_json::from_slice(&std::fs::read(place.scenario())?)?;
    for gpu in &scenario.gpus {
        first_state(gpu).map_err(io::Error::other)?;
    }
    Ok(scenario)
}

/// Makes a simulation in a folder, or continues the one there if the scenario is the same: device files and state.
/// What agents of other users have to write is world-writable.
///
/// # Errors
/// The folder cannot be written, or the scenario is none.
pub fn write(dir: &Path, scenario: &Scenario) -> io::Result<Place> {
    let place = Place::below(dir);
    std::fs::create_dir_all(&place.share)?;
    std::fs::create_dir_all(place.programs())?;
    state::open_to_all(&place.share, 0o777)?;
    device_files::make_node(&place, scenario)?;
    let same = read(&place).is_ok_and(|old| old == *scenario) && state::load(&place).is_ok();
    if !same {
        let mut fresh = State::default();
        for gpu in &scenario.gpus {
            fresh.gpus.insert(gpu.uuid.clone(), first_state(gpu).map_err(io::Error::other)?);
        }
        state::replace(&place.scenario(), &serde_json::to_vec_pretty(scenario)?)?;
        state::change(&place, |state| *state = fresh)?;
    }
    let state = state::load(&place)?;
    for gpu in &scenario.gpus {
        for instance in state.gpus.get(&gpu.uuid).map(|gpu| gpu.instances.as_slice()).unwrap_or_default() {
            device_files::make_instance(&place.dev, gpu.minor, instance)?;
        }
    }
    Ok(place)
}

/// Puts the library and the programs into a place, from the folder that holds the built ones: there the library
/// is `libnvidia_ml_sim.so`.
///
/// # Errors
/// One of them is missing, or cannot be written.
pub fn install(place: &Place, from: &Path) -> io::Result<()> {
    put(&from.join(place::BUILT_LIBRARY), &place.library())?;
    for program in ["simgpu-use", "simgpu-smi", "simgpu-fault"] {
        put(&from.join(program), &place.programs().join(program))?;
    }
    Ok(())
}

/// Where cells see the `share` folder.
pub const CELL_SHARE: &str = "/run/nvml-sim";

/// The `[gpu]` table of an agent that uses a place: the library, the device files, and what its cells get to see.
#[must_use]
pub fn agent_settings(place: &Place) -> String {
    let quoted = |path: &Path| format!("{:?}", path.display().to_string());
    format!(
        "[gpu]\n\
         nvml_library = {library}\n\
         dev_root = {dev}\n\
         cell_mounts = [{{ source = {share}, target = \"{CELL_SHARE}\" }}]\n\n\
         [gpu.cell_env]\n\
         PATH = \"{CELL_SHARE}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"\n\
         LD_LIBRARY_PATH = \"{CELL_SHARE}\"\n",
        library = quoted(&place.library()),
        dev = quoted(&place.dev),
        share = quoted(&place.share),
    )
}

/// A copy that replaces the file at once; running programs keep the old one.
fn put(from: &Path, to: &Path) -> io::Result<()> {
    let mut fresh = to.as_os_str().to_owned();
    fresh.push(format!(".{}", std::process::id()));
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", from.display()));
    std::fs::copy(from, &fresh).map_err(named)?;
    std::fs::rename(&fresh, to)
}

/// FNV-1a, for names that look random and never change.
fn fold(text: &str) -> u64 {
    let mut hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

/// A UUID made of a text.
pub(crate) fn uuid(text: &str) -> String {
    let (high, low) = (fold(text), fold(&format!("{text}/low")));
    format!(
        "{:08x}-{:04x}-5{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        0x8000 | low >> 48 & 0x3fff,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_make_gpus() {
        let scenario = Scenario::new("a").with_line("h100*8").and_then(|s| s.with_line("l40s")).expect("good lines");
        assert_eq!(scenario.gpus.len(), 9);
        let mig = Scenario::new("a").with_line("a100-80:3g.40gb@0,1g.10gb@4").expect("a good line");
        assert_eq!(mig.gpus[0].mig.as_ref().map(Vec::len), Some(2));
    }

    #[test]
    fn lines_are_refused_with_a_reason() {
        for (line, why) in [
            ("h1000", "no such model"),
            ("t4:1g.5gb@0", "has no MIG"),
            ("h100:9g.1gb@0", "no such profile"),
            ("h100:3g.40gb@1", "does not fit"),
            ("h100:3g.40gb@0,4g.40gb@0", "does not fit"),
            ("h100:3g.40gb", "PROFILE@START"),
            ("h100*x", "MODEL*COUNT"),
            ("h100*33", "at most"),
        ] {
            let error = Scenario::new("a").with_line(line).expect_err(line);
            assert!(error.contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn uuids_differ_by_seed_and_index() {
        let a = Scenario::new("a").with("h100", 2).expect("known");
        let b = Scenario::new("b").with("h100", 1).expect("known");
        assert_ne!(a.gpus[0].uuid, a.gpus[1].uuid);
        assert_ne!(a.gpus[0].uuid, b.gpus[0].uuid);
        assert_eq!(a.gpus[0].uuid.len(), "GPU-".len() + 36);
    }

    #[test]
    fn writing_again_keeps_the_state() {
        let dir = tempfile::tempdir().expect("a folder");
        let scenario = Scenario::new("a").with_line("a100-80:3g.40gb@0").expect("a good line");
        let place = write(dir.path(), &scenario).expect("written");
        state::change(&place, |state| state.last_xid = 7).expect("changed");
        write(dir.path(), &scenario).expect("written");
        assert_eq!(state::load(&place).expect("there").last_xid, 7);
        let other = Scenario::new("b").with("t4", 1).expect("known");
        write(dir.path(), &other).expect("written");
        assert_eq!(state::load(&place).expect("there").last_xid, 0);
    }
}
