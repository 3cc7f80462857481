//! Operations: the one record of anything that takes time.
//!
//! ```text
//! queued ── first step ──> running ──┬── all steps ──> succeeded (outcome succeeded | partial)
//!    └───────── cancel ───> (asked) ─┼── a step ─────> failed
//!                                    └── asked ──────> cancelled
//! ```
//!
//! Later rooms begin, move and end operations inside their own transactions (`*_in`) and register what can
//! be done with each kind in `app.rs`. A node task is one typed command to one agent, child of a step; this
//! room carries it over the node's link and stores its result before it is acknowledged.
//!
//! Invariants: a step and an operation only move forwards; nothing changes after the end; what belongs to
//! another tenant is 404. Calls `audit`.

pub mod http;
mod kinds;
mod model;
mod row;
mod store;
mod tasks;
mod tick;
mod verbs;
mod view;

use crate::base::http::Problem;
use crate::base::store::Tx;

pub use kinds::{CancelHook, Kind, Kinds, OverdueHook, RetryHook, TaskHook};
pub use model::{Outcome, State, StepState, TaskEvent, TaskState};
pub use row::{Operation, Step};
pub use tasks::{
    Backlog, NewTask, NodeTask, TaskEnd, backlog_in, cancel_in as cancel_task_in, end_in as task_end_in,
    event_in as task_event_in, open_in as open_tasks_in, progress_in as task_progress_in,
    requeue_in as requeue_task_in, task_in, tasks_of_in, tasks_on_in, unwanted_in as task_unwanted_in,
};
pub use tick::start;
pub use verbs::{
    Accepted, NewOperation, advance_in, cancel, find_in, finish_in, give_up, not_cancellable, note_in, open_of_in,
    retry, start_in, step_in,
};

/// What was running at the time of a backup: it is nobody's, has no deadline, and begins no node task; for a
/// restore.
///
/// # Errors
/// Only what the store says.
pub fn restored_in(tx: &mut Tx) -> Result<(), Problem> {
    store::forget_leases(tx)?;
    tasks::outdate(tx)
}
