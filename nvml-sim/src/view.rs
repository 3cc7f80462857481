//! What one process sees of a simulation: the GPUs whose device file it can open, with their state of this moment.

use crate::mig::Instance;
use crate::models::{self, Model};
use crate::place::Place;
use crate::processes::{self, Entry, Listed, Registered};
use crate::scenario::{self, Gpu, Scenario};
use crate::state::{self, GpuState, State};
use crate::{device_files, mig};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A look at the process table serves the calls that follow it for so long.
const PROCESSES_KEPT: Duration = Duration::from_millis(20);
/// A look from a cell waits so long at most for the node to note what will stick, and looks so often.
const NOTED_WITHIN: Duration = Duration::from_secs(5);
const NOTED_LOOK: Duration = Duration::from_millis(20);

/// The view of a process.
#[derive(Debug)]
pub struct View {
    /// The files.
    pub place: Place,
    /// All GPUs, the invisible ones too.
    pub scenario: Scenario,
    /// Places in [`Scenario::gpus`] of the visible ones, by NVML index.
    pub visible: Vec<usize>,
    models: Vec<&'static Model>,
    state: Mutex<Option<(Stamp, Arc<State>)>>,
    /// By place in the scenario: GPUs do not wait for each other.
    processes: Vec<KeptLook>,
}

/// When a GPU's table was looked at last, and what was found.
type KeptLook = Mutex<Option<(Instant, Vec<Listed>)>>;

