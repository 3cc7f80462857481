//! The only place that starts tasks and threads. A task has a name and an owner: dropping the owner ends it.

use std::{future::Future, io};
use tokio::{sync::oneshot, task::JoinSet};
use tracing::error;

/// Tasks that live no longer than this value.
#[derive(Debug, Default)]
pub struct Scope {
    tasks: JoinSet<&'static str>,
}

impl Scope {
    /// Starts a task under a name. No span: it would be entered at each step of every key's way.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.reap();
        self.tasks.spawn(async move {
            task.await;
            name
        });
    }

    /// Waits until any task ends and gives its name; never while there is none.
    pub async fn ended(&mut self) -> &'static str {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(name)) => return name,
                Some(Err(error)) if error.is_panic() => {
                    error!(%error, "a task panicked");
                    return "panicked";
                }
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Tasks that have not ended.
    #[must_use]
    pub fn len(&mut self) -> usize {
        self.reap();
        self.tasks.len()
    }

    /// True if no task runs.
    #[must_use]
    pub fn is_empty(&mut self) -> bool {
        self.len() == 0
    }

    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                error!(%error, "a task panicked");
            }
        }
    }
}

/// Runs blocking work on a thread of its own, for work that comes now and then: a thread costs some ten microseconds.
///
/// # Errors
/// The thread could not be started, or it panicked.
pub async fn blocking<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (done, answer) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).stack_size(512 << 10).spawn(move || {
        // The asker may have given up, which is its right.
        let _ = done.send(work());
    })?;
    answer.await.map_err(|_| io::Error::other(format!("{name} panicked")))
}

/// Where blocking work is done that would hold up the one thread of the `run` half.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Aside {
    /// On a thread of its own.
    #[default]
    Thread,
    /// At once, where it is asked for: a simulation has one thread.
    Here,
}

impl Aside {
    /// Does it.
    ///
    /// # Errors
    /// As [`blocking`].
    pub async fn run<T: Send + 'static>(
        self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        match self {
            Self::Thread => blocking(name, work).await,
            Self::Here => Ok(work()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dropping_the_owner_ends_its_tasks_and_ends_are_named() {
        let mut scope = Scope::default();
        let (sender, receiver) = oneshot::channel::<()>();
        scope.spawn("stays", async move {
            std::future::pending::<()>().await;
            drop(sender);
        });
        scope.spawn("goes", async {});
        assert_eq!(scope.ended().await, "goes");
        assert_eq!(scope.len(), 1);
        drop(scope);
        assert!(receiver.await.is_err());
    }

    #[tokio::test]
    async fn blocking_work_answers() {
        assert_eq!(blocking("sum", || 2 + 2).await.unwrap(), 4);
    }
}
