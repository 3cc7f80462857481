//! All SQL about what stands in a project.

use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::values;
use muster_protocol::ids::{AllocationId, ProjectId};

/// Allocations of a project that are not over, oldest first: id, name, state.
pub(super) fn standing(
    tx: &mut Tx,
    project: ProjectId,
    most: i64,
) -> Result<Vec<(AllocationId, String, String)>, Problem> {
    tx.all(
        "SELECT id, name, state FROM allocations WHERE project_id = $1 AND state NOT IN ('released', 'failed') \
         ORDER BY created_ms, id LIMIT $2",
        &values![project, most],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// How many allocations of a project are not over, and how many are.
pub(super) fn counts(tx: &mut Tx, project: ProjectId) -> Result<(i64, i64), Problem> {
    tx.one(
        "SELECT CAST(COALESCE(SUM(CASE WHEN state NOT IN ('released', 'failed') THEN 1 ELSE 0 END), 0) AS BIGINT), \
         COUNT(*) FROM allocations WHERE project_id = $1",
        &values![project],
        |row| {
            let (open, all): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok((open, all - open))
        },
    )
}
