//! Uses a simulated GPU as a CUDA program uses a real one: keeps its device open and stands in the process table
//! with memory until it ends, however it ends.

use clap::Parser;
use nvidia_ml_sim::device_files::{capability_file, gpu_file};
use nvidia_ml_sim::place::Place;
use nvidia_ml_sim::view::View;
use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// Opens a GPU and keeps memory on it.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Index or UUID of a GPU, or UUID of a MIG device; the first of CUDA_VISIBLE_DEVICES if not given.
    #[arg(long)]
    gpu: Option<String>,
    /// Memory to keep: bytes, or with MiB or GiB.
    #[arg(long, default_value = "1GiB", value_parser = bytes)]
    memory: u64,
    /// End after so many seconds; 0 is never.
    #[arg(long, default_value_t = 0)]
    seconds: u64,
    /// Percent of the GPU to keep busy.
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u32).range(0..=100))]
    load: u32,
}

fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.strip_suffix("GiB") {
        Some(number) => (number, 30),
        None => text.strip_suffix("MiB").map_or((text, 0), |number| (number, 20)),
    };
    let number: u64 = number.trim().parse().map_err(|_| "BYTES, or a number with MiB or GiB".to_owned())?;
    number.checked_mul(1 << unit).ok_or_else(|| "too much".into())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simgpu-use: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The GPU and, for a MIG device, its GPU instance and compute instance.
type Target = (usize, Option<(u32, u32)>);

fn find(view: &View, wanted: &str) -> Option<Target> {
    if let Ok(index) = wanted.parse::<usize>() {
        return view.visible.get(index).map(|at| (*at, None));
    }
    view.visible.iter().find_map(|at| {
        if view.scenario.gpus[*at].uuid == wanted {
            return Some((*at, None));
        }
        let mut mig = view.mig_devices(*at).into_iter();
        let (instance, compute) = mig.find(|(instance, compute)| view.mig_uuid(*at, instance, *compute) == wanted)?;
        Some((*at, Some((instance.id, compute))))
    })
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let place = Place::locate().ok_or("no simulated driver here")?;
    let view = View::open(place.clone()).map_err(|error| format!("no GPU: {error}"))?;
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
    let first = visible.split(',').next().filter(|first| !first.is_empty()).unwrap_or("0");
    let wanted = arguments.gpu.as_deref().unwrap_or(first);
    let (at, instance) = find(&view, wanted).ok_or_else(|| format!("{wanted}: no such GPU here"))?;
    let state = view.gpu_state(at);
    if state.faults.lost {
        return Err("GPU is lost".into());
    }
    let mig = instance.and_then(|(id, _)| state.instances.iter().find(|instance| instance.id == id));
    if state.mig_enabled && mig.is_none() {
        return Err(format!("{wanted}: MIG is on; name a MIG device"));
    }
    let (total, reserved, used) = view.memory(at, mig);
    if arguments.memory > total - reserved - used {
        return Err(format!("out of memory: {} bytes free", total - reserved - used));
    }
    let minor = view.scenario.gpus[at].minor;
    let mut files = vec![gpu_file(&place.dev, minor), place.dev.join("nvidiactl"), place.dev.join("nvidia-uvm")];
    if let Some((gi, ci)) = instance {
        files.extend([capability_file(&place.dev, minor, gi, None), capability_file(&place.dev, minor, gi, Some(ci))]);
    }
    let open = |path: std::path::PathBuf| File::open(&path).map_err(|error| format!("{}: {error}", path.display()));
    let _devices = files.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let entry = view.register(at, instance, arguments.memory, arguments.load);
    let _entry = entry.map_err(|error| format!("process table: {error}"))?;
    // The line tells a script that the entry stands; nobody reading it is no failure.
    let _ = writeln!(std::io::stdout(), "{} {wanted} {}", std::process::id(), arguments.memory);
    match arguments.seconds {
        0 => loop {
            std::thread::park();
        },
        seconds => std::thread::sleep(Duration::from_secs(seconds)),
    }
    Ok(())
}
