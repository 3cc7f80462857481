//! Event sets: XIDs, delivered once to each set, in order.

use super::arguments::Out;
use super::handles::{self, Device};
use super::{Code, exported, library};
use crate::state::Xid;
use crate::view::View;
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlEventData_t, nvmlEventSet_t};
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// `nvmlEventTypeXidCriticalError`.
const XID: u64 = 8;
/// Single- and double-bit ECC, XID.
const SUPPORTED: u64 = 1 | 2 | XID;
/// How often to look where the kernel gives no notice.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct Set {
    /// Types by GPU.
    wanted: BTreeMap<usize, u64>,
    /// XIDs up to here are delivered.
    seen: u64,
}

static SETS: Mutex<BTreeMap<usize, Set>> = Mutex::new(BTreeMap::new());

fn held() -> MutexGuard<'static, BTreeMap<usize, Set>> {
    SETS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next XID of a GPU that the set has registered.
fn next(view: &View, set: usize) -> Result<Option<(usize, Xid)>, Code> {
    let mut sets = held();
    let set = sets.get_mut(&set).ok_or(Code::INVALID_ARGUMENT)?;
    let before = set.seen;
    for xid in view.state().xids.iter().filter(|xid| xid.number > before) {
        set.seen = xid.number;
        let at = view.scenario.index_of(&xid.gpu);
        if let Some(at) = at.filter(|at| set.wanted.get(at).is_some_and(|types| types & XID != 0)) {
            return Ok(Some((at, xid.clone())));
        }
    }
    Ok(None)
}

/// The kernel's notice that the state was replaced.
struct Notice(OwnedFd);

impl Notice {
    fn new(view: &View) -> Option<Self> {
        // SAFETY: no pointers; the descriptor is checked below.
        let raw = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
        if raw < 0 {
            return None;
        }
        // SAFETY: the call has just returned this open descriptor, which nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        let path = std::ffi::CString::new(view.place.share.as_os_str().as_bytes()).ok()?;
        // SAFETY: the descriptor is open, the path NUL-terminated and alive over the call.
        let watch = unsafe { libc::inotify_add_watch(fd.as_raw_fd(), path.as_ptr(), libc::IN_MOVED_TO) };
        (watch >= 0).then_some(Self(fd))
    }

    fn wait(&self, at_most: Duration) {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let ms = i32::try_from(at_most.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one valid pollfd that lives over the call.
        unsafe { libc::poll(&raw mut poll, 1, ms) };
        let mut sink = [0_u8; 4096];
        // SAFETY: `sink` is writable for its length; what was read is thrown away, as is an error.
        unsafe { libc::read(self.0.as_raw_fd(), sink.as_mut_ptr().cast(), sink.len()) };
    }
}

fn wait(set: usize, timeout: Duration) -> Result<(usize, Xid), Code> {
    let view = library::view()?;
    let end = Instant::now() + timeout;
    let mut notice = None;
    loop {
        if let Some(found) = next(&view, set)? {
            return Ok(found);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Code::TIMEOUT);
        }
        match &notice {
            // The state may have changed before the notice was set up: look once more.
            None => notice = Some(Notice::new(&view)),
            Some(Some(notice)) => notice.wait(left),
            Some(None) => std::thread::sleep(left.min(LOOK)),
        }
    }
}

exported! {
    /// NVML's.
    nvmlDeviceGetSupportedEventTypes(device: nvmlDevice_t, types: Out<u64>) {
        Device::whole(device, "nvmlDeviceGetSupportedEventTypes")?;
        types.set(SUPPORTED)
    }

    /// NVML's: a set hears of what happens from now on.
    nvmlEventSetCreate(set: Out<nvmlEventSet_t>) {
        let seen = library::view()?.state().last_xid;
        let mut sets = held();
        let id = sets.last_key_value().map_or(1, |(last, _)| last + 1);
        set.set(id as nvmlEventSet_t)?;
        sets.insert(id, Set { wanted: BTreeMap::new(), seen });
        Ok(())
    }

    /// NVML's.
    nvmlDeviceRegisterEvents(device: nvmlDevice_t, types: u64, set: nvmlEventSet_t) {
        let device = Device::whole(device, "nvmlDeviceRegisterEvents")?;
        if types & !SUPPORTED != 0 {
            return Err(Code::NOT_SUPPORTED);
        }
        let mut sets = held();
        let set = sets.get_mut(&(set as usize)).ok_or(Code::INVALID_ARGUMENT)?;
        *set.wanted.entry(device.at).or_default() |= types;
        Ok(())
    }

    /// NVML's: blocks until something happens or the time is over.
    nvmlEventSetWait_v2(set: nvmlEventSet_t, data: Out<nvmlEventData_t>, timeout_ms: u32) {
        let (at, xid) = wait(set as usize, Duration::from_millis(timeout_ms.into()))?;
        data.set(nvmlEventData_t {
            device: handles::of_gpu(at),
            eventType: XID,
            eventData: xid.xid,
            gpuInstanceId: xid.gpu_instance.unwrap_or(u32::MAX),
            computeInstanceId: xid.gpu_instance.map_or(u32::MAX, |_| 0),
        })
    }

    /// NVML's.
    nvmlEventSetFree(set: nvmlEventSet_t) {
        held().remove(&(set as usize)).map(|_| ()).ok_or(Code::INVALID_ARGUMENT)
    }
}
