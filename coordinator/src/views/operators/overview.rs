//! The whole platform in a few numbers, as of now.

use super::store;
use crate::app::App;
use crate::base::clock::rfc3339;
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::nodes::model::{Lifecycle, Presence, Scheduling};
use crate::nodes::store::briefs_in;
use crate::nodes::view::brief_facets;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Failed operations are counted for so long.
const DAY_MS: i64 = 24 * 3_600_000;

/// The numbers.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Overview {
    /// When they were counted.
    pub at: String,
    /// Nodes that are not removed, by the word of their state.
    pub nodes: BTreeMap<String, i64>,
    /// Nodes that new work may be placed on now.
    pub nodes_open: i64,
    /// GPUs of nodes in service.
    pub gpus: i64,
    /// GPUs that were read within the last seconds.
    pub gpus_reporting: i64,
    /// Mean of those that report; null when none does.
    pub gpu_busy_percent: Option<f64>,
    /// Of those that report, watts; null when none does.
    pub gpu_power_watts: Option<f64>,
    /// Slots that are not retired, by state; those on hold that nothing stands behind are `held`.
    pub slots: BTreeMap<String, i64>,
    /// Allocations that are not over, by state.
    pub allocations: BTreeMap<String, i64>,
    /// People who may sign in.
    pub users: i64,
    /// Operations that have not ended.
    pub operations_open: i64,
    /// Operations of the last day that failed.
    pub operations_failed: i64,
}

/// Counts.
///
/// # Errors
/// Only what the store says.
pub(super) fn show_in(tx: &mut Tx, app: &App, now_ms: i64) -> Result<Overview, Problem> {
    let (mut nodes, mut nodes_open) = (BTreeMap::new(), 0);
    let mut readings = Vec::new();
    for node in briefs_in(tx)?.into_iter().filter(|node| node.facets.lifecycle != Lifecycle::Removed) {
        let facets = brief_facets(app, &node);
        *nodes.entry(facets.state().to_owned()).or_insert(0) += 1;
        nodes_open += i64::from(facets.schedulable() && facets.scheduling == Scheduling::Open);
        if facets.presence == Presence::Online {
            readings.extend(app.telemetry.gpus(node.id, now_ms).into_values().map(|taken| taken.value));
        }
    }
    let mean = |values: Vec<f64>| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
    let busy = readings.iter().filter_map(|gpu| gpu.utilization_percent).map(f64::from).collect();
    let power: Vec<_> = readings.iter().filter_map(|gpu| gpu.power_mw).map(|mw| f64::from(mw) / 1000.0).collect();
    let (operations_open, operations_failed) = store::operations_in(tx, now_ms - DAY_MS)?;
    Ok(Overview {
        at: rfc3339(now_ms),
        nodes,
        nodes_open,
        gpus: store::gpus_in(tx)?,
        gpus_reporting: i64::try_from(readings.len()).unwrap_or(i64::MAX),
        gpu_busy_percent: mean(busy),
        gpu_power_watts: (!power.is_empty()).then(|| power.iter().sum()),
        slots: store::slots_in(tx)?.into_iter().collect(),
        allocations: store::allocations_in(tx)?.into_iter().collect(),
        users: store::users_in(tx)?,
        operations_open,
        operations_failed,
    })
}
