//! The dated history of the wire. A peer names the lowest and highest level it speaks; the highest common
//! one is used. Within a level, fields and kinds may be added; a level is for what an old peer must know of.

/// ALPN of the link, whose number is the wire's major version.
pub const ALPN_LINK: &[u8] = b"muster/1";
/// ALPN of enrolment, where the client has no certificate yet.
pub const ALPN_ENROL: &[u8] = b"muster-enroll/1";

/// One step of the wire's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Counts up from 1, never reused.
    pub number: u32,
    /// What people call it.
    pub name: &'static str,
    /// Day it was added.
    pub date: &'static str,
    /// What it brought.
    pub brought: &'static str,
}

/// Every level, oldest first.
pub const LEVELS: &[Level] = &[Level {
    number: 1,
    name: "first-light",
    date: "2026-11-23",
    brought: "control, telemetry, facts, task, session and tunnel streams; cells behind the same frames",
}];

/// Lowest level this build speaks.
pub const LOWEST: u32 = 1;
/// Highest level this build speaks.
pub const HIGHEST: u32 = LEVELS[LEVELS.len() - 1].number;

/// The highest level both sides speak, if any.
#[must_use]
pub fn negotiate(peer_lowest: u32, peer_highest: u32) -> Option<u32> {
    let common = HIGHEST.min(peer_highest);
    (common >= LOWEST && common >= peer_lowest && peer_lowest <= peer_highest).then_some(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_count_up() {
        assert!(LEVELS.windows(2).all(|pair| pair[0].number < pair[1].number));
    }

    #[test]
    fn negotiation_takes_the_highest_common_level() {
        assert_eq!(negotiate(1, HIGHEST + 5), Some(HIGHEST));
        assert_eq!(negotiate(HIGHEST + 1, HIGHEST + 5), None);
        assert_eq!(negotiate(0, 0), None);
        assert_eq!(negotiate(5, 1), None);
    }
}
