//! Room in the database file for a day when the disk is full: free pages, and a log as long, that belong to nobody
//! else. What has to be written then (a sign-in, the end of a terminal) overwrites them and needs nothing new.

use rusqlite::Connection;

/// Free pages that are kept, in bytes.
const ROOM: i64 = 4 << 20;

/// Makes room where less than half of it is left, and at a `start`, when the log is empty, in any case. A disk that is
/// full already keeps what it has.
pub(super) fn make(connection: &Connection, start: bool) -> rusqlite::Result<()> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    // A start that was broken off leaves the filler behind, which is room as well.
    connection.execute_batch("DROP TABLE IF EXISTS room")?;
    let missing = ROOM - number("PRAGMA page_size")? * number("PRAGMA freelist_count")?;
    if missing < ROOM / 2 && !start {
        return Ok(());
    }
    // At a start the filler is written over the free pages that are there: it makes the log long.
    let filler = if start { ROOM } else { missing };
    // In two transactions: pages that are made and freed in one are never written, and so belong to nobody.
    let made = connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; CREATE TABLE room(filler BLOB); INSERT INTO room VALUES(zeroblob({filler})); COMMIT; \
         DROP TABLE room; PRAGMA wal_checkpoint(RESTART);"
    ));
    if made.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    made
}
