//! Tracks by name, and the minutes that their rings hold: what is in memory as the roll-up and long series see it.

use super::means::{MINUTE_MS, Point};
use super::memory::{CELL_METRICS, GPU_METRICS, HOST_METRICS, Metric, Span, Telemetry};
use super::ring::{POINTS, Ring, STEP_MS};
use muster_protocol::ids::{AllocationId, NodeId};

/// What a track is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The machine.
    Host,
    /// A GPU.
    Gpu,
    /// A cell.
    Cell,
}

impl Kind {
    /// As stored.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Gpu => "gpu",
            Self::Cell => "cell",
        }
    }

    /// What its series measure, in the order of its ring.
    pub(super) fn metrics(self) -> &'static [Metric] {
        match self {
            Self::Host => &HOST_METRICS,
            Self::Gpu => &GPU_METRICS,
            Self::Cell => &CELL_METRICS,
        }
    }

    /// How many series it has.
    pub(super) fn series(self) -> usize {
        self.metrics().len()
    }
}

/// Names a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TrackId {
    pub node: NodeId,
    pub kind: Kind,
    /// The GPU's UUID, the allocation's id; empty for the machine.
    pub part: String,
}

impl TrackId {
    /// Its turn, the same for as long as it lives, so that all together are spread.
    fn turn(&self, turns: i64) -> i64 {
        let text = format!("{} {}", self.node, self.part);
        let sum = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        ((sum >> 33) as i64).rem_euclid(turns)
    }
}

/// Minutes by their begin.
pub(super) type Minutes = Vec<(i64, Point)>;

/// The minutes of a track that are to be written.
#[derive(Debug, Clone)]
pub(super) struct Rolled {
    pub track: TrackId,
    pub minutes: Minutes,
}

impl Telemetry {
    /// The whole minutes that the rings still hold, of each track or of those whose turn it is: `(turn, turns)`.
    pub(super) fn rolled(&self, now_ms: i64, turn: Option<(i64, i64)>) -> Vec<Rolled> {
        let nodes = self.lock();
        let mut all = Vec::new();
        for (node, tracks) in nodes.iter() {
            let mut add = |kind, part: String, minutes: &dyn Fn() -> Minutes| {
                let track = TrackId { node: *node, kind, part };
                if turn.is_none_or(|(turn, turns)| track.turn(turns) == turn) {
                    let minutes = minutes();
                    all.extend((!minutes.is_empty()).then_some(Rolled { track, minutes }));
                }
            };
            if let Some(host) = &tracks.host {
                add(Kind::Host, String::new(), &|| minutes_of(&host.ring, whole_minutes(now_ms)));
            }
            for (uuid, gpu) in &tracks.gpus {
                add(Kind::Gpu, uuid.clone(), &|| minutes_of(&gpu.ring, whole_minutes(now_ms)));
            }
            for (id, cell) in &tracks.cells {
                add(Kind::Cell, id.to_string(), &|| minutes_of(&cell.ring, whole_minutes(now_ms)));
            }
        }
        all
    }

    /// The minutes within a span that the ring of a track holds, as far as they lie in it.
    pub(super) fn recent(&self, track: &TrackId, span: Span) -> Minutes {
        let nodes = self.lock();
        let Some(tracks) = nodes.get(&track.node) else { return Minutes::new() };
        let bounds = (span.from_ms, span.to_ms);
        match track.kind {
            Kind::Host => tracks.host.as_ref().map(|host| minutes_of(&host.ring, bounds)),
            Kind::Gpu => tracks.gpus.get(&track.part).map(|gpu| minutes_of(&gpu.ring, bounds)),
            Kind::Cell => {
                let id = track.part.parse::<AllocationId>().ok();
                id.and_then(|id| tracks.cells.get(&id)).map(|cell| minutes_of(&cell.ring, bounds))
            }
        }
        .unwrap_or_default()
    }

    /// The GPUs of a node that are sampled.
    pub(super) fn gpu_names(&self, node: NodeId) -> Vec<String> {
        self.lock().get(&node).map(|tracks| tracks.gpus.keys().cloned().collect()).unwrap_or_default()
    }
}

/// The whole minutes that no ring has begun to forget.
fn whole_minutes(now_ms: i64) -> (i64, i64) {
    let kept_ms = (POINTS as i64 - 60) * STEP_MS;
    let minute = |at_ms: i64| at_ms.div_euclid(MINUTE_MS) * MINUTE_MS;
    (minute(now_ms - kept_ms) + MINUTE_MS, minute(now_ms))
}

/// Means of a ring by the minute, as far as the minutes lie within bounds; those of which nothing was measured are
/// left out.
fn minutes_of<const N: usize>(ring: &Ring<N>, (from_ms, to_ms): (i64, i64)) -> Minutes {
    let Some(newest_ms) = ring.newest_ms() else { return Minutes::new() };
    let (from_ms, to_ms) = (from_ms.max(newest_ms - POINTS as i64 * STEP_MS), to_ms.min(newest_ms + STEP_MS));
    let mut minutes = Minutes::new();
    let mut at = from_ms.div_euclid(MINUTE_MS) * MINUTE_MS;
    while at < to_ms {
        let (begin, end) = (at.max(from_ms), (at + MINUTE_MS).min(to_ms));
        let mean = |index| ring.series(index, begin, end, MINUTE_MS).first().copied().flatten();
        let point: Point = (0..N).map(|index| mean(index).map(|value| value as f32)).collect();
        if point.iter().any(Option::is_some) {
            minutes.push((at, point));
        }
        at += MINUTE_MS;
    }
    minutes
}
