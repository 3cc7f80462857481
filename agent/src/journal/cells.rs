//! Cells in the journal: the last report that says more than the root half can, and how much of a batch
//! command's output is in the outbox.

use super::{Journal, JournalError, facts};
use muster_protocol::{
    desired,
    facts::{CellLog, FactBody},
    report::CellReport,
};
use prost::Message;
use rusqlite::params;

/// What is kept of a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptCell {
    /// Its report.
    pub report: CellReport,
    /// Its line of the desired document, if it was built here.
    pub spec: Option<desired::Cell>,
    /// Bytes of its output that are in the outbox or beyond.
    pub log_sent: u64,
}

impl Journal {
    /// All cells that are kept.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn cells(&self) -> Result<Vec<KeptCell>, JournalError> {
        self.call(|connection| {
            let mut query = connection.prepare("SELECT report, spec, log_sent FROM cells ORDER BY allocation")?;
            let rows = query.query_map([], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
            })?;
            let mut cells = Vec::new();
            for row in rows {
                let (bytes, spec, log_sent) = row?;
                let report =
                    CellReport::decode(bytes.as_slice()).map_err(|_| JournalError::Damaged("a cell's report"))?;
                let spec = serde_json::from_str(&spec).ok();
                cells.push(KeptCell { report, spec, log_sent: log_sent.cast_unsigned() });
            }
            Ok(cells)
        })
        .await
    }

    /// Keeps a cell's report; what is known of its output stays.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn keep_cell(&self, report: CellReport, spec: Option<desired::Cell>) -> Result<(), JournalError> {
        self.call(move |connection| {
            let spec = spec.and_then(|spec| serde_json::to_string(&spec).ok()).unwrap_or_default();
            connection.execute(
                "INSERT INTO cells (allocation, report, spec) VALUES (?1, ?2, ?3)
                 ON CONFLICT (allocation) DO UPDATE SET report = excluded.report, spec = excluded.spec",
                params![report.allocation, report.encode_to_vec(), spec],
            )?;
            Ok(())
        })
        .await
    }

    /// Puts a piece of a cell's output into the outbox and notes how far it went, in one transaction.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn cell_log(&self, at_ms: i64, piece: CellLog) -> Result<(), JournalError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            let sent = piece.offset + piece.bytes.len() as u64;
            let changed = transaction.execute(
                "UPDATE cells SET log_sent = ?2 WHERE allocation = ?1 AND (log_sent < ?2 OR ?3)",
                params![piece.allocation, sent.cast_signed(), piece.last],
            )?;
            if changed > 0 {
                facts::append(&transaction, at_ms, FactBody::Log(piece))?;
            }
            transaction.commit()?;
            Ok(())
        })
        .await
    }

    /// Forgets a cell.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn forget_cell(&self, allocation: String) -> Result<(), JournalError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM cells WHERE allocation = ?1", [&allocation])?;
            transaction.execute("DELETE FROM usage WHERE allocation = ?1", [&allocation])?;
            transaction.commit()?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_piece_of_output_goes_out_once() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("j")).unwrap();
        let report = CellReport { allocation: "al_1".into(), lease_epoch: 2, ..CellReport::default() };
        journal.keep_cell(report.clone(), None).await.unwrap();
        let piece = CellLog { allocation: "al_1".into(), offset: 0, bytes: vec![7; 5], last: false };
        journal.cell_log(1, piece.clone()).await.unwrap();
        journal.cell_log(1, piece).await.unwrap();
        assert_eq!(journal.facts_after(0, 9).await.unwrap().len(), 1);
        journal.keep_cell(report.clone(), None).await.unwrap();
        assert_eq!(journal.cells().await.unwrap(), [KeptCell { report, spec: None, log_sent: 5 }]);
        journal.forget_cell("al_1".into()).await.unwrap();
        assert!(journal.cells().await.unwrap().is_empty());
    }
}
