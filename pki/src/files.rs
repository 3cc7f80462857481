//! The only reads and writes of this crate: whole files, replaced atomically, keys with mode 0600.

use crate::{Ca, NodeKey, PkiError, ca::ServerLeaf, transport::EndpointKeys};
use base64::{Engine, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Largest file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;
const CA_CERTIFICATE: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const ENDPOINT_KEYS: &str = "endpoint.key";
const NODE_KEY: &str = "node.key";
const NODE_CERTIFICATE: &str = "node.pem";
const NODE_ROOTS: &str = "roots.pem";

fn failed(path: &Path, error: io::Error) -> PkiError {
    PkiError::File { path: path.display().to_string(), error }
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), PkiError> {
    let write = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
        let temporary = folder.join(format!(".{name}.{}.new", std::process::id()));
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| failed(path, error))
}

/// Replaces a secret file: mode 0600, on disk before it has its name.
///
/// # Errors
/// [`PkiError::File`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), PkiError> {
    replace(path, bytes, 0o600)
}

/// Replaces a public file: mode 0644.
///
/// # Errors
/// [`PkiError::File`].
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), PkiError> {
    replace(path, bytes, 0o644)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, PkiError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, error)),
        Ok(found) if found.len() > FILE_MAX => {
            return Err(PkiError::unreadable(path.display().to_string(), "too large"));
        }
        Ok(_) => {}
    }
    fs::read(path).map(Some).map_err(|error| failed(path, error))
}

/// PEM text of one object.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(64) {
        text.push_str(std::str::from_utf8(line).unwrap_or_default());
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

fn certificates_pem<C: AsRef<[u8]>>(certificates: &[C]) -> String {
    certificates.iter().map(|certificate| pem("CERTIFICATE", certificate.as_ref())).collect()
}

fn read_certificates(path: &Path) -> Result<Option<Vec<CertificateDer<'static>>>, PkiError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let unreadable = |why: String| PkiError::unreadable(path.display().to_string(), why);
    let all: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(error.to_string()))?;
    if all.is_empty() { Err(unreadable("no certificate in it".into())) } else { Ok(Some(all)) }
}

fn read_key(path: &Path) -> Result<Option<Vec<u8>>, PkiError> {
    let Some(text) = read(path)? else { return Ok(None) };
    PrivatePkcs8KeyDer::from_pem_slice(&text)
        .map(|key| Some(key.secret_pkcs8_der().to_vec()))
        .map_err(|error| PkiError::unreadable(path.display().to_string(), error))
}

/// The CA of a data directory, if there is one.
///
/// # Errors
/// [`PkiError::File`], [`PkiError::Unreadable`]; also if only one of its two files is there.
pub fn load_ca(folder: &Path, fleet: &str) -> Result<Option<Ca>, PkiError> {
    let certificate = read_certificates(&folder.join(CA_CERTIFICATE))?;
    let key = read_key(&folder.join(CA_KEY))?;
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificates), Some(key)) => Ca::load(fleet, &certificates[0], &key).map(Some),
        _ => Err(PkiError::unreadable(folder.display().to_string(), "one of ca.pem and ca.key is missing")),
    }
}

/// Writes the CA: the key first, so that a certificate never stands without it.
///
/// # Errors
/// [`PkiError::File`].
pub fn save_ca(folder: &Path, ca: &Ca) -> Result<(), PkiError> {
    write_private(&folder.join(CA_KEY), pem("PRIVATE KEY", ca.key_pkcs8()).as_bytes())?;
    write_public(&folder.join(CA_CERTIFICATE), certificates_pem(&[ca.certificate()]).as_bytes())
}

/// The endpoint keys of a data directory, made at the first call.
///
/// # Errors
/// [`PkiError::File`], [`PkiError::Unreadable`], [`PkiError::Crypto`].
pub fn endpoint_keys(folder: &Path) -> Result<EndpointKeys, PkiError> {
    let path = folder.join(ENDPOINT_KEYS);
    if let Some(bytes) = read(&path)? {
        let bytes: [u8; EndpointKeys::LEN] =
            bytes.try_into().map_err(|_| PkiError::unreadable(path.display().to_string(), "wrong length"))?;
        return Ok(EndpointKeys::from_bytes(&bytes));
    }
    let keys = EndpointKeys::generate()?;
    write_private(&path, &keys.to_bytes())?;
    Ok(keys)
}

