//! Figures of a node or an allocation, as they are measured.

use super::topics::Topic;
use crate::allocations;
use crate::app::App;
use crate::base::authz::Verb;
use crate::base::http::Problem;
use crate::cx::Cx;
use crate::nodes;
use crate::telemetry::Span;
use crate::telemetry::http::MetricsView;
use crate::views::lease;
use muster_protocol::ids::{AllocationId, NodeId};

/// Width of a point, ms.
const STEP_MS: i64 = 1_000;
/// How long a sample is waited for before its place is shown as empty, ms.
const LATE_MS: i64 = 3_000;
/// The longest stretch that is told at once, ms; whoever missed more fetches it.
const STRETCH_MS: i64 = 60_000;

#[derive(Debug, Clone)]
struct Cell {
    id: AllocationId,
    gpus: Vec<String>,
    active_ms: Option<i64>,
    end_ms: Option<i64>,
}

/// Where the telling of one topic stands.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    /// As it was asked for.
    pub(super) topic: String,
    /// The node or the allocation.
    pub(super) id: String,
    node: NodeId,
    cell: Option<Cell>,
    told_ms: i64,
}

impl Figures {
    /// The figures of a topic from now on; none for a topic without figures.
    ///
    /// # Errors
    /// 404 for a node or an allocation that the person may not know of.
    pub(super) async fn open(app: &App, cx: &Cx, topic: &Topic) -> Result<Option<Self>, Problem> {
        let told_ms = app.clock.now_ms().div_euclid(STEP_MS) * STEP_MS - LATE_MS;
        let word = topic.word();
        match *topic {
            Topic::Node(node) => {
                app.store.read(move |tx| nodes::store::get_in(tx, node).map(|_| ())).await?;
                Ok(Some(Self { topic: word, id: node.to_string(), node, cell: None, told_ms }))
            }
            Topic::Workload(id) => {
                let (node, cell) = cell(app, cx, id).await?;
                Ok(Some(Self { topic: word, id: id.to_string(), node, cell: Some(cell), told_ms }))
            }
            Topic::Noun(..) | Topic::Attention => Ok(None),
        }
    }

    /// The allocation may have begun or ended: which part of the figures is its own is looked up again.
    ///
    /// # Errors
    /// As [`Figures::open`].
    pub(super) async fn refresh(&mut self, app: &App, cx: &Cx) -> Result<(), Problem> {
        if let Some(known) = &self.cell {
            let (_, fresh) = cell(app, cx, known.id).await?;
            self.cell = Some(fresh);
        }
        Ok(())
    }

    /// What was measured since the last call; none if that is nothing.
    pub(super) fn next(&mut self, app: &App) -> Option<MetricsView> {
        let now_ms = app.clock.now_ms().div_euclid(STEP_MS) * STEP_MS;
        let newest = app.telemetry.newest_ms(self.node, self.cell.as_ref().map(|cell| cell.id));
        // A point is told when it has come, or has failed to.
        let to_ms = newest.map_or(i64::MIN, |at| at + STEP_MS).max(now_ms - LATE_MS);
        if to_ms <= self.told_ms {
            return None;
        }
        let span = Span { from_ms: self.told_ms.max(to_ms - STRETCH_MS), to_ms, step_ms: STEP_MS };
        self.told_ms = to_ms;
        match &self.cell {
            None => Some(MetricsView::of(span, app.telemetry.node_series(self.node, span))),
            Some(cell) => {
                let span = lease::within(span, cell.active_ms, cell.end_ms)?;
                Some(MetricsView::of(span, app.telemetry.cell_series(self.node, cell.id, &cell.gpus, span)))
            }
        }
    }
}

async fn cell(app: &App, cx: &Cx, id: AllocationId) -> Result<(NodeId, Cell), Problem> {
    let cx = cx.clone();
    app.store
        .read(move |tx| {
            let row = allocations::find_in(tx, &cx, id, Verb::AllocationsMetrics)?;
            let gpus = lease::whole_gpus(&allocations::slots_in(tx, id)?);
            let end_ms = row.release_ms.or(row.ended_ms);
            Ok((row.node_id, Cell { id, gpus, active_ms: row.active_ms, end_ms }))
        })
        .await
}
