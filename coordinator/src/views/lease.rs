//! For which stretch of time, and of which GPUs, an allocation may see figures. Pure.

use crate::telemetry::Span;
use muster_protocol::desired::{Slot, SlotKind};

/// The part of `span` within the lease, on whole steps; `None` if they do not meet.
#[must_use]
pub(super) fn within(span: Span, active_ms: Option<i64>, end_ms: Option<i64>) -> Option<Span> {
    let begin = active_ms?;
    let step = span.step_ms.max(1);
    // Steps that began before the lease belong to somebody else.
    let skipped = (begin - span.from_ms).max(0).checked_add(step - 1)? / step;
    let from_ms = span.from_ms + skipped * step;
    let to_ms = end_ms.map_or(span.to_ms, |end| end.min(span.to_ms));
    (from_ms < to_ms).then_some(Span { from_ms, to_ms, step_ms: step })
}

/// The GPUs that are leased as a whole: figures of a shared one would tell of its other tenants.
#[must_use]
pub(super) fn whole_gpus(slots: &[Slot]) -> Vec<String> {
    let whole = slots.iter().filter(|slot| slot.kind == SlotKind::Gpu);
    whole.filter_map(|slot| slot.gpu_uuid.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span { from_ms: 10_000, to_ms: 20_000, step_ms: 1_000 };

    #[test]
    fn nothing_is_seen_of_the_time_before_and_after() {
        assert_eq!(within(SPAN, None, None), None);
        assert_eq!(within(SPAN, Some(5_000), None), Some(SPAN));
        let clipped = Span { from_ms: 13_000, to_ms: 15_500, step_ms: 1_000 };
        assert_eq!(within(SPAN, Some(12_001), Some(15_500)), Some(clipped));
        assert_eq!(within(SPAN, Some(20_000), None), None);
        assert_eq!(within(SPAN, Some(5_000), Some(9_000)), None);
    }
}
