//! Randomness from one place: a cryptographic generator, seeded by the system or, in a test, by hand.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use std::sync::{Arc, Mutex, PoisonError};

/// An id type of `muster_protocol::ids` that can be made from a time and randomness.
pub trait FreshId: Sized {
    /// A new id.
    fn fresh(unix_ms: u64, random: [u8; 10]) -> Self;
}

/// The generator. Cheap to clone; all clones draw from one stream.
#[derive(Clone)]
pub struct Rng(Arc<Mutex<StdRng>>);

impl std::fmt::Debug for Rng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rng")
    }
}

impl Rng {
    /// Seeded by the operating system.
    #[must_use]
    pub fn from_system() -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_os_rng())))
    }

    /// Seeded by hand, so that a run can be replayed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        bytes
    }

    /// A secret of 256 bits as 43 characters of URL-safe base64.
    #[must_use]
    pub fn secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }

    /// A number in `0..below`; 0 when `below` is 0.
    #[must_use]
    pub fn below(&self, below: u64) -> u64 {
        // The bias of the remainder is under 2^-32 for every bound used here.
        u64::from_le_bytes(self.bytes()).checked_rem(below).unwrap_or(0)
    }

    /// A new id at a time in ms since 1970.
    #[must_use]
    pub fn id<T: FreshId>(&self, now_ms: i64) -> T {
        T::fresh(u64::try_from(now_ms).unwrap_or(0), self.bytes())
    }
}
