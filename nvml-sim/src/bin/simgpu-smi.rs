//! Prints the GPUs that this process can see, as any NVML program sees them: a table, or
//! with `-L` one line each.

use clap::Parser;
use nvidia_ml_sim::place::Place;
use nvidia_ml_sim::view::View;
use std::io::Write as _;
use std::process::ExitCode;

/// Prints the GPUs that can be seen from here.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// One line per GPU and MIG device, with UUIDs.
    #[arg(short = 'L', long = "list-gpus")]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(place) = Place::locate() else {
        eprintln!("simgpu-smi: no simulated driver here");
        return ExitCode::FAILURE;
    };
    let text = match View::open(place) {
        Ok(view) if arguments.list => list(&view),
        Ok(view) => table(&view),
        Err(error) => {
            eprintln!("simgpu-smi: no GPU: {error}");
            return ExitCode::FAILURE;
        }
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn list(view: &View) -> String {
    let mut text = String::new();
    for (index, at) in view.visible.iter().enumerate() {
        let (gpu, model) = (&view.scenario.gpus[*at], view.model(*at));
        text.push_str(&format!("GPU {index}: {} (UUID: {})\n", model.name, gpu.uuid));
        for (number, (instance, compute)) in view.mig_devices(*at).iter().enumerate() {
            let name = view.facts(*at, instance.profile).map_or("", |(_, facts)| facts.name);
            let uuid = view.mig_uuid(*at, instance, *compute);
            text.push_str(&format!("  MIG {name} Device {number}: (UUID: {uuid})\n"));
        }
    }
    text
}

fn table(view: &View) -> String {
    let scenario = &view.scenario;
    let (major, minor) = (scenario.cuda_version / 1000, scenario.cuda_version % 1000 / 10);
    let mut text = format!("Driver {}   CUDA {major}.{minor}   (simulated)\n\n", scenario.driver_version);
    text.push_str("GPU  Name                     Bus-Id             Memory-Usage           GPU-Util  MIG\n");
    let mut processes = String::new();
    for (index, at) in view.visible.iter().enumerate() {
        let state = view.gpu_state(*at);
        let name = view.model(*at).name;
        let bus = format!("00000000:{:02X}:00.0", scenario.gpus[*at].bus);
        if state.faults.lost {
            text.push_str(&format!("{index:<4} {name:<24} {bus:<18} GPU is lost\n"));
            continue;
        }
        let mig = if view.model(*at).mig.is_none() { "N/A" } else { ["off", "on"][usize::from(state.mig_enabled)] };
        let busy = if state.mig_enabled { "N/A".into() } else { format!("{}%", view.utilization(*at)) };
        text.push_str(&format!("{index:<4} {name:<24} {bus:<18} {:<22} {busy:<9} {mig}\n", usage(view, *at, None)));
        for (number, (instance, _)) in view.mig_devices(*at).iter().enumerate() {
            let name = view.facts(*at, instance.profile).map_or("", |(_, facts)| facts.name);
            let slices = format!("slices {}+{}", instance.start, instance.family().size);
            let usage = usage(view, *at, Some(instance));
            text.push_str(&format!("  {number:<2} MIG {name:<20} {slices:<18} {usage:<22} GI {}\n", instance.id));
        }
        for listed in view.processes(*at) {
            let mib = listed.entry.memory >> 20;
            let instance = listed.entry.instance.map_or("N/A".into(), |(gi, ci)| format!("{gi}/{ci}"));
            processes.push_str(&format!("{index:<4} {instance:<6} {:<9} {mib} MiB\n", listed.pid));
        }
    }
    if view.visible.is_empty() {
        text.push_str("No devices were found\n");
    }
    let none = if processes.is_empty() { "No running processes found\n" } else { "" };
    format!("{text}\nGPU  GI/CI  PID       GPU memory\n{processes}{none}")
}

fn usage(view: &View, at: usize, instance: Option<&nvidia_ml_sim::mig::Instance>) -> String {
    let (total, reserved, used) = view.memory(at, instance);
    format!("{}MiB / {}MiB", (used + reserved) >> 20, total >> 20)
}
