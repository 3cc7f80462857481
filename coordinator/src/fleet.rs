//! The fleet: what `init` makes once and every start reads. Its name is in every certificate, its epoch in
//! every generation of a desired document.

use crate::base::http::Problem;
use crate::base::store::{Store, StoreError, Tx, settings};
use crate::cx::Cx;
use anyhow::{Context, bail};
use muster_pki::{Ca, files};
use muster_protocol::ids::WorkspaceId;
use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// The database of a coordinator.
#[derive(Clone)]
pub enum Database {
    /// A file of its data directory.
    Sqlite(PathBuf),
    /// Elsewhere, by its address.
    Postgres(String),
}

impl fmt::Debug for Database {
    /// Without the address, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(_) => f.write_str("Postgres"),
        }
    }
}

impl Database {
    /// The database that a data directory is to have: a file, or the one at an address.
    ///
    /// # Errors
    /// The directory has one already.
    pub fn vacant(data_dir: &Path, url: Option<&str>) -> anyhow::Result<Self> {
        for taken in [file(data_dir), marker(data_dir)] {
            if taken.try_exists().unwrap_or(true) {
                bail!("{} exists already: a data directory is never overwritten", taken.display());
            }
        }
        Ok(match url {
            Some(url) => Self::Postgres(url.to_owned()),
            None => Self::Sqlite(file(data_dir)),
        })
    }

    /// The database that an initialised data directory has.
    ///
    /// # Errors
    /// It has none, or one of the other engine.
    pub fn of(data_dir: &Path, url: Option<&str>) -> anyhow::Result<Self> {
        let (own, elsewhere) = (file(data_dir), marker(data_dir));
        match url {
            None if own.exists() => Ok(Self::Sqlite(own)),
            None if elsewhere.exists() => bail!(
                "the database of {} is in PostgreSQL: give its address with MUSTER_DATABASE or --database",
                data_dir.display()
            ),
            None => bail!("there is no {}: run `muster-coordinator init` first", own.display()),
            Some(_) if own.exists() => bail!(
                "{} holds a database of its own: leave --database and MUSTER_DATABASE out, \
                 or move it to PostgreSQL with `muster-coordinator backup` and `restore`",
                data_dir.display()
            ),
            Some(url) if elsewhere.exists() => Ok(Self::Postgres(url.to_owned())),
            Some(_) => bail!("there is no {}: run `muster-coordinator init` first", elsewhere.display()),
        }
    }

    /// Opens it, and makes it where it does not exist.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn open(&self) -> Result<Store, StoreError> {
        match self {
            Self::Sqlite(path) => Store::open(path),
            Self::Postgres(url) => Store::open_postgres(url),
        }
    }
}

/// The database of a data directory whose database is not elsewhere.
#[must_use]
pub fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("muster.db")
}

/// Says that the database of a data directory is elsewhere. It does not say where: an address has a password.
#[must_use]
pub fn marker(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres")
}

/// The folder of the CA and the endpoint keys of a data directory.
#[must_use]
pub fn keys(data_dir: &Path) -> PathBuf {
    data_dir.join("keys")
}

/// Holds a data directory for one process: two would undo each other's work. Freed when the process ends,
/// however it ends.
pub fn lock(data_dir: &Path) -> anyhow::Result<File> {
    let path = data_dir.join("lock");
    let file = File::options().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another coordinator serves {}", data_dir.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// What this installation is.
#[derive(Debug)]
pub struct Fleet {
    /// Its name: in certificates and URIs.
    pub id: String,
    /// Raised by a restore from backup, so that agents see which documents are newer.
    pub epoch: u64,
    /// The workspace of the platform itself: operations on nodes belong to it.
    pub platform: WorkspaceId,
    /// The CA of nodes and of the link.
    pub ca: Ca,
}

/// Names the fleet; in the transaction that makes the first operator.
pub fn name_in(tx: &mut Tx, cx: &Cx, id: &str) -> Result<(), Problem> {
    settings::set_in(tx, "fleet_id", id)?;
    settings::set_in(tx, "fleet_epoch", "1")?;
    settings::set_in(tx, "platform_workspace", &cx.new_id::<WorkspaceId>().to_string())
}

/// Reads the fleet of an initialised data directory. Blocks; before the edge runs.
pub fn load(store: &Store, data_dir: &Path) -> anyhow::Result<Fleet> {
    let hint = || format!("{} is not initialised: run `muster-coordinator init` first", data_dir.display());
    let (id, epoch, platform) = store.read_blocking(|tx| {
        let get = |tx: &mut Tx, name| settings::get_in(tx, name);
        Ok((get(tx, "fleet_id")?, get(tx, "fleet_epoch")?, get(tx, "platform_workspace")?))
    })?;
    let (Some(id), Some(epoch), Some(platform)) = (id, epoch, platform) else { bail!(hint()) };
    let folder = keys(data_dir);
    let Some(ca) = files::load_ca(&folder, &id)? else {
        bail!("the CA is missing from {}: restore it from a backup", folder.display());
    };
    Ok(Fleet {
        id,
        epoch: epoch.parse().context("the fleet's epoch is no number")?,
        platform: platform.parse().context("the platform's workspace is no id")?,
        ca,
    })
}
