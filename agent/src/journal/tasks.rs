//! Node tasks in the journal: at most once by id, results kept until acknowledged.

use super::{Journal, JournalError};
use rusqlite::{Connection, OptionalExtension, params};

/// A result that nobody asks for is kept so long, ms.
const KEPT_MS: i64 = 7 * 24 * 3_600_000;
/// Results that are kept at most; beyond it the oldest go.
const KEPT_MAX: i64 = 10_000;

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

fn forget_old(connection: &Connection, now_ms: i64) -> Result<(), JournalError> {
    connection.execute("UPDATE tasks SET ended_ms = ?1 WHERE done = 1 AND ended_ms IS NULL", [now_ms])?;
    connection.execute("DELETE FROM tasks WHERE done = 1 AND ended_ms < ?1", [now_ms - KEPT_MS])?;
    connection.execute(
        "DELETE FROM tasks WHERE done = 1 AND id IN
         (SELECT id FROM tasks WHERE done = 1 ORDER BY ended_ms DESC, id DESC LIMIT -1 OFFSET ?1)",
        [KEPT_MAX],
    )?;
    Ok(())
}

impl Journal {
    /// Accepts a task, unless its id is known. `now_ms` is trusted time: results that are too old go first.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn accept_task(&self, id: String, kind: String, now_ms: i64) -> Result<KeptTask, JournalError> {
        self.call(move |connection| {
            forget_old(connection, now_ms)?;
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
    pub async fn finish_task(&self, id: String, result: KeptResult, now_ms: i64) -> Result<(), JournalError> {
        self.call(move |connection| {
            connection.execute(
                "UPDATE tasks SET done = 1, code = ?2, detail = ?3, result_json = ?4, ended_ms = ?5 WHERE id = ?1",
                params![id, result.code, result.detail, result.result_json, now_ms],
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
        let accept = async |journal: &Journal| journal.accept_task("nt_1".into(), "probe".into(), 5).await.unwrap();
        assert!(!journal.knows_task("nt_1".into()).await.unwrap());
        assert_eq!(accept(&journal).await, KeptTask::New);
        assert!(journal.knows_task("nt_1".into()).await.unwrap());
        assert_eq!(accept(&journal).await, KeptTask::Running);
        let restarted = Journal::open(&path).unwrap();
        assert!(matches!(accept(&restarted).await, KeptTask::Done(result) if result.code == "failed"));
        restarted.forget_task("nt_1".into()).await.unwrap();
        assert_eq!(accept(&restarted).await, KeptTask::New);
        let result = KeptResult { code: "ok".into(), ..KeptResult::default() };
        restarted.finish_task("nt_1".into(), result.clone(), 5).await.unwrap();
        assert_eq!(accept(&restarted).await, KeptTask::Done(result));
    }

    #[tokio::test]
    async fn a_result_is_kept_for_a_week_and_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let begin = async |journal: &Journal, id: &str, now_ms| {
            journal.accept_task(id.to_owned(), "probe".into(), now_ms).await.unwrap()
        };
        let journal = Journal::open(&path).unwrap();
        let ok = KeptResult { code: "ok".into(), ..KeptResult::default() };
        assert_eq!(begin(&journal, "nt_done", 0).await, KeptTask::New);
        journal.finish_task("nt_done".into(), ok.clone(), 0).await.unwrap();
        assert_eq!(begin(&journal, "nt_cut", 0).await, KeptTask::New);
        // The agent died while it ran: the week begins when it is looked at again.
        let journal = Journal::open(&path).unwrap();
        assert_eq!(begin(&journal, "nt_done", KEPT_MS).await, KeptTask::Done(ok));
        assert_eq!(begin(&journal, "nt_done", KEPT_MS + 1).await, KeptTask::New);
        assert!(matches!(begin(&journal, "nt_cut", 2 * KEPT_MS).await, KeptTask::Done(_)));
        assert_eq!(begin(&journal, "nt_cut", 2 * KEPT_MS + 1).await, KeptTask::New);
    }
}
