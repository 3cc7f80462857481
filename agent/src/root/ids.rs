//! A private range of 65,536 user and group ids for each cell.
//!
//! Several agents may share a machine, so a range is claimed by making a file in a directory that all of them
//! use; the file names its owner. Ranges lie where systemd's table of ids has a hole.

use super::fault::{Doing, Fault};
use super::state::private_dir;
use muster_protocol::ids::AllocationId;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Ids of a cell.
pub(super) const RANGE: u32 = 65_536;
/// First id of the first range.
const FIRST: u32 = 0x7000_0000;
/// Number of ranges.
pub(super) const RANGES: u16 = 4094;

/// A claimed range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IdRange {
    /// Its number; also names the cell's network.
    pub(super) index: u16,
    /// Its first id.
    pub(super) base: u32,
}

impl IdRange {
    fn new(index: u16) -> Self {
        Self { index, base: FIRST + u32::from(index) * RANGE }
    }

    /// The node's id behind one of the cell.
    pub(super) fn outside(self, inside: u32) -> u32 {
        self.base + inside
    }

    /// The range holds this id of the node.
    pub(super) fn holds(self, id: u32) -> bool {
        id >= self.base && id - self.base < RANGE
    }
}

/// The ranges of a machine.
#[derive(Debug, Clone)]
pub(super) struct Claims {
    dir: PathBuf,
    state_dir: PathBuf,
}

impl Claims {
    /// Claims of the agent with this state directory in a directory that all agents of the machine share.
    pub(super) fn open(dir: &Path, state_dir: &Path) -> Result<Self, Fault> {
        private_dir(dir)?;
        Ok(Self { dir: dir.to_owned(), state_dir: state_dir.to_owned() })
    }

    /// Claims a free range.
    pub(super) fn claim(&self, allocation: AllocationId) -> Result<IdRange, Fault> {
        // Spread by allocation, so that a range comes back as late as possible.
        let spread = allocation.short().bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        for step in 0..u32::from(RANGES) {
            let index = u16::try_from((spread.wrapping_add(step)) % u32::from(RANGES)).unwrap_or_default();
            if self.take(index, allocation).doing("claim ids")? {
                return Ok(IdRange::new(index));
            }
            self.drop_abandoned(index);
        }
        Err(Fault::new("no_ids", "claim ids", format!("all {RANGES} ranges are taken")))
    }

    /// Claims again what a cell has: a reboot forgets the claims and not the cells. False if somebody else was faster.
    pub(super) fn hold(&self, range: IdRange, allocation: AllocationId) -> Result<bool, Fault> {
        Ok(self.take(range.index, allocation).doing("claim ids again")? || self.holds(range, allocation))
    }

    fn holds(&self, range: IdRange, allocation: AllocationId) -> bool {
        fs::read_to_string(self.path(range.index)).is_ok_and(|text| text == self.claim_text(allocation))
    }

    fn claim_text(&self, allocation: AllocationId) -> String {
        format!("{} {allocation}\n", self.state_dir.display())
    }

    /// Makes a claim's file; false if there is one. It never stands without its owner's name, by which it is given
    /// back.
    fn take(&self, index: u16, allocation: AllocationId) -> io::Result<bool> {
        if self.path(index).exists() {
            return Ok(false);
        }
        let new = self.dir.join(format!("new.{allocation}"));
        fs::write(&new, self.claim_text(allocation))?;
        let linked = fs::hard_link(&new, self.path(index));
        fs::remove_file(new)?;
        match linked {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A claim whose agent's state directory is gone for good stands in nobody's way; used on the next round.
    fn drop_abandoned(&self, index: u16) {
        let text = fs::read_to_string(self.path(index)).unwrap_or_default();
        let range = IdRange::new(index);
        if text.trim_end().rsplit_once(' ').is_some_and(|(owner, _)| !Path::new(owner).exists())
            && !super::measure::any_process(|uid| range.holds(uid))
        {
            // Somebody else may have done the same.
            let _ = fs::remove_file(self.path(index));
        }
    }

    /// Gives back what this agent claimed for cells that `done` names, also if no record names the range yet.
    pub(super) fn sweep(&self, done: impl Fn(AllocationId) -> bool) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let Some((owner, allocation)) = text.trim_end().rsplit_once(' ') else { continue };
            if Path::new(owner) == self.state_dir && allocation.parse().is_ok_and(&done) {
                // Gone already is as good.
                let _ = fs::remove_file(path);
            }
        }
    }

    fn path(&self, index: u16) -> PathBuf {
        self.dir.join(index.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_agents_never_share_a_range() {
        let run = tempfile::tempdir().unwrap();
        let states = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let one = Claims::open(run.path(), states[0].path()).unwrap();
        let two = Claims::open(run.path(), states[1].path()).unwrap();
        let allocation = AllocationId::new(1, [1; 10]);
        let other = AllocationId::new(2, [1; 10]);
        let a = one.claim(allocation).unwrap();
        let b = two.claim(allocation).unwrap();
        assert_ne!(a, b);
        assert!(a.holds(a.outside(1000)) && !a.holds(b.outside(0)));
        one.sweep(|id| id == other);
        assert!(one.path(a.index).exists());
        two.sweep(|id| id == allocation);
        assert!(!two.path(b.index).exists() && one.path(a.index).exists());
        one.sweep(|id| id == allocation);
        assert!(!one.path(a.index).exists());
        assert!(one.hold(a, allocation).unwrap() && one.hold(a, allocation).unwrap());
        assert!(!two.hold(a, allocation).unwrap() && !one.hold(a, other).unwrap());
        assert_eq!(fs::read_dir(run.path()).unwrap().count(), 1);
    }

    #[test]
    fn ranges_stay_in_their_hole() {
        assert!(u64::from(FIRST) + u64::from(RANGES) * u64::from(RANGE) <= 2_147_352_576);
    }
}
