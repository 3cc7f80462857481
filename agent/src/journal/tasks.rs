//! Node tasks in the journal: at most once by id, results kept until acknowledged.

use super::{Journal, JournalError};
use rusqlite::{Connection, OptionalExtension, params};

/// What the journal knows of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptTask {
    /// Nothing: it was accepted by this very call.
    New,
    /// It was accepted before and has no result yet: it runs.
    Running,
    /// It ended.
    Done(KeptResult),
}

/// The end of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptResult {
    /// As `TaskResult::code`.
    pub code: String,
    /// For people.
    pub detail: String,
    /// JSON, by kind.
    pub result_json: String,
}

/// After a start nothing runs: what ran when the agent died has failed, and is never begun again.
pub(super) fn interrupt_running(connection: &Connection) -> Result<(), JournalError> {
    connection.execute(
        "UPDATE tasks SET done = 1, code = 'failed', detail = 'the agent ended while the task ran' WHERE done = 0",
        [],
    )?;
    Ok(())
}

impl Journal {
    /// Accepts a task, unless its id is known.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn accept_task(&self, id: String, kind: String) -> Result<KeptTask, JournalError> {
        self.call(move |connection| {
            let kept = connection
                .query_row("SELECT done, code, detail, result_json FROM tasks WHERE id = ?1", [&id], |row| {
                    let result = KeptResult { code: row.get(1)?, detail: row.get(2)?, result_json: row.get(3)? };
                    Ok((row.get::<_, i64>(0)? == 1, result))
                })
                .optional()?;
            match kept {
                Some((true, result)) => Ok(KeptTask::Done(result)),
                Some((false, _)) => Ok(KeptTask::Running),
                None => {
                    connection.execute("INSERT INTO tasks (id, kind) VALUES (?1, ?2)", params![id, kind])?;
                    Ok(KeptTask::New)
                }
            }
        })
        .await
    }

    /// Whether a task was accepted and its result is not acknowledged yet.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn knows_task(&self, id: String) -> Result<bool, JournalError> {
        self.call(move |connection| {
            let known = connection.query_row("SELECT 1 FROM tasks WHERE id = ?1", [&id], |_| Ok(())).optional()?;
            Ok(known.is_some())
        })
        .await
    }

    /// Keeps a task's result.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn finish_task(&self, id: String, result: KeptResult) -> Result<(), JournalError> {
        self.call(move |connection| {
            connection.execute(
                "UPDATE tasks SET done = 1, code = ?2, detail = ?3, result_json = ?4 WHERE id = ?1",
                params![id, result.code, result.detail, result.result_json],
            )?;
            Ok(())
        })
        .await
    }

    /// Forgets a task: its result is stored elsewhere.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn forget_task(&self, id: String) -> Result<(), JournalError> {
        self.call(move |connection| {
            connection.execute("DELETE FROM tasks WHERE id = ?1 AND done = 1", params![id])?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_runs_once_whatever_happens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let journal = Journal::open(&path).unwrap();
        let accept = async |journal: &Journal| journal.accept_task("nt_1".into(), "probe".into()).await.unwrap();
        assert!(!journal.knows_task("nt_1".into()).await.unwrap());
        assert_eq!(accept(&journal).await, KeptTask::New);
        assert!(journal.knows_task("nt_1".into()).await.unwrap());
        assert_eq!(accept(&journal).await, KeptTask::Running);
        let restarted = Journal::open(&path).unwrap();
        assert!(matches!(accept(&restarted).await, KeptTask::Done(result) if result.code == "failed"));
        restarted.forget_task("nt_1".into()).await.unwrap();
        assert_eq!(accept(&restarted).await, KeptTask::New);
        let result = KeptResult { code: "ok".into(), ..KeptResult::default() };
        restarted.finish_task("nt_1".into(), result.clone()).await.unwrap();
        assert_eq!(accept(&restarted).await, KeptTask::Done(result));
    }
}
