//! All SQL about desired documents and cursors of facts.

use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::values;
use muster_protocol::control::{Desired, Generation};
use muster_protocol::ids::NodeId;

/// Touched nodes that are composed in one go.
const TOUCHED_MAX: i64 = 1_000;
/// Journals of one node whose cursors are kept. A node has one; it gets another when its disk is replaced.
const JOURNALS_MAX: i64 = 4;

pub(super) fn touch_in(tx: &mut Tx, node: NodeId) -> Result<(), Problem> {
    tx.exec("INSERT INTO desired_dirty(node_id) VALUES($1) ON CONFLICT DO NOTHING", &values![node])?;
    Ok(())
}

pub(super) fn untouch_in(tx: &mut Tx, node: NodeId) -> Result<(), Problem> {
    tx.exec("DELETE FROM desired_dirty WHERE node_id = $1", &values![node])?;
    Ok(())
}

pub(super) fn touched_in(tx: &mut Tx) -> Result<Vec<NodeId>, Problem> {
    tx.all("SELECT node_id FROM desired_dirty ORDER BY node_id LIMIT $1", &values![TOUCHED_MAX], |row| row.get(0))
}

pub(super) fn document_in(tx: &mut Tx, node: NodeId) -> Result<Option<Desired>, Problem> {
    tx.opt("SELECT fleet_epoch, n, sha256, document FROM desired_documents WHERE node_id = $1", &values![node], |row| {
        Ok(Desired {
            generation: Generation { fleet_epoch: row.get(0)?, n: row.get(1)? },
            sha256: row.get(2)?,
            document: row.get::<Vec<u8>>(3)?.into(),
        })
    })
}

pub(super) fn save_document_in(tx: &mut Tx, node: NodeId, desired: &Desired, now_ms: i64) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO desired_documents(node_id, fleet_epoch, n, sha256, document, composed_ms) \
         VALUES($1, $2, $3, $4, $5, $6) ON CONFLICT (node_id) DO UPDATE SET fleet_epoch = excluded.fleet_epoch, \
         n = excluded.n, sha256 = excluded.sha256, document = excluded.document, composed_ms = excluded.composed_ms",
        &values![
            node,
            desired.generation.fleet_epoch,
            desired.generation.n,
            desired.sha256.as_slice(),
            desired.document.to_vec(),
            now_ms,
        ],
    )?;
    Ok(())
}

pub(super) fn cursor_in(tx: &mut Tx, node: NodeId, epoch: &str) -> Result<u64, Problem> {
    let found = tx.opt(
        "SELECT number FROM fact_cursors WHERE node_id = $1 AND journal_epoch = $2",
        &values![node, epoch],
        |row| row.get(0),
    )?;
    Ok(found.unwrap_or(0))
}

/// Moves a cursor. A journal that is new pushes out the node's oldest one above [`JOURNALS_MAX`].
pub(super) fn save_cursor_in(tx: &mut Tx, node: NodeId, epoch: &str, number: u64, now_ms: i64) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO fact_cursors(node_id, journal_epoch, number, moved_ms) VALUES($1, $2, $3, $4) \
         ON CONFLICT (node_id, journal_epoch) DO UPDATE SET number = excluded.number, moved_ms = excluded.moved_ms",
        &values![node, epoch, number, now_ms],
    )?;
    tx.exec(
        "DELETE FROM fact_cursors WHERE node_id = $1 AND journal_epoch <> $2 AND journal_epoch NOT IN \
         (SELECT journal_epoch FROM fact_cursors WHERE node_id = $1 ORDER BY moved_ms DESC, journal_epoch LIMIT $3)",
        &values![node, epoch, JOURNALS_MAX],
    )?;
    Ok(())
}

pub(super) fn forget_documents_in(tx: &mut Tx) -> Result<(), Problem> {
    tx.exec("DELETE FROM desired_documents", &[])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::store::Store;

    #[test]
    fn a_node_with_a_new_journal_every_day_keeps_the_newest_few() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("muster.db")).expect("a database");
        let node = NodeId::new(1, [1; 10]);
        let kept = store.write_blocking(move |tx| {
            for day in 0..50 {
                save_cursor_in(tx, node, &format!("journal-{day}"), 7, day)?;
            }
            // The one in use is kept, whatever a clock that was set back says.
            save_cursor_in(tx, node, "journal-now", 9, -1)?;
            let epochs = (0..50).map(|day| format!("journal-{day}"));
            let mut kept = Vec::new();
            for epoch in epochs.chain(["journal-now".to_owned()]) {
                if cursor_in(tx, node, &epoch)? > 0 {
                    kept.push(epoch);
                }
            }
            Ok(crate::audit::unchanged(kept))
        });
        let kept = kept.expect("kept");
        assert!(kept.len() <= 5 && kept.contains(&"journal-49".to_owned()), "{kept:?}");
        assert!(kept.contains(&"journal-now".to_owned()), "{kept:?}");
        store.close();
    }
}
