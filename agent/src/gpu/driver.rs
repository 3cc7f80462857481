//! The driver thread: loads the library, says what is wrong if it cannot, starts the lanes, then listens for XIDs.

use super::lane::Lane;
use super::limits::{DRIVER_RETRY, EVENTS_WAIT};
use super::shared::Shared;
use super::watch::spawn_thread;
use super::xids::{NVML, Seen};
use super::{kernel_log, lane};
use nvml_wrapper::Nvml;
use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try};
use nvml_wrapper_sys::bindings::{nvmlEventData_t, nvmlEventSet_t};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bits of NVML's event types: XID.
const EVENT_XID: u64 = 8;
/// NVML's word for no instance.
const NO_INSTANCE: u32 = u32::MAX;
/// PCI vendor NVIDIA.
const VENDOR: &str = "0x10de";

/// What the driver is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Driver {
    /// Not known yet.
    #[default]
    Loading,
    /// No NVIDIA device and no library.
    None,
    /// A device or a configured library, but nothing that can be loaded.
    Missing(String),
    /// The library is there and says no.
    Error(String),
    /// It works.
    Up {
        /// `580.95.05`.
        version: String,
        /// `13.0`.
        cuda: String,
    },
}

/// Wall clock in ms since 1970.
pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// Starts the driver thread.
pub(super) fn spawn(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    spawn_thread("gpu-driver", move || run(&shared));
}

fn run(shared: &Arc<Shared>) {
    while !shared.is_stopped() {
        match load(shared) {
            Ok(nvml) => {
                let nvml = Arc::new(nvml);
                match start(shared, &nvml) {
                    Ok(lanes) => return listen(shared, &nvml, &lanes),
                    Err(error) => shared.set_driver(Driver::Error(error.to_string()), Vec::new()),
                }
            }
            Err(wrong) => shared.set_driver(wrong, Vec::new()),
        }
        shared.sleep(DRIVER_RETRY);
    }
}

fn load(shared: &Shared) -> Result<Nvml, Driver> {
    let mut builder = Nvml::builder();
    if let Some(path) = &shared.config.lib_path {
        builder.lib_path(path.as_os_str());
    }
    builder.init().map_err(|error| {
        let devices = nvidia_devices(Path::new("/sys/bus/pci/devices"));
        let wrong = classify(&error, devices, shared.config.lib_path.as_deref());
        tracing::debug!(%error, devices, ?wrong, "NVML did not start");
        wrong
    })
}

/// What it means that NVML did not start, on a machine with so many NVIDIA devices.
fn classify(error: &NvmlError, devices: usize, configured: Option<&Path>) -> Driver {
    let cards = || match devices {
        1 => "an NVIDIA device is there".to_owned(),
        count => format!("{count} NVIDIA devices are there"),
    };
    match (error, configured) {
        (NvmlError::LibloadingError(error), Some(path)) => {
            Driver::Missing(format!("gpu.nvml_library {}: {error}", path.display()))
        }
        (NvmlError::LibloadingError(_), None) if devices > 0 => {
            Driver::Missing(format!("{}, but libnvidia-ml.so.1 is not installed", cards()))
        }
        (NvmlError::DriverNotLoaded, _) if devices > 0 || configured.is_some() => {
            Driver::Missing(format!("{}, but the kernel module is not loaded", cards()))
        }
        (NvmlError::LibloadingError(_) | NvmlError::DriverNotLoaded, None) => Driver::None,
        (error, _) => Driver::Error(format!("NVML does not start: {error}")),
    }
}

/// NVIDIA display and 3D controllers on the PCI bus.
fn nvidia_devices(bus: &Path) -> usize {
    let Ok(devices) = std::fs::read_dir(bus) else { return 0 };
    let says = |path: &Path, file: &str, prefixes: &[&str]| {
        std::fs::read_to_string(path.join(file)).is_ok_and(|text| prefixes.iter().any(|p| text.starts_with(p)))
    };
    let is_gpu = |path: &Path| says(path, "vendor", &[VENDOR]) && says(path, "class", &["0x0300", "0x0302"]);
    devices.flatten().filter(|device| is_gpu(&device.path())).count()
}

fn start(shared: &Arc<Shared>, nvml: &Arc<Nvml>) -> Result<Vec<Arc<Lane>>, NvmlError> {
    let count = nvml.device_count()?;
    let version = nvml.sys_driver_version().unwrap_or_default();
    let cuda = nvml.sys_cuda_driver_version().map(|n| format!("{}.{}", n / 1000, n % 1000 / 10)).unwrap_or_default();
    if count == 0 {
        shared.set_driver(Driver::None, Vec::new());
        return Ok(Vec::new());
    }
    let lanes: Vec<_> = (0..count).map(|index| lane::spawn(shared, nvml, index)).collect();
    shared.set_driver(Driver::Up { version, cuda }, lanes.clone());
    if nvidia_devices(Path::new("/sys/bus/pci/devices")) > 0 {
        kernel_log::spawn(shared);
    }
    Ok(lanes)
}

/// An event set, freed at the end.
struct Events<'a> {
    nvml: &'a Nvml,
    set: nvmlEventSet_t,
    /// GPUs by handle.
    registered: BTreeMap<usize, Arc<Lane>>,
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        if let Ok(free) = &self.nvml.lib().nvmlEventSetFree {
            // SAFETY: the set was made by this library and is not used after this.
            unsafe { free(self.set) };
        }
    }
}

