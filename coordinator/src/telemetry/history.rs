//! Series over long stretches: stored means, and for the latest minutes what is in memory.

use super::Telemetry;
use super::means::{HOURS, MINUTE_MS, MINUTES, Points, Stretch};
use super::memory::{Series, Span};
use super::store;
use super::tracks::{Kind, TrackId};
use crate::base::http::Problem;
use crate::base::store::Tx;
use muster_protocol::ids::{AllocationId, NodeId};
use std::collections::BTreeMap;

impl Span {
    /// Whether it is a matter of means: its points are not finer than they are.
    #[must_use]
    pub fn is_long(self) -> bool {
        self.step_ms >= MINUTE_MS
    }
}

/// The stored points of a node's parts of one kind, or of one part.
fn stored_in(
    tx: &mut Tx,
    node: NodeId,
    kind: Kind,
    part: Option<&str>,
    span: Span,
) -> Result<BTreeMap<String, Points>, Problem> {
    let mut found: BTreeMap<String, Points> = BTreeMap::new();
    for level in [HOURS, MINUTES] {
        for (part, from_ms, bytes) in store::means_in(tx, node, kind, part, level, (span.from_ms, span.to_ms))? {
            found.entry(part).or_default().add(from_ms, &Stretch::parse(level, kind.series(), &bytes));
        }
    }
    Ok(found)
}

/// The series of one track, its latest minutes from memory; none if nothing of it was ever measured.
fn series(telemetry: &Telemetry, track: &TrackId, mut points: Points, span: Span) -> Vec<Series> {
    // A minute that has just begun, or that a lease cut, is as long as it lies within the span.
    points.recent =
        telemetry.recent(track, span).into_iter().map(|(at, point)| (at.max(span.from_ms), point)).collect();
    if points.minutes.is_empty() && points.hours.is_empty() && points.recent.is_empty() {
        return Vec::new();
    }
    let gpu_uuid = (track.kind == Kind::Gpu).then(|| track.part.clone());
    let metrics = track.kind.metrics().iter().enumerate();
    let one = |(index, metric): (usize, &super::memory::Metric)| Series {
        metric: *metric,
        gpu_uuid: gpu_uuid.clone(),
        points: points.series(index, span).into_iter().map(|point| point.map(|value| value * metric.scale)).collect(),
    };
    metrics.map(one).collect()
}

/// Series of a machine and its GPUs over a long stretch, GPUs in the order of their UUIDs.
///
/// # Errors
/// Only what the store says.
pub fn node_history_in(tx: &mut Tx, telemetry: &Telemetry, node: NodeId, span: Span) -> Result<Vec<Series>, Problem> {
    let track = |kind, part| TrackId { node, kind, part };
    let host = stored_in(tx, node, Kind::Host, None, span)?.remove("").unwrap_or_default();
    let mut out = series(telemetry, &track(Kind::Host, String::new()), host, span);
    let mut gpus = stored_in(tx, node, Kind::Gpu, None, span)?;
    for uuid in telemetry.gpu_names(node) {
        gpus.entry(uuid).or_default();
    }
    for (uuid, points) in gpus {
        out.extend(series(telemetry, &track(Kind::Gpu, uuid), points, span));
    }
    Ok(out)
}

/// Series of a cell and of the GPUs it leases over a long stretch. The span lies within its lease.
///
/// # Errors
/// Only what the store says.
pub fn cell_history_in(
    tx: &mut Tx,
    telemetry: &Telemetry,
    (node, allocation): (NodeId, AllocationId),
    gpu_uuids: &[String],
    span: Span,
) -> Result<Vec<Series>, Problem> {
    let cell = TrackId { node, kind: Kind::Cell, part: allocation.to_string() };
    let gpus = gpu_uuids.iter().map(|uuid| TrackId { node, kind: Kind::Gpu, part: uuid.clone() });
    let mut out = Vec::new();
    for track in std::iter::once(cell).chain(gpus) {
        let stored = stored_in(tx, node, track.kind, Some(&track.part), span)?.remove(&track.part);
        // A GPU is leased to others before and after.
        let points = Points { strict: track.kind == Kind::Gpu, ..stored.unwrap_or_default() };
        out.extend(series(telemetry, &track, points, span));
    }
    Ok(out)
}
