//! Which offsets of a session a node can be believed. A node is untrusted: it may name any number.

/// No session comes this far: at 1 GB/s it would take a century. Sums of offsets and lengths below it cannot
/// overflow.
const OFFSET_MAX: u64 = 1 << 62;

/// Whether an offset can be one of a session.
pub(super) fn believable(offset: u64) -> bool {
    offset < OFFSET_MAX
}

/// The offset after `len` bytes of output; none if they do not follow what was `sent` before.
pub(super) fn after(sent: u64, offset: u64, len: usize) -> Option<u64> {
    let end = offset.checked_add(len as u64)?;
    (offset == sent && believable(end)).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_follows_what_came_before_or_is_not_taken() {
        assert_eq!(after(10, 10, 5), Some(15));
        assert_eq!(after(10, 9, 5), None);
        assert_eq!(after(u64::MAX - 2, u64::MAX - 2, 16), None);
        assert_eq!(after(OFFSET_MAX - 1, OFFSET_MAX - 1, 1), None);
        assert!(believable(1 << 50) && !believable(u64::MAX) && !believable(OFFSET_MAX));
    }
}
