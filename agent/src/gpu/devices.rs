//! Which device files and which environment a cell gets for its slots.

use super::lookup;
use super::types::{DevicePath, DeviceSet, GpuConfig, GpuError, GpuInventory};
use muster_protocol::desired::Slot;
use std::path::Path;

/// Without these no CUDA program starts.
const NEEDED: [&str; 2] = ["nvidiactl", "nvidia-uvm"];
/// Taken where the node has it.
const WELCOME: [&str; 1] = ["nvidia-uvm-tools"];
/// Minor numbers of MIG capabilities, as the kernel module publishes them.
const CAPABILITIES: &str = "/proc/driver/nvidia-caps/mig-minors";

/// What a cell needs for its slots together.
pub(super) fn for_slots(config: &GpuConfig, inventory: &GpuInventory, slots: &[Slot]) -> Result<DeviceSet, GpuError> {
    let mut set = DeviceSet::default();
    for slot in slots {
        let Some((gpu, instance)) = lookup::of_slot(inventory, slot)? else { continue };
        let minor = gpu.minor.ok_or_else(|| GpuError::Nvml {
            gpu: gpu.uuid.clone(),
            reason: "the driver does not say its minor number".into(),
        })?;
        add(&mut set, config, &format!("nvidia{minor}"), instance.is_none())?;
        if let Some(instance) = instance {
            for compute in [None, Some(instance.compute_instance)] {
                let number = capability(minor, instance.gpu_instance, compute);
                add(&mut set, config, &format!("nvidia-caps/nvidia-cap{number}"), true)?;
            }
        }
        set.visible.push(instance.map_or_else(|| gpu.uuid.clone(), |instance| instance.uuid.clone()));
    }
    if !set.visible.is_empty() {
        NEEDED.iter().try_for_each(|name| add(&mut set, config, name, false))?;
        for name in WELCOME.iter().filter(|name| config.dev_root.join(name).exists()) {
            add(&mut set, config, name, false)?;
        }
        set.mounts.clone_from(&config.cell_mounts);
        set.env.clone_from(&config.cell_env);
    }
    set.paths.sort();
    set.paths.dedup();
    set.env.insert("CUDA_VISIBLE_DEVICES".into(), set.visible.join(","));
    let none = set.visible.is_empty();
    set.env.insert("NVIDIA_VISIBLE_DEVICES".into(), if none { "void".into() } else { set.visible.join(",") });
    Ok(set)
}

fn add(set: &mut DeviceSet, config: &GpuConfig, name: &str, exclusive: bool) -> Result<(), GpuError> {
    let source = config.dev_root.join(name);
    if !source.exists() {
        return Err(GpuError::NoDevice(source));
    }
    set.paths.push(DevicePath { source, target: Path::new("/dev").join(name), exclusive });
    Ok(())
}

/// Number of the capability file of a GPU instance, or of a compute instance in it.
fn capability(minor: u32, gpu_instance: u32, compute: Option<u32>) -> u32 {
    let published = std::fs::read_to_string(CAPABILITIES).ok();
    let published = published.and_then(|table| published_capability(&table, minor, gpu_instance, compute));
    published.unwrap_or_else(|| fixed_capability(minor, gpu_instance, compute))
}

/// From lines such as `gpu0/gi1/ci0/access 13`.
fn published_capability(table: &str, minor: u32, gpu_instance: u32, compute: Option<u32>) -> Option<u32> {
    let part = compute.map(|id| format!("/ci{id}")).unwrap_or_default();
    let name = format!("gpu{minor}/gi{gpu_instance}{part}/access");
    let mut lines = table.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(found, _)| *found == name).and_then(|(_, number)| number.trim().parse().ok())
}

