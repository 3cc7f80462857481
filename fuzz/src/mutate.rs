//! Mutations without coverage, for the short run: bytes changed, cut, doubled, moved between samples.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Longest input that is made.
const LONGEST: usize = 8 << 10;
/// Bytes that parsers care about.
const LOVED: &[u8] = b"\0\x01\x7f\x80\xff\"{}[]:,.=- \n\\/0aA";

/// Makes inputs from samples; the same for the same seed.
#[derive(Debug)]
pub struct Mutator {
    samples: Vec<Vec<u8>>,
    rng: StdRng,
}

impl Mutator {
    /// From these; without any, from nothing.
    #[must_use]
    pub fn new(mut samples: Vec<Vec<u8>>, seed: u64) -> Self {
        samples.push(Vec::new());
        Self { samples, rng: StdRng::seed_from_u64(seed) }
    }

    fn sample(&mut self) -> Vec<u8> {
        let at = self.rng.random_range(0..self.samples.len());
        self.samples[at].clone()
    }

    /// Another input.
    pub fn mutant(&mut self) -> Vec<u8> {
        let mut data = self.sample();
        for _ in 0..self.rng.random_range(1..8) {
            self.change(&mut data);
        }
        data.truncate(LONGEST);
        data
    }

    fn change(&mut self, data: &mut Vec<u8>) {
        let at = self.rng.random_range(0..=data.len());
        let to = self.rng.random_range(at..=data.len());
        match self.rng.random_range(0..8) {
            0 if at < data.len() => data[at] ^= 1 << self.rng.random_range(0..8),
            1 if at < data.len() => data[at] = LOVED[self.rng.random_range(0..LOVED.len())],
            2 => data.insert(at, LOVED[self.rng.random_range(0..LOVED.len())]),
            3 => drop(data.drain(at..to)),
            4 => {
                let piece = data[at..to].to_vec();
                data.splice(at..at, piece);
            }
            5 => {
                let other = self.sample();
                let from = self.rng.random_range(0..=other.len());
                data.splice(at..to, other[from..].iter().copied());
            }
            6 => data.truncate(at),
            _ => {
                let random: u64 = self.rng.random();
                data.splice(at..at, random.to_be_bytes());
            }
        }
    }
}
