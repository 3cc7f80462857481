//! What PID 1 may do once the payloads' user namespace is made.
//!
//! As its maker it has every right over that namespace. Over its own it keeps only what it takes to own
//! terminals and signal payloads; making the namespace took more on systems that restrict it to root.

use nix::errno::Errno;
use nix::libc;
use std::io;

/// chown, fowner, kill, setgid, setuid, by number.
const KEPT: [u32; 5] = [0, 3, 5, 6, 7];
/// `_LINUX_CAPABILITY_VERSION_3`
const VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Gives everything else up, for good.
pub(super) fn keep_few() -> io::Result<()> {
    for right in (0..64).filter(|right| !KEPT.contains(right)) {
        // SAFETY: plain numbers.
        match Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(right), 0, 0, 0) }) {
            // Past the last right that this kernel knows.
            Err(Errno::EINVAL) => break,
            done => drop(done?),
        }
    }
    let kept = KEPT.iter().fold(0, |mask, right| mask | 1 << right);
    Ok(set(&[Sets { effective: kept, permitted: kept, inheritable: 0 }, Sets::default()])?)
}

/// Gives all up. Exec would drop them as well; this way nothing between here and there has them.
pub(super) fn keep_none() -> Result<(), Errno> {
    set(&[Sets::default(); 2])
}

fn set(sets: &[Sets; 2]) -> Result<(), Errno> {
    let header = Header { version: VERSION, pid: 0 };
    // SAFETY: the kernel reads a header and two sets of this layout, which live through the call.
    let done = unsafe { libc::syscall(libc::SYS_capset, std::ptr::from_ref(&header), sets.as_ptr()) };
    Errno::result(done).map(drop)
}
