//! A closure on its way to a store thread and its answer on the way back.

use super::Tx;
use crate::base::feed::{Changes, Feed};
use crate::base::http::Problem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::oneshot;

/// A closure waiting for a thread, with the place its answer goes to.
pub(super) trait Job: Send {
    /// Runs the closure. True when its changes are to be kept.
    fn run(&mut self, tx: &mut Tx) -> bool;
    /// Sends the answer; `commit` says how the transaction ended.
    fn answer(self: Box<Self>, commit: Result<(), Problem>);
}

pub(super) type BoxedJob = Box<dyn Job>;

/// The answer of a thread that ended.
pub(super) fn gone() -> Problem {
    Problem::unavailable("dependency_unavailable", "The database thread ended before it answered.")
}

struct ClosureJob<T, F> {
    closure: F,
    result: Result<T, Problem>,
    changes: Changes,
    feed: Feed,
    reply: oneshot::Sender<Result<T, Problem>>,
}

/// Boxes a closure; the receiver gets its answer, and `feed` what it changed.
pub(super) fn boxed<T, F>(closure: F, feed: Feed) -> (BoxedJob, oneshot::Receiver<Result<T, Problem>>)
where
    T: Send + 'static,
    F: Fn(&mut Tx) -> Result<T, Problem> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Box::new(ClosureJob { closure, result: Err(gone()), changes: Changes::default(), feed, reply }), answer)
}

impl<T: Send, F: Fn(&mut Tx) -> Result<T, Problem> + Send> Job for ClosureJob<T, F> {
    fn run(&mut self, tx: &mut Tx) -> bool {
        self.result = catch_unwind(AssertUnwindSafe(|| (self.closure)(tx)))
            .unwrap_or_else(|_| Err(Problem::internal("a store closure panicked")));
        // Each run begins with none: what an earlier one said was rolled back with it.
        self.changes = std::mem::take(&mut tx.changes);
        self.result.is_ok()
    }

    fn answer(self: Box<Self>, commit: Result<(), Problem>) {
        if commit.is_ok() && self.result.is_ok() {
            self.feed.publish(self.changes);
        }
        // The asker may have gone away (a closed connection); the change stands all the same.
        let _ = self.reply.send(commit.and(self.result));
    }
}
