//! How long cells have run, in the journal: what is told of a cell's time moves with the fact that tells it, in one
//! transaction, so that a death at any point neither loses nor doubles a millisecond.

use super::{Journal, JournalError, facts};
use crate::clock::Moment;
use muster_protocol::facts::{FactBody, Usage, UsageInterval};
use rusqlite::{Connection, OptionalExtension, params};

/// A cell and the lease it runs under.
pub type Leased = (String, u64);

impl Journal {
    /// Puts into the outbox how long these cells, which all stand, have run since they were told of last; one that
    /// is new begins now. While the outbox is full nothing is told, and the time waits. True if there is a fact.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn usage(&self, now: Moment, cells: Vec<Leased>) -> Result<bool, JournalError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            let full = facts::is_full(&transaction)?;
            let mut items = Vec::new();
            for (allocation, lease_epoch) in cells {
                transaction.execute(
                    "INSERT INTO usage (allocation, lease_epoch, boot_id, began_ms) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (allocation) DO NOTHING",
                    params![allocation, lease_epoch.cast_signed(), now.boot_id, now.boot_ms],
                )?;
                if !full {
                    items.extend(extend(&transaction, &now, &allocation)?);
                }
            }
            let told = !items.is_empty();
            if told {
                facts::append(&transaction, now.wall_ms, FactBody::Usage(Usage { items }))?;
            }
            transaction.commit()?;
            Ok(told)
        })
        .await
    }

    /// Ends a cell's time: now, if it was `seen` to stand until now, else where it was told of last. Once a cell.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn usage_ends(&self, now: Moment, allocation: String, seen: bool) -> Result<(), JournalError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            if seen && let Some(item) = extend(&transaction, &now, &allocation)? {
                facts::append(&transaction, now.wall_ms, FactBody::Usage(Usage { items: vec![item] }))?;
            }
            transaction.execute("UPDATE usage SET closed = 1 WHERE allocation = ?1", [&allocation])?;
            transaction.commit()?;
            Ok(())
        })
        .await
    }
}

/// The time since a cell was told of last, and notes that it is told. Nothing of a cell of another boot, which
/// cannot stand any more.
fn extend(connection: &Connection, now: &Moment, allocation: &str) -> Result<Option<UsageInterval>, JournalError> {
    let kept = connection
        .query_row(
            "SELECT lease_epoch, began_ms, told_ms FROM usage WHERE allocation = ?1 AND boot_id = ?2 AND closed = 0",
            params![allocation, now.boot_id],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
        )
        .optional()?;
    let Some((lease_epoch, began_ms, told_ms)) = kept else { return Ok(None) };
    let until_ms = now.boot_ms - began_ms;
    if until_ms <= told_ms {
        return Ok(None);
    }
    connection.execute("UPDATE usage SET told_ms = ?2 WHERE allocation = ?1", params![allocation, until_ms])?;
    Ok(Some(UsageInterval {
        allocation: allocation.to_owned(),
        lease_epoch: lease_epoch.cast_unsigned(),
        from_ms: told_ms.cast_unsigned(),
        until_ms: until_ms.cast_unsigned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot_ms: i64) -> Moment {
        Moment { wall_ms: 1, boot_ms, boot_id: "boot".into() }
    }

    /// Every interval told of a cell, as (from, until).
    async fn told(journal: &Journal, cell: &str) -> Vec<(u64, u64)> {
        let facts = journal.facts_after(0, 1000).await.unwrap();
        let items = facts.into_iter().filter_map(|fact| match fact.body {
            Some(FactBody::Usage(usage)) => Some(usage.items),
            _ => None,
        });
        items.flatten().filter(|item| item.allocation == cell).map(|item| (item.from_ms, item.until_ms)).collect()
    }

    #[tokio::test]
    async fn time_is_told_whole_across_deaths_of_the_agent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let cells = || vec![("al_1".to_owned(), 1), ("al_2".to_owned(), 1)];
        let journal = Journal::open(&path).unwrap();
        assert!(!journal.usage(at(1_000), cells()).await.unwrap(), "it begins");
        assert!(journal.usage(at(1_500), cells()).await.unwrap());
        assert!(!journal.usage(at(1_500), cells()).await.unwrap(), "nothing passed");
        // Dead for a while; the cells were not.
        let journal = Journal::open(&path).unwrap();
        assert!(journal.usage(at(61_007), cells()).await.unwrap());
        journal.usage_ends(at(61_010), "al_1".into(), true).await.unwrap();
        journal.usage_ends(at(99_999), "al_1".into(), true).await.unwrap();
        assert_eq!(told(&journal, "al_1").await, [(0, 500), (500, 60_007), (60_007, 60_010)]);
        // Gone while nobody looked: what was told stands, and it never begins anew.
        journal.usage_ends(at(70_000), "al_2".into(), false).await.unwrap();
        assert!(!journal.usage(at(80_000), cells()).await.unwrap());
        assert_eq!(told(&journal, "al_2").await, [(0, 500), (500, 60_007)]);
        // A name that comes again after it was forgotten is another cell.
        journal.forget_cell("al_2".into()).await.unwrap();
        assert!(!journal.usage(at(90_000), cells()).await.unwrap());
        assert!(journal.usage(at(90_001), cells()).await.unwrap());
        assert_eq!(told(&journal, "al_2").await.last(), Some(&(0, 1)));
    }

    #[tokio::test]
    async fn a_reboot_ends_what_ran() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("j")).unwrap();
        let cells = || vec![("al_1".to_owned(), 1)];
        assert!(!journal.usage(at(5_000), cells()).await.unwrap());
        let other = Moment { wall_ms: 1, boot_ms: 9_000, boot_id: "another".into() };
        assert!(!journal.usage(other, cells()).await.unwrap());
        assert_eq!(told(&journal, "al_1").await, []);
    }
}
