//! What can be done with the operations of allocations: cancelled, tried again, given up.

use super::effects::apply_in;
use super::labels;
use super::model::Event;
use super::request::LaunchRequest;
use super::{launch, release, store};
use crate::app::App;
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::operations::{self, Kind, Operation};
use std::pin::Pin;

/// The kinds of this room, for `app.rs`.
#[must_use]
pub fn kinds() -> Vec<Kind> {
    vec![
        Kind {
            name: launch::KIND,
            cancel: Some(cancel_launch),
            retry: Some(retry_launch),
            task_ended: None,
            overdue: Some(overdue_launch),
        },
        Kind {
            name: release::KIND,
            cancel: None,
            retry: Some(retry_release),
            task_ended: None,
            overdue: Some(overdue_release),
        },
    ]
}

/// Gives back what is not up yet. Refused once all of it is.
fn cancel_launch(tx: &mut Tx, cx: &Cx, operation: &Operation) -> Result<(), Problem> {
    let mut rows = store::of_operation(tx, operation.id)?;
    rows.retain(|row| row.lease.state.is_starting());
    if rows.is_empty() {
        return Err(operations::not_cancellable());
    }
    for mut row in rows {
        row.end_reason = "cancelled".to_owned();
        apply_in(tx, cx, &mut row, &Event::Release)?;
        // Without a release of its own, with its deadline, it would be releasing for ever on a node that is gone.
        release::adopt_in(tx, cx, &mut row)?;
    }
    Ok(())
}

/// What has not come up by now has failed; its cell, if there is one, is torn down.
fn overdue_launch(tx: &mut Tx, cx: &Cx, operation: &Operation) -> Result<(), Problem> {
    for mut row in store::of_operation(tx, operation.id)? {
        apply_in(tx, cx, &mut row, &Event::TooLate)?;
    }
    Ok(())
}

/// The node has not proved the end in time. The tombstone stays: the proof may still come.
fn overdue_release(tx: &mut Tx, cx: &Cx, operation: &Operation) -> Result<(), Problem> {
    let Ok(id) = operation.subject_id.parse() else { return Ok(()) };
    let Some(mut row) = store::find(tx, id)? else { return Ok(()) };
    apply_in(tx, cx, &mut row, &Event::ReleaseTooLate).map(|_| ())
}

type Answer = Pin<Box<dyn Future<Output = Result<serde_json::Value, Problem>> + Send>>;

/// The keys of a launch that is tried again: the same for who launched it; a colleague's own for a colleague, who has
/// none of the others'.
fn key_ids(row: &store::Allocation, cx: &Cx) -> Option<Vec<String>> {
    let ids = row.keys.iter().flat_map(|keys| &keys.ids);
    let theirs = cx.user_id().is_ok_and(|user| user == row.user_id);
    (theirs || row.keys.is_none()).then(|| ids.map(ToString::to_string).collect())
}

/// Launches what did not come up again: a new operation with new allocations.
fn retry_launch(app: App, cx: Cx, operation: Operation) -> Answer {
    Box::pin(async move {
        let id = operation.id;
        let found = app.store.read(move |tx| {
            let rows = store::of_operation(tx, id)?;
            let labels = rows.first().map(|first| labels::store::of(tx, first.id)).transpose()?;
            Ok((rows, labels.unwrap_or_default()))
        });
        let (mut rows, labels) = found.await?;
        // What came up is not launched again.
        rows.retain(|row| row.active_ms.is_none());
        let done = || Problem::conflict("not_retryable", "All of it came up: there is nothing left to launch.");
        let first = rows.first().ok_or_else(done)?;
        let request = LaunchRequest {
            sku: first.sku_id.to_string(),
            count: u32::try_from(rows.len()).ok(),
            name: operation.context.get("name").and_then(|name| name.as_str()).map(str::to_owned),
            project_id: Some(first.project_id.to_string()),
            ssh_key_ids: key_ids(first, &cx),
            command: first.spec.command.clone(),
            env: first.spec.env.clone(),
            max_runtime_s: first.spec.max_runtime_s,
            release_on_exit: first.lease.release_on_exit,
            labels,
            image: None,
        };
        let answer = launch::launch(&app, &cx, request, Some(id)).await?;
        serde_json::to_value(answer).map_err(Problem::internal)
    })
}

/// Asks the node for the end again.
fn retry_release(app: App, cx: Cx, operation: Operation) -> Answer {
    Box::pin(async move {
        let id = operation.subject_id.parse().map_err(|_| Problem::not_found("allocation"))?;
        let answer = release::release(&app, &cx, id, Some(operation.id)).await?;
        serde_json::to_value(answer).map_err(Problem::internal)
    })
}
