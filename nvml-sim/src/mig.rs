//! MIG geometry: which instances fit beside each other. Pure.
//!
//! All simulated parts share one axis of 8 memory slices. An instance takes the interval `[start, start+size)`;
//! intervals that do not overlap, each profile's own maximum and one media instance at most are all the rules.

use serde::{Deserialize, Serialize};

/// Memory slices of a GPU.
pub const SLICES: u32 = 8;

/// A family of GPU instances, the same on every part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// NVML's profile id, which creation takes.
    pub id: u32,
    /// `NVML_GPU_INSTANCE_PROFILE_*`, which enumeration takes.
    pub number: u32,
    /// Memory slices.
    pub size: u32,
    /// Compute slices.
    pub compute: u32,
    /// First memory slices that the hardware allows.
    pub starts: &'static [u32],
    /// Instances at most.
    pub max: u32,
    /// Has the media engines, of which there is one set.
    pub media: bool,
}

/// Every family; products name them in this order.
pub static PROFILES: [Profile; 7] = [
    Profile { id: 19, number: 0, size: 1, compute: 1, starts: &[0, 1, 2, 3, 4, 5, 6], max: 7, media: false },
    Profile { id: 20, number: 7, size: 1, compute: 1, starts: &[0, 1, 2, 3, 4, 5, 6], max: 1, media: true },
    Profile { id: 15, number: 9, size: 2, compute: 1, starts: &[0, 2, 4, 6], max: 4, media: false },
    Profile { id: 14, number: 1, size: 2, compute: 2, starts: &[0, 2, 4], max: 3, media: false },
    Profile { id: 9, number: 2, size: 4, compute: 3, starts: &[0, 4], max: 2, media: false },
    Profile { id: 5, number: 3, size: 4, compute: 4, starts: &[0], max: 1, media: false },
    Profile { id: 0, number: 4, size: 8, compute: 7, starts: &[0], max: 1, media: false },
];

/// Index of the family with an NVML profile id.
#[must_use]
pub fn by_id(id: u32) -> Option<usize> {
    PROFILES.iter().position(|profile| profile.id == id)
}

/// Index of the family with an enumeration number.
#[must_use]
pub fn by_number(number: u32) -> Option<usize> {
    PROFILES.iter().position(|profile| profile.number == number)
}

/// A GPU instance with its compute instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// GPU instance id.
    pub id: u32,
    /// Index in [`PROFILES`].
    pub profile: usize,
    /// First memory slice.
    pub start: u32,
    /// Compute instances.
    #[serde(default)]
    pub compute: Vec<ComputeInstance>,
}

/// A compute instance of a GPU instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComputeInstance {
    /// Its id in the GPU instance.
    pub id: u32,
    /// First compute slice.
    pub start: u32,
    /// Compute slices.
    pub slices: u32,
}

/// Why an instance cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The placement is none that the profile has.
    Invalid,
    /// It does not fit beside what there is.
    NoRoom,
}

impl Instance {
    /// The family.
    #[must_use]
    pub fn family(&self) -> &'static Profile {
        &PROFILES[self.profile]
    }

    fn covers(&self, start: u32, size: u32) -> bool {
        start < self.start + self.family().size && self.start < start + size
    }
}

/// Whether a family fits at a start beside what there is.
#[must_use]
pub fn fits(instances: &[Instance], profile: usize, start: u32) -> bool {
    let family = &PROFILES[profile];
    let same = instances.iter().filter(|instance| instance.profile == profile).count();
    let media_taken = family.media && instances.iter().any(|instance| instance.family().media);
    family.starts.contains(&start)
        && (same as u32) < family.max
        && !media_taken
        && !instances.iter().any(|instance| instance.covers(start, family.size))
}

/// How many more of a family could be made now, at best.
#[must_use]
pub fn remaining(instances: &[Instance], profile: usize) -> u32 {
    let mut world = instances.to_vec();
    let mut count = 0;
    for start in PROFILES[profile].starts {
        if fits(&world, profile, *start) {
            world.push(Instance { id: 0, profile, start: *start, compute: Vec::new() });
            count += 1;
        }
    }
    count
}

/// Where the driver puts an instance when nobody said: the last free start, which keeps large profiles possible.
#[must_use]
pub fn choose(instances: &[Instance], profile: usize) -> Option<u32> {
    PROFILES[profile].starts.iter().rev().copied().find(|start| fits(instances, profile, *start))
}

/// The id an instance gets. Each family size has ids of its own, so two live instances never share one.
#[must_use]
pub fn instance_id(profile: usize, start: u32) -> u32 {
    match PROFILES[profile].size {
        8 => 0,
        4 => 1 + start / 4,
        2 => 3 + start / 2,
        _ => 7 + start,
    }
}

/// Adds an instance.
///
/// # Errors
/// [`Refused`] if the placement is none or taken.
pub fn create(instances: &mut Vec<Instance>, profile: usize, start: u32) -> Result<u32, Refused> {
    if !PROFILES[profile].starts.contains(&start) {
        return Err(Refused::Invalid);
    }
    if !fits(instances, profile, start) {
        return Err(Refused::NoRoom);
    }
    let id = instance_id(profile, start);
    instances.push(Instance { id, profile, start, compute: Vec::new() });
    instances.sort_by_key(|instance| instance.id);
    Ok(id)
}

/// Compute slices of `NVML_COMPUTE_INSTANCE_PROFILE_*`.
#[must_use]
pub fn compute_slices(number: u32) -> Option<u32> {
    match number {
        0 | 7 => Some(1),
        1 => Some(2),
        2 => Some(3),
        3 => Some(4),
        4 => Some(7),
        _ => None,
    }
}

/// Number of the compute profile with so many slices.
#[must_use]
pub fn compute_number(slices: u32) -> u32 {
    match slices {
        1 => 0,
        7 => 4,
        other => other - 1,
    }
}

/// First compute slices that a compute instance of `slices` may begin at, in a GPU instance of `total`.
#[must_use]
pub fn compute_starts(total: u32, slices: u32) -> Vec<u32> {
    if slices > total { Vec::new() } else { (0..=total - slices).step_by(slices as usize).collect() }
}

/// Adds a compute instance; without a start the first free one is taken.
///
/// # Errors
/// [`Refused`] if it does not exist or does not fit.
pub fn create_compute(instance: &mut Instance, slices: u32, start: Option<u32>) -> Result<u32, Refused> {
    let starts = compute_starts(instance.family().compute, slices);
    let free = |at: u32| !instance.compute.iter().any(|ci| at < ci.start + ci.slices && ci.start < at + slices);
    let start = match start {
        Some(start) if !starts.contains(&start) => return Err(Refused::Invalid),
        Some(start) => Some(start).filter(|at| free(*at)),
        None => starts.into_iter().find(|at| free(*at)),
    }
    .ok_or(Refused::NoRoom)?;
    let id = (0..8).find(|id| !instance.compute.iter().any(|ci| ci.id == *id)).ok_or(Refused::NoRoom)?;
    instance.compute.push(ComputeInstance { id, start, slices });
    instance.compute.sort_by_key(|ci| ci.id);
    Ok(id)
}

#[cfg(test)]
#[path = "mig_tests.rs"]
mod tests;
