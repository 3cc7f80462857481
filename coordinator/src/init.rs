//! `init`: from nothing to a data directory with database, CA, fleet name and a first operator.

use crate::audit::{self, Event};
use crate::base::clock::Clock;
use crate::base::rng::Rng;
use crate::base::store::{Store, settings};
use crate::cx::{Actor, Cx, Role};
use crate::fleet::{self, Database};
use crate::users::{self, NewUser};
use anyhow::{Context, bail};
use muster_pki::{Ca, files};
use muster_protocol::ids::CorrelationId;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Makes a data directory now, with the machine's clock and randomness; see [`init_with`].
pub fn init(data_dir: &Path, url: Option<&str>, username: &str, password: &str) -> anyhow::Result<String> {
    init_with(&Clock::System, Rng::from_system(), data_dir, url, username, password)
}

/// Makes a data directory. Refuses one that holds a database already, and leaves no half-made one behind
/// that a second `init` would stumble over: the database is moved to its name last.
pub fn init_with(
    clock: &Clock,
    rng: Rng,
    data_dir: &Path,
    url: Option<&str>,
    username: &str,
    password: &str,
) -> anyhow::Result<String> {
    let database = Database::vacant(data_dir, url)?;
    users::check_username(username)?;
    users::check_password(username, password)?;
    make_folders(data_dir)?;
    let unfinished = Unfinished::open(data_dir, database)?;
    let keys = fleet::keys(data_dir);
    let now_ms = clock.now_ms();
    let id = format!("f{}", hex::encode(rng.bytes::<5>()));
    let ca = Ca::create(&id, now_ms)?;
    files::save_ca(&keys, &ca)?;
    files::endpoint_keys(&keys)?;
    let correlation_id: CorrelationId = rng.id(now_ms);
    let cx = Cx { actor: Actor::System("init"), correlation_id, now_ms, source_ip: None, rng, keyed: None };
    let operator = NewUser {
        username: username.to_owned(),
        email: None,
        password_hash: users::hash_password(password)?,
        roles: vec![Role::PlatformAdmin],
    };
    let fleet_id = id.clone();
    unfinished.store.write_blocking(move |tx| {
        fleet::name_in(tx, &cx, &fleet_id)?;
        users::create_in(tx, &cx, &operator)?;
        audit::record(tx, &cx, Event::new("fleet.init", &fleet_id), ())
    })?;
    unfinished.finish(data_dir)?;
    Ok(id)
}

/// Makes a data directory and the folder of its keys, closed to others.
pub(crate) fn make_folders(data_dir: &Path) -> anyhow::Result<()> {
    for folder in [data_dir, &fleet::keys(data_dir)] {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    Ok(())
}

/// A database that a data directory does not have yet: it gets it when all of it is there.
pub(crate) struct Unfinished {
    database: Database,
    pub(crate) store: Store,
}

impl Unfinished {
    /// Opens an empty database.
    ///
    /// # Errors
    /// The one at the address is a coordinator's already.
    pub(crate) fn open(data_dir: &Path, database: Database) -> anyhow::Result<Self> {
        let store = match &database {
            Database::Sqlite(_) => {
                for suffix in ["", "-wal", "-shm"] {
                    match fs::remove_file(data_dir.join(format!("{NEW}{suffix}"))) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                        _ => {}
                    }
                }
                Store::open(&data_dir.join(NEW))?
            }
            Database::Postgres(url) => Store::open_postgres(url)?,
        };
        if let Some(id) = store.read_blocking(|tx| settings::get_in(tx, "fleet_id"))? {
            store.close();
            bail!("the database holds the fleet {id} already: it is never overwritten; give an empty one");
        }
        Ok(Self { database, store })
    }

    /// Gives it to its data directory.
    pub(crate) fn finish(self, data_dir: &Path) -> anyhow::Result<()> {
        self.store.close();
        match self.database {
            Database::Sqlite(path) => fs::rename(data_dir.join(NEW), path)?,
            Database::Postgres(_) => {
                fs::write(fleet::marker(data_dir), "The database of this data directory is in PostgreSQL.\n")?;
            }
        }
        fs::File::open(data_dir)?.sync_all()?;
        Ok(())
    }
}

/// The name of a SQLite database until it is finished.
const NEW: &str = "muster.db.new";
