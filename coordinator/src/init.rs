//! `init`: from nothing to a data directory with database, CA, fleet name and a first operator.

use crate::audit::{self, Event};
use crate::base::clock::Clock;
use crate::base::rng::Rng;
use crate::base::store::Store;
use crate::cx::{Actor, Cx, Role};
use crate::fleet;
use crate::users::{self, NewUser};
use anyhow::{Context, bail};
use muster_pki::{Ca, files};
use muster_protocol::ids::CorrelationId;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Makes a data directory. Refuses one that holds a database already, and leaves no half-made one behind
/// that a second `init` would stumble over: the database is moved to its name last.
pub fn init(data_dir: &Path, username: &str, password: &str) -> anyhow::Result<String> {
    let database = fleet::database(data_dir);
    if database.try_exists().unwrap_or(true) {
        bail!("{} exists already: init never overwrites a data directory", database.display());
    }
    users::check_username(username)?;
    users::check_password(username, password)?;
    let keys = fleet::keys(data_dir);
    for folder in [data_dir, &keys] {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let (clock, rng) = (Clock::System, Rng::from_system());
    let now_ms = clock.now_ms();
    let id = format!("f{}", hex::encode(rng.bytes::<5>()));
    let ca = Ca::create(&id, now_ms)?;
    files::save_ca(&keys, &ca)?;
    files::endpoint_keys(&keys)?;
    let unfinished = data_dir.join("muster.db.new");
    for suffix in ["", "-wal", "-shm"] {
        match fs::remove_file(data_dir.join(format!("muster.db.new{suffix}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let store = Store::open(&unfinished)?;
    let correlation_id: CorrelationId = rng.id(now_ms);
    let cx = Cx { actor: Actor::System("init"), correlation_id, now_ms, source_ip: None, rng, keyed: None };
    let operator = NewUser {
        username: username.to_owned(),
        email: None,
        password_hash: users::hash_password(password)?,
        roles: vec![Role::PlatformAdmin],
    };
    let fleet_id = id.clone();
    store.write_blocking(move |tx| {
        fleet::name_in(tx, &cx, &fleet_id)?;
        users::create_in(tx, &cx, &operator)?;
        audit::record(tx, &cx, Event::new("fleet.init", &fleet_id), ())
    })?;
    store.close();
    fs::rename(&unfinished, &database)?;
    fs::File::open(data_dir)?.sync_all()?;
    Ok(id)
}
