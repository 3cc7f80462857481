//! Breaks a simulated GPU, and mends it.

use clap::{Parser, Subcommand, ValueEnum};
use nvidia_ml_sim::place::Place;
use nvidia_ml_sim::state::{self, Faults, GpuState, Said, State};
use nvidia_ml_sim::{mig, models, scenario};
use std::path::PathBuf;
use std::process::ExitCode;

/// Breaks a simulated GPU, and mends it.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The folder of the simulation; found as the library finds it if not given.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Index or UUID of the GPU.
    #[arg(long)]
    gpu: String,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Raise an XID.
    Xid {
        /// The code.
        code: u64,
        /// GPU instance that it hits.
        #[arg(long)]
        instance: Option<u32>,
    },
    /// Every call says that the GPU is lost.
    Lost { to: Switch },
    /// Every call blocks.
    Hang { to: Switch },
    /// Every call takes so many ms.
    Slow { ms: u64 },
    /// Changes of MIG are refused as in use.
    InUse { to: Switch },
    /// The GPU wants a reset.
    ResetRequired { to: Switch },
    /// Entries of the process table and their memory stay when the process ends.
    StickyHandle { to: Switch },
    /// Functions that say NOT_SUPPORTED, by their C names; none: all are supported again.
    NotSupported { functions: Vec<String> },
    /// Set the ECC counters.
    Ecc { corrected: u64, uncorrected: u64 },
    /// Say these figures instead of the ones that follow from the processes; without any, say those again.
    Say {
        /// Percent.
        #[arg(long)]
        utilization: Option<u32>,
        /// Degrees Celsius.
        #[arg(long)]
        temperature: Option<u32>,
        /// Milliwatts.
        #[arg(long)]
        power: Option<u32>,
        /// NVML's bits.
        #[arg(long)]
        throttle: Option<u64>,
    },
    /// Make an instance with its compute instance: `3g.40gb@0`.
    Carve { placement: String },
    /// Remove all instances.
    Uncarve,
    /// End every fault and every said figure.
    Clear,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simgpu-fault: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), String> {
    let place = match arguments.dir {
        Some(dir) => Place::below(&dir),
        None => Place::locate().ok_or("no simulation here; name its --dir")?,
    };
    let scenario = scenario::read(&place).map_err(|error| format!("{}: {error}", place.scenario().display()))?;
    let gpu = match arguments.gpu.parse::<usize>() {
        Ok(index) => scenario.gpus.get(index),
        Err(_) => scenario.gpus.iter().find(|gpu| gpu.uuid == arguments.gpu),
    }
    .ok_or_else(|| format!("{}: no such GPU", arguments.gpu))?;
    if let Act::Xid { code, instance } = arguments.act {
        let raise = |state: &mut State| state.raise(&gpu.uuid, code, instance);
        return state::change(&place, raise).map_err(|error| error.to_string());
    }
    let changed =
        state::try_change(&place, |state| act(state.gpus.entry(gpu.uuid.clone()).or_default(), gpu, &arguments.act));
    changed.map_err(|error| error.to_string())??;
    let state = state::load(&place).map_err(|error| error.to_string())?;
    for instance in &state.gpus.get(&gpu.uuid).cloned().unwrap_or_default().instances {
        let made = nvidia_ml_sim::device_files::make_instance(&place.dev, gpu.minor, instance);
        made.map_err(|error| format!("{}: {error}", place.dev.display()))?;
    }
    Ok(())
}

fn act(state: &mut GpuState, gpu: &scenario::Gpu, act: &Act) -> Result<(), String> {
    let is = |switch: &Switch| matches!(switch, Switch::On);
    match act {
        Act::Xid { .. } => {}
        Act::Lost { to } => state.faults.lost = is(to),
        Act::Hang { to } => state.faults.hang = is(to),
        Act::Slow { ms } => state.faults.slow_ms = *ms,
        Act::InUse { to } => state.faults.in_use = is(to),
        Act::ResetRequired { to } => state.faults.reset_required = is(to),
        Act::StickyHandle { to } => {
            state.faults.sticky_handle = is(to);
            if !is(to) {
                state.faults.stuck.clear();
            }
        }
        Act::NotSupported { functions } => state.faults.not_supported.clone_from(functions),
        Act::Ecc { corrected, uncorrected } => {
            state.ecc_corrected = *corrected;
            state.ecc_uncorrected = *uncorrected;
        }
        Act::Say { utilization, temperature, power, throttle } => {
            state.said = Said {
                utilization: *utilization,
                temperature_c: *temperature,
                power_mw: *power,
                throttle_reasons: *throttle,
            };
        }
        Act::Carve { placement } => carve(state, gpu, placement)?,
        Act::Uncarve => state.instances.clear(),
        Act::Clear => {
            state.faults = Faults::default();
            state.said = Said::default();
        }
    }
    Ok(())
}

fn carve(state: &mut GpuState, gpu: &scenario::Gpu, placement: &str) -> Result<(), String> {
    let (name, start) = placement.split_once('@').ok_or("PROFILE@START wanted")?;
    let start = start.parse().map_err(|_| "START is a number")?;
    let profile = models::by_key(&gpu.model).and_then(|model| model.profile(name));
    let profile = profile.ok_or_else(|| format!("{}: no profile {name}", gpu.model))?;
    if !state.mig_enabled {
        return Err("MIG is off".into());
    }
    let id = mig::create(&mut state.instances, profile, start).map_err(|_| "does not fit")?;
    let instance = state.instances.iter_mut().find(|instance| instance.id == id).ok_or("is gone")?;
    let all = instance.family().compute;
    mig::create_compute(instance, all, None).map(|_| ()).map_err(|_| "takes no compute instance".into())
}
