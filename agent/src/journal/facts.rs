//! The outbox of facts: numbered without gaps, kept until the coordinator has them.

use super::{Journal, JournalError};
use muster_protocol::facts::{Fact, FactBody};
use prost::Message;
use rusqlite::{Connection, params};

/// Facts kept while the coordinator is away. Beyond it the GPUs' own events are left out, and the time of cells
/// waits to be told, so that what cells did always finds room: they are as many as the node has cells.
const KEPT_MAX: i64 = 50_000;

/// A fact in the outbox.
pub type KeptFact = Fact;

pub(super) fn is_full(connection: &Connection) -> Result<bool, JournalError> {
    let kept: i64 = connection.query_row("SELECT count(*) FROM facts", [], |row| row.get(0))?;
    Ok(kept >= KEPT_MAX)
}

pub(super) fn append(connection: &Connection, at_ms: i64, body: FactBody) -> Result<(), JournalError> {
    let fact = Fact { number: 0, at_ms, body: Some(body) };
    connection.execute("INSERT INTO facts (fact) VALUES (?1)", params![fact.encode_to_vec()])?;
    Ok(())
}

impl Journal {
    /// Appends a fact. False if the outbox is full and the fact is one that may be left out.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn fact(&self, at_ms: i64, body: FactBody) -> Result<bool, JournalError> {
        self.call(move |connection| {
            if matches!(body, FactBody::Xid(_)) && is_full(connection)? {
                return Ok(false);
            }
            append(connection, at_ms, body)?;
            Ok(true)
        })
        .await
    }

    /// Facts after a number, oldest first, at most `limit` of them.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn facts_after(&self, number: u64, limit: usize) -> Result<Vec<KeptFact>, JournalError> {
        self.call(move |connection| {
            let mut query = connection
                .prepare_cached("SELECT number, fact FROM facts WHERE number > ?1 ORDER BY number LIMIT ?2")?;
            let rows = query.query_map(params![number.cast_signed(), i64::try_from(limit).unwrap_or(0)], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
            })?;
            let mut facts = Vec::new();
            for row in rows {
                let (number, bytes) = row?;
                let mut fact = Fact::decode(bytes.as_slice()).map_err(|_| JournalError::Damaged("a fact"))?;
                fact.number = number.cast_unsigned();
                facts.push(fact);
            }
            Ok(facts)
        })
        .await
    }

    /// Forgets all facts up to a number: the coordinator has them.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn facts_stored(&self, number: u64) -> Result<(), JournalError> {
        self.call(move |connection| {
            connection.execute("DELETE FROM facts WHERE number <= ?1", params![number.cast_signed()])?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::facts::Xid;

    #[tokio::test]
    async fn numbers_have_no_gaps_and_never_come_again() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("j")).unwrap();
        let body = || FactBody::Xid(Xid { gpu_uuid: "GPU-1".into(), xid: 79, source: "nvml".into() });
        for at_ms in 1..=3 {
            assert!(journal.fact(at_ms, body()).await.unwrap());
        }
        let numbers = |facts: Vec<Fact>| facts.iter().map(|fact| (fact.number, fact.at_ms)).collect::<Vec<_>>();
        assert_eq!(numbers(journal.facts_after(0, 10).await.unwrap()), [(1, 1), (2, 2), (3, 3)]);
        assert_eq!(numbers(journal.facts_after(1, 1).await.unwrap()), [(2, 2)]);
        journal.facts_stored(3).await.unwrap();
        journal.fact(4, body()).await.unwrap();
        assert_eq!(numbers(journal.facts_after(0, 10).await.unwrap()), [(4, 4)]);
    }
}