/// A server certificate from own PEM files: chain (leaf first) and key in any of the usual forms.
///
/// # Errors
/// [`PkiError::File`], [`PkiError::Unreadable`].
pub fn load_server_leaf(chain: &Path, key: &Path) -> Result<ServerLeaf, PkiError> {
    let missing = |path: &Path| failed(path, io::ErrorKind::NotFound.into());
    let certificates = read_certificates(chain)?.ok_or_else(|| missing(chain))?;
    let text = read(key)?.ok_or_else(|| missing(key))?;
    let private =
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| PkiError::unreadable(key.display().to_string(), error))?;
    let not_after_ms = crate::admit::validity(&certificates[0]).map_or(0, |(_, to)| to);
    Ok(ServerLeaf { chain: certificates, key: private, not_after_ms })
}

/// The node's key in its state directory, if there is one.
///
/// # Errors
/// [`PkiError::File`], [`PkiError::Unreadable`].
pub fn load_node_key(folder: &Path) -> Result<Option<NodeKey>, PkiError> {
    read_key(&folder.join(NODE_KEY))?.map(|der| NodeKey::from_pkcs8(&der)).transpose()
}

/// Writes the node's key.
///
/// # Errors
/// [`PkiError::File`].
pub fn save_node_key(folder: &Path, key: &NodeKey) -> Result<(), PkiError> {
    write_private(&folder.join(NODE_KEY), pem("PRIVATE KEY", &key.to_pkcs8()).as_bytes())
}

/// A node's certificate and the roots it trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCertificate {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Every CA to trust.
    pub roots: Vec<CertificateDer<'static>>,
}

/// The node's certificate in its state directory, if there is one.
///
/// # Errors
/// [`PkiError::File`], [`PkiError::Unreadable`].
pub fn load_node_certificate(folder: &Path) -> Result<Option<NodeCertificate>, PkiError> {
    let chain = read_certificates(&folder.join(NODE_CERTIFICATE))?;
    let roots = read_certificates(&folder.join(NODE_ROOTS))?;
    Ok(chain.zip(roots).map(|(chain, roots)| NodeCertificate { chain, roots }))
}

/// Writes the node's certificate: the roots first, so that a certificate never stands without them.
///
/// # Errors
/// [`PkiError::File`].
pub fn save_node_certificate(folder: &Path, certificate: &NodeCertificate) -> Result<(), PkiError> {
    write_public(&folder.join(NODE_ROOTS), certificates_pem(&certificate.roots).as_bytes())?;
    write_public(&folder.join(NODE_CERTIFICATE), certificates_pem(&certificate.chain).as_bytes())
}

/// Removes a node's key and certificate: an enrolment that was refused keeps nothing.
///
/// # Errors
/// [`PkiError::File`] if something that exists cannot be removed.
pub fn forget_node(folder: &Path) -> Result<(), PkiError> {
    for name in [NODE_CERTIFICATE, NODE_ROOTS, NODE_KEY] {
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&path, error)),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_written_is_read_and_keys_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert!(load_ca(at, "f").unwrap().is_none());
        let ca = Ca::create("f", 1_800_000_000_000).unwrap();
        save_ca(at, &ca).unwrap();
        assert_eq!(load_ca(at, "f").unwrap().unwrap().sha256(), ca.sha256());
        let key = NodeKey::generate().unwrap();
        save_node_key(at, &key).unwrap();
        assert_eq!(load_node_key(at).unwrap().unwrap().spki(), key.spki());
        let keys = endpoint_keys(at).unwrap();
        assert_eq!(endpoint_keys(at).unwrap().to_bytes(), keys.to_bytes());
        for name in [CA_KEY, NODE_KEY, ENDPOINT_KEYS] {
            assert_eq!(fs::metadata(at.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
        let certificate =
            NodeCertificate { chain: vec![ca.certificate().clone()], roots: vec![ca.certificate().clone(); 2] };
        save_node_certificate(at, &certificate).unwrap();
        assert_eq!(load_node_certificate(at).unwrap(), Some(certificate));
        forget_node(at).unwrap();
        forget_node(at).unwrap();
        assert!(load_node_key(at).unwrap().is_none());
        fs::remove_file(at.join(CA_KEY)).unwrap();
        assert!(load_ca(at, "f").is_err());
    }

    #[test]
    fn own_files_serve_a_door() {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::create("f", 1_800_000_000_000).unwrap();
        let leaf = ca.issue_door_server(&crate::ServerNames::default(), 1_800_000_000_000).unwrap();
        let (chain, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        write_public(&chain, certificates_pem(&leaf.chain).as_bytes()).unwrap();
        write_private(&key, pem("PRIVATE KEY", leaf.key.secret_der()).as_bytes()).unwrap();
        let read = load_server_leaf(&chain, &key).unwrap();
        assert_eq!(read.chain, leaf.chain);
        assert!(crate::server::door_config(&crate::server::LeafSwap::new(read).unwrap()).is_ok());
        assert!(load_server_leaf(&key, &chain).is_err());
    }
}
