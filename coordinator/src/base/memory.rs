//! What the allocator does with large blocks.

/// Blocks from this size on are given back to the system as soon as they are freed, bytes.
const GIVEN_BACK: libc::c_int = 1 << 20;

/// Keeps the allocator from holding on to the 19 MiB that each password costs: by default it raises this bound
/// to the largest block it has seen, and every thread of the pool then keeps its own. Call it first.
#[cfg(target_env = "gnu")]
pub fn give_large_blocks_back() {
    // SAFETY: mallopt takes two integers and changes only the allocator's own settings; no other thread runs yet.
    let taken = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, GIVEN_BACK) };
    if taken == 0 {
        tracing::debug!("the allocator keeps its own bound for large blocks");
    }
}

/// Other allocators give large blocks back by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn give_large_blocks_back() {
    let _ = GIVEN_BACK;
}