impl<'a> Events<'a> {
    fn new(nvml: &'a Nvml) -> Result<Self, NvmlError> {
        let mut set = std::ptr::null_mut();
        // SAFETY: `set` is writable and the library is initialised.
        nvml_try(unsafe { nvml_sym(nvml.lib().nvmlEventSetCreate.as_ref())?(&raw mut set) })?;
        Ok(Self { nvml, set, registered: BTreeMap::new() })
    }

    /// Registers a GPU that is not yet; one that cannot say XIDs is passed over, a lost one tried again later.
    fn register(&mut self, lane: &Arc<Lane>) -> Result<(), NvmlError> {
        let device = self.nvml.device_by_index(lane.index)?;
        // SAFETY: the handle stays valid as long as the library is initialised, which `nvml` keeps it.
        let handle = unsafe { device.handle() };
        if self.registered.contains_key(&(handle as usize)) {
            return Ok(());
        }
        let register = nvml_sym(self.nvml.lib().nvmlDeviceRegisterEvents.as_ref())?;
        // SAFETY: handle and set are of this library and valid.
        nvml_try(unsafe { register(handle, EVENT_XID, self.set) })?;
        self.registered.insert(handle as usize, Arc::clone(lane));
        Ok(())
    }

    fn wait(&self) -> Result<nvmlEventData_t, NvmlError> {
        let wait = nvml_sym(self.nvml.lib().nvmlEventSetWait_v2.as_ref())?;
        // SAFETY: all-zero is a valid value of this plain C struct.
        let mut data: nvmlEventData_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set is valid and `data` writable.
        nvml_try(unsafe { wait(self.set, &raw mut data, EVENTS_WAIT.as_millis() as u32) })?;
        Ok(data)
    }
}

/// Listens for XIDs until the GPUs are no longer wanted. The raw calls are taken because the safe ones drop the
/// GPU instance of an event.
fn listen(shared: &Shared, nvml: &Nvml, lanes: &[Arc<Lane>]) {
    let mut events = None;
    while !shared.is_stopped() {
        let Some(events) = &mut events else {
            match Events::new(nvml) {
                Ok(fresh) => events = Some(fresh),
                Err(error) => {
                    tracing::info!(%error, "NVML tells no events");
                    return;
                }
            }
            continue;
        };
        for lane in lanes {
            if let Err(error) = events.register(lane) {
                tracing::debug!(index = lane.index, %error, "no events of this GPU");
            }
        }
        match events.wait() {
            Ok(data) => take(shared, events, &data),
            Err(NvmlError::Timeout) => {}
            // A lost GPU makes every wait fail at once.
            Err(_) => shared.sleep(Duration::from_secs(1)),
        }
    }
}

fn take(shared: &Shared, events: &Events<'_>, data: &nvmlEventData_t) {
    let Some(lane) = events.registered.get(&(data.device as usize)) else { return };
    if data.eventType & EVENT_XID == 0 {
        return;
    }
    let (gpu_uuid, pci_bus_id) = lane.names();
    shared.saw_xid(Seen {
        at_ms: now_ms(),
        gpu_uuid,
        pci_bus_id,
        xid: data.eventData,
        gpu_instance: Some(data.gpuInstanceId).filter(|id| *id != NO_INSTANCE),
        source: NVML,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_library() -> NvmlError {
        let error = Nvml::builder().lib_path("/nonexistent/lib.so".as_ref()).init().expect_err("no such file");
        assert!(matches!(error, NvmlError::LibloadingError(_)));
        error
    }

    #[test]
    fn no_device_and_no_library_is_none() {
        assert_eq!(classify(&no_library(), 0, None), Driver::None);
        assert_eq!(classify(&NvmlError::DriverNotLoaded, 0, None), Driver::None);
    }

    #[test]
    fn a_device_without_library_or_module_misses_its_driver() {
        let Driver::Missing(why) = classify(&no_library(), 8, None) else { panic!("not missing") };
        assert!(why.contains("8 NVIDIA devices"), "{why}");
        assert!(matches!(classify(&NvmlError::DriverNotLoaded, 1, None), Driver::Missing(_)));
    }

    #[test]
    fn a_configured_library_that_is_not_there_is_named() {
        let Driver::Missing(why) = classify(&no_library(), 0, Some(Path::new("/x/y.so"))) else {
            panic!("not missing")
        };
        assert!(why.contains("/x/y.so"), "{why}");
    }

    #[test]
    fn a_library_that_says_no_is_an_error() {
        assert!(matches!(classify(&NvmlError::LibRmVersionMismatch, 1, None), Driver::Error(_)));
    }

    #[test]
    fn only_nvidia_gpus_on_the_bus_count() {
        let bus = tempfile::tempdir().expect("a folder");
        let cards = [
            ("a", "0x10de", "0x030200"),
            ("b", "0x10de", "0x040300"),
            ("c", "0x8086", "0x030000"),
            ("d", "0x10de", "0x030000"),
        ];
        for (name, vendor, class) in cards {
            let card = bus.path().join(name);
            std::fs::create_dir(&card).expect("made");
            std::fs::write(card.join("vendor"), format!("{vendor}\n")).expect("written");
            std::fs::write(card.join("class"), format!("{class}\n")).expect("written");
        }
        assert_eq!(nvidia_devices(bus.path()), 2);
        assert_eq!(nvidia_devices(Path::new("/nonexistent")), 0);
    }
}
