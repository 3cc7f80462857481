//! The desired document in the journal.

use super::{Journal, JournalError};
use muster_protocol::control::Generation;
use rusqlite::{OptionalExtension, params};

/// The document as it is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its age.
    pub generation: Generation,
    /// Its bytes as they came.
    pub document: Vec<u8>,
    /// Their SHA-256.
    pub sha256: Vec<u8>,
}

impl Journal {
    /// The document held, if any.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn desired(&self) -> Result<Option<Held>, JournalError> {
        self.call(|connection| {
            let held = connection
                .query_row("SELECT fleet_epoch, n, document, sha256 FROM desired", [], |row| {
                    let (epoch, n): (i64, i64) = (row.get(0)?, row.get(1)?);
                    Ok(Held {
                        generation: Generation { fleet_epoch: epoch.cast_unsigned(), n: n.cast_unsigned() },
                        document: row.get(2)?,
                        sha256: row.get(3)?,
                    })
                })
                .optional()?;
            Ok(held)
        })
        .await
    }

    /// Replaces the document.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn keep_desired(&self, held: Held) -> Result<(), JournalError> {
        self.call(move |connection| {
            connection.execute(
                "INSERT OR REPLACE INTO desired (one, fleet_epoch, n, document, sha256) VALUES (1, ?1, ?2, ?3, ?4)",
                params![
                    held.generation.fleet_epoch.cast_signed(),
                    held.generation.n.cast_signed(),
                    held.document,
                    held.sha256
                ],
            )?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_document_comes_back_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("j")).unwrap();
        assert_eq!(journal.desired().await.unwrap(), None);
        let mut held = Held {
            generation: Generation { fleet_epoch: u64::MAX, n: 3 },
            document: b"{ \"cells\":[] }".to_vec(),
            sha256: vec![1; 32],
        };
        journal.keep_desired(held.clone()).await.unwrap();
        held.generation.n = 4;
        journal.keep_desired(held.clone()).await.unwrap();
        assert_eq!(journal.desired().await.unwrap(), Some(held));
    }
}