/// Tells one version of a file from another.
type Stamp = (u64, i64, i64);

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl View {
    /// Opens a simulation as this process sees it. As with the real driver, the set of GPUs is fixed now.
    ///
    /// # Errors
    /// There is none, or `nvidiactl` cannot be opened: then this process has no GPU.
    pub fn open(place: Place) -> io::Result<Self> {
        let scenario = scenario::read(&place)?;
        std::fs::File::open(place.dev.join("nvidiactl"))?;
        let models = scenario.gpus.iter().map(|gpu| models::by_key(&gpu.model).ok_or_else(|| unknown(gpu)));
        let models = models.collect::<io::Result<Vec<_>>>()?;
        let visible = (0..scenario.gpus.len())
            .filter(|at| device_files::opens(&device_files::gpu_file(&place.dev, scenario.gpus[*at].minor)))
            .collect();
        let processes = scenario.gpus.iter().map(|_| Mutex::new(None)).collect();
        Ok(Self { place, scenario, visible, models, state: Mutex::new(None), processes })
    }

    /// A GPU by its place in the scenario.
    #[must_use]
    pub fn gpu(&self, at: usize) -> Option<&Gpu> {
        self.scenario.gpus.get(at)
    }

    /// Its product.
    #[must_use]
    pub fn model(&self, at: usize) -> &'static Model {
        self.models[at]
    }

    /// The shared state; the last one read if it is unreadable now.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        let mut kept = held(&self.state);
        let stamp = stamp(&self.place.state());
        if let (Some((old, state)), Some(new)) = (&*kept, stamp)
            && *old == new
        {
            return Arc::clone(state);
        }
        match state::load(&self.place) {
            Ok(state) => {
                let state = Arc::new(state);
                *kept = stamp.map(|stamp| (stamp, Arc::clone(&state)));
                state
            }
            Err(_) => kept.as_ref().map(|(_, state)| Arc::clone(state)).unwrap_or_default(),
        }
    }

    /// State of one GPU.
    #[must_use]
    pub fn gpu_state(&self, at: usize) -> GpuState {
        self.state().gpus.get(&self.scenario.gpus[at].uuid).cloned().unwrap_or_default()
    }

    /// Enters this process into the table of a GPU, or of an instance of it, with its memory and load.
    ///
    /// # Errors
    /// As [`processes::register`].
    pub fn register(&self, at: usize, instance: Option<(u32, u32)>, memory: u64, load: u32) -> io::Result<Registered> {
        let stuck = self.gpu_state(at).faults.stuck;
        let kept: Vec<u32> = stuck.iter().filter(|entry| entry.instance == instance).map(|entry| entry.slot).collect();
        let entered = processes::register(&self.table(at, instance), instance, (memory, load), &kept)?;
        // Where handles stick, the entry stands once it is noted.
        let _ = self.look(at);
        Ok(entered)
    }

    /// Everyone on one GPU whom this process can see.
    #[must_use]
    pub fn processes(&self, at: usize) -> Vec<Listed> {
        let mut kept = held(&self.processes[at]);
        if let Some((when, all)) = &*kept
            && when.elapsed() < PROCESSES_KEPT
        {
            return all.clone();
        }
        let all = self.look(at);
        *kept = Some((Instant::now(), all.clone()));
        all
    }

    fn look(&self, at: usize) -> Vec<Listed> {
        let state = self.gpu_state(at);
        let mut found: Vec<Listed> = state
            .divisions()
            .into_iter()
            .flat_map(|instance| processes::list(&self.table(at, instance), instance))
            .collect();
        if state.faults.sticky_handle {
            let stuck = self.note(at, &found);
            let gone = stuck.iter().filter(|entry| found.iter().all(|listed| listed.entry != **entry));
            let visible = gone.filter(|entry| device_files::opens(&self.table(at, entry.instance)));
            let dead: Vec<Listed> = visible.map(Listed::of_the_dead).collect();
            found.extend(dead);
        }
        found.sort_by_key(|listed| listed.pid);
        found
    }

    /// Has everyone found noted, so that their entries outlive them, and says who is. A cell cannot write that down
    /// and waits until a process of the node has, such as the agent at its next sample.
    fn note(&self, at: usize, found: &[Listed]) -> Vec<Entry> {
        let began = Instant::now();
        loop {
            let faults = self.gpu_state(at).faults;
            let missing = |entry: &Entry| !faults.stuck.contains(entry);
            let full = faults.stuck.len() >= processes::ENTRIES_MAX;
            let fresh: Vec<Entry> = found.iter().map(|listed| listed.entry.clone()).filter(missing).collect();
            if fresh.is_empty() || full || !faults.sticky_handle || began.elapsed() > NOTED_WITHIN {
                return faults.stuck;
            }
            let noted = self.change(at, |state| {
                state.faults.note(fresh);
                Ok::<(), std::convert::Infallible>(())
            });
            if noted.is_err() {
                std::thread::sleep(NOTED_LOOK);
            }
        }
    }

    /// The device file whose locks are the process table of a GPU, or of a compute instance.
    fn table(&self, at: usize, instance: Option<(u32, u32)>) -> PathBuf {
        let (dev, minor) = (&self.place.dev, self.scenario.gpus[at].minor);
        match instance {
            None => device_files::gpu_file(dev, minor),
            Some((gpu_instance, compute)) => device_files::capability_file(dev, minor, gpu_instance, Some(compute)),
        }
    }

    /// MIG instances with a compute instance whose capabilities this process can open: `(instance, compute id)`.
    #[must_use]
    pub fn mig_devices(&self, at: usize) -> Vec<(Instance, u32)> {
        let minor = self.scenario.gpus[at].minor;
        let opens = |gi, ci| device_files::opens(&device_files::capability_file(&self.place.dev, minor, gi, ci));
        let mut found = Vec::new();
        for instance in self.gpu_state(at).instances {
            if opens(instance.id, None) {
                let ids: Vec<u32> = instance.compute.iter().map(|ci| ci.id).collect();
                found.extend(
                    ids.into_iter().filter(|id| opens(instance.id, Some(*id))).map(|id| (instance.clone(), id)),
                );
            }
        }
        found
    }

    /// UUID of a MIG device.
    #[must_use]
    pub fn mig_uuid(&self, at: usize, instance: &Instance, compute: u32) -> String {
        let text = format!("{}/{}/{}/{compute}", self.scenario.gpus[at].uuid, instance.id, instance.profile);
        format!("MIG-{}", scenario::uuid(&text))
    }

    /// Memory of a GPU or of one of its instances: total, reserved, used, in bytes.
    #[must_use]
    pub fn memory(&self, at: usize, instance: Option<&Instance>) -> (u64, u64, u64) {
        let model = self.model(at);
        let mine = |listed: &&Listed| instance.is_none_or(|i| listed.entry.instance.is_some_and(|(gi, _)| gi == i.id));
        let used: u64 = self.processes(at).iter().filter(mine).map(|listed| listed.entry.memory).sum();
        let (total, reserved) = match (instance, model.mig) {
            (Some(instance), Some(facts)) => (facts[instance.profile].memory_mib, 0),
            _ => (model.memory_mib, model.reserved_mib),
        };
        let (total, reserved) = (total << 20, reserved << 20);
        (total, reserved, used.min(total - reserved))
    }

    /// Percent of a GPU that its processes keep busy.
    #[must_use]
    pub fn utilization(&self, at: usize) -> u32 {
        let said = self.gpu_state(at).said.utilization;
        said.unwrap_or_else(|| self.processes(at).iter().map(|listed| listed.entry.load).sum::<u32>()).min(100)
    }

    /// A figure between idle and full, in proportion to the utilisation.
    #[must_use]
    pub fn between(&self, at: usize, idle: u32, full: u32) -> u32 {
        idle + (full - idle) * self.utilization(at) / 100
    }

    /// Changes the state of one GPU.
    ///
    /// # Errors
    /// The outer error is the file's (cells see it read-only), the inner one the change's.
    pub fn change<T, E>(
        &self,
        at: usize,
        with: impl FnOnce(&mut GpuState) -> Result<T, E>,
    ) -> io::Result<Result<T, E>> {
        let uuid = self.scenario.gpus[at].uuid.clone();
        state::try_change(&self.place, |state| with(state.gpus.entry(uuid).or_default()))
    }

    /// Whether a process runs in a GPU instance.
    #[must_use]
    pub fn instance_busy(&self, at: usize, gpu_instance: u32) -> bool {
        self.processes(at).iter().any(|listed| listed.entry.instance.is_some_and(|(gi, _)| gi == gpu_instance))
    }

    /// Facts of an instance's profile.
    #[must_use]
    pub fn facts(&self, at: usize, profile: usize) -> Option<(&'static mig::Profile, &'static models::ProfileFacts)> {
        self.model(at).mig.map(|facts| (&mig::PROFILES[profile], &facts[profile]))
    }
}

fn unknown(gpu: &Gpu) -> io::Error {
    io::Error::other(format!("{}: no such model", gpu.model))
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec()))
}
