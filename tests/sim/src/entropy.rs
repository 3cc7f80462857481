//! Where the whole process gets its randomness: from the kernel, or on a simulated thread from its seed.
//!
//! Hash maps of the standard library, `select!` of tokio and the generators of `rand` all begin with the C
//! library's `getrandom`. This binary has its own, so that a seed settles every order that chance decides, without
//! a word in the product. Keys of `ring` come from the kernel directly: their bytes differ from run to run, their
//! lengths do not, and nothing here depends on more.

use std::cell::Cell;

thread_local! {
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From here on this thread's randomness follows from the seed. The thread must be new: a hash map made before
/// has drawn already.
pub fn seed(seed: u64) {
    STATE.set(Some(seed));
}

/// One step of SplitMix64.
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The C library's function, for this process.
///
/// # Safety
/// As of the original: `buffer` is valid for `length` bytes.
// SAFETY: it stands in for a function of the same name and type, and does what that one promises.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, flags: libc::c_uint) -> libc::ssize_t {
    let Ok(Some(mut state)) = STATE.try_with(Cell::get) else {
        // SAFETY: the caller's promise about the buffer is passed on.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) } as libc::ssize_t;
    };
    for at in 0..length {
        // SAFETY: `at` is below the length that the caller promised.
        unsafe { buffer.add(at).write(split_mix(&mut state) as u8) };
    }
    STATE.set(Some(state));
    length.cast_signed()
}
