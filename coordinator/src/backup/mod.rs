//! `backup` and `restore`: the database and the keys in one file, from either engine and into either.
//!
//! A backup is one snapshot, taken while the coordinator goes on. A restore goes into an empty place, and what
//! may have changed since the backup is not taken as it was: see `fence`, and `docs/decisions/0012`.

mod fence;
mod file;

pub use fence::Nodes;

use crate::audit::{self, Event};
use crate::base::clock::{Clock, rfc3339};
use crate::base::rng::Rng;
use crate::base::store::dump::{Filler, Piece, Snapshot, schema};
use crate::base::store::{Tx, Value};
use crate::cx::{Actor, Cx};
use crate::fleet::{self, Database};
use crate::init::{Unfinished, make_folders};
use anyhow::{Context, bail};
use file::{Head, Line, Reader, Writer};
use muster_pki::files::{write_private, write_public};
use muster_protocol::ids::CorrelationId;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a backup holds, or a restore brought back.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The fleet.
    pub fleet_id: String,
    /// When the backup was made, ms since 1970.
    pub made_ms: i64,
    /// Rows in all tables.
    pub rows: u64,
}

/// Writes the database and the keys of a data directory into a new file, mode 0600: it holds the key of the CA.
///
/// # Errors
/// The file is there already, or something cannot be read.
pub fn backup(data_dir: &Path, url: Option<&str>, to: &Path) -> anyhow::Result<Summary> {
    let mut snapshot = match Database::of(data_dir, url)? {
        Database::Sqlite(path) => Snapshot::of_file(&path)?,
        Database::Postgres(url) => Snapshot::of_address(&url)?,
    };
    let Some(fleet_id) = snapshot.setting("fleet_id")? else { bail!("the database holds no fleet") };
    let made_ms = Clock::System.now_ms();
    let mut writer = Writer::create(to)?;
    writer.head(&Head { muster_backup: file::FORMAT, fleet_id: fleet_id.clone(), made_ms, schema: schema() })?;
    let mut rows = 0;
    let mut failed = None;
    let walked = snapshot.each(&mut |piece| {
        let written = match piece {
            Piece::Table { name, columns } => writer.table(name, &columns),
            Piece::Row(values) => {
                rows += 1;
                writer.row(values)
            }
        };
        written.map_err(|error| {
            failed = Some(error);
            crate::base::http::Problem::internal("the backup cannot be written")
        })
    });
    if let Some(error) = failed {
        return Err(error);
    }
    walked.map_err(|problem| anyhow::anyhow!(problem.log_text()))?;
    // The keys come last and are small: what a node was issued until the snapshot, they signed.
    let keys = fleet::keys(data_dir);
    let entries = fs::read_dir(&keys).with_context(|| format!("cannot read {}", keys.display()))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_file() && !name.starts_with('.') {
            let private = fs::metadata(&path)?.permissions().mode() & 0o077 == 0;
            writer.key(&name, private, &fs::read(&path)?)?;
        }
    }
    writer.finish(rows)?;
    Ok(Summary { fleet_id, made_ms, rows })
}

/// Makes a data directory, and fills its database, from a backup.
///
/// # Errors
/// There is something already, the file is damaged or of another build, or it cannot be written. Then there is
/// nothing that a later restore would stumble over.
pub fn restore(data_dir: &Path, url: Option<&str>, from: &Path, nodes: &Nodes) -> anyhow::Result<Summary> {
    let head = file::check(from)?;
    if head.schema != schema() {
        bail!("{} was made by another build: restore it with that one, then start this one on it", from.display());
    }
    let database = Database::vacant(data_dir, url)?;
    make_folders(data_dir)?;
    let unfinished = Unfinished::open(data_dir, database)?;
    let (path, asked) = (from.to_owned(), nodes.clone());
    let (clock, rng) = (Clock::System, Rng::from_system());
    let now_ms = clock.now_ms();
    let correlation_id: CorrelationId = rng.id(now_ms);
    let cx = Cx { actor: Actor::System("restore"), correlation_id, now_ms, source_ip: None, rng, keyed: None };
    let (fleet_id, made_ms) = (head.fleet_id, head.made_ms);
    let event = (fleet_id.clone(), rfc3339(made_ms));
    let rows = unfinished.store.write_blocking(move |tx| {
        let rows = fill(tx, &path)?;
        let after = fence::restored_in(tx, &cx, &asked)?;
        let event = Event::new("fleet.restore", &event.0).before(&event.1).after(&after);
        audit::record(tx, &cx, event, rows)
    });
    let rows = rows.map_err(|problem| anyhow::anyhow!(problem.log_text()))?;
    let keys = fleet::keys(data_dir);
    for line in Reader::open(from)? {
        if let Line::Key { name, private, bytes } = line? {
            let write = if private { write_private } else { write_public };
            write(&keys.join(name), &bytes)?;
        }
    }
    unfinished.finish(data_dir)?;
    Ok(Summary { fleet_id, made_ms, rows })
}

/// Writes every row of the file into an empty database.
fn fill(tx: &mut Tx, from: &Path) -> Result<u64, crate::base::http::Problem> {
    let failed = |error: anyhow::Error| crate::base::http::Problem::internal(format!("{error:#}"));
    let mut filler: Option<Filler> = None;
    let mut rows = 0;
    for line in Reader::open(from).map_err(failed)? {
        match line.map_err(failed)? {
            Line::Table { name, columns } => filler = Some(Filler::new(&name, &columns)?),
            Line::Row(values) => {
                let filler = filler.as_ref().ok_or_else(|| failed(anyhow::anyhow!("a row before any table")))?;
                filler.put(tx, &values)?;
                rows += 1;
            }
            Line::Key { .. } => {}
        }
    }
    Ok(rows)
}

/// The values of one row.
type Values = Vec<Value>;
