//! The kinds of operation there are. Later rooms register theirs in `app.rs`; this room calls them back.

use super::row::Operation;
use super::tasks::NodeTask;
use crate::app::App;
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use std::pin::Pin;
use std::sync::Arc;

/// Asks for the end, inside the transaction; refuses with `not_cancellable` after the point of no return.
pub type CancelHook = fn(&mut Tx, &Cx, &Operation) -> Result<(), Problem>;
/// Begins a new operation that does the same again; answers as its verb would, with an `operation_id`.
pub type RetryHook = fn(App, Cx, Operation) -> Pin<Box<dyn Future<Output = Result<serde_json::Value, Problem>> + Send>>;
/// Called once, in a transaction, when the deadline of an operation has passed. Without one it fails with
/// `deadline`.
pub type OverdueHook = fn(&mut Tx, &Cx, &Operation) -> Result<(), Problem>;
/// Called in the transaction that stores the end of a node task. Without one, the task's step ends as the
/// task did, and the operation with its last task.
pub type TaskHook = fn(&mut Tx, &Cx, &Operation, &NodeTask) -> Result<(), Problem>;

/// A kind of operation.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// `room.act`.
    pub name: &'static str,
    /// None: it can never be cancelled.
    pub cancel: Option<CancelHook>,
    /// None: it can never be tried again.
    pub retry: Option<RetryHook>,
    /// None: the default.
    pub task_ended: Option<TaskHook>,
    /// None: the default.
    pub overdue: Option<OverdueHook>,
}

/// All kinds.
#[derive(Debug, Clone, Default)]
pub struct Kinds(Arc<[Kind]>);

impl Kinds {
    /// The registry; made once, in `app.rs`.
    #[must_use]
    pub fn new(kinds: Vec<Kind>) -> Self {
        Self(kinds.into())
    }

    /// The kind of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.0.iter().find(|kind| kind.name == name)
    }
}
