//! What every seed begins with: an initialised data directory with an operator, a user and a SKU. Made once a
//! process, the same in every process.

use crate::coordinator::{call, config, door};
use crate::{BASE_MS, entropy};
use anyhow::{Context, ensure};
use muster_coordinator::app::App;
use muster_coordinator::base::clock::Clock;
use muster_coordinator::base::cpu::Cpu;
use muster_coordinator::base::http::Door;
use muster_coordinator::base::rng::Rng;
use muster_coordinator::base::store::{Disk, Store};
use muster_coordinator::{fleet, init};
use muster_pki::{Ca, files};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

/// The data directory in it.
const DATA: &str = "data";
/// The tokens in it.
const TOKENS: &str = "tokens.json";

/// See the module.
#[derive(Debug)]
pub struct Template {
    folder: PathBuf,
    /// Deletes the folder, where it was made by this process.
    _made: Option<tempfile::TempDir>,
    /// Bearer tokens of the user at the console and of the operator.
    pub tokens: [String; 2],
}

/// Where runs keep their files: memory, where there is such a place.
pub(crate) fn folder() -> anyhow::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.context("a folder for the simulation")
}

impl Template {
    /// Makes it, on a thread of its own.
    pub fn make() -> anyhow::Result<Self> {
        let made = std::thread::spawn(|| {
            entropy::seed(1);
            make()
        });
        made.join().map_err(|_| anyhow::anyhow!("making the template panicked"))?
    }

    /// One that another process has made.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let text = fs::read(folder.join(TOKENS)).with_context(|| folder.display().to_string())?;
        Ok(Self { folder: folder.to_owned(), _made: None, tokens: serde_json::from_slice(&text)? })
    }

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Copies the data directory.
    pub(crate) fn copy_to(&self, data_dir: &Path) -> anyhow::Result<()> {
        copy(&self.folder.join(DATA), data_dir)
    }
}

/// Copies a folder and what is in it.
pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn make() -> anyhow::Result<Template> {
    let folder = folder()?;
    let data_dir = folder.path().join(DATA);
    let clock = Clock::Manual(Arc::new(AtomicI64::new(BASE_MS)));
    let id = init::init_with(&clock, Rng::from_seed(1), &data_dir, None, "root", "operator password")?;
    files::save_ca(&fleet::keys(&data_dir), &ca(&id)?)?;
    let disk = Disk(Arc::new(|| (Duration::ZERO, Duration::ZERO)));
    let store = Store::open_inline(&fleet::file(&data_dir), disk)?;
    let app = App::build(config(&data_dir)?, store, Cpu::Inline, clock, Rng::from_seed(2))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    let tokens = runtime.block_on(people(&app))?;
    drop(runtime);
    drop(app);
    fs::write(folder.path().join(TOKENS), serde_json::to_vec(&tokens)?)?;
    Ok(Template { folder: folder.path().to_owned(), _made: Some(folder), tokens })
}

/// A CA as the product's, but with an Ed25519 key: its signatures have one length.
fn ca(fleet: &str) -> anyhow::Result<Ca> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("Muster fleet {fleet}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&[7; 16]));
    params.not_before = time::OffsetDateTime::from_unix_timestamp(BASE_MS / 1000 - 86_400)?;
    params.not_after = time::OffsetDateTime::from_unix_timestamp(BASE_MS / 1000 + 20 * 365 * 86_400)?;
    let certificate = params.self_signed(&key)?;
    Ok(Ca::load(fleet, certificate.der(), &key.serialize_der())?)
}

async fn people(app: &App) -> anyhow::Result<[String; 2]> {
    let [console, operator] = [door(app, Door::Console), door(app, Door::Operator)];
    let post = async |at: &axum::Router, token: &str, path: &str, key: Option<&str>, body: Value| {
        let answer = call(at.clone(), token, "POST", path, key, Some(&body)).await?;
        ensure!(answer.status < 300, "{path}: {answer:?}");
        anyhow::Ok(answer.body)
    };
    let token = |session: Value| session["access_token"].as_str().map(str::to_owned).context("no token");
    let person = json!({"username": "ada", "password": "ada has a password"});
    post(&console, "", "/api/v1/auth/personal/signup", None, person.clone()).await?;
    let user = token(post(&console, "", "/api/v1/auth/personal/login", None, person).await?)?;
    let root = json!({"username": "root", "password": "operator password"});
    let staff = token(post(&operator, "", "/api/v1/auth/personal/login", None, root).await?)?;
    let sku = json!({"name": "cpu", "kind": "cpu"});
    let sku = post(&operator, &staff, "/api/v1/admin/skus", Some("sku"), sku).await?;
    if sku["state"] != "active" {
        let id = sku["id"].as_str().unwrap_or_default();
        post(&operator, &staff, &format!("/api/v1/admin/skus/{id}/activate"), Some("activate"), json!({})).await?;
    }
    Ok([user, staff])
}
