//! Who this node is: `identity.json` in the state directory, beside the key and the certificate of `pki`.

use anyhow::{Context, bail};
use muster_pki::files;
use muster_protocol::ids::NodeId;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the file.
const FILE: &str = "identity.json";

/// How far the enrolment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The token is spent and the key is bound; an operator has yet to approve.
    Pending,
    /// There is a certificate.
    Issued,
}

/// What enrolment fixed. A node is never re-homed silently: fleet and CA stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Fixed for life.
    pub node_id: NodeId,
    /// The fleet it belongs to.
    pub fleet_id: String,
    /// `host:port` it enrolled with.
    pub coordinator: String,
    /// Hex SHA-256 of the CA that the token named.
    pub ca_sha256: String,
    /// How far it is.
    pub stage: Stage,
}

impl Identity {
    /// The identity of a state directory, if it has one.
    ///
    /// # Errors
    /// A file that cannot be read or makes no sense.
    pub fn load(state_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = state_dir.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context(path.display().to_string()),
        };
        serde_json::from_slice(&text).map(Some).with_context(|| path.display().to_string())
    }

    /// Writes it.
    ///
    /// # Errors
    /// The file system said no.
    pub fn save(&self, state_dir: &Path) -> anyhow::Result<()> {
        files::write_public(&state_dir.join(FILE), &serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }

    /// Forgets it, with key and certificate.
    ///
    /// # Errors
    /// The file system said no.
    pub fn forget(state_dir: &Path) -> anyhow::Result<()> {
        files::forget_node(state_dir)?;
        match std::fs::remove_file(state_dir.join(FILE)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The pinned CA hash, raw.
    ///
    /// # Errors
    /// It is no SHA-256 in hex.
    pub fn pin(&self) -> anyhow::Result<[u8; 32]> {
        let bytes = hex::decode(&self.ca_sha256).unwrap_or_default();
        <[u8; 32]>::try_from(bytes).ok().context("identity.json: ca_sha256 is no SHA-256")
    }
}

/// Makes the state directory, mode 0700.
///
/// # Errors
/// The file system said no.
pub fn make_state_dir(state_dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state_dir)
        .with_context(|| format!("cannot make the state directory {}", state_dir.display()))
}

/// The identity that `run`, `status` and `doctor` need.
///
/// # Errors
/// Not enrolled, with the next step.
pub fn require(state_dir: &Path) -> anyhow::Result<Identity> {
    match Identity::load(state_dir)? {
        Some(identity) => Ok(identity),
        None => bail!(
            "this machine is not enrolled (nothing in {}): run `muster-agent enroll --coordinator HOST:PORT --token TOKEN`",
            state_dir.display()
        ),
    }
}
