//! Randomness, from the kernel.

use rand::{TryRngCore, rngs::OsRng};
use std::time::Duration;

/// Random bytes. A kernel without randomness gives zeroes: nothing secret is made here, keys come from `pki`.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = OsRng.try_fill_bytes(&mut bytes) {
        tracing::warn!(%error, "the kernel has no randomness");
    }
    bytes
}

/// A delay drawn evenly from nothing to `most`: full jitter, so that a fleet spreads.
#[must_use]
pub fn jitter(most: Duration) -> Duration {
    most.mul_f64(u32::from_be_bytes(bytes()) as f64 / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_its_bound_and_spreads() {
        let most = Duration::from_secs(1);
        let drawn: Vec<_> = (0..200).map(|_| jitter(most)).collect();
        assert!(drawn.iter().all(|delay| *delay <= most));
        assert!(drawn.iter().any(|delay| *delay < most / 2) && drawn.iter().any(|delay| *delay > most / 2));
    }
}