/// The kernel module's table has never changed: two for all, then 15 GPU instances of 1 + 8 per GPU.
fn fixed_capability(minor: u32, gpu_instance: u32, compute: Option<u32>) -> u32 {
    3 + minor * 135 + gpu_instance * 9 + compute.map_or(0, |id| 1 + id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::desired::SlotKind;
    use muster_protocol::inventory::{Gpu, MigInstance};

    fn node() -> (tempfile::TempDir, GpuConfig, GpuInventory) {
        let dev = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dev.path().join("nvidia-caps")).expect("made");
        for name in
            ["nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap147", "nvidia-caps/nvidia-cap148"]
        {
            std::fs::write(dev.path().join(name), "").expect("made");
        }
        let config = GpuConfig { dev_root: dev.path().into(), ..GpuConfig::default() };
        let whole = Gpu { uuid: "GPU-a".into(), minor: Some(0), ..Gpu::default() };
        let mig = MigInstance {
            uuid: "MIG-b".into(),
            profile: "3g.40gb".into(),
            start: 0,
            size: 4,
            gpu_instance: 1,
            ..MigInstance::default()
        };
        let divided =
            Gpu { uuid: "GPU-b".into(), minor: Some(1), mig_enabled: Some(true), mig: vec![mig], ..Gpu::default() };
        let inventory = GpuInventory { gpus: vec![whole, divided], ..GpuInventory::default() };
        (dev, config, inventory)
    }

    fn slot(kind: SlotKind, uuid: &str, mig: Option<(&str, u32, u32)>) -> Slot {
        let id = "sl_00000000000000000000000000".parse().expect("a slot id");
        Slot {
            id,
            kind,
            gpu_uuid: Some(uuid.into()),
            profile: mig.map(|(profile, ..)| profile.into()),
            start: mig.map(|(_, start, _)| start),
            size: mig.map(|(.., size)| size),
        }
    }

    fn names(set: &DeviceSet) -> Vec<String> {
        set.paths.iter().map(|path| path.target.display().to_string()).collect()
    }

    #[test]
    fn a_whole_gpu_needs_its_file_and_the_shared_ones() {
        let (_dev, config, inventory) = node();
        let set = for_slots(&config, &inventory, &[slot(SlotKind::Gpu, "GPU-a", None)]).expect("all there");
        assert_eq!(names(&set), ["/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl"]);
        assert_eq!(set.env["CUDA_VISIBLE_DEVICES"], "GPU-a");
        let exclusive: Vec<_> = set.paths.iter().filter(|path| path.exclusive).collect();
        assert_eq!(exclusive.len(), 1);
    }

    #[test]
    fn an_instance_needs_its_capabilities_too() {
        let (_dev, config, inventory) = node();
        let wanted = [slot(SlotKind::Mig, "GPU-b", Some(("3g.40gb", 0, 4)))];
        let set = for_slots(&config, &inventory, &wanted).expect("all there");
        assert!(names(&set).contains(&"/dev/nvidia-caps/nvidia-cap147".to_owned()));
        assert!(names(&set).contains(&"/dev/nvidia-caps/nvidia-cap148".to_owned()));
        assert!(!set.paths.iter().any(|path| path.exclusive && path.target.ends_with("nvidia1")));
        assert_eq!(set.visible, ["MIG-b"]);
    }

    #[test]
    fn several_slots_share_what_is_shared() {
        let (_dev, config, inventory) = node();
        let wanted = [slot(SlotKind::Gpu, "GPU-a", None), slot(SlotKind::Mig, "GPU-b", Some(("3g.40gb", 0, 4)))];
        let set = for_slots(&config, &inventory, &wanted).expect("all there");
        assert_eq!(set.env["NVIDIA_VISIBLE_DEVICES"], "GPU-a,MIG-b");
        assert_eq!(set.paths.iter().filter(|path| path.target.ends_with("nvidiactl")).count(), 1);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let (dev, config, inventory) = node();
        let ask = |slot| for_slots(&config, &inventory, &[slot]).expect_err("not there");
        assert_eq!(ask(slot(SlotKind::Gpu, "GPU-x", None)), GpuError::NotFound("GPU-x".into()));
        for wrong in [("1g.10gb", 0, 1), ("3g.40gb", 4, 4)] {
            assert!(matches!(ask(slot(SlotKind::Mig, "GPU-b", Some(wrong))), GpuError::NoInstance { .. }));
        }
        assert!(matches!(ask(slot(SlotKind::Gpu, "GPU-b", None)), GpuError::NoInstance { .. }), "it is divided");
        std::fs::remove_file(dev.path().join("nvidia0")).expect("removed");
        assert_eq!(ask(slot(SlotKind::Gpu, "GPU-a", None)), GpuError::NoDevice(dev.path().join("nvidia0")));
    }

    #[test]
    fn a_cpu_slot_shows_no_gpu() {
        let (_dev, config, inventory) = node();
        let set = for_slots(&config, &inventory, &[slot(SlotKind::Cpu, "", None)]).expect("nothing needed");
        assert!(set.paths.is_empty() && set.mounts.is_empty());
        assert_eq!(
            (set.env["CUDA_VISIBLE_DEVICES"].as_str(), set.env["NVIDIA_VISIBLE_DEVICES"].as_str()),
            ("", "void")
        );
    }

    #[test]
    fn published_capabilities_win_over_the_table() {
        let table = "config 1\nmonitor 2\ngpu1/gi1/access 147\ngpu1/gi1/ci0/access 500\n";
        assert_eq!(published_capability(table, 1, 1, None), Some(fixed_capability(1, 1, None)));
        assert_eq!(published_capability(table, 1, 1, Some(0)), Some(500));
        assert_eq!(published_capability(table, 0, 1, None), None);
    }
}
