//! The log of XIDs: numbered, bounded, each one once although two sources speak of it. Pure.

use super::limits::{SAME_XID_MS, XIDS_KEPT};
use super::types::XidEvent;
use std::collections::VecDeque;

/// Said by NVML's events.
pub(super) const NVML: &str = "nvml";
/// Said by the kernel's log.
pub(super) const KERNEL: &str = "kernel";

/// An XID as one source has said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) at_ms: i64,
    pub(super) gpu_uuid: String,
    pub(super) pci_bus_id: String,
    pub(super) xid: u64,
    pub(super) gpu_instance: Option<u32>,
    pub(super) source: &'static str,
}

/// The log.
#[derive(Debug, Default)]
pub(super) struct XidLog {
    events: VecDeque<(XidEvent, Matched)>,
    last: u64,
}

/// Whether the other source has said it too.
type Matched = bool;

impl XidLog {
    /// Number of the last one.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Adds one; false if it is what the other source has said before.
    pub(super) fn add(&mut self, seen: Seen) -> bool {
        let same = self.events.iter_mut().rev().find(|(event, matched)| {
            !matched
                && event.source != seen.source
                && event.xid == seen.xid
                && same_gpu(event, &seen)
                && (event.at_ms - seen.at_ms).abs() <= SAME_XID_MS
        });
        if let Some((_, matched)) = same {
            *matched = true;
            return false;
        }
        self.last += 1;
        let event = XidEvent {
            number: self.last,
            at_ms: seen.at_ms,
            gpu_uuid: seen.gpu_uuid,
            pci_bus_id: seen.pci_bus_id,
            xid: seen.xid,
            gpu_instance: seen.gpu_instance,
            source: seen.source,
        };
        self.events.push_back((event, false));
        if self.events.len() > XIDS_KEPT {
            self.events.pop_front();
        }
        true
    }

    /// Those after a number, and how many of them are no longer kept.
    pub(super) fn after(&self, number: u64) -> (Vec<XidEvent>, u64) {
        let found: Vec<XidEvent> =
            self.events.iter().map(|(event, _)| event).filter(|event| event.number > number).cloned().collect();
        let lost = self.last.saturating_sub(number) - found.len() as u64;
        (found, lost)
    }
}

fn same_gpu(event: &XidEvent, seen: &Seen) -> bool {
    let both = |a: &str, b: &str| !a.is_empty() && a == b;
    both(&event.gpu_uuid, &seen.gpu_uuid) || both(&event.pci_bus_id, &seen.pci_bus_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(source: &'static str, xid: u64, at_ms: i64) -> Seen {
        Seen { at_ms, gpu_uuid: "GPU-a".into(), pci_bus_id: String::new(), xid, gpu_instance: None, source }
    }

    #[test]
    fn what_both_sources_say_is_one_event() {
        let mut log = XidLog::default();
        assert!(log.add(seen(NVML, 79, 1_000)));
        assert!(!log.add(seen(KERNEL, 79, 1_400)));
        assert!(log.add(seen(KERNEL, 79, 1_500)), "a second one of the kernel is a second event");
        assert!(!log.add(seen(NVML, 79, 1_600)), "of which the driver speaks later");
        assert_eq!(log.last(), 2);
    }

    #[test]
    fn two_of_one_source_are_two() {
        let mut log = XidLog::default();
        assert!(log.add(seen(NVML, 31, 0)) && log.add(seen(NVML, 31, 1)));
    }

    #[test]
    fn far_apart_they_are_two() {
        let mut log = XidLog::default();
        assert!(log.add(seen(NVML, 31, 0)) && log.add(seen(KERNEL, 31, SAME_XID_MS + 1)));
    }

    #[test]
    fn what_is_no_longer_kept_is_counted() {
        let mut log = XidLog::default();
        for n in 0..XIDS_KEPT as i64 + 3 {
            log.add(seen(NVML, 13, n));
        }
        let (found, lost) = log.after(1);
        assert_eq!((found.len(), lost), (XIDS_KEPT, 2));
        assert_eq!(log.after(log.last()), (vec![], 0));
    }
}
