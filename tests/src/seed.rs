//! A fleet of rows: fills the database of a coordinator with as many nodes and allocations as a large
//! installation has, as copies of the first ones it finds. For lists; nothing stands behind these rows.

use anyhow::Context;
use rusqlite::{Connection, params};
use std::path::Path;

/// How many rows there shall be more.
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    /// Nodes: cordoned, and silent for ever.
    pub nodes: u32,
    /// Allocations that are over, spread over those nodes.
    pub allocations: u32,
}

/// Columns of a table with what a copy has there: `fresh` where it names one, the template's value elsewhere.
fn copy(connection: &Connection, table: &str, fresh: &[(&str, &str)]) -> anyhow::Result<(String, String)> {
    let mut statement = connection.prepare(&format!("PRAGMA table_info({table})"))?;
    let columns = statement.query_map([], |row| row.get::<_, String>(1))?.collect::<Result<Vec<_>, _>>()?;
    let values = columns.iter().map(|column| {
        let own = fresh.iter().find(|(name, _)| name == column);
        own.map_or_else(|| format!("template.{column}"), |(_, value)| (*value).to_owned())
    });
    Ok((columns.join(", "), values.collect::<Vec<_>>().join(", ")))
}

/// Adds the rows; the coordinator may be running.
///
/// # Errors
/// If the database has no node or no allocation to copy, or cannot be written.
pub fn seed(database: &Path, seed: Seed) -> anyhow::Result<()> {
    let mut connection = Connection::open(database).with_context(|| format!("{}", database.display()))?;
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    let numbers = "WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ?1)";
    // Immediate: what reads first cannot wait for its turn to write.
    let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let (columns, values) = copy(
        &tx,
        "nodes",
        &[
            ("id", "printf('nd_%026d', i)"),
            ("name", "printf('gpu-%05d.rack-%02d.example', i, i % 40)"),
            ("key_sha256", "printf('%064d', i)"),
            ("machine_sha256", "''"),
            ("scheduling", "CASE WHEN i % 7 = 0 THEN 'draining' ELSE 'cordoned' END"),
            ("presence", "'offline'"),
            ("last_seen_ms", "NULL"),
            ("created_ms", "template.created_ms + i"),
        ],
    )?;
    let text = format!(
        "{numbers} INSERT INTO nodes({columns}) SELECT {values} FROM numbers, \
         (SELECT * FROM nodes WHERE lifecycle = 'in_service' ORDER BY id DESC LIMIT 1) AS template"
    );
    let made = tx.execute(&text, params![seed.nodes])?;
    anyhow::ensure!(made == seed.nodes as usize, "there is no node in service to copy");
    let (columns, values) = copy(
        &tx,
        "allocations",
        &[
            ("id", "printf('al_%026d', i)"),
            ("name", "printf('train-%05d', i)"),
            ("node_id", "printf('nd_%026d', 1 + i % ?2)"),
            ("state", "CASE WHEN i % 5 = 0 THEN 'failed' ELSE 'released' END"),
            ("wish", "'gone'"),
            ("created_ms", "template.created_ms + i"),
            ("ended_ms", "template.created_ms + i + 60000"),
        ],
    )?;
    let text = format!(
        "{numbers} INSERT INTO allocations({columns}) SELECT {values} FROM numbers, \
         (SELECT * FROM allocations ORDER BY id DESC LIMIT 1) AS template"
    );
    let made = tx.execute(&text, params![seed.allocations, seed.nodes.max(1)])?;
    anyhow::ensure!(made == seed.allocations as usize, "there is no allocation to copy");
    tx.commit()?;
    Ok(())
}
