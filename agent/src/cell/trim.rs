//! Gives back the pages of code that only the start needed.
//!
//! PID 1 is a small part of a big binary, and there is one per allocation. What the loader and the start
//! have read in counts as ours until it is let go; whatever the loop needs again comes back from the page
//! cache by itself, without the disk.

use nix::libc;
use std::ffi::{c_int, c_void};

/// Lets go of every page of code and constants, in this binary and its libraries.
pub(super) fn code() {
    // SAFETY: `let_go` has the signature asked for and keeps nothing of what it is shown.
    unsafe { libc::dl_iterate_phdr(Some(let_go), std::ptr::null_mut()) };
}

/// Only segments that the loader mapped without the right to write: their pages are exactly the file's, so
/// nothing is lost. Relocated data is in segments that are mapped writable first.
unsafe extern "C" fn let_go(info: *mut libc::dl_phdr_info, _size: usize, _data: *mut c_void) -> c_int {
    // SAFETY: sysconf takes no pointers.
    let Ok(page) = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }) else { return 1 };
    // SAFETY: the loader shows a valid entry with `dlpi_phnum` headers for the length of this call.
    let (base, headers) = unsafe {
        let info = &*info;
        (info.dlpi_addr as usize, std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()))
    };
    for header in headers {
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let begin = (base + header.p_vaddr as usize) & !(page - 1);
        let end = (base + header.p_vaddr as usize + header.p_memsz as usize).next_multiple_of(page);
        // SAFETY: a private, never written mapping of a file: dropping its pages only means reading them again.
        unsafe { libc::madvise(begin as *mut c_void, end - begin, libc::MADV_DONTNEED) };
    }
    0
}
